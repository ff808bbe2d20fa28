"""Where the columns of a schema came from, for documents and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.canonical import JsonValue
from provenance.table.remarks import Release
from provenance.table.schema import Schema
from provenance.units import E12, MICRO, format_fixed

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Origins:
    """Names of columns by where their words came from, each column once.

    declared: written without a remark. vouched: public by somebody's word, with the reason. released: read off rows
    under differential privacy, at the cost of `release`. read: read off rows without privacy, and nobody vouches.
    """

    declared: tuple[str, ...]
    vouched: tuple[tuple[str, str], ...]
    released: tuple[str, ...]
    read: tuple[str, ...]
    release: Release | None

    @classmethod
    def of(cls, schema: Schema) -> Origins:
        """What the schema's remarks say."""
        names: dict[str, list[str]] = {"declared": [], "released": [], "read": []}
        vouched = []
        for column in schema.cell_columns:
            remarks = column.remarks
            if remarks.public is not None:
                vouched.append((column.name, remarks.public))
            elif remarks.inferred:
                names["read"].append(column.name)
            else:
                names["released" if remarks.released else "declared"].append(column.name)
        declared, released, read = map(tuple, names.values())
        return cls(declared, tuple(vouched), released, read, schema.release)

    def document(self) -> dict[str, JsonValue]:
        """Canonical-JSON-able; groups without a column are left out."""
        groups: dict[str, JsonValue] = {
            "declared": list(self.declared),
            "vouched": dict(self.vouched),
            "released": list(self.released),
            "readOffRows": list(self.read),
        }
        document: dict[str, JsonValue] = {name: group for name, group in groups.items() if group}
        if self.release is not None:
            document["epsilonMicro"] = self.release.epsilon_micro
            document["deltaE12"] = self.release.delta_e12
        return document

    def lines(self) -> tuple[str, ...]:
        """In words, a line a group."""
        found = []
        if self.release is not None:
            cost = f"epsilon {format_fixed(self.release.epsilon_micro, MICRO)}, delta "
            cost += format_fixed(self.release.delta_e12, E12)
            found.append(f"released under differential privacy ({cost}): {_named(self.released)}")
        if self.vouched:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.vouched[:_SHOWN])
            more = f"; and {len(self.vouched) - _SHOWN} more" if len(self.vouched) > _SHOWN else ""
            found.append(f"vouched for as public: {reasons}{more}")
        if self.declared:
            found.append(f"declared as public: {_named(self.declared)}")
        if self.read:
            found.append(f"read off the rows without privacy: {_named(self.read)}")
        return tuple(found)


def _named(names: Sequence[str]) -> str:
    if not names:
        return "no column"
    if len(names) > _SHOWN:
        return f"{len(names)} columns"
    return ", ".join(names)
