"""What the owner of tables keeps about them: one secret, and one privacy ledger for each table wherever its file lies.

    secret.key                  32 random bytes; with it, and only with it, a table is known again
    ledgers/TABLE/ledger.jsonl  the ledger (`ledger`), with ledger.lock
    ledgers/TABLE/table.json    names that the table was seen under, and a sketch of its rows
    ledgers/TABLE/cap.json      the strictest cap that was set for it
    ledgers/TABLE/head          number and digest of the ledger's last line

The folder is TESSERA_OWNER, else tessera in XDG_STATE_HOME, else ~/.local/state/tessera; for its owner only (mode 700).

TABLE is a keyed fingerprint of the table as a multiset of rows: the sum modulo 2^512 of HMAC-SHA-512 of each row, under
a second HMAC (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh 2003, with the sum never shown). A row is its
cells by column name, as texts that do not depend on file format, order of columns or the schema's grid; keys are left
out. So a copy, another order of rows or columns, another format and another schema that keeps every value have one
ledger. A table with other rows, columns or coarser cells has another one: `near` says which known tables it resembles,
by the smallest keyed digests of rows and by whole columns.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import StateError
from generator.privacy.charge import WHOLE
from generator.privacy.ledger import CAP, PrivacyCap, PrivacyLedger
from provenance import canonical
from provenance.canonical import JsonValue
from provenance.errors import ProvenanceError
from provenance.files import make_folder, write_new, write_whole
from provenance.table.codec import cell_values
from provenance.table.column import Column, cell_text
from provenance.table.key_column import KeyColumn
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues

FORMAT: Final = "tessera-table/1"
ENVIRONMENT: Final = "TESSERA_OWNER"
SKETCH_ROWS: Final = 256
NEAR: Final = 0.2
"""Part of their rows that two tables share at the least to be called near."""
_TELLING_VALUES: Final = 16
"""A column with fewer different values is the same in many tables by chance."""
_ROWS_AT_ONCE: Final = 16_384
_MODULUS: Final = 1 << 512


@dataclass(frozen=True, slots=True)
class Portrait:
    """A table as its owner knows it again; every digest is keyed.

    fingerprint: 64 hexadecimal digits. sketch: the smallest digests of different rows. columns: one of each column's
    values as a multiset, under a digest of its name.
    """

    fingerprint: str
    rows: int
    sketch: tuple[str, ...]
    columns: Mapping[str, str]

    def likeness(self, other: Portrait) -> float:
        """About which part of both tables' different rows they share, 1.0 where a telling column is the same."""
        union = sorted({*self.sketch, *other.sketch})[:SKETCH_ROWS]
        shared = {*self.sketch} & {*other.sketch}
        jaccard = sum(digest in shared for digest in union) / len(union)
        return 1.0 if {*self.columns.items()} & {*other.columns.items()} else jaccard


@dataclass(frozen=True, slots=True)
class Near:
    """A known table that another resembles: its folder's name, how it was called, the part that is alike."""

    fingerprint: str
    names: tuple[str, ...]
    likeness: float

    @property
    def warning(self) -> str:
        """What its owner should know."""
        return (
            f"this table resembles {', '.join(self.names)} (ledger {self.fingerprint[:12]}, {self.likeness:.0%} "
            "alike), which has a ledger of its own: who has rows in both is protected by both together"
        )


