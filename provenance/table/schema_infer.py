"""Infers a schema from a CSV in one pass and marks every field that was taken from the data as `inferred`.

The result is a draft for a person: bounds and categories come from private rows, so fitting under
differential privacy refuses inferred fields unless they are declared public. A column whose cells are all
different and of one shape becomes a key, which is never learnt; free text is refused. Types are chosen so that
a reader who guesses types (pandas) guesses the same for synthetic cells. No constraint is ever proposed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from provenance.canonical import JsonValue
from provenance.errors import SchemaError
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

MAX_TARGET_CATEGORIES = 20
FEW_CATEGORIES = 50
MIN_KEY_ROWS = 20
_KEY_NAME = re.compile(r"(?:^|[^a-z])(?:id|key|uuid|guid|nr|no|number|serial|code|index)$", re.IGNORECASE)
_CAMEL_KEY = re.compile(r"[a-z](?:ID|Id|Key|Nr|No|Number)$")
_OTHER_DATE = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}(?: .*)?\Z")
_TIME_STEPS = (DAY_SECONDS, 3600, 60)

Fields = dict[str, JsonValue]


def infer_schema(
    chunks: Iterable[Mapping[str, Sequence[str]]],
    name: str,
    target: str | None = None,
    without: Collection[str] = (),
) -> Schema:
    """The schema that a table fits, from pieces of it by column name, in memory that does not grow with them.

    `target` defaults to the last column if it has at most 20 categories; columns in `without` are left out.
    Raises SchemaError for a column that cannot be a grid or categories.
    """
    tallies: dict[str, ColumnTally] = {}
    for chunk in chunks:
        absent = [each for each in without if each not in chunk]
        if absent:
            raise SchemaError(
                f"found no column {absent[0]!r} to leave out, expected one of {', '.join(chunk):.300}"
            )
        _see(tallies, chunk, without)
    return _schema(tallies, name, target, without)


def _see(
    tallies: dict[str, ColumnTally], table: Mapping[str, Sequence[str]], without: Collection[str]
) -> None:
    for name, cells in table.items():
        if name not in without:
            if name not in tallies:
                tallies[name] = ColumnTally(name, _summaries())
            tallies[name].see(cells)


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
    tallies: Mapping[str, ColumnTally], name: str, target: str | None, without: Collection[str]
) -> Schema:
    if not tallies:
        raise SchemaError(
            f"found no column beside {', '.join(without)}, expected at least one; leave out fewer"
        )
    columns: list[JsonValue] = [_infer_column(tally) for tally in tallies.values()]
    document: dict[str, JsonValue] = {"format": FORMAT, "name": name, "columns": columns}
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
    inferred: list[JsonValue] = [word for word in fields if word not in ("type", "format")]
    if fields["type"] == "integer" and fields["multipleOf"] == 1:
        inferred.remove("multipleOf")  # the default: not taken from the data
    if fields.get("format") == "key":
        return {"name": tally.name, **fields, "inferred": ["type", *inferred]}
    inferred = ["type", *inferred, "nullable"]
    nullable = bool(tally.marks)
    return {
        "name": tally.name, **fields, "nullable": nullable, "missing": tally.missing, "inferred": inferred,
    }  # fmt: skip


def _fields(tally: ColumnTally) -> Fields:
    """The first type that every cell is of; a key before the type that it looks like."""
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
    low, high = summary.low, summary.high
    step = 1
    while (high - low) // step + 2 > GRID_LIMIT and summary.step % (10 * step) == 0:
        step *= 10  # thousands, millions: no other common step is worth reading into the rows
    if (high - low) // step + 2 > GRID_LIMIT:
        raise SchemaError(
            f"column {tally.name!r}: found integers from {low} to {high}, expected a range below 2^32; "
            "drop the column or make it a key if it is an identifier, or write it in a coarser unit"
        )
    return {"type": "integer", "minimum": low, "maximum": high, "multipleOf": step}


def _as_number(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("number")
    if not isinstance(summary, NumberSummary) or summary.low is None or summary.high is None:
        return None
    low, high = summary.low, summary.high
    for scale in range(min(summary.places, MAX_SCALE), -1, -1):
        unit = Decimal(1).scaleb(-scale)
        bottom, top = low.quantize(unit), high.quantize(unit)
        if (top - bottom) / unit + 2 <= GRID_LIMIT and max(abs(bottom), abs(top)).scaleb(scale) < 2**53:
            return {
                "type": "number",
                "minimum": canonical_decimal(bottom),
                "maximum": canonical_decimal(top),
                "multipleOf": canonical_decimal(unit),
            }
    raise SchemaError(
        f"column {tally.name!r}: found numbers from {low} to {high}, expected a range below 2^32 units; "
        "write the column in a coarser unit (thousands, logarithms) or drop it"
    )


def _as_date(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("date")
    return _datetimes("date", summary, date_text, 1) if isinstance(summary, PointSummary) else None


def _as_time(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("time")
    if not isinstance(summary, PointSummary):
        return None
    return _datetimes("time", summary, time_text, _second_step(summary))


def _as_date_time(tally: ColumnTally) -> Fields | None:
    summary = tally.summaries.get("date-time")
    if not isinstance(summary, PointSummary):
        return None
    step = _second_step(summary)
    if (summary.high - summary.low) // step + 2 > GRID_LIMIT:
        raise SchemaError(
            f"column {tally.name!r}: found date-times over more than 2^32 seconds, expected a shorter time; "
            "cut them to minutes or days, or drop the column"
        )
    text = partial(date_time_text, separator=tally.separator)
    fields = _datetimes("date-time", summary, text, step)
    return fields | {"separator": tally.separator}


def _second_step(summary: PointSummary) -> int:
    """Days, hours, minutes or seconds: the coarsest that all cells lie on."""
    on = (step for step in _TIME_STEPS if summary.low % step == 0 and summary.step % step == 0)
    return next(on, 1) if summary.step else 1


def _datetimes(kind: str, summary: PointSummary, text: Callable[[int], str], step: int) -> Fields:
    return {
        "type": "string",
        "format": kind,
        "minimum": text(summary.low),
        "maximum": text(summary.high),
        "multipleOf": step,
    }


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
    return {"type": "string", "enum": [str(cell) for cell in sorted(tally.counts)]}


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
