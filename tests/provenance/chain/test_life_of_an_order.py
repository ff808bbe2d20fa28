"""A whole order against the real contracts on a real chain, and what the contracts refuse on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from provenance.chain.errors import ChainError, RevertError, UnknownDatasetError
from provenance.chain.events import DatasetPublished, OrderMatched, OrderPlaced, OrderSettled
from provenance.chain.ports import DatasetRecord, EvaluationRecord, OrderState, ShardRecord, TxReceipt
from provenance.crypto.merkle import dataset_root
from provenance.crypto.permit import NO_PERMIT, Permit, sign_permit
from provenance.crypto.signing import Signer
from provenance.record.manifest import SeedDraw
from provenance.record.receipts import Acceptance, Evaluation, ShardReceipt, shares_digest
from provenance.record.terms import NO_PARENTS, OrderTerms, Participant, participants_digest
from provenance.table.conditions_bytes import NO_CONDITIONS
from provenance.values import Digest, keccak256, sha256
from tests.provenance.chain.conftest import Market
from tests.provenance.salts import committed, salts_of

ETHER = 10**18
BROKER, BUYER = 11, 12
NODES = (21, 22, 23)
SHARES = (5000, 3000, 2000)


def make_terms(market: Market, salt: bytes, **changes: Any) -> OrderTerms:
    now = market.chain.chain_time()
    terms = OrderTerms(
        buyer=market.account(BUYER)[0].address,
        broker=market.account(BROKER)[0].address,
        collection=sha256(b"collection"),
        request=sha256(b"request"),
        delivery_key=Digest(bytes(32)),
        rows=60,
        epsilon_micro=3_000_000,
        delta_e12=10_000_000,
        min_score_micro=500_000,
        min_contributors=3,
        max_contributors=5,
        broker_fee_bps=500,
        match_by=now + 600,
        deliver_by=now + 1200,
        challenge_seconds=30,
        answer_seconds=60,
        price=10 * ETHER,
        stake=2 * ETHER,
        bond=ETHER,
        royalty_bps=250,
        conditions=NO_CONDITIONS,
        parents=NO_PARENTS,
        schema_digest=sha256(b"schema"),
        size_class=1,
        spec_version=1,
        own_real_micro=1_000_000,
        indivisible=False,
        salt=sha256(salt),
    )
    return replace(terms, **changes)


def permit_for(market: Market, buyer: Signer, terms: OrderTerms) -> Permit:
    message = market.chain.permit_message(buyer.address, terms.price, terms.match_by)
    return sign_permit(buyer, market.chain.token_domain(), message)


def place(market: Market, terms: OrderTerms) -> TxReceipt:
    buyer, _ = market.account(BUYER)
    _, broker = market.account(BROKER)
    signature = buyer.sign_typed(market.chain.domain, terms)
    return broker.place(terms, signature, permit_for(market, buyer, terms))


def staked_nodes(market: Market) -> list[Signer]:
    signers = []
    for number in NODES:
        signer, writer = market.account(number)
        if not market.chain.stake_of(signer.address).registered:
            writer.register(sha256(str(number).encode()))
            writer.approve(market.chain.deployment.registry, 100 * ETHER)
            writer.deposit(50 * ETHER)
        signers.append(signer)
    return signers


def match(market: Market, terms: OrderTerms) -> tuple[Participant, ...]:
    nodes = staked_nodes(market)
    participants = tuple(
        Participant(node.address, rows) for node, rows in zip(nodes, (10, 20, 30), strict=True)
    )
    order = terms.order_id(market.chain.domain)
    acceptances = [
        node.sign_typed(market.chain.domain, Acceptance(order, node.address, 40)) for node in nodes
    ]
    _, broker = market.account(BROKER)
    broker.approve(market.chain.deployment.escrow, 100 * ETHER)
    broker.match_order(terms, participants, acceptances, [40, 40, 40])
    return participants


def commit(market: Market, order: Digest, participants: Sequence[Participant]) -> list[Digest]:
    nodes, domain = staked_nodes(market), market.chain.domain
    models = [sha256(bytes([i])) for i in range(3)]
    bound = [committed(node, domain, order, i, models[i]) for i, node in enumerate(nodes)]
    market.account(BROKER)[1].commit(order, participants, bound)
    return models


def commit_and_draw(market: Market, order: Digest, participants: Sequence[Participant]) -> list[Digest]:
    models = commit(market, order, participants)
    market.mine(3)
    market.account(BROKER)[1].draw_seed(order, *salts_of(order, 3))
    return models


def record_for(
    market: Market, order: Digest, participants: Sequence[Participant], models: Sequence[Digest]
) -> DatasetRecord:
    nodes, domain = staked_nodes(market), market.chain.domain
    seed = market.chain.commitment(order).seed
    assert seed is not None
    roots = [sha256(b"root%d" % i) for i in range(3)]
    shards = []
    for i, node in enumerate(nodes):
        content = sha256(b"content")
        receipt = ShardReceipt(
            order, i, models[i], seed, participants[i].rows, roots[i], 2_000_000, 10_000_000, content
        )
        shards.append(
            ShardRecord(models[i], roots[i], 2_000_000, 10_000_000, content, node.sign_typed(domain, receipt))
        )
    whole = dataset_root(roots)
    evaluations = [
        EvaluationRecord(
            900_000,
            node.sign_typed(
                domain, Evaluation(order, whole, 900_000, shares_digest(SHARES), sha256(b"score"))
            ),
        )
        for node in nodes
    ]
    return DatasetRecord(
        manifest_digest=sha256(b"manifest"),
        score_digest=sha256(b"score"),
        parents=(),
        shares_bps=SHARES,
        shards=tuple(shards),
        evaluations=tuple(evaluations),
    )


def test_refuses_terms_signed_by_another_than_the_buyer(market: Market) -> None:
    terms = make_terms(market, b"foreign signature")
    stranger, _ = market.account(99)
    buyer, broker = market.account(BUYER)[0], market.account(BROKER)[1]
    with pytest.raises(RevertError) as caught:
        broker.place(terms, stranger.sign_typed(market.chain.domain, terms), permit_for(market, buyer, terms))
    assert caught.value.name == "OrderEscrow_InvalidSignature"
    assert caught.value.arguments == {"signer": terms.buyer}


def test_refuses_a_bid_without_funds(market: Market) -> None:
    poor = Signer((77).to_bytes(32, "big"))
    terms = make_terms(market, b"poor", buyer=poor.address)
    _, broker = market.account(BROKER)
    with pytest.raises(RevertError) as caught:
        broker.place(terms, poor.sign_typed(market.chain.domain, terms), permit_for(market, poor, terms))
    assert caught.value.name == "ERC20InsufficientBalance"
    assert caught.value.arguments["needed"] == terms.price


def test_refuses_an_unsigned_permit_without_allowance(market: Market) -> None:
    terms = make_terms(market, b"no permit")
    buyer, broker = market.account(BUYER)[0], market.account(BROKER)[1]
    with pytest.raises(RevertError, match="ERC2612ExpiredSignature"):
        broker.place(terms, buyer.sign_typed(market.chain.domain, terms), NO_PERMIT)


def test_refuses_a_refund_before_the_deadline_and_gives_it_after(market: Market) -> None:
    terms = make_terms(market, b"refund")
    place(market, terms)
    buyer, writer = market.account(BUYER)
    order = terms.order_id(market.chain.domain)
    with pytest.raises(RevertError) as caught:
        writer.refund(terms, ())
    assert caught.value.name == "OrderEscrow_TooEarly"
    assert caught.value.arguments == {"order": bytes(order), "deadline": terms.match_by}
    before = market.chain.balance(buyer.address)
    market.skip(601)
    writer.refund(terms, ())
    assert market.chain.balance(buyer.address) == before + terms.price
    assert market.chain.order(order).state is OrderState.REFUNDED


def test_refuses_a_cancel_by_another_than_the_buyer(market: Market) -> None:
    terms = make_terms(market, b"cancel")
    place(market, terms)
    with pytest.raises(RevertError, match="OrderEscrow_Unauthorized"):
        market.account(BROKER)[1].cancel(terms)
    market.account(BUYER)[1].cancel(terms)
    assert market.chain.order(terms.order_id(market.chain.domain)).state is OrderState.CANCELLED


def test_refuses_a_match_beyond_the_offered_rows(market: Market) -> None:
    terms = make_terms(market, b"rows")
    place(market, terms)
    nodes = staked_nodes(market)
    order, domain = terms.order_id(market.chain.domain), market.chain.domain
    acceptances = [node.sign_typed(domain, Acceptance(order, node.address, 15)) for node in nodes]
    participants = [Participant(node.address, 20) for node in nodes]
    with pytest.raises(RevertError) as caught:
        market.account(BROKER)[1].match_order(terms, participants, acceptances, [15, 15, 15])
    assert caught.value.name == "OrderEscrow_RowsOutsideOffer"
    assert caught.value.arguments == {"contributor": nodes[0].address, "rows": 20, "maxRows": 15}


def test_refuses_arguments_that_do_not_fit_before_sending(market: Market) -> None:
    with pytest.raises(ChainError, match="arguments do not fit"):
        market.account(BROKER)[1].draw_seed(7, [], [])  # type: ignore[arg-type]


def test_says_that_an_unknown_data_set_is_unknown(market: Market) -> None:
    with pytest.raises(UnknownDatasetError, match="no data set 987"):
        market.chain.dataset(987)


def test_whole_life_from_deposit_to_claim(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, (_, broker) = market.chain, market.account(BROKER)
    terms = make_terms(market, b"whole life")
    order = terms.order_id(chain.domain)
    assert chain.hash_terms(terms) == order
    first = chain.block_number() + 1

    placed = place(market, terms)
    assert chain.order(order).state is OrderState.OPEN
    before = {node.address: chain.stake_of(node.address).reserved for node in staked_nodes(market)}
    participants = match(market, terms)
    on_chain = chain.order(order)
    assert on_chain.state is OrderState.MATCHED
    assert on_chain.participants_digest == participants_digest(participants)
    assert chain.participants(order) == participants
    first_node = participants[0].contributor
    assert chain.stake_of(first_node).reserved - before[first_node] == terms.stake_of(participants[0].rows)

    with pytest.raises(RevertError, match="ModelCommitment_NotCommitted"):
        broker.draw_seed(order, *salts_of(order, 3))
    models = commit_and_draw(market, order, participants)
    commitment = chain.commitment(order)
    assert commitment.models == tuple(models)
    assert commitment.models_digest == keccak256(b"".join(models))
    block_hash, drawn = chain.block_hash(commitment.target_block), commitment.seed
    assert block_hash is not None
    assert drawn is not None
    draw = SeedDraw(drawn, commitment.target_block, 1, block_hash, commitment.revealed)
    assert commitment.revealed == tuple(salts_of(order, 3)[1])
    assert commitment.seed == draw.computed(order, commitment.models_digest)

    record = record_for(market, order, participants, models)
    with pytest.raises(RevertError) as caught:
        broker.publish(terms, participants, replace(record, shares_bps=(5000, 3000, 1000)))
    assert caught.value.name == "DatasetRegistry_SharesMismatch"
    assert chain.dataset_of_order(order) is None
    published = broker.publish(terms, participants, record)
    dataset_id = chain.dataset_of_order(order)
    assert dataset_id == chain.dataset_count()
    dataset = chain.dataset(dataset_id)
    assert dataset.manifest_digest == record.manifest_digest
    assert dataset.owner == terms.buyer
    assert dataset.transaction == published.hash
    assert [shard.rows for shard in dataset.shards] == [10, 20, 30]
    assert dataset.epsilon_micro == 2_000_000
    for shard in dataset.shards:
        for again in (1024, 0, 0):  # how many blocks are asked for again; the rest is what was kept
            monkeypatch.setattr("provenance.chain.reader._ASKED_AGAIN", again)
            assert chain.recorded_shards(shard.contributor)[dataset_id] == shard
        market.mine(1)
    assert chain.recorded_shards(terms.buyer) == {}
    assert [each.score_micro for each in dataset.evaluations] == [900_000] * 3

    with pytest.raises(RevertError, match="OrderEscrow_TooEarly"):
        broker.settle(terms, participants, SHARES)
    market.skip(31)
    before = {each.contributor: chain.claimable(each.contributor) for each in participants}
    broker.settle(terms, participants, SHARES)
    assert chain.order(order).state is OrderState.SETTLED
    net = terms.price - terms.price * 500 // 10_000
    assert [chain.claimable(each.contributor) - before[each.contributor] for each in participants] == [
        net * share // 10_000 for share in SHARES
    ]
    node, writer = market.account(NODES[0])
    balance = chain.balance(node.address)
    owed = chain.claimable(node.address)
    writer.claim()
    assert chain.balance(node.address) == balance + owed

    events = chain.events(first, chain.block_number())
    kinds = [type(event) for event in events if getattr(event, "order", None) == order]
    assert kinds.index(OrderPlaced) < kinds.index(OrderMatched) < kinds.index(DatasetPublished)
    assert kinds.index(DatasetPublished) < kinds.index(OrderSettled)
    placing = next(event for event in events if isinstance(event, OrderPlaced))
    assert placing.at.transaction == placed.hash
    assert (placing.buyer, placing.price) == (terms.buyer, terms.price)
