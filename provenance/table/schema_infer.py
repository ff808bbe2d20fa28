"""Infers a schema from a table in one pass and marks every field that was taken from the data as `inferred`.

The result is a draft for a person: bounds and categories come from private rows, so fitting under differential
privacy refuses inferred fields of a column unless somebody vouches for it. Values that fewer than `least_rows` rows
hold do not appear, which keeps a person out of the draft and promises nothing more; a draft under differential privacy
is `generator.fitting.private_schema`'s. A column whose cells are all different and of one shape becomes a key, which is
never learnt; free text is refused. Types are chosen so that a reader who guesses types (pandas) guesses the same for
synthetic cells. No constraint is ever proposed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from provenance.canonical import JsonValue
from provenance.errors import SchemaError
from provenance.table.bounds import outer_bounds
from provenance.table.column_tally import (
    BooleanSummary,
    ColumnTally,
    KeySummary,
    NumberSummary,
    PointSummary,
    Summary,
    ZoneSummary,
    parse_integer,
)
from provenance.table.datetimes import (
    DAY_SECONDS,
    date_text,
    date_time_text,
    parse_date,
    parse_date_time,
    parse_time,
    time_text,
)
from provenance.table.grid import CATEGORY_LIMIT, GRID_LIMIT, MAX_SCALE, canonical_decimal
from provenance.table.key_column import DIGIT, LETTER, MAX_KEYS, KeyColumn
from provenance.table.schema import FORMAT, Schema
from provenance.table.unit import Unit

MAX_TARGET_CATEGORIES = 20
FEW_CATEGORIES = 50
MIN_KEY_ROWS = 20
_KEY_NAME = re.compile(r"(?:^|[^a-z])(?:id|key|uuid|guid|nr|no|number|serial|code|index)$", re.IGNORECASE)
_CAMEL_KEY = re.compile(r"[a-z](?:ID|Id|Key|Nr|No|Number)$")
_OTHER_DATE = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}(?: .*)?\Z")
_TIME_STEPS = (DAY_SECONDS, 3600, 60)
_DAYS = (1, 3_652_059)  # 0001-01-01 to 9999-12-31
_TENS = tuple(10**exponent for exponent in range(40))
LEAST_ROWS = 2

Fields = dict[str, JsonValue]


def infer_schema(
    chunks: Iterable[Mapping[str, Sequence[str]]],
    name: str,
    target: str | None = None,
    without: Collection[str] = (),
    *,
    least_rows: int = LEAST_ROWS,
    keep: Collection[str] = (),
    unit: Unit | None = None,
) -> Schema:
    """The schema that a table fits, from pieces of it by column name, in memory that does not grow with them.

    `target` defaults to the last column if it has at most 20 categories; columns in `without` are left out. Values that
    fewer than `least_rows` rows hold do not appear, but in the columns of `keep`: bounds lie inside or on round numbers
    that nobody holds, rare categories are left out, and the column clips the cells that are then outside. unit: whose
    column the pieces leave out, and of whom they hold at most its rows (`persons.used_cells`): values show that so many
    persons hold for certain. Raises SchemaError for a column that cannot be a grid or categories.
    """
    if least_rows < 1:
        raise SchemaError(f"least rows: found {least_rows}, expected at least 1, which shows every value")
    least_rows = least_rows if unit is None else rows_of_persons(least_rows, unit)
    tallies: dict[str, ColumnTally] = {}
    for chunk in chunks:
        require_columns(chunk, without, "leave out")
        require_columns(chunk, keep, "keep whole")
        for column, cells in chunk.items():
            if column not in without:
                if column not in tallies:
                    least = 1 if column in keep else least_rows
                    tallies[column] = ColumnTally(column, _summaries(), least)
                tallies[column].see(cells)
    schema = _schema(tallies, name, target, without, least_rows)
    return schema if unit is None else Schema.parse({**schema.document(), "unit": unit.document()})


def rows_of_persons(persons: int, unit: Unit) -> int:
    """The fewest rows that so many different persons hold for certain, each with at most the unit's rows."""
    return (persons - 1) * unit.rows + 1


