"""A draft schema under differential privacy: row count, types, bounds and categories as noisy integer counts.

Unit: one row, or one person of whom at most so many rows are read; neighbours: add or remove one unit. Four Gaussian
releases, each a vector in which one row changes every column's histogram in one cell by one, so its L2 sensitivity is
the root of the number of histograms, times the rows of one unit:

1. `rows`: the number of rows.
2. `kinds`: how many cells of each column fall into each public bucket (`generator.fitting.cell_kinds`). Buckets whose
   count stands out of the noise name the column's type, and coarse bounds of numbers, dates and times.
3. `values`: of grids, the range in equal parts, whose outermost that stand out become the bounds; of text, every
   category that occurs, of which those are shown that reach a threshold. Which categories occur is not public, so the
   threshold has a delta (Korolova et al. 2009; Wilkins et al. 2024 for Gaussian noise).
4. `digits`: of decimals the digits after the point, of times their step.

Noise is Gaussian, rounded to integers before it is added to integers (docs/spec/noise.md). Whether a cell is missing is
not asked: every column of such a draft has a missing value, and takes cells that it does not know for it or for its
nearest bound (`clip`). Column names are public, and so is that the table has rows.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from generator.fitting.cell_kinds import BUCKETS, POSITION, Bucket, Kind, bucket_of, number_bounds
from generator.privacy.accountant import epsilon_of, gdp_mu
from generator.privacy.noise import gaussian
from generator.privacy.schema_release import events_of
from provenance.canonical import JsonValue
from provenance.errors import SchemaError
from provenance.table.column import MISSING_MARKS
from provenance.table.column_tally import parse_integer, parse_number
from provenance.table.datetimes import (
    DAY_SECONDS,
    date_text,
    date_time_text,
    parse_date,
    parse_date_time,
    parse_time,
    time_text,
)
from provenance.table.grid import CATEGORY_LIMIT, GRID_LIMIT, MAX_SCALE, canonical_decimal, decimal_places
from provenance.table.remarks import Release, ReleasedPart, Threshold
from provenance.table.schema import FORMAT, Schema
from provenance.table.schema_infer import MAX_TARGET_CATEGORIES, require_columns
from provenance.table.unit import Unit
from provenance.units import E12, MICRO, round_up
from provenance.values import Digest

Chunks: TypeAlias = Iterable[Mapping[str, Sequence[str]]]
ROWS, KINDS, VALUES, DIGITS = "rows", "kinds", "values", "digits"
_SHARES: Final = {ROWS: 0.03, KINDS: 0.35, VALUES: 0.55, DIGITS: 0.07}
"""Of the squared Gaussian-DP parameter mu, which adds up exactly."""
_THRESHOLD_SHARE: Final = 1e-3
"""Of delta, so that thresholds still hide a person with several rows."""
_FALSE_ALARM: Final = 1e-3
"""Chance that noise alone stands out anywhere in a release over public cells."""
_PARTS: Final = 32
_STEPS: Final = (DAY_SECONDS, 3600, 60, 1)
_SEPARATORS: Final = ("T", " ")
_PARSERS: Final[Mapping[Kind, Callable[[str], int | Decimal | None]]] = {
    Kind.INTEGER: parse_integer,
    Kind.NUMBER: parse_number,
    Kind.DATE: parse_date,
    Kind.TIME: parse_time,
    Kind.DATE_TIME: parse_date_time,
}


@dataclass(frozen=True, slots=True)
class PrivateDraft:
    """schema: what was released. left_out: columns of which no value stood out of the noise."""

    schema: Schema
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Column:
    """A column after `kinds`: its kind and, of a grid, bounds in its own unit: integers, decimals, days or seconds."""

    name: str
    kind: Kind
    low: Decimal
    high: Decimal
    values: Counter[str]

    @property
    def is_grid(self) -> bool:
        return self.kind in _PARSERS

    @property
    def has_digits(self) -> bool:
        return self.kind in (Kind.NUMBER, Kind.TIME, Kind.DATE_TIME)


@dataclass(frozen=True, slots=True)
class PrivateRequest:
    """What is asked: the schema's name, its target (None: the last column if it has few categories), columns to
    leave out, epsilon and delta of the whole draft. unit: whom it protects, None for rows; the pieces have at
    most its rows of one person and not its column (`provenance.table.persons.used_cells`).
    """

    name: str
    epsilon: float
    delta: float
    target: str | None = None
    without: Collection[str] = ()
    unit: Unit | None = None


def private_schema(chunks: Callable[[], Chunks], request: PrivateRequest) -> PrivateDraft:
    """A draft of the table that `chunks` gives piece by piece, each time it is called (twice), under (epsilon, delta).

    Raises SchemaError where no column can be told, or a column that is named is not there; PrivacyError for a budget
    out of range.
    """
    mu = gdp_mu(request.epsilon, request.delta * (1 - _THRESHOLD_SHARE))
    noise = _Noise(mu, request.delta, request.unit)
    rows, kinds = _count_kinds(chunks(), request.without)
    if not kinds:
        raise SchemaError("found no column beside those to leave out, expected at least one; leave out fewer")
    if request.target is not None and request.target not in kinds:
        raise SchemaError(f"target: found no column {request.target!r}, expected one of {', '.join(kinds)}")
    released_rows = max(1, noise.add(ROWS, [np.array([rows])])[0][0])
    counts = noise.add(KINDS, [_bucket_counts(each) for each in kinds.values()])
    told = [
        column
        for name, noisy in zip(kinds, counts, strict=True)
        if (column := _told(name, noisy, noise.outstanding(KINDS, len(kinds) * len(BUCKETS)))) is not None
    ]
    for chunk in chunks():
        for column in told:
            column.values.update(cell.strip() for cell in chunk[column.name])
    fields = _fields(told, noise)
    left_out = tuple(name for name in kinds if name not in fields)
    if not fields:
        raise SchemaError(
            f"found no column of which anything stands out of the noise of epsilon {request.epsilon:g}; expected more "
            "rows or a larger epsilon, or write the schema from public knowledge"
        )
    schema = Schema.parse(
        {
            "format": FORMAT,
            "name": request.name,
            "target": _target(request, fields),
            "columns": [{"name": name, **words} for name, words in fields.items()],
            "release": noise.release(int(released_rows)).document(),
            **({} if request.unit is None else {"unit": request.unit.document()}),
        }
    )
    return PrivateDraft(schema, left_out)


class _Noise:
    """Draws the noise of each release within the budget and keeps what was drawn for the accountant."""

    def __init__(self, mu: float, delta: float, unit: Unit | None) -> None:
        self._mu = mu
        self._delta = delta
        self._unit = unit
        self._unit_rows = 1 if unit is None else unit.rows
        self._parts: list[ReleasedPart] = []
        self.std: dict[str, float] = {}

    def add(
        self, name: str, histograms: Sequence[NDArray[np.int64]], hidden: int = 0
    ) -> list[NDArray[np.int64]]:
        """The integer counts with integer noise. hidden: how many of the histograms are over values that are not
        public, and wait for the `least` count."""
        sensitivity = self._unit_rows * math.sqrt(len(histograms))
        micro = math.ceil(10**MICRO * sensitivity / (self._mu * math.sqrt(_SHARES[name])))
        std = self.std[name] = micro / 10**MICRO
        threshold = None if not hidden else Threshold(hidden, self.least(hidden), micro)
        self._parts.append(ReleasedPart(name, math.floor(micro / sensitivity), threshold))
        return [counts + gaussian(len(counts), std) for counts in histograms]

    def outstanding(self, name: str, cells: int) -> int:
        """A count that noise alone reaches in none of so many cells, but for a rare chance."""
        return math.ceil(self.std[name] * float(-ndtri(_FALSE_ALARM / cells)))

    def least(self, hidden: int) -> int:
        """The count from which a category is shown. One that n rows of one unit hold reaches it with noise of
        least - n - 1/2, and they hold n at the most in each column."""
        rows = self._unit_rows
        chance = self._delta * _THRESHOLD_SHARE / (hidden * rows)
        return math.ceil(rows + 0.5 + self.std[VALUES] * float(-ndtri(chance)))

    def release(self, rows: int) -> Release:
        """What was spent, rounded up."""
        draft = Release(
            Digest(secrets.token_bytes(32)),
            1,
            round_up(self._delta, E12),
            rows,
            tuple(self._parts),
            self._unit,
        )
        epsilon = epsilon_of([event for _, event in events_of(draft)], self._delta)
        return replace(draft, epsilon_micro=max(1, round_up(epsilon, MICRO)))


def _count_kinds(chunks: Chunks, without: Collection[str]) -> tuple[int, dict[str, Counter[Bucket]]]:
    rows = 0
    kinds: dict[str, Counter[Bucket]] = {}
    for chunk in chunks:
        require_columns(chunk, without, "leave out")
        rows += len(next(iter(chunk.values()), ()))
        for name, cells in chunk.items():
            if name not in without:
                found = kinds.setdefault(name, Counter())
                for cell, count in Counter(cells).items():
                    found[bucket_of(cell.strip())] += count
    return rows, kinds


def _bucket_counts(found: Counter[Bucket]) -> NDArray[np.int64]:
    counts = np.zeros(len(BUCKETS), dtype=np.int64)
    for bucket, count in found.items():
        counts[POSITION[bucket]] = count
    return counts


def _told(name: str, noisy: NDArray[np.int64], least: int) -> _Column | None:
    """Kind and coarse bounds of a column by the buckets that stand out; None if none does."""
    seen = [bucket for bucket, count in zip(BUCKETS, noisy.tolist(), strict=True) if count >= least]
    kinds = {bucket.kind for bucket in seen} - {Kind.MISSING}
    if not kinds:
        return None
    kind = next((kind for kind, inside in _FITS if kinds <= inside), Kind.TEXT)
    if kind not in _PARSERS:
        return _Column(name, kind, Decimal(0), Decimal(0), Counter())
    bounds = [_bucket_bounds(kind, bucket) for bucket in seen if bucket.kind is not Kind.MISSING]
    return _Column(name, kind, min(low for low, _ in bounds), max(high for _, high in bounds), Counter())


_FITS: Final = (
    (Kind.BOOLEAN, {Kind.BOOLEAN}),
    (Kind.INTEGER, {Kind.INTEGER}),
    (Kind.NUMBER, {Kind.INTEGER, Kind.NUMBER}),
    (Kind.DATE, {Kind.DATE}),
    (Kind.TIME, {Kind.TIME}),
    (Kind.DATE_TIME, {Kind.DATE, Kind.DATE_TIME}),
)
"""The first kind that all the cells of these kinds are of; text if there is none."""


def _bucket_bounds(kind: Kind, bucket: Bucket) -> tuple[Decimal, Decimal]:
    """(lowest, highest) value of a bucket in the unit of a column of `kind`."""
    if kind is Kind.INTEGER:
        near, far = number_bounds(bucket.place)
        return near + (bucket.place < 0), far - (bucket.place > 0)
    if kind is Kind.NUMBER:
        return number_bounds(bucket.place)
    if kind is Kind.TIME:
        return Decimal(3600 * bucket.place), Decimal(3600 * bucket.place + 3599)
    first, last = (parse_date(f"{bucket.place}-{day}") or 0 for day in ("01-01", "12-31"))
    if kind is Kind.DATE:
        return Decimal(first), Decimal(last)
    return Decimal(first * DAY_SECONDS), Decimal((last + 1) * DAY_SECONDS - 1)


def _fields(told: Sequence[_Column], noise: _Noise) -> dict[str, dict[str, JsonValue]]:
    """The words of every column that the second half of the releases leaves, by name."""
    grids = [column for column in told if column.is_grid]
    texts = [column for column in told if column.kind is Kind.TEXT]
    fine = [column for column in told if column.has_digits]
    spread = [_part_counts(column) for column in grids]
    shown = [sorted(_texts(column)) for column in texts]
    counted = [np.array([column.values[cell] for cell in cells], dtype=np.int64)
               for column, cells in zip(texts, shown, strict=True)]  # fmt: skip
    digits: dict[str, NDArray[np.int64]] = {}
    if fine:
        noisy = noise.add(DIGITS, [_digit_counts(column) for column in fine])
        digits = {column.name: counts for column, counts in zip(fine, noisy, strict=True)}
    words: dict[str, dict[str, JsonValue]] = {
        column.name: {"type": "boolean"} for column in told if column.kind is Kind.BOOLEAN
    }
    if spread or counted:
        noisy = noise.add(VALUES, [*spread, *counted], hidden=len(texts))
        least = noise.outstanding(VALUES, max(1, sum(map(len, spread))))
        for column, counts in zip(grids, noisy, strict=False):
            _narrow(column, counts, least)
            words[column.name] = _grid_words(column, digits.get(column.name), noise)
        for column, cells, counts in zip(texts, shown, noisy[len(spread) :], strict=True):
            kept: list[JsonValue] = [
                cell
                for cell, count in zip(cells, counts.tolist(), strict=True)
                if count >= noise.least(len(texts))
            ]
            if 0 < len(kept) <= CATEGORY_LIMIT:
                words[column.name] = {"type": "string", "enum": kept}
    return {
        column.name: {
            **words[column.name],
            "nullable": True,
            "missing": "",
            "released": [word for word in words[column.name] if word not in ("nullable", "missing")],
            "clip": True,
        }
        for column in told
        if column.name in words
    }


def _texts(column: _Column) -> Iterable[str]:
    """The cells that may be categories."""
    return (
        cell
        for cell in column.values
        if cell not in MISSING_MARKS and not any(ord(mark) < 32 for mark in cell)
    )


def _part_counts(column: _Column) -> NDArray[np.int64]:
    """Cells in each equal part of the column's range; those outside are in none."""
    counts = np.zeros(_parts(column), dtype=np.int64)
    parse, width = _PARSERS[column.kind], column.high - column.low + _unit(column)
    for cell, count in column.values.items():
        value = parse(cell)
        if value is not None and column.low <= value <= column.high:
            counts[min(int((value - column.low) * len(counts) / width), len(counts) - 1)] += count
    return counts


