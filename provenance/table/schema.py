"""Schema documents `tessera-schema/1`: what columns a table has and which values each may take.

Two layers. *Cell columns* are the table's own: what a CSV holds and the document lists. *Stored columns* are
what a row is made of, what is learnt, sampled, hashed and recomputed: `Schema.columns`, everywhere outside this
package's reading and writing of cells. They are the same, except that a key is not stored, the columns of a
combination are stored as one category, and a later column of an inequality is stored as a distance. So the rules
between columns, the `constraints`, hold in every row by the way rows are stored: nothing is ever drawn again.

A value is a stored column's index 0 .. cardinality - 1; the missing value of a nullable column is the last
index. The digest leaves out the remarks (`provenance.table.remarks`): they say where a bound came from, not what it
is. Normative text: docs/spec/schema.md. Reading and writing cells: `provenance.table.codec`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from provenance import canonical
from provenance.canonical import JsonValue
from provenance.errors import SchemaError, UnknownVersionError
from provenance.table import combination, increasing
from provenance.table.column import Column, parse_column
from provenance.table.combination import Combination
from provenance.table.increasing import Increasing
from provenance.table.key_column import KeyColumn
from provenance.table.remarks import Release, least_rows_member
from provenance.table.schema_words import members, no_extra, text_member
from provenance.table.unit import Unit
from provenance.values import Digest, sha256

FORMAT = "tessera-schema/1"
MAX_COLUMNS = 512
CellColumn: TypeAlias = Column | KeyColumn
Constraint: TypeAlias = Combination | Increasing
_KINDS: Mapping[str, type[Combination] | type[Increasing]] = {
    combination.KIND: Combination,
    increasing.KIND: Increasing,
}


@dataclass(frozen=True, slots=True)
class Storage:
    """How some cell columns are stored: their positions, the positions of their stored columns, and the
    constraint that leads from one to the other (None: one column stored as it is).
    """

    cells: tuple[int, ...]
    places: tuple[int, ...]
    constraint: Constraint | None


@dataclass(frozen=True)
class Schema:
    """The columns of a table in order, constraints between them, and optionally the column that learners
    should predict. `columns` are the stored ones.

    release: what a draft read off rows under differential privacy has spent. least_rows: of a draft that was
    read off rows without it, how many rows hold each value in it at least. unit: whom privacy protects where a
    person has several rows; None where it protects rows.
    """

    name: str
    cell_columns: tuple[CellColumn, ...]
    target: str | None = None
    constraints: tuple[Constraint, ...] = ()
    release: Release | None = None
    least_rows: int | None = None
    unit: Unit | None = None

    @classmethod
    def parse(cls, value: object) -> Schema:
        """The schema of a JSON object. Raises SchemaError (column, field, found, expected, what to do)."""
        document = members(value, "schema")
        found = document.get("format")
        if found != FORMAT:
            raise UnknownVersionError(
                f'schema: found format {found!r}, expected "{FORMAT}"; convert the document'
            )
        no_extra(
            document,
            {"format", "name", "target", "columns", "constraints", "release", "leastRows", "unit"},
            "schema",
        )
        name = text_member(document, "name", "schema")
        raw = document.get("columns")
        if not isinstance(raw, list | tuple) or not 1 <= len(raw) <= MAX_COLUMNS:
            raise SchemaError(f"schema, field 'columns': expected a list of 1 to {MAX_COLUMNS} columns")
        columns = tuple(_parse_cell_column(item, i) for i, item in enumerate(raw))
        names = [column.name for column in columns]
        for each in names:
            if names.count(each) > 1:
                raise SchemaError(f"column {each!r}: the name stands twice; rename one of the columns")
        constraints = parse_constraints(document.get("constraints", []), columns)
        target = document.get("target")
        if target is not None and target not in names:
            raise SchemaError(
                f"schema, field 'target': found {target!r}, expected null or one of {', '.join(names):.300}"
            )
        schema = cls(
            name,
            columns,
            None if target is None else str(target),
            constraints,
            Release.parse(document["release"]) if "release" in document else None,
            least_rows_member(document),
            Unit.parse(document["unit"]) if "unit" in document else None,
        )
        schema._check_stored()
        schema._check_unit()
        schema._check_release()
        return schema

    @classmethod
    def from_text(cls, text: str) -> Schema:
        """The schema in JSON text as people edit it (white space and key order are free)."""
        try:
            return cls.parse(json.loads(text, parse_float=Decimal))
        except json.JSONDecodeError as error:
            raise SchemaError(
                f"schema: not JSON at line {error.lineno}, column {error.colno}: {error.msg}; "
                "look for a missing comma or quote just before that place"
            ) from error

    @classmethod
    def load(cls, path: Path | str) -> Schema:
        """The schema in the file at `path`; errors name the file."""
        try:
            return cls.from_text(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SchemaError(f"schema file {path}: cannot be read ({error}); check the path") from error
        except UnknownVersionError as error:
            raise UnknownVersionError(f"{path}: {error}") from error
        except SchemaError as error:
            raise SchemaError(f"{path}: {error}") from error

    def document(self, *, with_remarks: bool = True) -> dict[str, JsonValue]:
        """The canonical document; `Schema.parse(schema.document()) == schema`."""
        columns: list[JsonValue] = [c.document(with_remarks=with_remarks) for c in self.cell_columns]
        constraints: list[JsonValue] = [each.document() for each in self.constraints]
        head: dict[str, JsonValue] = {"format": FORMAT, "name": self.name, "target": self.target}
        tail = {"constraints": constraints} if constraints else {}
        unit: dict[str, JsonValue] = {} if self.unit is None else {"unit": self.unit.document()}
        return head | {"columns": columns} | tail | unit | (self._remarks() if with_remarks else {})

    def pretty(self) -> str:
        """JSON text for people to edit: one column a line."""
        unit = {} if self.unit is None else {"unit": self.unit.document()}
        named = (("format", FORMAT), ("name", self.name), ("target", self.target))
        head = (*named, *unit.items(), *self._remarks().items())
        lines = [f"  {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}," for key, item in head]
        lists = [("columns", [c.document() for c in self.cell_columns])]
        if self.constraints:
            lists.append(("constraints", [each.document() for each in self.constraints]))
        blocks = []
        for key, items in lists:
            rows = ",\n".join("    " + json.dumps(item, ensure_ascii=False) for item in items)
            blocks.append(f'  "{key}": [\n{rows}\n  ]')
        return "\n".join(["{", *lines, ",\n".join(blocks), "}", ""])

    @cached_property
    def digest(self) -> Digest:
        """SHA-256 of the canonical document without remarks."""
        return sha256(canonical.encode(self.document(with_remarks=False)))

    @property
    def target_index(self) -> int | None:
        """Position of the target among the stored columns, or None."""
        return None if self.target is None else self.stored_place(self.target)

    @cached_property
    def storage(self) -> tuple[Storage, ...]:
        """How cell columns become stored columns: every cell column but keys once, every stored column
        once. A combination stands where its first column stands."""
        position = {column.name: i for i, column in enumerate(self.cell_columns)}
        owner = {name: each for each in self.constraints for name in each.names}
        plan: dict[tuple[str, ...], tuple[list[int], Constraint | None]] = {}
        place = 0
        for column in self.cell_columns:
            constraint = owner.get(column.name)
            names = constraint.names if constraint is not None else (column.name,)
            if isinstance(column, KeyColumn) or (isinstance(constraint, Combination) and names in plan):
                continue
            plan.setdefault(names, ([], constraint))[0].append(place)
            place += 1
        return tuple(_storage(names, places, each, position) for names, (places, each) in plan.items())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The stored columns: what a row holds a value of."""
        found: dict[int, Column] = {}
        for each in self.storage:
            found |= zip(each.places, self._stored_columns(each), strict=True)
        return tuple(found[place] for place in sorted(found))

    def stored_place(self, name: str) -> int | None:
        """Where the cell column `name` is stored as it is; None if it is stored otherwise or not at all."""
        index = self.cell_names.index(name)
        for each in self.storage:
            if each.cells[0] == index and not isinstance(each.constraint, Combination):
                return each.places[0]
        return None

    @property
    def unit_rows(self) -> int:
        """Rows that one unit of privacy has at the most: what every sensitivity is multiplied by."""
        return 1 if self.unit is None else self.unit.rows

    @property
    def cell_names(self) -> tuple[str, ...]:
        """Names of the cell columns in order: the header of a CSV."""
        return tuple(column.name for column in self.cell_columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the stored columns in order."""
        return tuple(column.name for column in self.columns)

    @property
    def max_rows(self) -> int | None:
        """Most rows that a data set of this schema can have, as many as its shortest key allows;
        None without keys."""
        counts = [column.count for column in self.cell_columns if isinstance(column, KeyColumn)]
        return min(counts, default=None)

    @property
    def value_widths(self) -> tuple[int, ...]:
        """Bytes of each column's value in a row."""
        return tuple(column.value_width for column in self.columns)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of values of each column."""
        return tuple(column.cardinality for column in self.columns)

    def inferred_fields(self) -> tuple[tuple[str, str], ...]:
        """(column, field) pairs that were read off rows without privacy, vouched for or not."""
        return tuple(
            (column.name, field) for column in self.cell_columns for field in column.remarks.inferred
        )

    def unvouched_fields(self) -> tuple[tuple[str, str], ...]:
        """Those of the `inferred_fields` whose column nobody declares to be public."""
        return tuple(
            (column.name, field)
            for column in self.cell_columns
            for field in column.remarks.inferred
            if column.remarks.public is None
        )

    def _remarks(self) -> dict[str, JsonValue]:
        """The remarks on the whole."""
        found: dict[str, JsonValue] = {}
        if self.release is not None:
            found["release"] = self.release.document()
        if self.least_rows is not None:
            found["leastRows"] = self.least_rows
        return found

    def _stored_columns(self, storage: Storage) -> tuple[Column, ...]:
        if storage.constraint is None:
            column = self.cell_columns[storage.cells[0]]
            return () if isinstance(column, KeyColumn) else (column,)
        stored = storage.constraint.stored
        return stored if isinstance(stored, tuple) else (stored,)

    def _check_unit(self) -> None:
        """The column that says whose a row is, is read and never learnt."""
        if self.unit is not None and self.unit.column in self.cell_names:
            raise SchemaError(
                f"schema, field 'unit': found {self.unit.column!r} among the columns too, expected a column of the "
                "table that the schema leaves out; take it out of `columns`"
            )

    def _check_release(self) -> None:
        """Nothing counts as released that the schema does not count, nor for another unit than it was counted for."""
        if self.release is not None and self.release.unit != self.unit:
            raise SchemaError(
                "schema, field 'unit': found another one than that of the schema's 'release', whose noise was for that "
                "one alone; restore the member, or infer the schema again"
            )
        named = [column.name for column in self.cell_columns if column.remarks.released]
        if named and self.release is None:
            raise SchemaError(
                f"column {named[0]!r}, field 'released': found it without the schema's 'release', expected what the "
                "release has spent; restore the member, or infer the schema again"
            )

    def _check_stored(self) -> None:
        if not self.columns:
            raise SchemaError(
                "schema, field 'columns': found only keys, expected at least one column to learn; add one"
            )
        if self.target is not None and self.stored_place(self.target) is None:
            raise SchemaError(
                f"schema, field 'target': {self.target!r} is a key or stored through a constraint, expected a "
                "column that is stored as it is; choose another target or take it out of the constraint"
            )


def _storage(
    names: tuple[str, ...], places: list[int], constraint: Constraint | None, position: Mapping[str, int]
) -> Storage:
    """Places come in the order of the cell columns, members in the constraint's: put both in the latter."""
    cells = tuple(position[name] for name in names)
    if len(places) == len(cells):
        rank = sorted(range(len(cells)), key=cells.__getitem__)
        by_member = dict(zip(rank, places, strict=True))
        places = [by_member[i] for i in range(len(cells))]
    return Storage(cells, tuple(places), constraint)


def _parse_cell_column(value: object, position: int) -> CellColumn:
    place = f"column {position + 1}"
    document = members(value, place)
    name = text_member(document, "name", place)
    if document.get("type") == "string" and document.get("format") == "key":
        return KeyColumn.parse(document, name)
    return parse_column(document, name)


def parse_constraints(value: object, columns: Sequence[Column | KeyColumn]) -> tuple[Constraint, ...]:
    """The constraints of a JSON list over the table's columns. Raises SchemaError."""
    if not isinstance(value, list | tuple):
        raise SchemaError(f"schema, field 'constraints': found {type(value).__name__}, expected a list")
    by_name = {column.name: column for column in columns}
    owner: dict[str, int] = {}
    result: list[Constraint] = []
    for number, item in enumerate(value, start=1):
        place = f"constraint {number}"
        document = members(item, place)
        kind = document.get("kind")
        if not isinstance(kind, str) or kind not in _KINDS:
            raise SchemaError(f"{place}, field 'kind': found {kind!r}, expected {' or '.join(_KINDS)}")
        chosen = _chosen(document.get("columns"), by_name, place)
        for column in chosen:
            if column.name in owner:
                raise SchemaError(
                    f"{place}: column {column.name!r} stands in constraint {owner[column.name]} already, "
                    "expected at most one for each column; join the two or drop one"
                )
            owner[column.name] = number
        result.append(_KINDS[kind].parse(document, chosen, place))
    return tuple(result)


def _chosen(value: object, by_name: Mapping[str, Column | KeyColumn], place: str) -> tuple[Column, ...]:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise SchemaError(
            f"{place}, field 'columns': found {value!r:.80}, expected a list of at least two names"
        )
    result: list[Column] = []
    for name in value:
        column = by_name.get(name) if isinstance(name, str) else None
        if column is None:
            raise SchemaError(f"{place}, field 'columns': found {name!r:.80}, expected the name of a column")
        if isinstance(column, KeyColumn):
            raise SchemaError(f"{place}: column {name!r} is a key, which no constraint may hold; take it out")
        if column in result:
            raise SchemaError(f"{place}, field 'columns': {name!r} stands twice; remove one")
        result.append(column)
    return tuple(result)
