"""Every step of a contributor is demanded on the real contracts while it is away, and answered in the second time from
sealed copies by an account that has no other right: it loses nothing, and the seed is drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from provenance.chain.answers import Answer, SaltAnswer, SignedAnswer
from provenance.chain.disputes import DemandKind
from provenance.chain.errors import RevertError
from provenance.chain.ports import Absence, CommittedModel, ShardsOnChain
from provenance.chain.sealed_answers import open_answer, seal_answer
from provenance.crypto.key_files import KeyKind, write_secret
from provenance.crypto.seal import DeliveryKey
from provenance.record.receipts import Evaluation, ShardReceipt, salt_digest
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Digest, sha256
from tessera.devnet.network import python_path
from tests.provenance.chain.conftest import Market
from tests.provenance.chain.test_life_of_an_order import BROKER, make_terms, match, place, staked_nodes
from tests.provenance.salts import commitment_of, committed, salt_of, salts_of
from tests.waiting import HANG_SECONDS, until

TOWER, HOUR, AWAY = DeliveryKey(b"\x43" * 32), 3600, 1
NONE = Digest(bytes(32))
MODELS = [sha256(bytes([i])) for i in range(3)]


class Order:
    """One order with a contributor that is away, and the account of its tower."""

    def __init__(self, market: Market, salt: bytes) -> None:
        now = market.chain.chain_time()
        self.market = market
        self.terms: OrderTerms = make_terms(
            market,
            salt,
            answer_seconds=2 * HOUR,
            match_by=now + 600,
            deliver_by=now + 48 * HOUR,
            min_contributors=2,
        )
        place(market, self.terms)
        self.participants: tuple[Participant, ...] = match(market, self.terms)
        self.id = self.terms.order_id(market.chain.domain)
        self.nodes = staked_nodes(market)
        self.broker, self.tower = market.account(BROKER)[1], market.account(41)[1]

    def demand(self, kind: DemandKind, digests: list[Digest] | None = None) -> None:
        self.broker.demand_step(self.terms, self.participants, AWAY, kind, digests or [])

    def warn(self) -> None:
        self.market.skip(2 * HOUR + 1)
        self.tower.expire(self.terms, self.participants, AWAY)
        assert self.market.chain.is_warned(self.id, AWAY)

    def answer(self, answer: Answer) -> None:
        """From the copy, an hour into the second time."""
        copy = seal_answer(answer, self.id, AWAY, TOWER.public)
        self.market.skip(HOUR)
        opened = open_answer(copy, self.id, AWAY, answer.kind, TOWER)
        demand = self.market.chain.demand(self.id, AWAY)
        opened.send(demand, self.market.chain, self.tower)
        assert not self.market.chain.demand(self.id, AWAY).is_open


def test_an_answer_of_somebody_else_or_after_the_second_time_is_refused(market: Market) -> None:
    order, domain = Order(market, b"too late"), market.chain.domain
    message = commitment_of(order.id, AWAY, MODELS[AWAY])
    order.demand(DemandKind.COMMITMENT)
    forged = SignedAnswer(message, order.nodes[0].sign_typed(domain, message))
    demand = market.chain.demand(order.id, AWAY)
    with pytest.raises(RevertError, match="Demands_InvalidSignature"):
        forged.send(demand, market.chain, order.tower)
    order.warn()
    market.skip(2 * HOUR + 1)
    true = SignedAnswer(message, order.nodes[AWAY].sign_typed(domain, message))
    with pytest.raises(RevertError, match="Demands_TooLate"):
        true.send(demand, market.chain, order.tower)
    before = market.chain.stake_of(order.nodes[AWAY].address)
    order.tower.expire(order.terms, order.participants, AWAY)
    assert market.chain.shards(order.id).out == {AWAY}
    after = market.chain.stake_of(order.nodes[AWAY].address)
    assert after.free + after.reserved < before.free + before.reserved, "silence costs a part of the stake"


def test_a_contributor_that_is_away_within_its_times_loses_nothing(market: Market) -> None:
    order, domain = Order(market, b"away"), market.chain.domain
    node = order.nodes[AWAY]
    before = market.chain.stake_of(node.address)

    message = commitment_of(order.id, AWAY, MODELS[AWAY])
    order.demand(DemandKind.COMMITMENT)
    order.warn()
    order.answer(SignedAnswer(message, node.sign_typed(domain, message)))
    bound: list[CommittedModel] = [
        committed(each, domain, order.id, k, MODELS[k]) for k, each in enumerate(order.nodes)
    ]
    order.broker.commit(order.id, order.participants, bound)

    market.mine(3)
    order.broker.fix_hash(order.id)
    digests, salts = salts_of(order.id, 3)
    order.demand(DemandKind.SALT, digests)
    order.warn()
    order.answer(SaltAnswer(salt_of(AWAY)))
    shown = market.chain.answered_salt(order.id, AWAY)
    assert shown is not None
    assert salt_digest(order.id, AWAY, shown.salt) == digests[AWAY]
    order.broker.draw_seed(order.id, digests, salts)
    seed = market.chain.commitment(order.id).seed
    assert seed is not None

    rows = order.participants[AWAY].rows
    receipt = ShardReceipt(
        *(
            order.id,
            AWAY,
            MODELS[AWAY],
            seed,
            rows,
            sha256(b"root"),
            2_000_000,
            10_000_000,
            sha256(b"content"),
        )
    )
    order.demand(DemandKind.RECEIPT, MODELS)
    order.warn()
    order.answer(SignedAnswer(receipt, node.sign_typed(domain, receipt)))

    nothing = Evaluation(order.id, NONE, 0, NONE, NONE)
    order.demand(DemandKind.EVALUATION)
    order.warn()
    order.answer(SignedAnswer(nothing, node.sign_typed(domain, nothing)))
    excused = market.chain.excused_evaluation(order.id, AWAY)
    assert (excused.absence, excused.dataset_root) == (Absence.ANSWERED, NONE)

    assert market.chain.stake_of(node.address) == before
    assert market.chain.shards(order.id) == ShardsOnChain()


def test_the_tower_as_a_process_answers_from_its_folder_and_ends_when_asked(
    market: Market, tmp_path: Path
) -> None:
    order, folder = Order(market, b"process"), tmp_path / "copies"
    message = commitment_of(order.id, AWAY, MODELS[AWAY])
    answer = SignedAnswer(message, order.nodes[AWAY].sign_typed(market.chain.domain, message))
    own = folder / order.id.hex() / str(AWAY)
    own.mkdir(parents=True)
    (own / "commitment-0123456789abcdef").write_bytes(seal_answer(answer, order.id, AWAY, TOWER.public))
    market.chain.deployment.save(folder / "deployment.json")
    write_secret(tmp_path / "tower.key", b"\x43" * 32, KeyKind.DELIVERY)
    write_secret(tmp_path / "gas.key", (41).to_bytes(32, "big"), KeyKind.WALLET)
    order.demand(DemandKind.COMMITMENT)
    words = ["--folder", "copies", "--rpc", market.rpc_url, "--key", "tower.key", "--wallet", "gas.key"]
    tower = subprocess.Popen(
        [sys.executable, "-m", "tessera", "watchtower", "run", *words, "--patience", "0"],
        cwd=tmp_path,
        env=python_path(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: not market.chain.demand(order.id, AWAY).is_open, "the tower's answer")
    finally:
        tower.terminate()
        said, _ = tower.communicate(timeout=HANG_SECONDS)
    assert tower.returncode == 0, said
    shown = market.chain.answered_commitment(order.id, AWAY)
    assert shown is not None
    assert (shown.answerer, shown.signature) == (order.tower.address, answer.signature)
    assert "SECOND" not in said
