"""docs/security.md says what contracts/audit/slither.json argues."""

from __future__ import annotations

from scripts.checks.audit import BEGIN, END, PAGE, TRIAGE
from scripts.checks.triage import parse_argued


def test_the_page_lists_every_argued_finding_with_its_reason_and_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    listed = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    argued = parse_argued(TRIAGE.read_text(encoding="utf-8"))
    assert len(listed) == len(argued)
    for each in argued:
        rows = [row for row in listed if row.startswith(f"| {each.check} |") and each.reason in row]
        assert len(rows) == 1, each
        assert rows[0].count("`") == 2 * len(each.places) + each.reason.count("`")
