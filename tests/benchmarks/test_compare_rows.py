"""Rows of the contract RowVerifier beside those made here, on random models, seeds, rows and conditions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.compare_rows import Verifier, compare, expected_row, main, running_anvil
from benchmarks.random_models import RandomModels
from provenance.exact.model import AutoregressiveModel


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with running_anvil() as url:
        connected = Verifier(url)
        yield connected
        connected.close()


def test_two_hundred_rows_agree(verifier: Verifier, capsys: pytest.CaptureFixture[str]) -> None:
    *_, count = compare(verifier, 200, seed=7)
    assert count.rows >= 200
    assert count.conditioned >= 50
    assert count.different == 0, capsys.readouterr().err


def test_a_row_that_differs_is_counted_and_told(
    verifier: Verifier, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verifier, "row", lambda *_: b"another row")
    count = next(iter(compare(verifier, 1, seed=7)))
    assert count.different == count.rows
    assert capsys.readouterr().err.count("found 616e6f74686572") == count.rows


def test_the_command_ends_with_success_where_all_rows_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--comparisons", "12", "--seed", "3"]) == 0
    assert "12 rows of 1 models compared" in capsys.readouterr().out


def test_random_models_have_both_architectures_and_wide_layers() -> None:
    random = RandomModels(1)
    models = [random.model()[0] for _ in range(40)]
    deep = [model for model in models if not isinstance(model, AutoregressiveModel)]
    assert 5 < len(deep) < 35
    assert any(len(layer.bias) > 128 for model in deep for layer in model.hidden)
    assert any((layer.weights == -128).any() for model in deep for layer in model.hidden)


def test_conditions_that_allow_no_code_have_no_row() -> None:
    random = RandomModels(2)
    model, data = random.model()
    book = model.codebook
    beyond = int((book.low + book.width).max())
    assert expected_row(model, data, random.seed(), 0, 0, {0: [(beyond, beyond)]}) is None
