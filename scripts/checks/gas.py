"""Gas of each step and size of each contract against what was written down: part of `make check`.

The Solidity gas tests hold the hard limits; this finds what creeps. Cheaper counts too: figures that are not renewed
hide the next loss.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.checks.workspace import ROOT, ToolFailedError, run_tool, tail
from tessera.terminal import exit_status, say

Figures = dict[str, dict[str, int]]

SNAPSHOT = ROOT / "tests/contracts/gas.snapshot.json"
TOLERANCE_PERCENT = 2.0
GROUPS = ("gas", "size")
RENEW = "If it is meant, run `make gas-snapshot` and commit tests/contracts/gas.snapshot.json"


class GasError(ToolFailedError):
    """A figure moved beyond the tolerance, or came, or went."""


def changes(measured: Mapping[str, int], expected: Mapping[str, int], tolerance: float) -> list[str]:
    """One sentence a figure that is new, gone, or further than `tolerance` percent from the one expected."""
    lines = [
        f"{name}: {measured[name]:,}, not written down yet" for name in sorted(set(measured) - set(expected))
    ]
    lines += [
        f"{name}: not measured, {expected[name]:,} expected" for name in sorted(set(expected) - set(measured))
    ]
    for name in sorted(set(measured) & set(expected)):
        percent = 100.0 * (measured[name] - expected[name]) / expected[name]
        if abs(percent) > tolerance:
            lines.append(f"{name}: {measured[name]:,} found, {expected[name]:,} expected ({percent:+.1f} %)")
    return lines


def check(measured: Figures, expected: Figures, tolerance: float = TOLERANCE_PERCENT) -> None:
    """Raises GasError with every figure that moved."""
    lines = [
        f"{group} of {line}"
        for group in GROUPS
        for line in changes(measured.get(group, {}), expected.get(group, {}), tolerance)
    ]
    if lines:
        raise GasError(
            "\n".join([f"{len(lines)} figures moved by more than {tolerance:g} %:", *lines, RENEW])
        )


def measure() -> Figures:
    """Runs the gas tests against the shipped bytecode and reads what they wrote down."""
    tests = sorted(path.relative_to(ROOT) for path in (ROOT / "tests/contracts").glob("*Gas*.t.sol"))
    log = ROOT / "build/gas.log"
    status = run_tool(["npx", "--no-install", "hardhat", "test", "solidity", "--snapshot", *tests], ROOT, log)
    if status != 0:
        raise ToolFailedError(
            f"the gas tests fail (status {status}); all they said is in {log}, at the end:\n{tail(log)}"
        )
    return {group: _read_group(ROOT / "snapshots" / f"{group}.json") for group in GROUPS}


def _read_group(path: Path) -> dict[str, int]:
    if not path.is_file():
        raise GasError(
            f"the gas tests wrote no {path}; expected vm.snapshotValue in tests/contracts/*Gas*.t.sol"
        )
    return {name: int(value) for name, value in sorted(json.loads(path.read_text(encoding="utf-8")).items())}


def main() -> None:
    """Compares, or with --renew writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--renew", action="store_true", help="write the figures down instead of comparing them"
    )
    renew = parser.parse_args().renew
    measured = measure()
    if renew:
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        say(f"wrote {sum(map(len, measured.values()))} figures to {SNAPSHOT.relative_to(ROOT)}")
        return
    check(measured, json.loads(SNAPSHOT.read_text(encoding="utf-8")))
    say(f"gas and sizes: {sum(map(len, measured.values()))} figures, all within {TOLERANCE_PERCENT:g} %")


if __name__ == "__main__":
    sys.exit(exit_status(main))
