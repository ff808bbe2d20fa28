"""What a buyer pins: written, read, refused, and the defaults of files without it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.chain.finality import LATEST, Finality
from provenance.crypto.signing import Signer, create_key
from provenance.units import TOKENS, TokenUnit
from tessera.client.client import Client
from tessera.client.profile import NetworkProfile, load_profile
from tessera.errors import UsageError
from tests.generator.node.memory import DEPLOYMENT

BROKER = Signer(bytes([7]) * 32).address
PROFILE = NetworkProfile("http://api", "http://rpc", BROKER, DEPLOYMENT, finality="3", max_fee_gwei=40)


def test_profile_comes_back_as_written(tmp_path: Path) -> None:
    PROFILE.write(tmp_path / "network.json")
    assert load_profile(tmp_path / "network.json") == PROFILE


def test_profile_of_before_has_what_fits_its_chain(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    PROFILE.write(path)
    document = json.loads(path.read_text())
    del document["finality"], document["maxFeeGwei"]
    path.write_text(json.dumps(document))
    loaded = load_profile(path)
    assert (loaded.finality, loaded.max_fee_gwei) == ("", 1_000)
    with Client(loaded) as client:
        assert client.chain.finality == LATEST


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("finality", "soon", "finality is 'soon', expected latest, safe, finalized or a number of blocks"),
        ("maxFeeGwei", 0, "maxFeeGwei is 0, expected a whole number of gwei"),
        ("maxFeeGwei", "9", "maxFeeGwei is '9', expected a whole number of gwei"),
        ("maxFeeGwei", True, "maxFeeGwei is True, expected a whole number of gwei"),
    ],
)
def test_profile_that_cannot_be_followed_is_refused(
    tmp_path: Path, member: str, value: object, message: str
) -> None:
    path = tmp_path / "network.json"
    PROFILE.write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), member: value}))
    with pytest.raises(UsageError, match=message):
        load_profile(path)


def test_client_reads_as_deep_as_its_profile_says(tmp_path: Path) -> None:
    create_key(tmp_path / "wallet.key")
    with Client(PROFILE, wallet=tmp_path / "wallet.key") as client:
        assert client.chain.finality == Finality.parse("3")
        assert client.writer.chain is client.chain


@pytest.mark.parametrize("unit", [TOKENS, TokenUnit(18, "DAI"), TokenUnit(6, "USDC"), TokenUnit(6)])
def test_profile_comes_back_with_the_unit_of_the_token(unit: TokenUnit, tmp_path: Path) -> None:
    made = replace(PROFILE, deployment=replace(DEPLOYMENT, unit=unit))
    made.write(tmp_path / "network.json")
    assert load_profile(tmp_path / "network.json") == made
    document = json.loads((tmp_path / "network.json").read_text())
    known = {"format", "api", "rpc", "broker", "deployment", "finality", "maxFeeGwei"}
    assert set(document) == (known if unit == TOKENS else {*known, "token"})
    assert ("token" in document["deployment"]) == (unit.decimals != 18), (
        "who knows 18 decimals only reads on, or stops"
    )


def test_two_words_about_the_decimals_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    replace(PROFILE, deployment=replace(DEPLOYMENT, unit=TokenUnit(6, "USDC"))).write(file)
    document = json.loads(file.read_text())
    document["token"]["decimals"] = 18
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="token has 18 decimals, the deployment 6"):
        load_profile(file)