def require_columns(chunk: Mapping[str, Sequence[str]], names: Collection[str], purpose: str) -> None:
    """SchemaError for a name that is no column of the table."""
    for each in names:
        if each not in chunk:
            raise SchemaError(
                f"found no column {each!r} to {purpose}, expected one of {', '.join(chunk):.300}"
            )


def _summaries() -> dict[str, Summary]:
    return {
        "boolean": BooleanSummary(),
        "integer": PointSummary(parse_integer),
        "number": NumberSummary(),
        "date": PointSummary(parse_date),
        "time": PointSummary(parse_time),
        "date-time": PointSummary(parse_date_time),
        "zone": ZoneSummary(),
        "key": KeySummary(),
    }


def _schema(
    tallies: Mapping[str, ColumnTally],
    name: str,
    target: str | None,
    without: Collection[str],
    least_rows: int,
) -> Schema:
    if not tallies:
        raise SchemaError(
            f"found no column beside {', '.join(without)}, expected at least one; leave out fewer"
        )
    columns: list[JsonValue] = [_infer_column(tally) for tally in tallies.values()]
    document: dict[str, JsonValue] = {
        "format": FORMAT, "name": name, "columns": columns, "leastRows": least_rows,
    }  # fmt: skip
    schema = Schema.parse({**document, "target": target})
    last = tallies[schema.cell_columns[-1].name]
    is_key = isinstance(schema.cell_columns[-1], KeyColumn)
    if target is None and last.different <= MAX_TARGET_CATEGORIES and len(schema.columns) > 1 and not is_key:
        return Schema.parse({**document, "target": last.name})
    return schema


def _infer_column(tally: ColumnTally) -> JsonValue:
    if not tally.different:
        raise SchemaError(
            f"column {tally.name!r}: found only missing cells, expected a value; drop the column"
        )
    if "zone" in tally.summaries:
        raise SchemaError(
            f"column {tally.name!r}: found times with a time zone, expected none; convert them to one zone "
            "(best UTC) and write them without it, or drop the column"
        )
    fields = _fields(tally)
    clip = bool(fields.pop("clip", False))
    inferred: list[JsonValue] = [word for word in fields if word not in ("type", "format")]
    if fields["type"] == "integer" and fields["multipleOf"] == 1:
        inferred.remove("multipleOf")  # the default: not taken from the data
    if fields.get("format") == "key":
        return {"name": tally.name, **fields, "inferred": ["type", *inferred]}
    inferred = ["type", *inferred, "nullable"]
    nullable = bool(tally.marks) or (clip and "enum" in fields)
    return {
        "name": tally.name, **fields, "nullable": nullable, "missing": tally.missing, "inferred": inferred,
        **({"clip": True} if clip else {}),
    }  # fmt: skip


def _fields(tally: ColumnTally) -> Fields:
    """The first type that every cell is of; a key before the type that it looks like. The word `clip` stands where
    a bound or category was kept out.
    """
    attempts: list[Callable[[ColumnTally], Fields | None]] = [
        _as_boolean, _as_counter, _as_integer, _as_number, _as_date, _as_time, _as_date_time, _as_key,
    ]  # fmt: skip
    for attempt in attempts:
        fields = attempt(tally)
        if fields is not None:
            return fields
    return _as_category(tally)


def _as_boolean(tally: ColumnTally) -> Fields | None:
    return {"type": "boolean"} if "boolean" in tally.summaries else None


def _as_counter(tally: ColumnTally) -> Fields | None:
    """A key for integers that number the rows or are all different under a name like `id`."""
    summary = tally.summaries.get("integer")
    named = _KEY_NAME.search(tally.name) or _CAMEL_KEY.search(tally.name)
    if not isinstance(summary, PointSummary) or not _may_be_key(tally) or summary.low < 0:
        return None
    if tally.counts_up_from is None and not named:
        return None
    digits = max(len(str(summary.high)) - 1, len(str(10 * tally.rows - 1)))
    return {"type": "string", "format": "key", "pattern": "1" + DIGIT * min(digits, 17)}


