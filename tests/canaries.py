"""A table with planted rows whose values are nobody else's, and a search for them in bytes."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import numpy as np

from provenance.exact.model import decode_model
from provenance.table.schema import Schema
from provenance.table.table_csv import read_csv

CANARIES, ROWS = 100, 480
LOWEST, STEP, POINTS = 1_000_000_000_000_000, 2_000_003, 4_000_000_000
DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "accounts",
    "target": "closed",
    "columns": [
        {
            "name": "account",
            "type": "integer",
            "minimum": LOWEST,
            "maximum": LOWEST + (POINTS - 1) * STEP,
            "multipleOf": STEP,
        },
        {"name": "town", "type": "string", "enum": ["A", "B", "C"], "nullable": True, "missing": "?"},
        {"name": "closed", "type": "boolean"},
    ],
}
SCHEMA = Schema.parse(DOCUMENT)
HEADER = "account,holder,town,closed"
_CHANCE = random.Random(11)
INDICES = tuple(sorted(_CHANCE.sample(range(POINTS), CANARIES)))
"""Grid points of the planted 16-digit accounts."""
NAMES = tuple(f"Zq{_CHANCE.randrange(10**9):09}xö" for _ in INDICES)
"""Planted strings of a column that the schema does not declare."""
_COMMON = tuple(_CHANCE.sample(range(POINTS), 12))


def write_table(path: Path) -> Path:
    """ROWS lines: the planted ones, each alone with its account and its holder, and twelve shared accounts."""
    chance = random.Random(12)
    planted = list(zip(INDICES, NAMES, strict=True))
    rows = planted + [(chance.choice(_COMMON), "anybody") for _ in range(ROWS - CANARIES)]
    chance.shuffle(rows)
    lines = [HEADER]
    for index, name in rows:
        closed = "true" if chance.random() < 0.3 else "false"
        lines.append(f"{LOWEST + index * STEP},{name},{chance.choice('ABC?')},{closed}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def values(path: Path) -> np.ndarray:
    """The table as grid indices int64[ROWS, 3]."""
    return read_csv(write_table(path), SCHEMA)


def found_in(data: bytes) -> list[str]:
    """Planted values that `data` holds: as text, as 8-byte integers or as floats; accounts and grid points."""
    found = [name for name in NAMES if name.encode() in data]
    for index in INDICES:
        account = LOWEST + index * STEP
        forms = [str(account).encode()]
        for number in (account, index):
            forms += [number.to_bytes(8, order) for order in ("big", "little")]
            forms += [struct.pack(order + "d", number) for order in "<>"]
        if any(form in data for form in forms):
            found.append(str(account))
    return found


def found_in_model(model: bytes) -> list[int]:
    """Planted grid points at which a code of the model begins, ends, or which one singles out."""
    book = decode_model(model).codebook
    own = book.column_codes(0)
    low, width = book.low[own], book.width[own]
    edges = set(np.concatenate([low, low + width - 1, low + width]).tolist())
    return [index for index in INDICES if index in edges]


def found_in_rows(rows: np.ndarray) -> list[int]:
    """Planted grid points among synthetic rows."""
    return sorted(set(rows[:, 0].tolist()) & set(INDICES))
