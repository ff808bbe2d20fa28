"""A market with an uptime feed: what the newest blocks know of an outage, a broker that looks deeper knows too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.errors import OrderFailedError
from backend.workflow.generate import Generation
from backend.workflow.settle import Settlement
from provenance.chain.deploy import deploy_all
from provenance.chain.deployment import MarketParameters
from provenance.chain.finality import Finality
from provenance.chain.reader import ChainReader
from provenance.chain.rpc import Rpc
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer
from provenance.values import Address
from tests import anvil
from tests.backend.conftest import Api, Chain
from tests.backend.test_order_workflow import World, drawn
from tests.backend.test_order_workflow import world as world
from tests.provenance.chain.uptime_feeds import feed_code

FEED = Address(b"\xfe" * 20)


@pytest.fixture(scope="session")
def chain() -> Iterator[Chain]:
    bank = Signer(anvil.DEVELOPMENT_KEY)
    with anvil.running_anvil() as url:
        with contextlib.closing(Rpc(url)) as rpc:
            rpc.request("anvil_setCode", str(FEED), feed_code(0, 0))
        chosen = replace(MarketParameters.local(unbonding_seconds=60), uptime_feed=FEED)
        with ChainReader(url, deploy_all(url, bank, chosen)) as reader:
            yield Chain(url, reader, ChainWriter(reader, bank))


def test_an_outage_over_the_deadline_ends_no_order_of_a_broker_that_waits_for_deep_blocks(
    world: World, api: Api, buyer: Signer, chain: Chain, broker: Signer
) -> None:
    """Before: its clock was the newest block, its deadline that of a block before the outage. It gave up, and its whole
    bond was burned."""
    order = api.order(buyer, world.collection, challengeSeconds=30)
    generation = drawn(world, api, chain, order)
    reader, number = chain.reader, generation.order()[0].id
    chain.mine(12)
    chain.skip(reader.deadline(number) - reader.chain_time() + 3600)
    reader.rpc.request("anvil_setCode", str(FEED), feed_code(0, reader.chain_time()))
    chain.mine(1)
    with ChainReader(chain.url, reader.deployment, finality=Finality("latest", 8)) as deep:
        ports = replace(api.ports, chain=deep, writer=ChainWriter(deep, broker))
        assert deep.chain_time() > deep.deadline(number), "as it stood before the outage"
        assert not deep.is_overdue(number)
        Generation(ports, order)._require_time("the score")
        chain.skip(reader.deadline(number) - reader.chain_time() + 1)
        chain.mine(9)
        assert deep.is_overdue(number)
        with pytest.raises(OrderFailedError, match="the deadline passed before the score"):
            Generation(ports, order)._require_time("the score")
    assert Settlement(api.ports, order, Generation(api.ports, order)).give_back("the test is over")
