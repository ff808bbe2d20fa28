"""A schema under differential privacy: what is refused, what is found, and attacks on the presence of one row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import beta

from generator.errors import PrivacyError
from generator.fitting import private_schema as module
from generator.fitting.cell_kinds import BUCKETS, POSITION, Kind, bucket_of, number_bounds
from generator.fitting.private_schema import PrivateRequest, private_schema
from generator.privacy.accountant import epsilon_of
from generator.privacy.noise import gaussian
from generator.privacy.schema_release import events_of
from provenance.errors import SchemaError
from provenance.table.codec import encode_table
from provenance.table.grid import canonical_decimal
from provenance.table.remarks import Release
from provenance.table.schema import Schema

DELTA = 1e-5
ROWS = 3_000


def release(
    table: Mapping[str, Sequence[str]], epsilon: float, target: str | None = None, delta: float = DELTA
) -> module.PrivateDraft:
    """The draft of a table, which is read in pieces."""

    def pieces() -> Iterable[Mapping[str, Sequence[str]]]:
        count = len(next(iter(table.values())))
        for start in range(0, count, 700):
            yield {name: cells[start : start + 700] for name, cells in table.items()}

    return private_schema(pieces, PrivateRequest("t", epsilon, delta, target))


def spent_by(draft: module.PrivateDraft) -> Release:
    """What the draft's schema says that it has spent."""
    assert draft.schema.release is not None
    return draft.schema.release


def people() -> dict[str, list[str]]:
    """Most kinds of columns, and values that one row alone holds."""
    table = {
        "age": [str(18 + i % 60) for i in range(ROWS)],
        "wage": [f"{1000 + 7 * (i % 400)}.50" for i in range(ROWS)],
        "ward": [("north", "south", "east", "?")[i % 4] for i in range(ROWS)],
        "born": [f"{1950 + i % 50}-05-{1 + i % 28:02}" for i in range(ROWS)],
        "seen": [f"2020-0{1 + i % 9}-01 {8 + i % 10:02}:{15 * (i % 4):02}:00" for i in range(ROWS)],
        "at": [f"{8 + i % 10:02}:{i % 60:02}" for i in range(ROWS)],
        "note": [f"free text {i}" for i in range(ROWS)],
        "ill": [("true", "false")[i % 3 == 0] for i in range(ROWS)],
    }
    alone = {"age": "119", "wage": "9999999.5", "ward": "Zqx ward", "born": "1801-01-01", "ill": "Zqx"}
    for name, cell in alone.items():
        table[name][5] = cell
    return table


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0.0, DELTA), (-1.0, DELTA), (math.nan, DELTA), (1.0, 0.0), (1.0, 1.0)]
)
def test_refuses_what_is_no_budget(epsilon: float, delta: float) -> None:
    with pytest.raises(PrivacyError, match="expected"):
        release({"a": ["1"] * 50}, epsilon, delta=delta)


def test_refuses_a_table_of_which_nothing_stands_out() -> None:
    with pytest.raises(SchemaError, match=r"stands out of the noise of epsilon 0.01; expected more rows"):
        release({"a": ["1"] * 50}, 0.01)
    with pytest.raises(SchemaError, match="found no column 'b' to leave out, expected one of a"):
        private_schema(lambda: [{"a": ["1"]}], PrivateRequest("t", 1.0, DELTA, without=("b",)))
    with pytest.raises(SchemaError, match="target 'note': found nothing in it that stands out"):
        release(people(), 4.0, target="note")


