from __future__ import annotations

import numpy as np
import pytest

from provenance.errors import ModelError
from provenance.exact.codebook import Codebook
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "t",
        "columns": [
            {"name": "a", "type": "integer", "minimum": 0, "maximum": 9},
            {"name": "b", "type": "string", "enum": ["x", "y"], "nullable": True},
        ],
    }
)


def book(
    counts: tuple[int, ...] = (2, 3),
    sizes: tuple[int, ...] = (1, 1),
    low: tuple[int, ...] = (0, 5, 0, 1, 2),
    width: tuple[int, ...] = (5, 5, 1, 1, 1),
) -> Codebook:
    return Codebook(counts, sizes, np.array(low, dtype=np.int64), np.array(width, dtype=np.int64))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"counts": (), "sizes": ()}, "found 0 code counts"),
        ({"sizes": (1,)}, "1 value widths"),
        ({"counts": (5, 0)}, "column 1: found 0 codes, expected 1 to 4095"),
        ({"counts": (4096, 3)}, "column 0: found 4096 codes"),
        ({"sizes": (1, 5)}, "column 1: found values of 5 bytes"),
        ({"counts": (2, 2)}, r"expected \(4,\)"),
        ({"low": (0, 252, 0, 1, 2)}, r"code 1: found the range 252 \+ 5, .* an end of at most 256"),
        ({"width": (0, 5, 1, 1, 1)}, r"code 0: found the range 0 \+ 0"),
        ({"low": (-1, 5, 0, 1, 2)}, "code 0"),
    ],
)
def test_refuses_ranges_that_no_row_could_hold(fields: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        book(**fields)


def test_refuses_a_schema_with_fewer_values_or_other_widths() -> None:
    with pytest.raises(ModelError, match="code 1: ends at value 11, beyond the schema's 10"):
        book(width=(5, 6, 1, 1, 1)).check_schema(SCHEMA)
    with pytest.raises(ModelError, match="made for another schema"):
        book(sizes=(2, 1)).check_schema(SCHEMA)


def test_knows_where_each_columns_codes_lie() -> None:
    made = book()
    made.check_schema(SCHEMA)
    assert (made.columns, made.codes, made.row_width, made.offsets) == (2, 5, 2, (0, 2, 5))
    assert made.column_codes(1) == slice(2, 5)


def test_cannot_be_changed_after_its_check() -> None:
    with pytest.raises(ValueError, match="read-only"):
        book().low[0] = 300
