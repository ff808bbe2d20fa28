"""Over a real chain: a data set with a parent, royalties, payout addresses, demands, and a model proven to be none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from generator.node.untrained import untrained_model
from provenance.chain.disputes import MODEL_CLAIM_CHUNK, DemandKind, Verdict
from provenance.chain.errors import RevertError
from provenance.chain.ports import DatasetStatus, OrderState
from provenance.crypto.signing import Signer
from provenance.record.receipts import Payout
from provenance.record.terms import OrderTerms, Participant, parents_digest
from provenance.values import Digest, keccak256, sha256
from tests.anvil import running_anvil
from tests.provenance.chain.conftest import ETHER, Market, deployed
from tests.provenance.chain.test_life_of_an_order import (
    BROKER,
    BUYER,
    NODES,
    SHARES,
    commit_and_draw,
    make_terms,
    match,
    place,
    record_for,
)
from tests.provenance.verify.publication import SCHEMA

MODELS = json.loads((Path(__file__).parents[2] / "vectors" / "model.json").read_text())["models"]
ROWS = json.loads((Path(__file__).parents[2] / "vectors" / "rows.json").read_text())["rows"]


@dataclass
class Published:
    terms: OrderTerms
    participants: tuple[Participant, ...]
    models: list[Digest]
    id: int
    order: Digest


def publish(
    market: Market, salt: bytes, *, parents: tuple[int, ...] = (), own: int = 1_000_000, **changes: Any
) -> Published:
    terms = make_terms(market, salt, parents=parents_digest(parents), own_real_micro=own, **changes)
    place(market, terms)
    order = terms.order_id(market.chain.domain)
    participants = match(market, terms)
    models = commit_and_draw(market, order, participants)
    record = record_for(market, order, participants, models)
    _, broker = market.account(BROKER)
    broker.publish(terms, participants, replace(record, parents=parents))
    dataset_id = market.chain.dataset_of_order(order)
    assert dataset_id is not None
    return Published(terms, participants, models, dataset_id, order)


def settle(market: Market, published: Published, parents: tuple[int, ...] = ()) -> None:
    market.skip(published.terms.challenge_seconds + 1)
    _, broker = market.account(BROKER)
    broker.settle(published.terms, published.participants, SHARES, parents)


@pytest.fixture(scope="module")
def market() -> Iterator[Market]:
    """On a chain of its own: stakes, balances and times here are nobody else's."""
    with running_anvil() as url, deployed(url) as market:
        yield market


@pytest.fixture(scope="module")
def parent(market: Market) -> Published:
    found = publish(market, b"a parent")
    settle(market, found)
    return found


def test_parents_other_than_the_terms_name_are_refused(market: Market, parent: Published) -> None:
    terms = make_terms(market, b"orphan")
    place(market, terms)
    order = terms.order_id(market.chain.domain)
    participants = match(market, terms)
    models = commit_and_draw(market, order, participants)
    record = replace(record_for(market, order, participants, models), parents=(parent.id,))
    _, broker = market.account(BROKER)
    with pytest.raises(RevertError) as caught:
        broker.publish(terms, participants, record)
    assert caught.value.name == "DatasetRegistry_WrongParents"