def _unit(column: _Column) -> int:
    """What the upper bound of a range of whole numbers reaches beyond itself."""
    return 0 if column.kind is Kind.NUMBER else 1


def _parts(column: _Column) -> int:
    if column.kind is Kind.NUMBER:
        return _PARTS
    return min(_PARTS, int(column.high - column.low) + 1)


def _narrow(column: _Column, counts: NDArray[np.int64], least: int) -> None:
    """The outermost parts that stand out become the bounds."""
    full = np.flatnonzero(counts >= least)
    if not len(full):
        return
    width = (column.high - column.low + _unit(column)) / len(counts)
    low = column.low + width * int(full[0])
    high = column.low + width * int(full[-1] + 1)
    if column.kind is not Kind.NUMBER:
        low, high = low.to_integral_value(ROUND_CEILING), high.to_integral_value(ROUND_CEILING) - 1
    column.low, column.high = low, high


def _digit_counts(column: _Column) -> NDArray[np.int64]:
    """Cells by digits after the point, or by step and separator."""
    counts = np.zeros(MAX_SCALE + 1 if column.kind is Kind.NUMBER else 2 * len(_STEPS), dtype=np.int64)
    parse = _PARSERS[column.kind]
    for cell, count in column.values.items():
        value = parse(cell)
        if value is None:
            continue
        if column.kind is Kind.NUMBER:
            counts[min(decimal_places(Decimal(value)), MAX_SCALE)] += count
        else:
            step = next(i for i, each in enumerate(_STEPS) if value % each == 0)
            counts[step + len(_STEPS) * (len(cell) > 10 and cell[10] == " ")] += count
    return counts


