"""The life of an order on chains set to the rules of those that exist: block time, limits of gas, hashes of the past.

Figures as of late 2026. What anvil cannot be is told in docs/security.md: a sequencer, and block numbers
of another chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from provenance.chain.deploy import deploy_all
from provenance.chain.deployment import MarketParameters
from provenance.chain.errors import RevertError
from provenance.chain.events import ModelsCommitted
from provenance.chain.families import ARB_SYS, HISTORY, HISTORY_BLOCKS, OPCODE_BLOCKS, chain_rules
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.finality import LATEST
from provenance.chain.ports import OrderState
from provenance.chain.reader import ChainReader
from provenance.crypto.signing import Signer
from tests import anvil
from tests.provenance.chain.conftest import Market
from tests.provenance.chain.test_life_of_an_order import (
    BROKER,
    NODES,
    SHARES,
    commit,
    commit_and_draw,
    make_terms,
    match,
    place,
    record_for,
)
from tests.provenance.salts import salts_of

ARB_SYS_CODE = "0x366004146013576004354060005260206000f35b4360005260206000f3"
"""arbBlockNumber() and arbBlockHash(number), for a chain that counts its blocks itself."""


@dataclass(frozen=True, slots=True)
class Family:
    """Rules of a chain.

    block_seconds: between the times of two blocks, 0 for several a second. block_gas: of all transactions of a block.
    has_history: EIP-2935 stands. has_arb_sys: contracts ask Arbitrum's own contract for blocks.
    """

    name: str
    chain_id: int
    block_seconds: int
    block_gas: int
    has_history: bool
    has_arb_sys: bool = False


FAMILIES = [
    Family("Ethereum", 1, 12, 60_000_000, has_history=True),
    Family("Base", 8453, 2, 400_000_000, has_history=True),
    Family("Arbitrum", 42161, 0, 32_000_000, has_history=False, has_arb_sys=True),
    Family("tightest", 10, 1, TRANSACTION_GAS_CAP, has_history=False),
]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


@pytest.fixture(scope="module")
def market(family: Family) -> Iterator[Market]:
    rules = ("--hardfork", "osaka", "--enable-tx-gas-limit")
    sizes = ("--gas-limit", str(family.block_gas), "--chain-id", str(family.chain_id))
    with anvil.running_anvil(*rules, *sizes) as url:
        deployment = deploy_all(
            url, Signer(anvil.DEVELOPMENT_KEY), MarketParameters.local(unbonding_seconds=60)
        )
        # Blocks come with transactions only: nothing would ever be `safe`.
        with ChainReader(url, deployment, finality=LATEST) as chain:
            chain.rpc.request("anvil_setBlockTimestampInterval", family.block_seconds)
            if not family.has_history:
                chain.rpc.request("anvil_setCode", str(HISTORY), "0x")
            if family.has_arb_sys:
                chain.rpc.request("anvil_setCode", str(ARB_SYS), ARB_SYS_CODE)
            yield Market(url, chain)


def test_an_order_lives_from_deposit_to_claim(market: Market, family: Family) -> None:
    chain, broker = market.chain, market.account(BROKER)[1]
    first = chain.block_number() + 1
    terms = make_terms(market, b"life")
    order = terms.order_id(chain.domain)
    assert chain.domain.chain_id == family.chain_id
    place(market, terms)
    participants = match(market, terms)
    models = commit_and_draw(market, order, participants)
    commitment = chain.commitment(order)
    (committed,) = (
        event for event in chain.events(first, chain.block_number())
        if isinstance(event, ModelsCommitted) and event.order == order
    )  # fmt: skip
    assert commitment.commit_block == committed.at.block, (
        "blocks have the numbers under which nodes show them"
    )
    assert chain.block_hash(commitment.target_block) is not None
    broker.publish(terms, participants, record_for(market, order, participants, models))
    market.skip(terms.challenge_seconds + 1)
    broker.settle(terms, participants, SHARES)
    assert chain.order(order).state is OrderState.SETTLED
    node, writer = market.account(NODES[0])
    owed = chain.claimable(node.address)
    writer.claim()
    assert owed > 0
    assert chain.claimable(node.address) == 0
    for number in range(first, chain.block_number() + 1):
        block = chain.rpc.request("eth_getBlockByNumber", hex(number), True)
        assert int(block["gasLimit"], 16) == family.block_gas
        assert all(int(each["gas"], 16) <= TRANSACTION_GAS_CAP for each in block["transactions"])


def test_a_late_seed_is_drawn_where_the_chain_knows_its_block_and_redrawn_elsewhere(
    market: Market, family: Family
) -> None:
    chain, broker = market.chain, market.account(BROKER)[1]
    reach = HISTORY_BLOCKS if family.has_history else OPCODE_BLOCKS
    assert chain_rules(chain, family.chain_id).hash_blocks == reach, "as certificates say it"
    chain.rpc.request("anvil_setBlockTimestampInterval", 0)  # what counts here are blocks, not their times
    terms = make_terms(market, b"late")
    order = terms.order_id(chain.domain)
    place(market, terms)
    commit(market, order, match(market, terms))
    # The draw would be in the block after the newest: one too late for the opcode.
    market.mine(chain.commitment(order).target_block + OPCODE_BLOCKS - chain.block_number())
    if not family.has_history:
        with pytest.raises(RevertError, match="ModelCommitment_DrawMissed"):
            broker.draw_seed(order, *salts_of(order, 3))
        broker.redraw(order)
        market.mine(3)
    broker.draw_seed(order, *salts_of(order, 3))
    drawn = chain.commitment(order)
    assert (drawn.seed is not None, drawn.draws) == (True, 1 if family.has_history else 2)
