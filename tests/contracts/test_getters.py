"""What a contract tells is read by name: a function that returns many values returns a struct."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ARTIFACTS = Path(__file__).parents[2] / "artifacts/contracts"
MOST_VALUES = 4
STANDARD = {"TestToken.eip712Domain": "ERC-5267 fixes its seven values"}

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


def test_no_function_returns_more_values_than_can_be_told_apart() -> None:
    contracts = built()
    wide = [name for contract, abi in contracts.items() for name in wide_functions(contract, abi)]
    assert wide == list(STANDARD), "return a struct instead, and read its members by name"


@pytest.mark.parametrize(
    ("contract", "getter"),
    [
        ("ContributorRegistry", "stakeOf"),
        ("DatasetRegistry", "datasetOf"),
        ("DatasetSales", "saleOf"),
        ("Demands", "demandOf"),
        ("ModelCommitment", "commitmentOf"),
        ("OrderEscrow", "orderOf"),
    ],
)
def test_a_getter_whose_struct_is_taken_apart_is_found(contract: str, getter: str) -> None:
    abi = built()[contract]
    planted = [
        {**entry, "outputs": entry["outputs"][0]["components"]} if entry.get("name") == getter else entry
        for entry in abi
    ]
    assert wide_functions(contract, abi) == []
    assert wide_functions(contract, planted) == [f"{contract}.{getter}"]
