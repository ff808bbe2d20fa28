"""What a download does with a data set that is false: the file is not written, and the lie is offered or sent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tessera.client import refuting
from tessera.client.challenging import REFUTED, STANDING
from tessera.client.refuting import challenge_path, refute_delivery
from tessera.errors import FalseDatasetError
from tests.provenance.verify.publication import DATASET, KEY
from tests.tessera.client.test_challenge import CHALLENGER, World, world


def refuted(false: World, to: Path, monkeypatch: pytest.MonkeyPatch, *, send: bool) -> FalseDatasetError:
    chain = false.chain
    buyer = SimpleNamespace(profile=None, wallet=CHALLENGER, ledger=chain, delivery_key=KEY)
    found = SimpleNamespace(dataset_id=DATASET, store=chain.published.store)

    def session(_profile: Any, wallet: Any, ledger: Any) -> Any:
        return SimpleNamespace(ledger=ledger, writer=ledger, wallet=wallet)

    monkeypatch.setattr(refuting, "ChainSession", session)
    with pytest.raises(FalseDatasetError) as caught:
        refute_delivery(buyer, found, to, send=send)  # type: ignore[arg-type]
    assert not to.exists()
    return caught.value


def test_a_lie_is_sent_when_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    false = world(tmp_path)
    error = refuted(false, tmp_path / "rows.csv", monkeypatch, send=True)
    assert error.exit_code == REFUTED
    assert "the chain has revoked it and paid you back" in str(error)
    assert false.chain.calls == ["commit", "reveal"]
    assert not challenge_path(tmp_path / "rows.csv").exists()


def test_with_nobody_to_ask_the_command_is_named_and_nothing_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = world(tmp_path)
    error = refuted(false, tmp_path / "rows.csv", monkeypatch, send=False)
    assert error.exit_code == STANDING
    assert "row 5 of shard 1" in str(error)
    assert f"`tessera challenge --dataset {DATASET} --all`" in str(error)
    assert false.chain.calls == []


def test_a_data_set_whose_rows_are_true_is_not_challenged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = world(tmp_path, edit=lambda drafts: None)
    for send in (False, True):
        error = refuted(true, tmp_path / "rows.csv", monkeypatch, send=send)
        assert error.exit_code == STANDING
        assert "no single row of it is" in str(error)
    assert true.chain.calls == []


def test_a_chain_that_would_not_convict_leaves_the_lie_standing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = world(tmp_path)
    false.chain.disagree = True
    error = refuted(false, tmp_path / "rows.csv", monkeypatch, send=True)
    assert error.exit_code == STANDING
    assert "could not be shown to the chain" in str(error)
    assert false.chain.calls == []
