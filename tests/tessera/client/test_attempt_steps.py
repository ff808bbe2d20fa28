"""`tessera challenge` on a row of 64 attempts, on a real chain: more than one transaction takes, shown in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.gas.audited_order import FALSE_SHARD, AuditedOrder
from benchmarks.gas.market import GasMarket, market
from benchmarks.gas.order import enrol
from benchmarks.random_models import RandomModels
from provenance.chain.dispute_events import FalseRow
from provenance.chain.disputes import RowAttempts
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.ports import DatasetOnChain, TxReceipt
from provenance.crypto.merkle import shard_root
from provenance.exact import SPEC_VERSION
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms, Participant
from provenance.table.conditions import Segment
from provenance.table.conditions_bytes import encode_segments
from provenance.values import Digest, sha256
from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import Fault, Finding, query_of
from tessera.client.attempt_steps import AttemptSteps
from tessera.client.audited_dataset import Refutation
from tessera.client.challenge import Challenge
from tessera.errors import TesseraError

ROWS = 10_000
NEVER = encode_segments([Segment(ROWS, {0: ((0, 0),)})])
"""Rows whose first column has the value of a code that no attempt draws."""


def stubborn_model() -> bytes:
    """64-128-128-240: 55,296 multiplications an attempt; code 0 of column 0 is as good as never drawn."""
    model, _ = RandomModels(5).sized_mlp((64, 128, 128), (233, 1, 1, 1, 1, 1, 1, 1))
    bias = model.output.bias.copy()
    bias[0] = -(2**20)
    return replace(model, output=replace(model.output, bias=bias)).encode()


class InventedOrder(AuditedOrder):
    """An order under conditions that no attempt meets, of invented rows."""

    def _terms(self, salt: bytes) -> OrderTerms:
        return replace(super()._terms(salt), conditions=sha256(NEVER), challenge_seconds=3600)

    def match(self) -> int:
        acceptances = [
            node.signer.sign_typed(self.domain, Acceptance(self.order, node.signer.address, self.rows))
            for node in self.parties.nodes
        ]
        offers = [self.rows] * len(self.participants)
        broker = self.parties.broker.writer
        return broker.match_order(self.terms, self.participants, acceptances, offers, NEVER).gas_used

    def _published(self, i: int) -> PublishedShard:
        rows = bytes(8 * self.participants[i].rows)
        return PublishedShard(
            *(i, self.participants[i].rows, self.models[i], shard_root(rows, 8), self.seed, SPEC_VERSION),
            *(self.model_bytes[i], rows),
            schema_digest=self.terms.schema_digest,
            is_in_class=True,
        )


@dataclass(frozen=True, slots=True)
class Audited:
    """What a challenge asks of a data set, of an order in hand."""

    record: DatasetOnChain
    terms: OrderTerms
    participants: tuple[Participant, ...]
    model_digests: tuple[Digest, ...]
    shard_roots: tuple[Digest, ...]
    conditions: bytes = NEVER

    @property
    def id(self) -> int:
        return self.record.id

    def request_row(self, shard: int) -> int:
        return sum(each.rows for each in self.participants[:shard])


@pytest.fixture(autouse=True)
def _a_block_follows(place: GasMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    """This chain has blocks only when there are transactions."""
    monkeypatch.setattr(Challenge, "_await_next_block", lambda *_: place.mine(1))


@pytest.fixture(scope="module")
def place() -> Iterator[GasMarket]:
    with market() as place:
        yield place


def prepared(place: GasMarket, folder: Path, salt: bytes) -> tuple[InventedOrder, Challenge, Refutation]:
    walk = InventedOrder(place, enrol(place, 2), salt, [stubborn_model()] * 2)
    record = place.reader.dataset(walk.until_published())
    dataset = Audited(record, walk.terms, walk.participants, tuple(walk.models), tuple(walk.roots))
    challenger = place.account()
    address = challenger.signer.address
    file = folder / "challenge.json"
    challenge = Challenge(place.reader, challenger.writer, address, dataset, file)  # type: ignore[arg-type]
    finding = Finding(Fault.ROW, FALSE_SHARD, 0, 7, "row 7 of shard 1: no attempt makes it")
    return walk, challenge, Refutation(walk.shards[FALSE_SHARD], finding)


def test_a_row_of_64_attempts_is_refuted_in_transactions_below_the_cap(
    place: GasMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenge, refutation = prepared(place, tmp_path, b"whole")
    gas: list[int] = []
    sent = type(challenge.writer).try_attempts

    def measured(self: object, *arguments: object) -> TxReceipt:
        receipt: TxReceipt = sent(self, *arguments)  # type: ignore[arg-type]
        gas.append(receipt.gas_used)
        return receipt

    monkeypatch.setattr(type(challenge.writer), "try_attempts", measured)
    challenge.check(refutation)
    made: list[int] = []
    done = challenge.send(refutation, None, made.append)
    assert made == [32]
    assert 8_000_000 < sum(gas) == done.stored_gas
    assert max(*gas, done.receipt.gas_used) < TRANSACTION_GAS_CAP
    block = done.receipt.block
    events = [each for each in place.reader.events(block, block) if isinstance(each, FalseRow)]
    assert [(each.dataset, each.shard, each.row) for each in events] == [
        (challenge.dataset.id, FALSE_SHARD, 7)
    ]
    assert not challenge.is_kept


def test_an_interrupted_challenge_goes_on_behind_the_last_part(
    place: GasMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, challenge, refutation = prepared(place, tmp_path, b"interrupted")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        challenge.send(refutation, None, killed)
    assert challenge.is_kept
    monkeypatch.setattr(AttemptSteps, "_most", killed)
    done = challenge.send(refutation)
    assert done.stored_gas == 0
    assert done.commit_gas == 0


def test_attempts_that_somebody_else_showed_first_count_after_the_head_start() -> None:
    known = RowAttempts(made=40, first_block=100, open_from=1_900)
    assert known.count_for(99, 1_000) == 40
    assert known.count_for(100, 1_899) == 0
    assert known.count_for(100, 1_900) == 40


def test_a_challenge_that_may_not_use_the_parts_of_another_says_from_when(
    place: GasMarket, tmp_path: Path
) -> None:
    walk, challenge, refutation = prepared(place, tmp_path, b"copier")
    query = query_of(refutation.shard, refutation.finding, challenge.dataset.request_row(FALSE_SHARD))
    model = walk.model_bytes[FALSE_SHARD]
    challenge.writer.try_attempts(query, NEVER, model, (), 32)
    with pytest.raises(TesseraError, match="somebody showed 32 attempts of this row before this challenge"):
        challenge.send(refutation)
    place.skip(15 * 60 + 1)
    done = challenge.send(refutation)
    assert (done.stored_gas, done.commit_gas) == (0, 0)
