"""Whose rows are whose: reading the column that a schema's `unit` names, and keeping at most so many rows a person.

Its cells are never stored, learnt or shown. Reading turns each into a keyed digest of 16 bytes, which tells persons
apart and nothing more. Of each person the `unit.rows` rows with the smallest keyed digests are used: the choice depends
on that person's rows alone, so adding or removing a person moves no row of anybody else; it is the same for a reordered
file, and nobody without the key can foresee it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from provenance.errors import TableError
from provenance.table.column import MISSING_MARKS
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues, encode_chunks
from provenance.table.unit import Unit

Digests: TypeAlias = NDArray[np.int64]
"""int64[rows, 2]: a keyed digest of 16 bytes of the person that each row belongs to."""
Cells: TypeAlias = Mapping[str, Sequence[str]]
_BYTES = 16


@dataclass(frozen=True, slots=True)
class Rows:
    """Stored values [rows, columns] of a table, and whose they are; persons None where its schema names no unit."""

    values: CompactValues
    persons: Digests | None = None

    def where(self, chosen: NDArray[np.bool_]) -> Rows:
        """Some of the rows, bool[rows]."""
        return Rows(self.values[chosen], None if self.persons is None else self.persons[chosen])

    def beside(self, others: Rows) -> Rows:
        """These and the rows of other people."""
        persons = None
        if self.persons is not None and others.persons is not None:
            persons = np.concatenate([self.persons, others.persons])
        return Rows(np.concatenate([self.values, others.values]), persons)

    def used(self, schema: Schema, key: bytes) -> Rows:
        """The rows that may be trained on: all, or at most `unit.rows` of each person."""
        if schema.unit is None or self.persons is None:
            return self
        kept = kept_rows(self.values, self.persons, schema.unit.rows, key)
        return self if kept.all() else self.where(kept)


def strangers(values: CompactValues, schema: Schema) -> Rows:
    """Rows of which each is somebody else's, where the schema names a unit."""
    if schema.unit is None:
        return Rows(values)
    return Rows(values, np.stack([np.arange(len(values)), np.zeros(len(values), np.int64)], axis=1))


def read_rows(source: Path | str, chunks: Iterable[Cells], schema: Schema, key: bytes) -> Rows:
    """All rows of a table that comes in pieces, by column name; TableError names `source`, row and column.

    key: of the persons' digests, the table's owner's.
    """
    if schema.unit is None:
        return Rows(encode_chunks(source, chunks, schema))
    column = UnitColumn(schema.unit, key)
    values = encode_chunks(source, column.watch(chunks, source), schema)
    return Rows(values, column.digests)


def used_cells(
    chunks: Callable[[], Iterable[Cells]], unit: Unit, key: bytes
) -> Callable[[], Iterator[Cells]]:
    """The cells of a table's rows that may be used, without the unit's column, as often as they are asked for:
    for drafts, which have no stored values yet. Rows are told apart by their texts. Raises TableError as
    `read_rows`, without a source.
    """
    column = UnitColumn(unit, key)
    texts: list[bytes] = []
    for chunk in chunks():
        column.see(chunk)
        names = sorted(name for name in chunk if name != unit.column)
        rows = zip(*(chunk[name] for name in names), strict=True)
        texts += [_digest(key, b"text", "\x1f".join(row).encode()) for row in rows]
    if texts:
        kept = kept_rows(_digests(b"".join(texts)), column.digests, unit.rows, key)
    else:  # a table of the unit's column alone has no cells to use
        kept = np.zeros(0, dtype=np.bool_)

    def again() -> Iterator[Cells]:
        start = 0
        for chunk in chunks():
            own = kept[start : start + len(chunk[unit.column])]
            start += len(chunk[unit.column])
            yield {name: tuple(compress(cells, own)) for name, cells in chunk.items() if name != unit.column}

    return again


class UnitColumn:
    """Reads the unit's column of a table, piece by piece, and keeps the persons' digests under `key`."""

    def __init__(self, unit: Unit, key: bytes) -> None:
        self._unit = unit
        self._key = key
        self._parts: list[bytes] = []
        self._rows = 0

    def watch(self, chunks: Iterable[Cells], source: Path | str) -> Iterator[Cells]:
        """The pieces as they are, each after its persons were read. TableError: no such column, or a row that names
        nobody, by its number."""
        for chunk in chunks:
            try:
                self.see(chunk)
            except TableError as error:
                raise TableError(f"{source}: {error}") from error
            yield chunk

    def see(self, chunk: Cells) -> None:
        """Read the persons of one piece. Raises as `watch`, without the source."""
        cells = chunk.get(self._unit.column)
        if cells is None:
            raise TableError(
                f"the table has no column {self._unit.column!r}, which the schema's unit names; found "
                f"{', '.join(map(repr, chunk)):.300}: add it, or leave `unit` out of the schema"
            )
        own = [cell.strip() for cell in cells]
        for row, cell in enumerate(own):
            if cell in MISSING_MARKS:
                raise TableError(
                    f"row {self._rows + row + 1}, column {self._unit.column!r}: found no value, expected whose row it "
                    "is; fill the cell or leave the row out"
                )
        digest = {cell: _digest(self._key, b"person", cell.encode()) for cell in set(own)}
        self._parts.append(b"".join(digest[cell] for cell in own))
        self._rows += len(own)

    @property
    def digests(self) -> Digests:
        """Of all rows read."""
        return _digests(b"".join(self._parts))


def kept_rows(values: CompactValues, persons: Digests, most: int, key: bytes) -> NDArray[np.bool_]:
    """Which rows are used, bool[rows]: of each person the `most` with the smallest keyed digests of person, stored
    values [rows, columns] and how many equal rows came before."""
    if len(values) != len(persons):
        raise TableError(f"found persons of {len(persons)} rows for a table of {len(values)}")
    order, starts = _grouped(persons)
    sizes = np.diff(np.r_[starts, len(persons)])
    kept = np.ones(len(persons), dtype=np.bool_)
    for place in np.flatnonzero(sizes > most):
        rows = order[starts[place] : starts[place] + sizes[place]]
        kept[rows] = False
        kept[rows[_smallest(values[rows], persons[rows[0]].tobytes(), most, key)]] = True
    return kept


def numbered(persons: Digests) -> NDArray[np.int64]:
    """Numbers 0, 1, .. of the different persons, int64[rows], in the order of their digests."""
    order, starts = _grouped(persons)
    numbers = np.empty(len(persons), dtype=np.int64)
    numbers[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(persons)]))
    return numbers


def _grouped(persons: Digests) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows in an order in which each person's stand together, in the table's order; where each person begins)."""
    order = np.lexsort(persons.T)
    ordered = persons[order]
    starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)][: len(persons)])
    return order, starts


def _smallest(values: CompactValues, person: bytes, most: int, key: bytes) -> NDArray[np.int64]:
    """Places of `most` of one person's rows."""
    seen: dict[bytes, int] = {}
    ranks = []
    for row in values.astype("<i8"):
        data = row.tobytes()
        seen[data] = seen.get(data, 0) + 1
        ranks.append(_digest(key, b"row", person + data + seen[data].to_bytes(8, "little")))
    return np.array(sorted(range(len(ranks)), key=ranks.__getitem__)[:most], dtype=np.int64)


def _digest(key: bytes, purpose: bytes, data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_BYTES, key=key, person=purpose).digest()


def _digests(data: bytes) -> Digests:
    return np.frombuffer(data, dtype="<i8").reshape(-1, 2).astype(np.int64)