def test_every_kind_is_recognised_and_nothing_of_one_row_appears() -> None:
    table = people()
    draft = release(table, 4.0)
    schema = draft.schema
    assert draft.left_out == ("note",)
    assert {column.name: column.kind for column in schema.cell_columns} == {
        "age": "integer", "wage": "number", "ward": "category", "born": "date", "seen": "date-time", "at": "time",
        "ill": "boolean",
    }  # fmt: skip
    text = schema.pretty()
    assert not any(cell in text for cell in ("119", "9999999", "Zqx", "1801", "free"))
    words = {column.name: column.document() for column in schema.cell_columns}
    assert words["ward"]["enum"] == ["east", "north", "south"]
    assert words["wage"]["multipleOf"] == "0.1"
    assert Decimal(str(words["wage"]["maximum"])) < 5_000
    assert (words["seen"]["separator"], words["seen"]["multipleOf"]) == (" ", 60)
    assert 70 <= int(str(words["age"]["maximum"])) <= 90
    assert all(column.nullable and column.remarks.clip for column in schema.columns)
    assert not schema.inferred_fields()
    values = encode_table(schema, table)
    assert len(values) == ROWS
    assert [values[5, place] for place in (2, 6)] == [
        column.missing_index for column in (schema.columns[2], schema.columns[6])
    ]
    assert abs(spent_by(draft).rows - ROWS) < 200


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_what_is_written_down_is_what_was_spent_and_no_more_than_asked(epsilon: float) -> None:
    table = {"a": ["1", "2"] * 20_000, "b": ["x", "y"] * 20_000}
    spent = spent_by(release(table, epsilon))
    events = [event for _, event in events_of(spent)]
    assert [name for name, _ in events_of(spent)] == ["rows", "kinds", "values"]
    assert 0.9 * epsilon < epsilon_of(events, DELTA) <= spent.epsilon_micro / 1e6 <= epsilon
    threshold = events[2].threshold
    assert threshold is not None
    assert 0 < threshold.delta() <= DELTA / 1000


def test_noise_is_drawn_with_the_deviation_that_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def noted(count: int, std: float) -> np.ndarray:
        asked.append(std)
        return gaussian(count, std)

    monkeypatch.setattr(module, "gaussian", noted)
    table = {name: ["1", "2"] * 20_000 for name in "abc"} | {name: ["x"] * 40_000 for name in "de"}
    spent = spent_by(release(table, 1.0))
    multiplier = {part.name: part.noise_multiplier_micro / 1e6 for part in spent.parts}
    expected = [
        multiplier["rows"],
        *[multiplier["kinds"] * math.sqrt(5)] * 5,
        *[multiplier["values"] * math.sqrt(5)] * 5,
    ]
    assert asked == pytest.approx(expected, abs=1e-5)
    drawn = gaussian(40_000, 7.5)
    assert drawn.dtype == np.int64
    assert abs(float(drawn.mean())) < 5 * 7.5 / 200
    assert float(drawn.std()) == pytest.approx(math.sqrt(7.5**2 + 1 / 12), rel=0.03)


@pytest.mark.parametrize("cell", ["0", "1", "-1", "1023", "1024", "0.5", "-0.75", "1e3", "3.0", "0.0000001"])
def test_buckets_of_numbers_hold_them(cell: str) -> None:
    bucket = bucket_of(cell)
    assert bucket in POSITION
    low, high = number_bounds(bucket.place)
    assert low <= Decimal(cell) <= high


def test_every_cell_is_in_one_bucket() -> None:
    assert len(set(BUCKETS)) == len(BUCKETS)
    cells = [
        "",
        "NA",
        "True",
        "abc",
        "007",
        "1e29",
        "1e-29",
        "1500-01-01",
        "2000-01-01T10:00",
        "23:59:59",
        "999999999999999",
    ]
    kinds = [bucket_of(cell).kind for cell in cells]
    assert all(bucket_of(cell) in POSITION for cell in cells)
    assert kinds == [
        Kind.MISSING, Kind.MISSING, Kind.BOOLEAN, *[Kind.TEXT] * 5, Kind.DATE_TIME, Kind.TIME, Kind.INTEGER,
    ]  # fmt: skip


def test_a_target_that_no_column_is_named_for_is_told_apart_from_one_in_the_noise() -> None:
    pieces = [{"x": ["a"] * 2_000}]
    with pytest.raises(SchemaError, match="found no column 'y', expected one of x"):
        private_schema(lambda: iter(pieces), PrivateRequest("t", 1.0, 1e-5, "y"))


