"""A schema's optional member `unit`: whom privacy protects where one person has several rows.

The column is the owner's and none of the schema's: `provenance.table.persons` reads it. Normative text:
docs/spec/schema.md, rules 30 to 33.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provenance.canonical import JsonValue
from provenance.errors import SchemaError
from provenance.table.schema_words import members, no_extra, text_member

MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Unit:
    """column: of the owner's table, whose values say whom a row belongs to. rows: of one person, used at most."""

    column: str
    rows: int

    @classmethod
    def parse(cls, value: object) -> Unit:
        """The member `unit` of a schema. Raises SchemaError."""
        place = "schema, field 'unit'"
        document = members(value, place)
        no_extra(document, {"column", "rows"}, place)
        return cls.of(text_member(document, "column", place), document.get("rows"))

    @classmethod
    def of(cls, column: str, rows: object) -> Unit:
        """A unit of checked figures. Raises SchemaError."""
        if not isinstance(rows, int) or isinstance(rows, bool) or not 1 <= rows <= MOST_ROWS:
            raise SchemaError(
                f"schema, field 'unit', rows: found {rows!r:.80}, expected how many rows of one person are used at "
                f"most, an integer of 1 to {MOST_ROWS:,}"
            )
        return cls(column, rows)

    @property
    def words(self) -> str:
        """How people read it."""
        return (
            f"a person by column {self.column!r}, at most {self.rows:,} {'row' if self.rows == 1 else 'rows'}"
        )

    def document(self) -> dict[str, JsonValue]:
        """The member as it stands in the document."""
        return {"column": self.column, "rows": self.rows}
