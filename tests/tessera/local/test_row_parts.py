from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.errors import UsageError
from tessera.local.row_parts import PartPlan, open_parts

PLAN = PartPlan(first_row=5, rows=25, part_rows=10)
INTENT: dict[str, str | int] = {"seed": "ab", "rows": 25}


@pytest.mark.parametrize("changed", [{"seed": "cd"}, {"rows": 26}, {"model file": "ef"}])
def test_refuses_a_folder_that_was_begun_for_other_rows(
    tmp_path: Path, changed: dict[str, str | int]
) -> None:
    out = tmp_path / "x.csv"
    with open_parts(out, INTENT, PLAN, 2):
        pass
    with (
        pytest.raises(
            UsageError, match=rf"x\.csv\.parts was begun with another {next(iter(changed))}: .* delete"
        ),
        open_parts(out, INTENT | changed, PLAN, 2),
    ):
        pass


def test_refuses_another_size_of_parts_and_an_intent_that_is_no_json(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    with open_parts(out, INTENT, PLAN, 2) as folder:
        pass
    with pytest.raises(UsageError, match="another partRows"), open_parts(out, INTENT, PartPlan(5, 25, 11), 2):
        pass
    (folder.path / "intent.json").write_text("[", encoding="utf-8")
    with pytest.raises(UsageError, match="another seed, rows"), open_parts(out, INTENT, PLAN, 2):
        pass


def test_refuses_a_folder_that_another_process_holds(tmp_path: Path) -> None:
    held = open_parts(tmp_path / "x.csv", INTENT, PLAN, 2)
    with held, pytest.raises(UsageError, match="another process"):
        open_parts(tmp_path / "x.csv", INTENT, PLAN, 2).__enter__()


def test_a_part_counts_once_it_is_whole(tmp_path: Path) -> None:
    with open_parts(tmp_path / "x.csv", INTENT, PLAN, 2) as folder:
        assert folder.missing() == [0, 1, 2]
        folder.store(1, bytes(20))
        (folder.path / "00000000.rows").write_bytes(bytes(19))
        (folder.path / "00000002.rows.7.tmp").write_bytes(bytes(10))
        assert folder.missing() == [0, 2]
        folder.store(2, bytes(10))
    with open_parts(tmp_path / "x.csv", INTENT, PLAN, 2) as folder:
        assert folder.missing() == [0]
        assert folder.read(2) == bytes(10)
        folder.remove()
    assert list(tmp_path.iterdir()) == []


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(1, 512))
def test_parts_cover_each_row_once_and_stay_small(first_row: int, rows: int, columns: int) -> None:
    plan = PartPlan.of(first_row, rows, columns)
    ranges = [plan.range_of(part) for part in range(plan.parts)]
    assert ranges[0][0] == first_row
    assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(ranges))
    assert sum(n for _, n in ranges) == rows
    assert min(n for _, n in ranges) > 0
    assert plan.part_rows * columns * 8 <= 2**25
