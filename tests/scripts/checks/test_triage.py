"""Findings against arguments: what is open, what is stale, what is no reason."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest

from scripts.checks.audit import BEGIN, END, renewed
from scripts.checks.triage import (
    Argued,
    AuditError,
    Finding,
    compare,
    listing,
    parse_argued,
    parse_findings,
)

Json: TypeAlias = dict[str, Any]
REASON = "The deadline is an hour away, seconds of drift do no harm."


def element(name: str, parent: Json | None = None, kind: str = "function") -> Json:
    fields: Json = {} if parent is None else {"type_specific_fields": {"parent": parent}}
    return {"type": kind, "name": name, **fields}


ESCROW = element("Escrow", kind="contract")
SETTLE = element("settle", ESCROW)


def report(*elements: Json) -> Json:
    found = {"check": "timestamp", "impact": "Low", "elements": list(elements), "description": "uses time\n"}
    return {"success": True, "error": None, "results": {"detectors": [found]}}


def finding(place: str, check: str = "timestamp") -> Finding:
    return Finding(check, "Low", place, f"{place} uses time")


def test_refuses_a_report_of_a_run_that_failed() -> None:
    with pytest.raises(AuditError, match="did not finish: no AST"):
        parse_findings({"success": False, "error": "no AST", "results": {}})


def test_refuses_a_reason_that_is_none() -> None:
    with pytest.raises(AuditError, match="the reason for timestamp is 'fine'"):
        parse_argued(json.dumps([{"check": "timestamp", "reason": "fine", "places": {"A.b": 1}}]))


@pytest.mark.parametrize("places", [{}, {"A.b": 0}])
def test_refuses_a_reason_for_nothing(places: dict[str, int]) -> None:
    with pytest.raises(AuditError, match="expected places with a count"):
        parse_argued(json.dumps([{"check": "timestamp", "reason": REASON, "places": places}]))


def test_refuses_a_finding_that_is_not_argued_and_shows_it() -> None:
    with pytest.raises(AuditError, match=r"timestamp \(Low\) in A\.b: found 1, argued 0\nA\.b uses time"):
        compare([finding("A.b")], [])


def test_refuses_a_second_finding_in_an_argued_place() -> None:
    with pytest.raises(AuditError, match="found 2, argued 1"):
        compare([finding("A.b"), finding("A.b")], [Argued("timestamp", REASON, {"A.b": 1})])


def test_refuses_another_check_in_an_argued_place() -> None:
    with pytest.raises(AuditError, match=r"reentrancy \(Low\) in A\.b: found 1, argued 0"):
        compare([finding("A.b"), finding("A.b", "reentrancy")], [Argued("timestamp", REASON, {"A.b": 1})])


def test_refuses_an_argument_without_a_finding() -> None:
    with pytest.raises(AuditError, match=r"timestamp in A\.b: found 0, argued 1; take what is gone"):
        compare([], [Argued("timestamp", REASON, {"A.b": 1})])


def test_takes_findings_that_are_argued_one_by_one() -> None:
    argued = [Argued("timestamp", REASON, {"A.b": 1}), Argued("timestamp", REASON, {"A.b": 1, "A.c": 1})]
    compare([finding("A.b"), finding("A.b"), finding("A.c")], argued)


@pytest.mark.parametrize(
    ("first", "place"),
    [
        (SETTLE, "Escrow.settle"),
        (element("now > deadline", SETTLE, "node"), "Escrow.settle"),
        (element("derived", SETTLE, "variable"), "Escrow.settle"),
        (element("token", ESCROW, "variable"), "Escrow.token"),
        (element("Escrow", element("contracts/Escrow.sol", kind="file"), "contract"), "Escrow"),
        (element("0.8.37", None, "pragma"), "0.8.37"),
    ],
)
def test_names_the_function_or_variable_a_finding_is_in(first: Json, place: str) -> None:
    assert parse_findings(report(first)) == [Finding("timestamp", "Low", place, "uses time")]


def test_a_finding_about_nothing_has_no_place() -> None:
    assert parse_findings(report())[0].place == "-"


def test_lists_the_gravest_first_and_counts_places() -> None:
    argued = [Argued("timestamp", REASON, {"A.b": 2, "A.a": 1}), Argued("send", REASON, {"A.c": 1})]
    findings = [Finding("timestamp", "Low", "A.b", ""), Finding("send", "High", "A.c", "")]
    rows = listing(findings, argued).splitlines()
    assert rows[2] == f"| send | high | `A.c` | {REASON} |"
    assert rows[3] == f"| timestamp | low | `A.a`, `A.b` (2) | {REASON} |"


def test_renews_only_what_stands_between_the_marks() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert renewed(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert renewed(renewed(page, "new"), "new") == renewed(page, "new")


def test_refuses_a_page_without_both_marks() -> None:
    with pytest.raises(AuditError, match="has not both marks"):
        renewed(f"before {BEGIN} after", "new")
