"""The guide that needs no market, followed to the letter."""

from __future__ import annotations

import csv
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from backend.settings import Settings
from provenance.exact.container import Container
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


@pytest.mark.timeout(300)
def test_the_quick_start_puts_nothing_of_one_row_into_model_or_rows(tmp_path: Path) -> None:
    """One person has the highest salary and age and a diagnosis of its own."""
    random = np.random.default_rng(5)
    ill = random.integers(0, 2, 2_000)
    people = [
        (str(20 + age % 50), str(1_000 * (20 + wage % 80)), ("cold", "flu")[sick], ("no", "yes")[sick])
        for age, wage, sick in zip(
            random.integers(0, 50, 2_000), random.integers(0, 80, 2_000), ill, strict=True
        )
    ]
    people[700] = ("101", "8765432", "Zqx disease", "yes")
    lines = ["age,salary,diagnosis,ill", *map(",".join, people)]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (text,) = (text for _, text in blocks(ROOT / "README.md") if "schema infer" in text)
    page = tmp_path / "quick_start.md"
    page.write_text(f"```sh\n{text}\n```\n", encoding="utf-8")
    with Reader(tmp_path).follow(page) as said:
        assert "epsilon 2.9" in said[0] or "epsilon 3," in said[0]
        assert "even chance" in said[0]
        assert "released under differential privacy (epsilon 0.9" in " ".join(said[0].split())
    container = Container.parse((tmp_path / "model.tsm").read_bytes())
    assert container.schema.inferred_fields() == ()
    for name in ("schema.json", "model.tsm", "synthetic.csv"):
        data = (tmp_path / name).read_bytes()
        assert not [cell for cell in (b"8765432", b"Zqx") if cell in data], name
    age, salary, diagnosis, _ = container.schema.columns
    assert diagnosis.categories == ("cold", "flu")
    assert [
        int(column.plain_text(column.grid_size - 1)) < most
        for column, most in ((age, 101), (salary, 200_000))
    ] == [True, True]
    with (tmp_path / "synthetic.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1_000
    assert {row["diagnosis"] for row in rows} <= {"cold", "flu", ""}
    assert max(int(row["age"] or 0) for row in rows) < 101


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
