from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from provenance.errors import IntegrityError
from provenance.exact import tables
from provenance.exact.tables import load_tables
from tests.provenance.exact.make_tables import make_tables


def test_refuses_a_file_that_is_not_the_published_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    damaged = bytearray(make_tables())
    damaged[100] ^= 1
    (tmp_path / "tables_v1.bin").write_bytes(damaged)
    monkeypatch.setattr(resources, "files", lambda _: tmp_path)
    tables.load_tables.cache_clear()
    try:
        with pytest.raises(IntegrityError, match="install the package again"):
            load_tables()
    finally:
        tables.load_tables.cache_clear()


def test_the_published_file_follows_its_recipe() -> None:
    assert resources.files("provenance.exact").joinpath("tables_v1.bin").read_bytes() == make_tables()


def test_the_tables_have_the_shape_the_bound_relies_on() -> None:
    made = load_tables()
    assert made.normal.shape == (256,)
    assert (made.normal.min(), made.normal.max()) == (3, 125)
    assert (made.normal.astype(int) + made.normal[::-1] == 128).all()
    assert made.exp.shape == (769,)
    assert (made.exp[0], made.exp[-1]) == (2**20, 6)
    assert (made.exp[1:] <= made.exp[:-1]).all()
