"""Slither's findings against those that were argued: a finding without a reason fails, and so does a reason
without a finding.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.checks.workspace import ToolFailedError

SHORTEST_REASON = 40


class AuditError(ToolFailedError):
    """Findings and argued findings differ, or one of the two cannot be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of Slither. `place` is `Contract.function` (or variable), the same at every renewal of the code."""

    check: str
    impact: str
    place: str
    description: str


@dataclass(frozen=True, slots=True)
class Argued:
    """Findings of one check with one reason, and how many of them there are in each place."""

    check: str
    reason: str
    places: Mapping[str, int]


def parse_findings(report: Mapping[str, Any]) -> list[Finding]:
    """What is in a JSON report of Slither, of a run that succeeded."""
    if report.get("success") is not True:
        raise AuditError(
            f"Slither did not finish: {report.get('error')}; expected a report with success = true"
        )
    return [
        Finding(each["check"], each["impact"], _place(each["elements"]), each["description"].strip())
        for each in report["results"].get("detectors", [])
    ]


def parse_argued(text: str) -> list[Argued]:
    """The triage file: a list of {check, reason, places: {place: count}}."""
    argued = [Argued(each["check"], each["reason"], each["places"]) for each in json.loads(text)]
    for each in argued:
        if len(each.reason) < SHORTEST_REASON:
            raise AuditError(
                f"the reason for {each.check} is '{each.reason}'; expected a sentence of {SHORTEST_REASON} letters "
                "or more that says why the finding does no harm"
            )
        if not each.places or any(count < 1 for count in each.places.values()):
            raise AuditError(
                f"{each.check} argues {dict(each.places)}; expected places with a count of at least 1"
            )
    return argued


def compare(findings: Sequence[Finding], argued: Sequence[Argued]) -> None:
    """Raises AuditError unless every finding is argued and every argument is about a finding."""
    found = Counter((each.check, each.place) for each in findings)
    expected: Counter[tuple[str, str]] = Counter()
    for each in argued:
        for place, count in each.places.items():
            expected[each.check, place] += count
    problems = [_open(key, found[key], expected[key], findings) for key in sorted(found - expected)]
    problems += [
        f"{check} in {place}: found {found[check, place]}, argued {expected[check, place]}; "
        "take what is gone out of the triage file"
        for check, place in sorted(expected - found)
    ]
    if problems:
        raise AuditError(
            "\n\n".join(problems)
            + f"\n\n{len(problems)} places differ from what is argued. Mend the contract, or argue the finding in "
            "contracts/audit/slither.json and run `make audit` again (it renews the list in docs/security.md)"
        )


def listing(findings: Sequence[Finding], argued: Sequence[Argued]) -> str:
    """The argued findings as Markdown, the gravest first."""
    impact = {each.check: each.impact for each in findings}
    order = ["High", "Medium", "Low", "Informational", "Optimization"]
    rows = ["| finding | impact by Slither | where | why it stays |", "|---|---|---|---|"]
    for each in sorted(argued, key=lambda item: (order.index(impact[item.check]), item.check)):
        places = ", ".join(
            f"`{place}`" + (f" ({count})" if count > 1 else "")
            for place, count in sorted(each.places.items())
        )
        rows.append(f"| {each.check} | {impact[each.check].lower()} | {places} | {each.reason} |")
    return "\n".join(rows)


def _place(elements: Sequence[Mapping[str, Any]]) -> str:
    """`Contract.name` of the innermost named thing that the first element belongs to."""
    if not elements:
        return "-"
    element: Mapping[str, Any] = elements[0]
    while element["type"] in ("node", "variable"):
        parent = element.get("type_specific_fields", {}).get("parent")
        if parent is None or (element["type"] == "variable" and parent["type"] == "contract"):
            break
        element = parent
    owner = element.get("type_specific_fields", {}).get("parent")
    named = owner is not None and owner["type"] == "contract"
    return f"{owner['name']}.{element['name']}" if named and owner is not None else str(element["name"])


def _open(key: tuple[str, str], count: int, expected: int, findings: Sequence[Finding]) -> str:
    texts = [each.description for each in findings if (each.check, each.place) == key]
    impact = next(each.impact for each in findings if each.check == key[0])
    head = f"{key[0]} ({impact}) in {key[1]}: found {count}, argued {expected}"
    return "\n".join([head, *texts])
