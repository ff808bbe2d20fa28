"""What a download does with a data set that is false: the file is not written, a challenge is offered or sent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from provenance.verify.certificate import Certificate
from tessera.cli.disputes import PROVEN, STANDING, challenge_delivery
from tessera.errors import FalseDatasetError
from tests.provenance.verify.publication import DATASET
from tests.tessera.client.test_challenge import World, world


def refuted(false: World, to: Path, *, send: bool) -> FalseDatasetError:
    def challenge_of(_dataset: int, *, file: Path) -> Any:
        false.file = file
        return false.challenge()

    client: Any = SimpleNamespace(challenge_of=challenge_of)
    error = FalseDatasetError(DATASET, Certificate("x", "0x", 1, ()))
    after = challenge_delivery(client, error, to, send=send)
    assert not to.exists()
    return after


def test_a_challenge_is_sent_when_that_was_asked_for(tmp_path: Path) -> None:
    false = world(tmp_path)
    error = refuted(false, tmp_path / "rows.csv", send=True)
    assert error.exit_code == PROVEN
    assert "the chain has revoked it and paid you back" in str(error)
    assert false.chain.calls == ["commit", "reveal"]
    assert not (tmp_path / "rows.csv.challenge.json").exists()


def test_with_nobody_to_ask_the_command_is_named_and_nothing_sent(tmp_path: Path) -> None:
    false = world(tmp_path)
    error = refuted(false, tmp_path / "rows.csv", send=False)
    assert error.exit_code == STANDING
    assert "row 5 of shard 1" in str(error)
    assert f"`tessera challenge --dataset {DATASET} --all`" in str(error)
    assert false.chain.calls == []


def test_a_data_set_whose_rows_are_true_is_not_challenged(tmp_path: Path) -> None:
    true = world(tmp_path, edit=lambda drafts: None)
    for send in (False, True):
        error = refuted(true, tmp_path / "rows.csv", send=send)
        assert error.exit_code == STANDING
        assert "no single row of it is" in str(error)
    assert true.chain.calls == []


def test_a_chain_that_would_not_convict_leaves_it_standing(tmp_path: Path) -> None:
    false = world(tmp_path)
    false.chain.disagree = True
    error = refuted(false, tmp_path / "rows.csv", send=True)
    assert error.exit_code == STANDING
    assert "could not be shown to the chain" in str(error)
    assert false.chain.calls == []
