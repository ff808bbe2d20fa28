"""What a buyer pins, written and read; a file of before reads as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.units import TOKENS, TokenUnit
from provenance.values import Address
from tessera.client.profile import NetworkProfile, load_profile
from tessera.errors import UsageError
from tests.provenance.verify.publication import Builder

BROKER = Address(b"\xb0" * 20)


@pytest.fixture(scope="module")
def profile() -> NetworkProfile:
    return NetworkProfile(
        "https://market.example", "https://node.example", BROKER, Builder().build().chain.deployment
    )


@pytest.mark.parametrize("unit", [TOKENS, TokenUnit(18, "DAI"), TokenUnit(6, "USDC"), TokenUnit(6)])
def test_a_profile_reads_back_with_the_token_s_unit(
    profile: NetworkProfile, unit: TokenUnit, tmp_path: Path
) -> None:
    made = replace(profile, deployment=replace(profile.deployment, unit=unit))
    made.write(tmp_path / "network.json")
    assert load_profile(tmp_path / "network.json") == made
    document = json.loads((tmp_path / "network.json").read_text())
    old = {"format", "api", "rpc", "broker", "deployment"}
    assert set(document) == (old if unit == TOKENS else {*old, "token"})
    assert ("token" in document["deployment"]) == (unit.decimals != 18), (
        "who knows 18 decimals only reads on, or stops"
    )


def test_two_words_about_the_decimals_are_refused(profile: NetworkProfile, tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    replace(profile, deployment=replace(profile.deployment, unit=TokenUnit(6, "USDC"))).write(file)
    document = json.loads(file.read_text())
    document["token"]["decimals"] = 18
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="token has 18 decimals, the deployment 6"):
        load_profile(file)
