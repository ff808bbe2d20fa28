"""The arithmetic of the market's money, proven for all values that the contracts accept: part of `make audit`.

The compiler's model checker turns tests/contracts/proofs, and what it calls, into questions about integers, and z3
answers them. What is asserted there is proven when no question has a counterexample.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.checks.triage import AuditError
from scripts.checks.workspace import ROOT, run_tool, tail

PROOFS = ROOT / "tests/contracts/proofs"
SOLVER = ROOT / ".venv-audit/bin/z3"
# z3's rlimit, five times what the costliest question takes. Unlike seconds it does not depend on the machine's load.
STEPS_A_QUESTION = 20_000_000
# One more than the shares of MoneyProofs.sol.
LOOPS = 4
END = "// reached"
_SAFE = re.compile(r"BMC: .* check is safe!")
_DEPRECATED = "The BMC engine of the SMTChecker is deprecated"
_ENDS_THERE = "BMC: Assertion violation happens here."


@dataclass(frozen=True, slots=True)
class Proven:
    """How many assertions hold, and how many of the compiler's own checks (overflow, division by zero)."""

    assertions: int
    checks: int


def prove() -> Proven:
    """Raises AuditError for whatever may fail, and for a proof that says nothing."""
    answer, log = ROOT / "build/audit.proofs.json", ROOT / "build/audit.proofs.log"
    program = f"node scripts/checks/prove.mjs '{SOLVER}' {STEPS_A_QUESTION} {LOOPS} > '{answer}'"
    if run_tool(["bash", "-c", program], ROOT, log) != 0:
        raise AuditError(
            f"the model checker did not finish; all it said is in {log}, at the end:\n{tail(log)}"
        )
    said = json.loads(answer.read_text(encoding="utf-8"))
    return judge(
        said["proofs"], said["ends"], {path.name: path.read_text("utf-8") for path in PROOFS.glob("*.sol")}
    )


def judge(
    proofs: Sequence[Mapping[str, Any]], ends: Sequence[Mapping[str, Any]], sources: Mapping[str, str]
) -> Proven:
    """What the compiler's messages come to, for the proofs' texts by file name.

    Raises:
        AuditError: something may fail, an assertion was not looked at, or the end of a proof cannot be reached, so
            that it would hold of nothing.
    """
    told = [each for each in proofs if _DEPRECATED not in each["message"]]
    doubts = [each["formattedMessage"] for each in told if not _SAFE.search(each["message"])]
    if doubts:
        raise AuditError("not proven:\n\n" + "\n".join(doubts))
    safe = {_place(each) for each in told if "Assertion violation" in each["message"]}
    missing = [
        f"{name}, line {text.count(chr(10), 0, each.start()) + 1}"
        for name, text in sources.items()
        for each in re.finditer(r"\bassert\(", text)
        if (name, each.start()) not in safe
    ]
    if missing:
        raise AuditError("the model checker said nothing about these assertions: " + "; ".join(missing))
    reached = {_place(each) for each in ends if each["message"].startswith(_ENDS_THERE)}
    expected = sum(text.count(END) for text in sources.values())
    if len(reached) != expected or expected == 0:
        raise AuditError(
            f"the ends of {len(reached)} proofs can be reached, expected {expected}: what is required at the beginning "
            f"contradicts itself, or a loop runs more than {LOOPS} times, so that the proof holds of nothing"
        )
    return Proven(len(safe), len(told) - len(safe))


def _place(message: Mapping[str, Any]) -> tuple[str, int]:
    location = message["sourceLocation"]
    return Path(location["file"]).name, location["start"]
