"""Events have the fields of their Solidity events, in order; structs are read by their members' names."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from eth_abi.abi import encode

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, EVENT_ROLES
from provenance.chain.log_decoder import EVENTS


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def declared(event: str) -> list[list[str]]:
    """Argument names of every event of that name, in snake case."""
    entries = (entry for role in EVENT_ROLES for entry in interface(CONTRACTS[role]).events.values())
    return [[snake(each.name) for each in entry.inputs] for entry in entries if entry.name == event]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_event_has_the_fields_of_its_contract(event: type) -> None:
    names = [field.name for field in fields(event)][1:]
    others = {"Transfer": ["from", "to", "token_id"]}
    assert others.get(event.__name__, names) in declared(event.__name__)


def test_a_struct_is_read_by_the_names_of_its_members() -> None:
    models, seed = b"m" * 32, b"s" * 32
    answer = encode(["(bytes32,uint64,uint64,uint32,bytes32)"], [(models, 7, 9, 2, seed)])
    (found,) = interface("ModelCommitment").decode_result("commitmentOf", answer).values()
    expected = {"modelsDigest": models, "commitBlock": 7, "targetBlock": 9, "draws": 2, "seed": seed}
    assert found == expected
