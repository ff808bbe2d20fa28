"""What a contract tells is read by name: a function that returns many values returns a struct."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ARTIFACTS = Path(__file__).parents[2] / "artifacts/contracts"
MOST_VALUES = 4
STANDARD = {
    "eip712Domain": "ERC-5267 fixes its seven values",
    "latestRoundData": "the uptime feed is Chainlink's, and has five",
}

# Deployed markets stay as they are: a release that reads other words could not verify their data sets any more.
WORDS = {
    "ContributorRegistry.stakeOf": "free reserved unbonding unbondingAt registered",
    "DatasetRegistry.datasetOf": "order manifestDigest recordDigest datasetRoot publishedAt rows depth specVersion "
    "status realFractionMicro royaltyBps",
    "Demands.demandOf": "kind demander answerBy deposit row",
    "ModelCommitment.commitmentOf": "modelsDigest commitBlock targetBlock draws seed",
    "OrderEscrow.orderOf": "state publishedAt participantsDigest sharesDigest bondLeft settleNotBefore openDemands",
}

Abi = Sequence[Mapping[str, Any]]


def wide_functions(contract: str, abi: Abi) -> list[str]:
    """Functions, getters of public variables included, that return more values than can be read without counting."""
    functions = (entry for entry in abi if entry["type"] == "function")
    return [f"{contract}.{entry['name']}" for entry in functions if len(entry["outputs"]) > MOST_VALUES]


def built() -> dict[str, Abi]:
    """ABI of every contract and interface, as the compiler wrote it."""
    files = sorted(ARTIFACTS.rglob("*.json"))
    assert files, f"found no contract in {ARTIFACTS}; run `make setup`"
    return {file.stem: json.loads(file.read_text(encoding="utf-8"))["abi"] for file in files}


def struct_of(getter: str) -> Abi:
    """Members of the one struct that `Contract.function` returns."""
    contract, _, function = getter.partition(".")
    (entry,) = (each for each in built()[contract] if each.get("name") == function)
    (output,) = entry["outputs"]
    members: Abi = output["components"]
    return members


def test_no_function_returns_more_values_than_can_be_told_apart() -> None:
    contracts = built()
    wide = [name for contract, abi in contracts.items() for name in wide_functions(contract, abi)]
    ours = [name for name in wide if name.partition(".")[2] not in STANDARD]
    assert ours == [], "return a struct instead, and read its members by name"
    assert {name.partition(".")[2] for name in wide} == set(STANDARD)


@pytest.mark.parametrize("getter", WORDS)
def test_a_getter_answers_the_same_words_as_in_the_markets_before(getter: str) -> None:
    assert [each["name"] for each in struct_of(getter)] == WORDS[getter].split()


@pytest.mark.parametrize("getter", WORDS)
def test_a_getter_whose_struct_is_taken_apart_is_found(getter: str) -> None:
    contract, _, function = getter.partition(".")
    abi = built()[contract]
    planted = [
        {**entry, "outputs": struct_of(getter)} if entry.get("name") == function else entry for entry in abi
    ]
    assert set(wide_functions(contract, planted)) - set(wide_functions(contract, abi)) == {getter}