def test_a_derived_data_set_pays_its_parent_and_the_pot_goes_to_its_contributors(
    market: Market, parent: Published
) -> None:
    chain = market.chain
    child = publish(market, b"a child", parents=(parent.id,), own=250_000)
    record = chain.dataset(child.id)
    assert (record.parents, record.depth) == ((parent.id,), 1)
    assert (record.real_fraction_micro, record.royalty_bps) == (250_000, 250)
    pot = chain.dataset_balance(parent.id)
    settle(market, child, (parent.id,))
    royalty = child.terms.price * 250 // 10_000
    assert chain.dataset_balance(parent.id) == pot + royalty
    signers = [market.account(number)[0] for number in NODES]
    owed = [chain.claimable(each.address) for each in signers]
    _, stranger = market.account(77)
    stranger.distribute(parent.id, parent.participants, SHARES)
    parts = [(pot + royalty) * share // 10_000 for share in SHARES]
    assert [chain.claimable(each.address) for each in signers] == [
        a + b for a, b in zip(owed, parts, strict=True)
    ]
    assert chain.dataset_balance(parent.id) == pot + royalty - sum(parts)


def test_rewards_go_where_the_contributor_says_by_signature(market: Market, parent: Published) -> None:
    chain = market.chain
    signer, other = market.account(NODES[0])[0], Signer(b"\x5a" * 32)
    assert chain.payout_of(signer.address) == signer.address
    message = Payout(
        signer.address, other.address, chain.payout_nonce(signer.address), chain.chain_time() + 600
    )
    _, relayer = market.account(77)
    forged = Signer(b"\x5b" * 32).sign_typed(chain.domain, message)
    with pytest.raises(RevertError) as caught:
        relayer.set_payout(message.account, message.payout, message.deadline, forged)
    assert caught.value.name == "Rewards_InvalidSignature"
    signature = signer.sign_typed(chain.domain, message)
    relayer.set_payout(message.account, message.payout, message.deadline, signature)
    assert chain.payout_of(signer.address) == other.address
    owed = chain.claimable(signer.address)
    assert owed > 0
    relayer.claim_for(signer.address)
    assert (chain.claimable(signer.address), chain.balance(other.address)) == (0, owed)


def test_an_answered_demand_keeps_the_window_open(market: Market) -> None:
    chain = market.chain
    found = publish(market, b"asked", challenge_seconds=100)
    _, buyer = market.account(BUYER)
    buyer.approve(chain.deployment.demands, ETHER)
    buyer.demand_model(found.terms, found.participants, found.id, 1, found.models)
    demand = chain.demand(found.order, 1)
    assert (demand.kind, demand.demander, demand.is_open) == (DemandKind.MODEL, buyer.address, True)
    assert demand.deposit == found.terms.price * found.participants[1].rows // found.terms.rows // 10
    assert not chain.demand(found.order, 0).is_open
    _, node = market.account(NODES[1])
    with pytest.raises(RevertError) as caught:
        node.answer_model(found.order, 1, b"another")
    assert caught.value.name == "Disputes_WrongModel"
    before = chain.balance(node.address)
    market.skip(10)
    node.answer_model(found.order, 1, bytes([1]))
    assert chain.balance(node.address) == before, "the deposit is burned: waiting to be asked earns nothing"
    order = chain.order(found.order)
    assert order.open_demands == 0
    assert order.settle_not_before == chain.chain_time() + 100
    assert order.window_ends(100) == order.settle_not_before > order.published_at + 100


def test_bytes_that_are_no_model_revoke_their_shard(market: Market) -> None:
    chain = market.chain
    found = publish(market, b"no model")
    _, challenger = market.account(78)
    salt = sha256(b"salt of the challenge")
    words = b"".join(word.to_bytes(32, "big") for word in (found.id, 2, MODEL_CLAIM_CHUNK, 0))
    commitment = keccak256(bytes(12) + challenger.address + words + salt)
    assert chain.challenge_committed_at(commitment) == 0
    challenger.challenge_commit(commitment)
    assert chain.challenge_committed_at(commitment) == chain.block_number()
    market.mine(1)
    before = chain.balance(challenger.address)
    challenger.challenge_model(
        found.terms, found.participants, found.id, 2, found.models, bytes([2]), (), salt
    )
    assert chain.dataset(found.id).status == DatasetStatus.REDUCED
    assert chain.dataset(found.id).revoked == {2}
    assert chain.order(found.order).state is OrderState.PUBLISHED
    assert chain.shards(found.order).out == {2}
    assert chain.balance(challenger.address) == before + found.terms.stake_of(found.participants[2].rows) // 2
    names = [event.name for event in chain.events(chain.block_number(), chain.block_number())]
    assert {"FalseModel", "ShardRevoked", "ShardConvicted", "StakeSlashed"} <= set(names)


@dataclass
class Question:
    """One row of the shared vectors, alone in its shard."""

    model_digest: Digest
    seed: Digest
    schema_digest: Digest
    size_class: int
    shard: int
    shard_rows: int
    request_row: int
    chunk: int
    row: int


def test_the_chain_judges_a_row_as_the_vectors_say(market: Market) -> None:
    chain = market.chain
    case = next(each for each in ROWS if each["row"] == 0 and each["attempt"] == 0)
    model = bytes.fromhex(next(each["bytes"] for each in MODELS if each["name"] == case["model"])[2:])
    schema = Digest(model[16:48])
    question = Question(sha256(model), Digest.parse(case["seed"]), schema, 1, case["shard"], 1, 0, 0, 0)
    row = bytes.fromhex(case["rowBytes"][2:])
    assert chain.model_verdict(model, question.schema_digest, 1) is Verdict.AGREES
    assert chain.model_verdict(model, Digest(b"\x01" * 32), 1) is Verdict.OTHER_SCHEMA
    assert chain.model_verdict(model[:-1], question.schema_digest, 1) is Verdict.MALFORMED
    # What a node commits to when its broker never trained with it is sound in the same eyes.
    untrained = untrained_model(SCHEMA)
    assert chain.model_verdict(untrained, SCHEMA.digest, 1) is Verdict.AGREES
    assert chain.row_of(model, b"", question) == row
    assert chain.verdict(model, b"", question, row) is Verdict.AGREES
    assert chain.verdict(model, b"", question, bytes([row[0] ^ 1]) + row[1:]) is Verdict.DIFFERS
    with pytest.raises(RevertError) as caught:
        chain.verdict(model + b"\0", b"", question, row)
    assert caught.value.name == "RowVerifier_WrongModel"


def test_model_bytes_are_stored_once_at_an_address_known_before(market: Market) -> None:
    part = b"part of a model"
    at = market.chain.model_part(part)
    assert not market.chain.is_contract(at)
    _, anyone = market.account(77)
    anyone.store_model_part(part)
    anyone.store_model_part(part)
    assert market.chain.rpc.request("eth_getCode", str(at), "latest") == "0x00" + part.hex()
