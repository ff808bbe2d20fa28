"""A stranger draws a seed on the real contracts, with salts from the chain, the market or by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import pytest

from provenance.chain.disputes import DemandKind
from provenance.chain.errors import RevertError
from provenance.record.receipts import salt_digest
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Digest, sha256
from tessera.client.draw import MISSED, MissedDrawError, SeedDraw
from tessera.errors import TesseraError, UsageError
from tests.provenance.chain.conftest import Market
from tests.provenance.chain.test_life_of_an_order import BROKER, make_terms, match, place, staked_nodes
from tests.provenance.salts import committed, salt_of

STRANGER = 31
Commit: TypeAlias = Callable[[bytes], tuple[SeedDraw, OrderTerms, tuple[Participant, ...]]]


def nobody_asked() -> dict[int, Digest]:
    raise AssertionError("the market was asked")


@pytest.fixture
def commit(market: Market) -> Commit:
    """An order whose models are committed, and a stranger who wants its seed."""

    def made(salt: bytes) -> tuple[SeedDraw, OrderTerms, tuple[Participant, ...]]:
        terms = make_terms(market, salt, min_contributors=2)
        place(market, terms)
        participants = match(market, terms)
        order, domain = terms.order_id(market.chain.domain), market.chain.domain
        bound = [
            committed(node, domain, order, i, sha256(bytes([i])))
            for i, node in enumerate(staked_nodes(market))
        ]
        market.account(BROKER)[1].commit(order, participants, bound)
        return SeedDraw(market.chain, market.account(STRANGER)[1], order), terms, participants

    return made


def test_nothing_is_drawn_before_the_commit_or_twice(market: Market, commit: Commit) -> None:
    with pytest.raises(TesseraError, match="has no models on chain yet"):
        SeedDraw(market.chain, market.account(STRANGER)[1], sha256(b"unknown")).fix()
    drawing, _, _ = commit(b"drawn twice")
    with pytest.raises(TesseraError, match="give the same command again"):
        drawing.fix()
    market.mine(3)
    drawing.fix()
    seed, receipt = drawing.draw(drawing.salts({k: salt_of(k) for k in range(3)}, nobody_asked))
    assert receipt is not None
    assert market.chain.commitment(drawing.order).seed == seed
    with pytest.raises(TesseraError, match=f"is drawn: {seed}"):
        drawing.fix()


def test_a_salt_that_nobody_committed_to_is_refused_by_hand_and_passed_over_from_a_market(
    market: Market, commit: Commit
) -> None:
    drawing, _, participants = commit(b"false salts")
    market.mine(3)
    drawing.fix()
    for shard, salt in ((1, salt_of(0)), (7, salt_of(7))):
        with pytest.raises(UsageError, match=f"that is not what shard {shard}"):
            drawing.salts({shard: salt}, nobody_asked)
    lies = {0: salt_of(0), 1: salt_of(2), 9: salt_of(9)}
    with pytest.raises(TesseraError) as missing:
        drawing.salts({}, lambda: lies)
    assert f"missing is the salt of shard 1 ({participants[1].contributor}), shard 2" in str(missing.value)
    assert "shard 0" not in str(missing.value)


def test_salts_come_from_the_chain_the_market_and_by_hand(market: Market, commit: Commit) -> None:
    drawing, terms, participants = commit(b"three sources")
    broker = market.account(BROKER)[1]
    market.mine(3)
    assert drawing.fix() is not None
    assert drawing.fix() is None, "it is there"
    digests = [salt_digest(drawing.order, k, salt_of(k)) for k in range(3)]
    broker.demand_step(terms, participants, 0, DemandKind.SALT, digests)
    drawing.writer.answer_salt(drawing.order, 0, salt_of(0))
    salts = drawing.salts({1: salt_of(1)}, lambda: {2: salt_of(2)})
    assert salts == tuple(map(salt_of, range(3)))
    seed, _ = drawing.draw(salts)
    assert market.chain.commitment(drawing.order).revealed == salts
    assert seed == market.chain.commitment(drawing.order).seed


def test_a_dropped_contributors_salt_is_not_needed(market: Market, commit: Commit) -> None:
    drawing, terms, participants = commit(b"dropped after the commit")
    broker = market.account(BROKER)[1]
    market.mine(3)
    drawing.fix()
    digests = [salt_digest(drawing.order, k, salt_of(k)) for k in range(3)]
    with pytest.raises(TesseraError, match="missing is the salt of shard 2"):
        drawing.salts({0: salt_of(0), 1: salt_of(1)}, dict)
    broker.demand_step(terms, participants, 2, DemandKind.SALT, digests)
    for _ in range(2):
        market.skip(terms.answer_seconds + 1)
        broker.expire(terms, participants, 2)
    salts = drawing.salts({0: salt_of(0), 1: salt_of(1)}, dict)
    assert salts[2] == Digest(bytes(32))
    seed, _ = drawing.draw(salts)
    assert market.chain.commitment(drawing.order).seed == seed


def test_a_missed_draw_is_said(market: Market, commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain knows hashes for longer than a test can wait: its refusal is played."""
    drawing, _, _ = commit(b"missed")

    def missed(_order: Digest) -> NoReturn:
        raise RevertError("refused", name=MISSED)

    monkeypatch.setattr(drawing.writer, "fix_hash", missed)
    market.mine(3)
    with pytest.raises(MissedDrawError, match=r"another block can be appointed \(again=\)"):
        drawing.fix()
    with pytest.raises(RevertError) as refused:
        drawing.again()
    assert refused.value.name == "ModelCommitment_NotMissed", "the contract itself knows the hash"
