"""Line and statement coverage of the contracts by their Solidity tests, with a minimum: `make coverage`.

The tests run in a copy of the project, where Hardhat builds instrumented contracts: the tests deploy built
artifacts, so they deploy those. Gas tests (`*Gas*.t.sol`) stay out: an instrumented contract costs more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.checks.workspace import ROOT, ToolFailedError, copy_contracts, require_tool, run_tool, tail
from tessera.terminal import exit_status, say

MINIMUM_PERCENT = 98.0


class CoverageError(ToolFailedError):
    """Too little of the contracts ran, or what was measured cannot be read."""


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """What of one source file ran. Lines and statements are given by their line numbers."""

    path: str
    lines: int
    missed_lines: tuple[int, ...]
    statements: int
    missed_statements: tuple[int, ...]


def parse_lcov(text: str) -> dict[str, dict[int, bool]]:
    """Per source file: which of its lines that hold code ran."""
    files: dict[str, dict[int, bool]] = {}
    lines: dict[int, bool] | None = None
    for entry in text.splitlines():
        kind, _, value = entry.partition(":")
        if kind == "SF":
            lines = files.setdefault(value, {})
        elif kind == "DA":
            if lines is None:
                raise CoverageError(f"lcov names a line before a file ('{entry}'); run the coverage again")
            number, count = value.split(",")[:2]
            lines[int(number)] = lines.get(int(number), False) or int(count) > 0
        elif kind == "end_of_record":
            lines = None
    return files


def join(
    lines: Mapping[str, Mapping[int, bool]], statements: Mapping[str, Sequence[tuple[int, bool]]]
) -> list[FileCoverage]:
    """Both measures per file that holds code. A file that no test built counts as missed."""
    unknown = sorted(set(lines) - set(statements))
    if unknown:
        raise CoverageError(f"coverage names files that are not among the contracts: {', '.join(unknown)}")
    found = []
    for path, each in sorted(statements.items()):
        if not each:
            continue
        run = lines.get(path) or {number: False for number, _ in each}
        found.append(
            FileCoverage(
                path,
                len(run),
                tuple(sorted(number for number, ran in run.items() if not ran)),
                len(each),
                tuple(sorted(number for number, ran in each if not ran)),
            )
        )
    return found


def percent(missed: int, total: int) -> float:
    """Part that ran, in percent; 100 of nothing."""
    return 100.0 if total == 0 else 100.0 * (total - missed) / total


def totals(files: Sequence[FileCoverage]) -> tuple[float, float]:
    """Percent of all lines and of all statements."""
    lines = percent(sum(len(each.missed_lines) for each in files), sum(each.lines for each in files))
    missed = sum(len(each.missed_statements) for each in files)
    return lines, percent(missed, sum(each.statements for each in files))


def table(files: Sequence[FileCoverage]) -> str:
    """One row a file, with the lines that hold something that never ran."""
    width = max(len(each.path) for each in files)
    rows = [f"{'file':{width}}  {'lines':>7} {'%':>6}  {'statements':>10} {'%':>6}  not run (lines)"]
    for each in files:
        missed = sorted({*each.missed_lines, *each.missed_statements})
        rows.append(
            f"{each.path:{width}}  {each.lines:>7} {percent(len(each.missed_lines), each.lines):>6.2f}  "
            f"{each.statements:>10} {percent(len(each.missed_statements), each.statements):>6.2f}  "
            f"{', '.join(map(str, missed)) or '-'}"
        )
    lines, statements = totals(files)
    count = sum(each.lines for each in files), sum(each.statements for each in files)
    rows.append(f"{'all':{width}}  {count[0]:>7} {lines:>6.2f}  {count[1]:>10} {statements:>6.2f}")
    return "\n".join(rows)


def check(files: Sequence[FileCoverage], minimum: float = MINIMUM_PERCENT) -> None:
    """Raises CoverageError when lines or statements fall short of `minimum` percent."""
    if not files:
        raise CoverageError("no contract was measured; expected at least one, run the coverage again")
    for what, found in zip(("lines", "statements"), totals(files), strict=True):
        if found < minimum:
            raise CoverageError(
                f"{found:.2f} % of the contracts' {what} ran, expected at least {minimum:.2f} %; "
                "write tests that reach the lines listed above"
            )


def measure(place: Path) -> list[FileCoverage]:
    """Runs the tests under coverage in `place` and reads what ran."""
    # Not by naming the other tests: what is not named is compiled without artifacts, and invariants need those.
    for gas_test in place.glob("tests/contracts/**/*Gas*.t.sol"):
        gas_test.unlink()
    log, statements = ROOT / "build/coverage.log", ROOT / "build/coverage.statements.json"
    status = run_tool(["npx", "--no-install", "hardhat", "test", "solidity", "--coverage"], place, log)
    if status != 0:
        raise ToolFailedError(
            f"the Solidity tests fail under coverage (status {status}); all they said is in {log}, "
            f"at the end:\n{tail(log, 60)}"
        )
    (place / "statements.mjs").write_bytes((Path(__file__).parent / "statements.mjs").read_bytes())
    require_tool(["node", "statements.mjs"], place, statements)
    lcov = (place / "coverage/lcov.info").read_text(encoding="utf-8")
    return join(parse_lcov(lcov), json.loads(statements.read_text(encoding="utf-8")))


def main() -> None:
    """Prints the table; ends with an error below the minimum."""
    files = measure(copy_contracts("coverage"))
    say(table(files))
    check(files)


if __name__ == "__main__":
    sys.exit(exit_status(main))
