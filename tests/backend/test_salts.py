"""Salts of a seed are told to everybody, once nobody can choose a block by them any more, and only true ones."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from backend.database.models import TaskRow
from backend.ports import BrokerReading, Ports
from backend.salts import salts_of
from provenance.api.queue import WorkState
from provenance.api.tasks import RevealAnswer
from provenance.chain.ports import CommitmentOnChain
from provenance.record.terms import Participant
from provenance.values import Address, Digest, sha256
from tests.backend.conftest import Api
from tests.memory import MemoryChain
from tests.provenance.salts import salt_of
from tests.provenance.salts import salts_of as committed_salts

ORDER = sha256(b"order")
NODES = tuple(Address(bytes([k]) * 20) for k in (1, 2, 3))


@pytest.fixture
def told(ports: Ports) -> tuple[Ports, MemoryChain]:
    """Node 0 told its salt, node 1 another one, node 2 refused; a stranger's answer lies there too."""
    digests, _ = committed_salts(ORDER, 3)
    committed = CommitmentOnChain(ORDER, sha256(b"m"), 5, 7, 1, None, (), (), tuple(digests))
    chain = MemoryChain(
        ports.chain.deployment,
        commitments={ORDER: committed},
        matched={ORDER: tuple(Participant(node, 10) for node in NODES)},
    )
    stranger = Address(bytes([9]) * 20)
    with ports.database.write() as session:
        for node, state, salt in (
            (NODES[0], WorkState.DONE, salt_of(0)),
            (NODES[1], WorkState.DONE, salt_of(2)),
            (NODES[2], WorkState.REFUSED, None),
            (stranger, WorkState.DONE, salt_of(1)),
        ):
            session.add(_task(node, state, salt))
    return replace(ports, chain=cast(BrokerReading, chain)), chain


def _task(node: Address, state: WorkState, salt: Digest | None) -> TaskRow:
    return TaskRow(
        order=str(ORDER),
        node=str(node),
        name="reveal",
        kind="reveal",
        state=state,
        payload=b"x",
        payload_digest=str(sha256(b"x")),
        result=None if salt is None else RevealAnswer(salt=salt).encode(),
        created_at=0,
    )


def test_an_unknown_order_has_none(api: Api) -> None:
    assert api.call("GET", f"/v1/orders/{ORDER}/salts").status_code == 404


def test_nothing_is_told_before_the_hash_is_fixed(told: tuple[Ports, MemoryChain]) -> None:
    ports, _ = told
    assert salts_of(ports, ORDER).salts == ()


def test_what_fits_the_commitment_is_told_afterwards(told: tuple[Ports, MemoryChain]) -> None:
    ports, chain = told
    chain.fixed.add(ORDER)
    assert [(each.shard, each.salt) for each in salts_of(ports, ORDER).salts] == [(0, salt_of(0))]
    chain.fixed.clear()
    chain.commitments[ORDER] = replace(chain.commitments[ORDER], seed=sha256(b"seed"))
    assert len(salts_of(ports, ORDER).salts) == 1
