"""Coverage figures from what Hardhat writes, and when they are too low."""

from __future__ import annotations

import pytest

from scripts.checks.coverage import (
    CoverageError,
    FileCoverage,
    check,
    join,
    parse_lcov,
    percent,
    table,
    totals,
)

LCOV = """TN:
SF:contracts/A.sol
DA:3,1
DA:4,0
LH:1
LF:2
end_of_record
SF:contracts/types/B.sol
DA:9,12
LH:1
LF:1
end_of_record
"""


def covered(missed: int, total: int = 100) -> FileCoverage:
    gone = tuple(range(1, missed + 1))
    return FileCoverage("contracts/A.sol", total, gone, total, gone)


def test_refuses_a_line_without_a_file() -> None:
    with pytest.raises(CoverageError, match="before a file"):
        parse_lcov("DA:1,1\n")


def test_refuses_a_file_that_is_no_contract() -> None:
    with pytest.raises(CoverageError, match=r"not among the contracts: contracts/Gone\.sol"):
        join({"contracts/Gone.sol": {1: True}}, {})


def test_refuses_nothing_measured() -> None:
    with pytest.raises(CoverageError, match="no contract was measured"):
        check([])


@pytest.mark.parametrize("what", ["lines", "statements"])
def test_refuses_less_than_the_minimum_of_either_measure(what: str) -> None:
    short, full = (1, 2, 3), ()
    file = FileCoverage(
        "contracts/A.sol", 100, short if what == "lines" else full, 100, full if what == "lines" else short
    )
    with pytest.raises(
        CoverageError, match=rf"97\.00 % of the contracts' {what} ran, expected at least 98\.00 %"
    ):
        check([file])


def test_takes_exactly_the_minimum() -> None:
    check([covered(2)])


def test_reads_lines_of_every_file() -> None:
    assert parse_lcov(LCOV) == {"contracts/A.sol": {3: True, 4: False}, "contracts/types/B.sol": {9: True}}


def test_a_line_counts_as_run_when_any_mention_of_it_ran() -> None:
    assert parse_lcov("SF:a\nDA:1,0\nDA:1,2\nDA:1,0\nend_of_record\n") == {"a": {1: True}}


def test_counts_a_file_that_no_test_built_as_missed_and_leaves_out_files_without_code() -> None:
    statements: dict[str, list[tuple[int, bool]]] = {
        "contracts/A.sol": [(3, True), (4, False), (4, True)],
        "contracts/Unbuilt.sol": [(7, False), (8, False)],
        "contracts/interfaces/I.sol": [],
        "contracts/types/B.sol": [(9, True)],
    }
    files = join(parse_lcov(LCOV), statements)
    assert files == [
        FileCoverage("contracts/A.sol", 2, (4,), 3, (4,)),
        FileCoverage("contracts/Unbuilt.sol", 2, (7, 8), 2, (7, 8)),
        FileCoverage("contracts/types/B.sol", 1, (), 1, ()),
    ]
    assert totals(files) == (percent(3, 5), percent(3, 6)) == (40.0, 50.0)


def test_names_the_lines_that_did_not_run() -> None:
    text = table([FileCoverage("contracts/A.sol", 4, (4,), 5, (4, 9)), covered(0)])
    assert "75.00" in text
    assert "60.00  4, 9" in text
    assert text.splitlines()[-1].split() == ["all", "104", "99.04", "105", "98.10"]