@dataclass(frozen=True, slots=True)
class OwnedTable:
    """A table's ledger in its owner's folder. near: other tables that it resembles."""

    owner: Owner
    fingerprint: str
    near: tuple[Near, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the ledger is."""
        return self.owner.folder / "ledgers" / self.fingerprint

    @property
    def cap(self) -> PrivacyCap:
        """The strictest cap that was set."""
        path = self.folder / "cap.json"
        if not path.exists():
            return PrivacyCap(None)
        try:
            return PrivacyCap.parse(canonical.decode(path.read_bytes()))
        except ProvenanceError as error:
            raise StateError(f"{path} is damaged ({error}): restore it from a copy") from error

    def tighten(self, cap: PrivacyCap) -> PrivacyCap:
        """Set a cap, unless a stricter one is set; returns what holds. A change is noted in the ledger."""
        held = self.cap.stricter(cap)
        write_whole(self.folder / "cap.json", canonical.encode(held.document()))
        self.ledger().note_limits(CAP, held.words)
        return held

    def split_secret(self) -> bytes:
        """What parts the table's rows, the same in every folder: else releases on different parts would add up."""
        return hmac.digest(self.owner.secret(), b"split" + bytes.fromhex(self.fingerprint), "sha256")

    def names(self) -> tuple[str, ...]:
        """What the table was called."""
        return _names(self.folder)

    def ledger(
        self,
        split: str = WHOLE,
        *,
        cap: PrivacyCap | None = None,
        head: Path | None = None,
        kept: Sequence[Path] = (),
    ) -> PrivacyLedger:
        """The ledger. cap: another that holds too. head: a second place for its head; kept: heads of some moment."""
        heads = (self.folder / "head", *(() if head is None else (head,)))
        held = self.cap if cap is None else self.cap.stricter(cap)
        return PrivacyLedger(self.folder / "ledger.jsonl", held, split=split, heads=heads, kept=kept)


class Owner:
    """The folder of one owner of tables; made at the first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Owner:
        """The folder that the environment names, or the user's own."""
        if environment.get(ENVIRONMENT):
            return cls(Path(environment[ENVIRONMENT]).expanduser())
        state = environment.get("XDG_STATE_HOME") or "~/.local/state"
        return cls(Path(state).expanduser() / "tessera")

    def portrait(self, values: CompactValues, schema: Schema) -> Portrait:
        """Stored values [rows, columns] of `schema` as they are known again."""
        return portrait(values, schema, self.secret())

    def table(self, values: CompactValues, schema: Schema, name: str) -> OwnedTable:
        """The table's place, made if the table was never seen. name: what its owner calls it, such as the file's."""
        seen = self.portrait(values, schema)
        folder = self.folder / "ledgers" / seen.fingerprint
        near = self._near(seen)
        make_folder(folder)
        names = _names(folder) if (folder / "table.json").exists() else ()
        if name not in names:
            write_whole(folder / "table.json", canonical.encode(_document(seen, (*names, name))))
        return OwnedTable(self, seen.fingerprint, near)

    def known(self, fingerprint: str) -> OwnedTable:
        """A table by its fingerprint; StateError if its ledger is not here."""
        folder = self.folder / "ledgers" / fingerprint
        if not (folder / "table.json").exists():
            raise StateError(
                f"the privacy ledger of this table is not in {folder}: what was spent is not known. Bring the owner's "
                f"folder back, or name it by {ENVIRONMENT}"
            )
        return OwnedTable(self, fingerprint)

    def tables(self) -> tuple[OwnedTable, ...]:
        """Every table that was ever seen."""
        found = sorted((self.folder / "ledgers").glob("*/table.json"))
        return tuple(OwnedTable(self, path.parent.name) for path in found)

    def person_key(self) -> bytes:
        """Key of the digests of persons and of which of their rows are used, the same for all tables of the owner."""
        return hmac.digest(self.secret(), b"person", "sha256")

    def secret(self) -> bytes:
        """The owner's secret, made at its first use."""
        path = self.folder / "secret.key"
        if not path.exists():
            make_folder(self.folder)
            with contextlib.suppress(FileExistsError):  # another process was first: its secret is the one
                write_new(path, secrets.token_bytes(32))
        if self.folder.stat().st_mode & 0o077:
            raise StateError(f"others may read {self.folder}: expected mode 700 (chmod 700 {self.folder})")
        secret = path.read_bytes()
        if len(secret) != 32:
            raise StateError(f"{path} holds {len(secret)} bytes, expected 32: restore it from a copy")
        return secret

    def _near(self, seen: Portrait) -> tuple[Near, ...]:
        found = []
        for table in self.tables():
            if table.fingerprint != seen.fingerprint:
                likeness = seen.likeness(_portrait(table.folder))
                if likeness >= NEAR:
                    found.append(Near(table.fingerprint, table.names(), likeness))
        return tuple(sorted(found, key=lambda near: -near.likeness))


def portrait(values: CompactValues, schema: Schema, secret: bytes) -> Portrait:
    """The keyed digests of stored values [rows, columns]."""
    columns = sorted(
        (column for column in schema.cell_columns if not isinstance(column, KeyColumn)), key=lambda c: c.name
    )
    digests: dict[str, dict[int, bytes]] = {column.name: {} for column in columns}
    counts: dict[str, dict[int, int]] = {column.name: {} for column in columns}
    rows, smallest = 0, np.empty(0, dtype=">u8")
    for start in range(0, len(values), _ROWS_AT_ONCE):
        own = cell_values(schema, values[start : start + _ROWS_AT_ONCE].astype(np.int64))
        cells = [_digests(column, own[column.name], secret, digests, counts) for column in columns]
        matrix = np.concatenate(cells, axis=1)
        each = [hmac.digest(secret, b"row" + row.tobytes(), "sha512") for row in matrix]
        rows = (rows + sum(int.from_bytes(digest, "big") for digest in each)) % _MODULUS
        short = np.frombuffer(b"".join(digest[:8] for digest in each), dtype=">u8")
        smallest = np.unique(np.concatenate([smallest, short]))[:SKETCH_ROWS]
    names = canonical.encode([column.name for column in columns])
    shape = len(values).to_bytes(8, "big") + names
    fingerprint = hmac.digest(secret, b"table" + rows.to_bytes(64, "big") + shape, "sha256").hex()
    telling = {
        hmac.digest(secret, b"name" + name.encode(), "sha256").hex(): _multiset(
            digests[name], of_name, secret
        )
        for name, of_name in counts.items()
        if len(of_name) >= _TELLING_VALUES
    }
    return Portrait(fingerprint, len(values), tuple(f"{int(digest):016x}" for digest in smallest), telling)


def plain_cell(column: Column, value: int) -> str:
    """A cell as a text that says the same in every format and schema: numbers without trailing zeros, missing empty."""
    if column.missing_index == value:
        return ""
    text = cell_text(column, value)
    if not column.is_numeric:
        return text
    try:
        return format(Decimal(text).normalize(), "f")
    except InvalidOperation:  # a date or a time
        return text


def _digests(
    column: Column,
    own: NDArray[np.int64],
    secret: bytes,
    digests: dict[str, dict[int, bytes]],
    counts: dict[str, dict[int, int]],
) -> NDArray[np.uint8]:
    """uint8[rows, 32] of a column's cells; keeps the digest and the count of every different value."""
    known, seen = digests[column.name], counts[column.name]
    different, inverse, many = np.unique(own, return_inverse=True, return_counts=True)
    for value, count in zip(different.tolist(), many.tolist(), strict=True):
        if value not in known:
            known[value] = hmac.digest(secret, b"cell" + plain_cell(column, value).encode(), "sha256")
        seen[value] = seen.get(value, 0) + count
    table = np.frombuffer(b"".join(known[value] for value in different.tolist()), dtype=np.uint8).reshape(
        -1, 32
    )
    return table[inverse]


def _multiset(digests: Mapping[int, bytes], counts: Mapping[int, int], secret: bytes) -> str:
    """The keyed digest of a column's values with their counts."""
    total = 0
    for value, count in counts.items():
        total += count * int.from_bytes(hmac.digest(secret, b"value" + digests[value], "sha512"), "big")
    return hmac.digest(secret, b"column" + (total % _MODULUS).to_bytes(64, "big"), "sha256").hex()


def _document(seen: Portrait, names: tuple[str, ...]) -> dict[str, JsonValue]:
    return {
        "format": FORMAT,
        "names": list(names),
        "rows": seen.rows,
        "sketch": list(seen.sketch),
        "columns": dict(seen.columns),
    }


def _read(folder: Path) -> dict[str, JsonValue]:
    path = folder / "table.json"
    try:
        document = canonical.decode_object(path.read_bytes())
    except ProvenanceError as error:
        raise StateError(f"{path} is damaged ({error}): restore it from a copy") from error
    if document.get("format") != FORMAT:
        raise StateError(f"{path}: expected the format {FORMAT}: restore it from a copy")
    return document


def _names(folder: Path) -> tuple[str, ...]:
    names = _read(folder)["names"]
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _portrait(folder: Path) -> Portrait:
    document = _read(folder)
    sketch, columns, rows = document["sketch"], document["columns"], document["rows"]
    if not isinstance(sketch, list) or not isinstance(columns, dict) or not isinstance(rows, int):
        raise StateError(f"{folder / 'table.json'} is damaged: restore it from a copy")
    return Portrait(
        folder.name, rows, tuple(map(str, sketch)), {name: str(each) for name, each in columns.items()}
    )
