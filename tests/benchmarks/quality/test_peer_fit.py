"""What peers are told, and what their codes become. No peer runs here."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.quality.child import ChildFailedError, run_child
from benchmarks.quality.peer_fit import (
    BINS_PERCENT,
    code_columns,
    decoded,
    peer_column,
    private_codebook,
    simple_rho,
)
from benchmarks.quality.tables import TABLES
from provenance.table.schema import Schema

SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "facts",
        "target": None,
        "columns": [
            {"name": "few", "type": "integer", "minimum": 1, "maximum": 4},
            {"name": "many", "type": "number", "minimum": "0", "maximum": "50", "multipleOf": "0.01"},
            {"name": "kind", "type": "string", "enum": ["a", "b"], "nullable": True, "missing": "?"},
        ],
    }
)


def test_a_child_that_fails_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ChildFailedError, match=r"exit status 1: .*No module named"):
        run_child(Path(sys.executable), "scripts.no_such_module", [], tmp_path / "log.txt", 60)


def test_a_child_over_its_limit_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("while True: pass\n", encoding="utf-8")
    with pytest.raises(ChildFailedError, match=r"stopped after 0\.2 CPU-s"):
        run_child(Path(sys.executable), "endless", [], tmp_path / "log.txt", 0.2)


def test_peers_get_the_public_facts_of_columns() -> None:
    few, many, kind = map(peer_column, SCHEMA.columns)
    assert few["categories"] == ["1", "2", "3", "4"]
    assert (many["categories"], many["low"], many["high"], many["decimals"]) == ([], 0.0, 50.0, 2)
    assert kind["categories"] == ["a", "b", "?"]


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
def test_the_simple_rho_composes_to_epsilon(epsilon: float) -> None:
    rho = simple_rho(epsilon, 1e-5)
    assert rho + 2 * np.sqrt(rho * np.log(1e5)) == pytest.approx(epsilon)
    assert 0 < BINS_PERCENT < 100


def test_codes_of_private_bins_decode_into_the_cells_they_came_from() -> None:
    table = TABLES["german_credit"]
    rows = table.split(0).train[:200]
    codebook = private_codebook(rows, table.schema, 3.0)
    columns: list[Any] = list(code_columns(codebook))
    assert [len(column["categories"]) for column in columns] == list(codebook.code_counts)
    from generator.marginals.bins import encode_codes

    codes = encode_codes(rows, codebook)
    again = decoded(codes, codebook, 0)
    assert np.array_equal(encode_codes(again, codebook), codes)
    assert (again < np.array(table.schema.cardinalities)).all()
