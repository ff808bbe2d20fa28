"""Slither over contracts/, every finding mended or argued, and proofs of the money's arithmetic: `make audit`.

Hardhat compiles a copy of the contracts (tests and OpenZeppelin's own files are not looked at) and Slither reads
its build info, in an environment of its own and without a network.
"""

from __future__ import annotations

import json
import sys

from scripts.checks.proofs import prove
from scripts.checks.triage import AuditError, compare, listing, parse_argued, parse_findings
from scripts.checks.workspace import ROOT, copy_contracts, require_tool, run_tool, tail
from tessera.terminal import exit_status, say

SLITHER = ROOT / ".venv-audit/bin/slither"
TRIAGE = ROOT / "contracts/audit/slither.json"
PAGE = ROOT / "docs/security.md"
BEGIN, END = "<!-- argued findings: begin -->", "<!-- argued findings: end -->"


def renewed(page: str, rows: str) -> str:
    """The page with `rows` between its two marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        raise AuditError(
            f"docs/security.md has not both marks '{BEGIN}' and '{END}'; put them around the list"
        )
    return f"{head}{BEGIN}\n{rows}\n{END}{foot}"


def main() -> None:
    """Ends with an error that lists every finding that is not argued, or what is not proven."""
    argued = parse_argued(TRIAGE.read_text(encoding="utf-8"))
    place = copy_contracts("audit", ROOT / "contracts/audit/hardhat.config.js")
    require_tool(
        ["npx", "--no-install", "hardhat", "build", "--no-tests"], place, ROOT / "build/audit.build.log"
    )
    report, log = place / "slither.json", ROOT / "build/audit.slither.log"
    # Slither's exit status counts findings: what failed is told by the report, or by its absence.
    run_tool(
        [SLITHER, ".", "--ignore-compile", "--filter-paths", "node_modules", "--json", "slither.json"],
        place,
        log,
    )
    if not report.is_file():
        raise AuditError(f"Slither wrote no report; all it said is in {log}, at the end:\n{tail(log)}")
    findings = parse_findings(json.loads(report.read_text(encoding="utf-8")))
    compare(findings, argued)
    before = PAGE.read_text(encoding="utf-8")
    after = renewed(before, listing(findings, argued))
    if after != before:
        PAGE.write_text(after, encoding="utf-8")
        say("docs/security.md: the list of argued findings was renewed, commit it")
    say(
        f"Slither: {len(findings)} findings, each of them argued in contracts/audit/slither.json; none is open"
    )
    proven = prove()
    say(
        f"money: {proven.assertions} assertions of tests/contracts/proofs are proven for all values that the contracts "
        f"accept, with {proven.checks} checks that nothing overflows or is divided by zero"
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
