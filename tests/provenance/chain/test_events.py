"""Every interpreted event has the fields of its Solidity event, in their order."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

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
