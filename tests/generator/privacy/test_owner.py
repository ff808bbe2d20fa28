"""One ledger for a table, however its file is called, ordered or written; other tables have others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from generator.errors import StateError
from generator.privacy.ledger import PrivacyCap
from generator.privacy.ledger_lines import budget_lines
from generator.privacy.owner import Owner, portrait
from provenance.table.codec import encode_table
from provenance.table.schema import Schema

SECRET = b"s" * 32
Document = dict[str, object]


def schema_of(*columns: Document) -> Schema:
    return Schema.parse(
        {"format": "tessera-schema/1", "name": "toy", "target": None, "columns": list(columns)}
    )


AGE: Document = {"name": "age", "type": "integer", "minimum": 0, "maximum": 99}
TOWN: Document = {"name": "town", "type": "string", "enum": ["A", "B"], "nullable": True, "missing": "?"}
SCHEMA = schema_of(AGE, TOWN)


def rows(count: int = 300, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, 100, count), random.integers(0, 3, count)], axis=1)


def fingerprint(values: np.ndarray, schema: Schema = SCHEMA, secret: bytes = SECRET) -> str:
    return portrait(values, schema, secret).fingerprint


def without_first(values: np.ndarray) -> np.ndarray:
    return values[1:]


def doubled(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, values])


def one_row_twice(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, values[:1]])


def one_cell_changed(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[(values[0] + 1) % (100, 3)], values[1:]])


@pytest.mark.parametrize("change", [without_first, doubled, one_row_twice, one_cell_changed])
def test_other_rows_are_another_table(change: Callable[[np.ndarray], np.ndarray]) -> None:
    assert fingerprint(change(rows())) != fingerprint(rows())


def test_equal_rows_do_not_cancel() -> None:
    """As they would in a sum without carries: {a, a, b} and {b} are not one table."""
    first, second = rows()[:1], rows()[1:2]
    assert fingerprint(np.concatenate([first, first, second])) != fingerprint(second)


def test_cells_that_change_places_between_columns_or_rows_are_another_table() -> None:
    both = schema_of(AGE, {**AGE, "name": "years"})
    values = np.array([[3, 4], [5, 6]])
    changed = (values, values[:, ::-1], np.array([[3, 6], [5, 4]]))
    assert len({fingerprint(each, both) for each in changed}) == 3


def test_nobody_without_the_secret_knows_a_table_again() -> None:
    one, other = (portrait(rows(), SCHEMA, secret) for secret in (SECRET, b"t" * 32))
    assert one.fingerprint != other.fingerprint
    assert not {*one.sketch} & {*other.sketch}
    assert not {*one.columns.items()} & {*other.columns.items()}


def test_another_order_of_rows_is_the_same_table() -> None:
    shuffled = np.random.default_rng(2).permutation(rows())
    assert fingerprint(shuffled) == fingerprint(rows())
    assert fingerprint(np.sort(rows(), axis=0)) != fingerprint(rows())


def test_another_order_of_columns_another_grid_and_another_mark_are_the_same_table() -> None:
    cells = {"age": ["31", "7", "60"], "town": ["A", "?", "B"]}
    wide: Document = {"name": "age", "type": "number", "minimum": -10, "maximum": 120, "multipleOf": 0.5}
    town: Document = {
        "name": "town",
        "type": "string",
        "enum": ["C", "B", "A"],
        "nullable": True,
        "missing": "",
    }
    other = schema_of(town, wide)
    again = {"age": ["31.0", "7.0", "60.0"], "town": ["A", "", "B"]}
    assert fingerprint(encode_table(other, again), other) == fingerprint(encode_table(SCHEMA, cells))


def test_a_copy_in_any_integer_type_is_the_same_table_and_one_folder(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owner")
    first = owner.table(rows(), SCHEMA, "a.csv")
    second = Owner(tmp_path / "owner").table(rows().astype(np.int16), SCHEMA, "copy of a.csv")
    assert first.folder == second.folder
    assert second.names() == ("a.csv", "copy of a.csv")
    assert second.near == ()
    assert first.split_secret() == second.split_secret()


@pytest.mark.parametrize("change", [without_first, one_row_twice, one_cell_changed])
def test_a_table_that_is_nearly_known_is_told(
    tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    wide = schema_of({**AGE, "maximum": 99_999}, TOWN)
    values = np.random.default_rng(3).integers(0, (100_000, 3), (2_000, 2))
    owner = Owner(tmp_path / "owner")
    known = owner.table(values, wide, "a.csv")
    near = owner.table(change(values), wide, "b.csv").near
    assert [each.fingerprint for each in near] == [known.fingerprint]
    assert near[0].likeness > 0.9
    assert "a.csv" in near[0].warning


def test_a_table_with_a_column_less_is_told(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owner")
    owner.table(rows(), SCHEMA, "a.csv")
    assert [each.names for each in owner.table(rows()[:, :1], schema_of(AGE), "b.csv").near] == [("a.csv",)]


def test_a_table_with_other_rows_is_not_told(tmp_path: Path) -> None:
    wide = schema_of({**AGE, "maximum": 99_999}, TOWN)
    owner = Owner(tmp_path / "owner")
    for seed in (1, 2):
        values = np.random.default_rng(seed).integers(0, (100_000, 3), (2_000, 2))
        assert owner.table(values, wide, f"{seed}.csv").near == ()


def test_the_folder_is_its_owner_s_alone_and_holds_no_cell(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owner")
    schema = schema_of({"name": "name", "type": "string", "enum": [f"person-{n}" for n in range(40)]})
    table = owner.table(np.arange(40).reshape(-1, 1), schema, "a.csv")
    table.ledger().note("looked")
    assert owner.folder.stat().st_mode & 0o777 == 0o700
    files = [path for path in owner.folder.rglob("*") if path.is_file()]
    assert len(files) >= 4
    assert not any(b"person" in path.read_bytes() for path in files)
    owner.folder.chmod(0o755)
    with pytest.raises(StateError, match="others may read"):
        owner.table(rows(), SCHEMA, "b.csv")


def test_a_ledger_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="what was spent is not known"):
        Owner(tmp_path / "owner").known("ab" * 32)


def test_the_stricter_cap_holds(tmp_path: Path) -> None:
    table = Owner(tmp_path / "owner").table(rows(), SCHEMA, "a.csv")
    assert table.cap == PrivacyCap(None)
    assert table.tighten(PrivacyCap(3.0, 1e-5)) == PrivacyCap(3.0, 1e-5)
    assert table.tighten(PrivacyCap(5.0, 1e-6)) == PrivacyCap(3.0, 1e-6)
    assert table.tighten(PrivacyCap(None)) == PrivacyCap(3.0, 1e-6)
    changes = [(each["before"], each["now"]) for each in table.ledger().limits()]
    first, second = "epsilon 3 at delta 1e-05", "epsilon 3 at delta 1e-06"
    assert changes == [("", first), (first, second)], "what changed nothing is not noted"
    assert any(f"cap: {second}, before: {first}" in line for line in budget_lines(table.ledger()))


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    home = {"TESSERA_OWNER": str(tmp_path / "mine"), "XDG_STATE_HOME": str(tmp_path / "state")}
    assert Owner.of_environment(home).folder == tmp_path / "mine"
    del home["TESSERA_OWNER"]
    assert Owner.of_environment(home).folder == tmp_path / "state" / "tessera"
    assert Owner.of_environment({}).folder == Path("~/.local/state/tessera").expanduser()


def test_a_damaged_place_is_named(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "owner")
    table = owner.table(rows(), SCHEMA, "a.csv")
    (table.folder / "table.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(StateError, match=r"table\.json"):
        owner.table(rows(), SCHEMA, "b.csv")