def _grid_words(column: _Column, digits: NDArray[np.int64] | None, noise: _Noise) -> dict[str, JsonValue]:
    """Type, bounds and step as a document has them."""
    clear = () if digits is None else np.flatnonzero(digits >= noise.outstanding(DIGITS, digits.size))
    if column.kind is Kind.NUMBER:
        return _number_words(column, int(max(clear, default=_default_places(column))))
    low, high = int(column.low), int(column.high)
    if column.kind is Kind.INTEGER:
        step = 1
        while (high - low) // step + 2 > GRID_LIMIT:
            step *= 10
        low, high = low - low % step, high + -high % step
        return {"type": "integer", "minimum": low, "maximum": high, "multipleOf": step}
    if column.kind is Kind.DATE:
        return _moment_words(column, (low, high), date_text, 1)
    fineness = max((int(each) % len(_STEPS) for each in clear), default=len(_STEPS) - 1)
    step = _STEPS[fineness]
    low, high = low - low % step, high - high % step
    if column.kind is Kind.TIME:
        return _moment_words(column, (low, high), time_text, step)
    while (high - low) // step + 2 > GRID_LIMIT:
        step = _STEPS[_STEPS.index(step) - 1]
        low, high = low - low % step, high - high % step
    assert digits is not None
    space = int(digits[len(_STEPS) :].sum()) > int(digits[: len(_STEPS)].sum())
    separator = _SEPARATORS[space]
    words = _moment_words(column, (low, high), lambda point: date_time_text(point, separator), step)
    return words | {"separator": separator}


