"""The guide that needs no market, followed to the letter."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import pytest

from backend.settings import Settings
from tests.docs.guide import ROOT, Reader, blocks

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
DATA = ROOT / "tessera" / "devnet" / "data"


def bundled(name: str) -> list[str]:
    """Header and rows of a bundled table."""
    return gzip.decompress((DATA / name).read_bytes()).decode("utf-8").splitlines()


def write_tables(folder: Path) -> None:
    """`table.csv`, and `held_out.csv` of other rows within what the columns of the first span."""
    header, *train = bundled("adult_train.csv.gz")
    columns = [list(column) for column in zip(*(row.split(",") for row in train[:600]), strict=True)]
    others = [row for row in bundled("adult_test.csv.gz")[1:] if all(map(spans, columns, row.split(",")))]
    for name, rows in (("table.csv", train[:600]), ("held_out.csv", others[:300])):
        (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def spans(column: list[str], cell: str) -> bool:
    """Whether a schema read off the column knows the cell."""
    if not cell.isdecimal():
        return cell in column
    numbers = [int(each) for each in column]
    return min(numbers) <= int(cell) <= max(numbers)


@pytest.mark.timeout(900)
def test_the_data_scientists_guide_runs_and_its_rows_are_as_asked(tmp_path: Path) -> None:
    write_tables(tmp_path)
    with Reader(tmp_path).follow(ROOT / "docs" / "guides" / "data-scientist.md") as said:
        assert any("table.csv: 600 rows agree" in words for words in said)
    with (tmp_path / "rich.csv").open(encoding="utf-8", newline="") as file:
        rich = list(csv.DictReader(file))
    assert len(rich) == 300
    assert all(row["income"] == ">50K" and 30 <= int(row["age"]) <= 50 for row in rich)
    with (tmp_path / "counted.csv").open(encoding="utf-8", newline="") as file:
        assert [row["income"] for row in csv.DictReader(file)].count(">50K") == 100
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_has_commands_that_are_run(page: Path) -> None:
    assert sum(fence == "sh" for fence, _ in blocks(page)) >= 2


def test_a_command_that_fails_ends_the_reading(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nfalse\ntrue\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="ended with 1"), Reader(tmp_path).follow(page):
        pass


def test_the_operators_table_has_every_setting_and_its_default() -> None:
    text = (ROOT / "docs" / "guides" / "operator.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(TESSERA_\w+)` \| (?:`([^`]*)`|\(empty\)) \|", text, re.MULTILINE))
    defaults = {
        f"TESSERA_{name.upper()}": (
            json.dumps(entry.default) if isinstance(entry.default, dict) else str(entry.default)
        )
        for name, entry in Settings.model_fields.items()
    }
    assert listed == defaults
