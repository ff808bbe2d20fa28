"""A backend that is killed (SIGKILL) at random moments of its transactions and started again: the real
program. For tests only.

    KILL_SEED=7 KILL_TIMES=20 KILL_LOG=file python -m tests.system.killed_broker

Each life ends at one of POINTS, drawn anew; a line in the file says which. After the last it lives on.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backend.main import main
from provenance.chain.rpc import Rpc

SEND, LOOK = "eth_sendRawTransaction", "eth_getTransactionReceipt"
POINTS = {
    "stored, not sent": (SEND, False),
    "sent, not told": (SEND, True),
    "sent, looking for the receipt": (LOOK, False),
    "receipt seen, not acted on": (LOOK, True),
}
"""The request at which a life ends, and whether it was answered."""


def live(point: str) -> int:
    """One life up to the point; the exit code if it ends before."""
    method, answered = POINTS[point]
    attempt = Rpc.attempt

    def last_attempt(self: Rpc, asked: str, params: tuple[Any, ...], action: str) -> Any:
        if asked == method and not answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = attempt(self, asked, params, action)
        if asked == method and (answer is not None or method == SEND):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    with patch.object(Rpc, "attempt", last_attempt):
        return main()


def be_killed(chance: random.Random, times: int, log: Path) -> int:
    """So many lives one after the other, then one without an end; the exit code of the first that is not killed."""
    for _ in range(times):
        point = chance.choice(list(POINTS))
        child = os.fork()
        if child == 0:
            os._exit(live(point))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != -signal.SIGKILL:
            return code
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{point}\n")
    return main()


if __name__ == "__main__":
    given = os.environ
    sys.exit(
        be_killed(random.Random(int(given["KILL_SEED"])), int(given["KILL_TIMES"]), Path(given["KILL_LOG"]))
    )
