"""What the model checker says is believed only when it said something about everything."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from scripts.checks.proofs import Proven, judge
from scripts.checks.triage import AuditError

Json: TypeAlias = dict[str, Any]
TEXT = "function prove() {\n  assert(1 == 1);\n  // reached\n}\n"
SOURCES = {"Proofs.sol": TEXT}


def said(message: str, start: int) -> Json:
    place = {"file": "tests/contracts/proofs/Proofs.sol", "start": start}
    return {"message": message, "formattedMessage": f"line of {message}", "sourceLocation": place}


SAFE = said("BMC: Assertion violation check is safe!", TEXT.index("assert"))
FLOW = said("BMC: Overflow (resulting value larger than 2**256 - 1) check is safe!", 3)
NOTE = {"message": "The BMC engine of the SMTChecker is deprecated and will be removed."}
END = said("BMC: Assertion violation happens here.", 40)


def test_counts_what_is_proven() -> None:
    assert judge([NOTE, SAFE, FLOW], [NOTE, END], SOURCES) == Proven(1, 1)


@pytest.mark.parametrize(
    "message",
    [
        "BMC: Assertion violation happens here.",
        "BMC: Underflow (resulting value less than 0) might happen here.",
        "Assertion checker does not yet implement this operator.",
    ],
)
def test_refuses_what_may_fail_and_what_was_not_understood(message: str) -> None:
    with pytest.raises(AuditError, match="not proven:\n\nline of"):
        judge([SAFE, said(message, 5)], [END], SOURCES)


def test_refuses_an_assertion_that_was_not_looked_at() -> None:
    with pytest.raises(AuditError, match=r"said nothing about these assertions: Proofs\.sol, line 2"):
        judge([FLOW], [END], SOURCES)


@pytest.mark.parametrize("ends", [[], [said("BMC: Assertion violation check is safe!", 40)]])
def test_refuses_a_proof_whose_end_cannot_be_reached(ends: list[Json]) -> None:
    with pytest.raises(AuditError, match="the ends of 0 proofs can be reached, expected 1"):
        judge([SAFE], ends, SOURCES)