def _as_integer(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("integer")
    if not isinstance(summary, PointSummary):
        return None
    low, high = _points(tally, "integer", summary, _TENS)
    step = 1
    while (high - low) // step + 2 > GRID_LIMIT and summary.step % (10 * step) == 0:
        step *= 10  # thousands, millions: no other common step is worth reading into the rows
    if (high - low) // step + 2 > GRID_LIMIT:
        raise SchemaError(
            f"column {tally.name!r}: found integers from {low} to {high}, expected a range below 2^32; "
            "drop the column or make it a key if it is an identifier, or write it in a coarser unit"
        )
    return {
        "type": "integer", "minimum": low, "maximum": high, "multipleOf": step, **_clip(summary, low, high),
    }  # fmt: skip


def _as_number(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("number")
    if not isinstance(summary, NumberSummary) or summary.low is None or summary.high is None:
        return None
    low, high = _decimals(tally, summary.low, summary.high, summary.places)
    clip = _clip(summary, low, high)
    for scale in range(min(summary.places, MAX_SCALE), -1, -1):
        unit = Decimal(1).scaleb(-scale)
        bottom, top = low.quantize(unit), high.quantize(unit)
        if (top - bottom) / unit + 2 <= GRID_LIMIT and max(abs(bottom), abs(top)).scaleb(scale) < 2**53:
            return {
                "type": "number",
                "minimum": canonical_decimal(bottom),
                "maximum": canonical_decimal(top),
                "multipleOf": canonical_decimal(unit),
                **clip,
            }
    raise SchemaError(
        f"column {tally.name!r}: found numbers from {low} to {high}, expected a range below 2^32 units; "
        "write the column in a coarser unit (thousands, logarithms) or drop it"
    )


def _as_date(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("date")
    if not isinstance(summary, PointSummary):
        return None
    low, high = _points(tally, "date", summary, _TENS)
    low, high = max(low, _DAYS[0]), min(high, _DAYS[1])
    return _datetimes("date", (low, high), date_text, 1) | _clip(summary, low, high)


def _as_time(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("time")
    if not isinstance(summary, PointSummary):
        return None
    step = _second_step(summary)
    low, high = _points(tally, "time", summary, _seconds(step))
    low, high = max(low, 0), min(high, DAY_SECONDS - step)
    return _datetimes("time", (low, high), time_text, step) | _clip(summary, low, high)


def _as_date_time(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("date-time")
    if not isinstance(summary, PointSummary):
        return None
    step = _second_step(summary)
    low, high = _points(tally, "date-time", summary, _seconds(step))
    low, high = max(low, _DAYS[0] * DAY_SECONDS), min(high, (_DAYS[1] + 1) * DAY_SECONDS - step)
    if (high - low) // step + 2 > GRID_LIMIT:
        raise SchemaError(
            f"column {tally.name!r}: found date-times over more than 2^32 seconds, expected a shorter time; "
            "cut them to minutes or days, or drop the column"
        )
    text = partial(date_time_text, separator=tally.separator)
    fields = _datetimes("date-time", (low, high), text, step)
    return fields | {"separator": tally.separator} | _clip(summary, low, high)


def _second_step(summary: PointSummary) -> int:
    """Days, hours, minutes or seconds: the coarsest that all cells lie on."""
    on = (step for step in _TIME_STEPS if summary.low % step == 0 and summary.step % step == 0)
    return next(on, 1) if summary.step else 1


def _seconds(step: int) -> tuple[int, ...]:
    """What times may be rounded to."""
    return tuple(each for each in (1, *reversed(_TIME_STEPS)) if each % step == 0)


def _datetimes(kind: str, bounds: tuple[int, int], text: Callable[[int], str], step: int) -> Fields:
    return {
        "type": "string",
        "format": kind,
        "minimum": text(bounds[0]),
        "maximum": text(bounds[1]),
        "multipleOf": step,
    }


def _points(tally: ColumnTally, kind: str, summary: PointSummary, steps: Sequence[int]) -> tuple[int, int]:
    """Bounds of integers, dates or times that are on the column's step and no single row's."""
    if tally.least == 1:
        return summary.low, summary.high
    tails = tally.points(kind, summary)
    _require_rows(tally, len(tails.low))
    step = next(each for each in reversed(steps) if summary.step % each == 0) if summary.step else steps[0]
    offset = summary.low % step
    low, high = ([point - offset for point in tail] for tail in (tails.low, tails.high))
    found = outer_bounds(low, high, tally.least, [each for each in steps if each % step == 0])
    return found[0] + offset, found[1] + offset


def _decimals(tally: ColumnTally, low: Decimal, high: Decimal, places: int) -> tuple[Decimal, Decimal]:
    """Bounds of decimals that are no single row's."""
    if tally.least == 1:
        return low, high
    tails = tally.numbers()
    _require_rows(tally, len(tails.low))
    lows, highs = ([int(point.scaleb(places)) for point in tail] for tail in (tails.low, tails.high))
    found = outer_bounds(lows, highs, tally.least, _TENS)
    return Decimal(found[0]).scaleb(-places), Decimal(found[1]).scaleb(-places)


def _require_rows(tally: ColumnTally, known: int) -> None:
    if known < 2 * tally.least - 1:
        raise SchemaError(
            f"column {tally.name!r}: found {known} rows with a value, expected {2 * tally.least - 1} for bounds that "
            f"are held by {tally.least} rows each; keep the column whole, or ask for values of a single row"
        )


def _clip(summary: PointSummary | NumberSummary, low: int | Decimal, high: int | Decimal) -> Fields:
    """The remark of a grid that does not reach every cell."""
    assert summary.low is not None
    assert summary.high is not None
    return {"clip": True} if summary.low < low or summary.high > high else {}


def _as_key(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("key")
    if not isinstance(summary, KeySummary) or not _may_be_key(tally):
        return None
    pattern = summary.pattern
    while KeyColumn(tally.name, pattern).count > MAX_KEYS:
        first = min(pattern.index(mark) for mark in (DIGIT, LETTER) if mark in pattern)
        pattern = pattern[:first] + {DIGIT: "0", LETTER: "A"}[pattern[first]] + pattern[first + 1 :]
    return {"type": "string", "format": "key", "pattern": pattern}


def _may_be_key(tally: ColumnTally) -> bool:
    return tally.all_different and not tally.marks and tally.rows >= MIN_KEY_ROWS


def _as_category(tally: ColumnTally) -> Fields:
    present = tally.rows - tally.marks.total()
    too_many = tally.different > CATEGORY_LIMIT
    nearly_all = tally.different > FEW_CATEGORIES and 10 * tally.different > 9 * present
    if tally.counts is None or too_many or nearly_all:
        raise _not_categories(tally, present)
    shown: list[JsonValue] = [cell for cell in sorted(tally.counts) if tally.counts[cell] >= tally.least]
    if not shown:
        raise SchemaError(
            f"column {tally.name!r}: found no text that {tally.least} rows hold, expected categories; keep the column "
            "whole, or drop it"
        )
    return {"type": "string", "enum": shown, **({} if len(shown) == len(tally.counts) else {"clip": True})}


def _not_categories(tally: ColumnTally, present: int) -> SchemaError:
    number = f"{len(tally.counts):,}" if tally.counts is not None else f"more than {CATEGORY_LIMIT:,}"
    if tally.counts is not None and all(map(_OTHER_DATE.match, tally.counts)):
        return SchemaError(
            f"column {tally.name!r}: found {number} dates that are not ISO, expected YYYY-MM-DD; rewrite them, "
            "or drop the column"
        )
    return SchemaError(
        f"column {tally.name!r}: found {number} different texts in {present:,} rows, which is free text or an "
        "identifier, expected categories; drop the column or group it into categories, or for an identifier "
        'declare a key, like {"type": "string", "format": "key", "pattern": "ID-######"}'
    )