@pytest.mark.parametrize(
    ("low", "high", "kept"),
    [
        ("1.00000", "1099511627776.96875", ("1", "4294967295")),
        ("-1099511627776.5", "7.5", ("-4294967286", "8")),
        ("0.25", "7.5", ("0.25", "7.50")),
    ],
)
def test_a_range_that_noise_made_too_wide_for_a_grid_keeps_the_part_near_zero(
    low: str, high: str, kept: tuple[str, str]
) -> None:
    column = module._Column("x", Kind.NUMBER, Decimal(low), Decimal(high), Counter())
    words = module._number_words(column, 2)
    assert (words["minimum"], words["maximum"]) == tuple(canonical_decimal(Decimal(each)) for each in kept)
    other = {"name": "y", "type": "string", "enum": ["a", "b"], "nullable": False}
    columns = [{"name": "x", "nullable": True, "missing": "", **words}, other]
    assert Schema.parse({"format": "tessera-schema/1", "name": "t", "target": "y", "columns": columns})


def held_rate(hits: int, runs: int, *, upper: bool) -> float:
    """Clopper-Pearson bound on a chance, wrong with a chance below 1e-7."""
    if upper:
        return 1.0 if hits == runs else float(beta.ppf(1 - 1e-7, hits + 1, runs - hits))
    return 0.0 if hits == 0 else float(beta.ppf(1e-7, hits, runs - hits + 1))


RUNS = 400


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
@pytest.mark.parametrize("attack", ["category", "maximum", "rows"])
def test_one_row_decides_the_draft_no_more_than_epsilon_permits(epsilon: float, attack: str) -> None:
    """The attacker knows all other rows, which hold as many of its value as make the decision as even as can be."""
    spent = spent_by(release({"x": ["a"] * 5_000}, epsilon))
    threshold = spent.parts[2].threshold
    assert threshold is not None
    even = threshold.least - 1
    std = spent.parts[1].noise_multiplier_micro / 1e6
    bucket = math.ceil(-std * float(ndtri(1e-3 / len(BUCKETS))))

    def table(present: bool) -> dict[str, list[str]]:
        if attack == "category":
            return {"x": ["a"] * 2_000 + ["Zqx"] * (even + present)}
        if attack == "maximum":
            return {"x": ["1"] * 2_000 + ["1000"] * (bucket + present)}
        return {"x": ["1"] * (2_000 + present)}

    def shows(present: bool) -> bool:
        found: Schema = release(table(present), epsilon).schema
        if attack == "category":
            return "Zqx" in found.columns[0].categories
        if attack == "maximum":
            return found.columns[0].grid_size > 3
        return found.release is not None and found.release.rows > 2_000

    assert 0.2 < sum(shows(True) for _ in range(100)) / 100 < 0.99, "the decision is about even"
    with_row = sum(shows(True) for _ in range(RUNS))
    without = sum(shows(False) for _ in range(RUNS))
    for first, second in ((with_row, without), (without, with_row), (RUNS - with_row, RUNS - without),
                          (RUNS - without, RUNS - with_row)):  # fmt: skip
        bound = math.exp(epsilon) * held_rate(second, RUNS, upper=True) + DELTA
        assert held_rate(first, RUNS, upper=False) <= bound


def test_the_attack_sees_a_draft_without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise the same attack is always right, so that it would have been noticed."""
    least = spent_by(release({"x": ["a"] * 5_000}, 2.0)).parts[2].threshold
    assert least is not None
    monkeypatch.setattr(module, "gaussian", lambda count, std: np.zeros(count, dtype=np.int64))
    for present in (0, 1):
        found = release({"x": ["a"] * 2_000 + ["Zqx"] * (least.least - 1 + present)}, 2.0).schema
        assert ("Zqx" in found.columns[0].categories) == bool(present)


def test_a_category_of_one_row_is_never_shown() -> None:
    """Its chance is a thousandth of delta: never in so few runs."""
    for _ in range(200):
        found = release({"x": ["a"] * 500 + ["Zqx"]}, 3.0).schema
        assert found.columns[0].categories == ("a",)
