"""The network file's settings about the chain: read, written, refused, and the defaults of files without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provenance.chain.finality import LATEST, Finality
from provenance.crypto.signing import Signer, create_key
from tessera.client.client import Client
from tessera.client.profile import NetworkProfile, load_profile
from tessera.errors import UsageError
from tests.generator.node.conftest import DEPLOYMENT

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