def _moment_words(
    column: _Column, bounds: tuple[int, int], text: Callable[[int], str], step: int
) -> dict[str, JsonValue]:
    return {
        "type": "string", "format": column.kind.value, "minimum": text(bounds[0]), "maximum": text(bounds[1]),
        "multipleOf": step,
    }  # fmt: skip


def _default_places(column: _Column) -> int:
    """Digits that leave ten thousand points in the range."""
    return (
        min(max(0, 4 - (column.high - column.low).adjusted()), MAX_SCALE) if column.high > column.low else 0
    )


def _number_words(column: _Column, places: int) -> dict[str, JsonValue]:
    """With as many digits as a grid can hold. Of a range that is too wide for whole numbers, which noise alone can make
    of any column, the part on the side of the bound that is nearer to zero: what lies beyond is clipped."""
    for scale in range(places, -1, -1):
        unit = Decimal(10) ** -scale
        low = column.low.quantize(unit, ROUND_FLOOR)
        high = column.high.quantize(unit, ROUND_CEILING)
        if (high - low) / unit + 2 <= GRID_LIMIT and max(abs(low), abs(high)) / unit < 2**53:
            break
    else:
        most = Decimal(GRID_LIMIT - 2)
        low, high = (low, min(high, low + most)) if abs(low) <= abs(high) else (max(low, high - most), high)
    return {
        "type": "number",
        "minimum": canonical_decimal(low),
        "maximum": canonical_decimal(high),
        "multipleOf": canonical_decimal(unit),
    }


def _target(request: PrivateRequest, fields: Mapping[str, Mapping[str, JsonValue]]) -> str | None:
    if request.target is not None:
        if request.target not in fields:
            raise SchemaError(
                f"target {request.target!r}: found nothing in it that stands out of the noise, expected a column "
                "that is released; choose another, a larger epsilon, or declare it"
            )
        return request.target
    last = list(fields)[-1]
    enum = fields[last].get("enum")
    few = fields[last]["type"] == "boolean" or (isinstance(enum, list) and len(enum) <= MAX_TARGET_CATEGORIES)
    return last if few and len(fields) > 1 else None
