"""A chain for tests whose clock is theirs: it goes on by one second a block and by what a test skips.

anvil's own clock is the machine's, so that a window of thirty seconds would close while a slow test stands in it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provenance.chain.rpc import Rpc
from tessera.devnet.chain import find_anvil
from tessera.devnet.network import CHECKOUT
from tests.waiting import until

# anvil's published development account 0: its key is worth nothing anywhere else.
DEVELOPMENT_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
_LISTENING = re.compile(r"Listening on (127\.0\.0\.1:\d+)\n")


@contextmanager
def running_anvil(*options: str) -> Iterator[str]:
    """The URL of a chain of its own, which mines a block for every transaction and none else. options: of anvil."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "anvil.log"
        with log.open("wb") as output:
            # Port 0: whoever asks for a free port first and takes it later may find it taken.
            words = [str(find_anvil(CHECKOUT)), "--host", "127.0.0.1", "--port", "0", *options]
            process = subprocess.Popen(words, stdout=output, stderr=output)
        try:
            url = f"http://{until(lambda: _place(process, log), 'the chain')}"
            rpc = Rpc(url)
            rpc.request("anvil_setLoggingEnabled", False)
            rpc.request("anvil_setBlockTimestampInterval", 1)
            rpc.close()
            yield url
        finally:
            process.kill()
            process.wait()


def _place(process: subprocess.Popen[bytes], log: Path) -> str | None:
    text = log.read_text(encoding="utf-8")
    assert process.poll() is None, f"anvil ended with {process.returncode}:\n{text}"
    found = _LISTENING.search(text)
    return None if found is None else found.group(1)


def skip(rpc: Rpc, seconds: int) -> None:
    """Moves chain time on by so much, and mines a block in which that shows.

    A block whose effects are seen may not be the latest for a moment; once another one is mined, it is."""
    mine(rpc, 1)
    skip_with_next_block(rpc, seconds)
    mine(rpc, 1)


def skip_with_next_block(rpc: Rpc, seconds: int) -> None:
    """The next block, whosever it is, comes `seconds` after the last one: its transactions are the first to see it."""
    latest = rpc.request("eth_getBlockByNumber", "latest", False)
    rpc.request("evm_setNextBlockTimestamp", int(latest["timestamp"], 16) + seconds)


def mine(rpc: Rpc, blocks: int) -> None:
    """Mines empty blocks."""
    rpc.request("anvil_mine", hex(blocks))
