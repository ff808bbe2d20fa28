"""`tessera demand` against a chain in memory: who may, what it costs, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.disputes import MANIFEST_SHARD, DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.ports import DatasetStatus, OrderState, StakeOnChain, TxReceipt
from provenance.crypto.merkle import leaf_hash, root_of_path
from provenance.crypto.signing import Signer
from provenance.values import Address, Digest, sha256
from tessera.cli.disputes import DONE, PROVEN, STANDING, follow
from tessera.client import demand as demand_module
from tessera.client.accounts import BURN
from tessera.client.demand import Demand
from tessera.errors import TesseraError, UsageError
from tests.provenance.verify.publication import BROKER, BUYER, DATASET, NODES, Builder, Publication

PRICE, BOND, STAKE = 230, 6, 8
DEPOSITS = {0: PRICE * 9 // (23 * 10), 1: PRICE * 14 // (23 * 10), MANIFEST_SHARD: PRICE // 10}
"""A tenth of what the rows cost: shards of 9 and 14 rows, and all of them."""
STRANGER = Signer(b"\x61" * 32)


@dataclass
class Chain:
    """The demands contract in memory. `answer_at`: chain time at which somebody answers; None: nobody does. Each time
    to answer is 15 seconds.

    `outrun`: when an expiry is sent, somebody else's is in the block before. `refuse`: the contract takes none.
    """

    published: Publication
    me: Signer = BUYER
    answer_at: int | None = None
    outrun: bool = False
    refuse: bool = False
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    open: DemandOnChain | None = None
    allowed: int = 0

    def __post_init__(self) -> None:
        memory, manifest = self.published.chain, self.published.manifest
        memory.matched[manifest.order] = manifest.participant_list()
        memory.time_seconds = 1505
        memory.balances |= {BUYER.address: 1000, STRANGER.address: 1000}
        for node in NODES:
            memory.stakes[node.address] = StakeOnChain(0, STAKE, 0, 0, True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.published.chain, name)

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        memory = self.published.chain
        memory.time_seconds += 1
        if self.open is not None and self.answer_at is not None and memory.time_seconds >= self.answer_at:
            self.open = None
        none = DemandOnChain(order, shard, DemandKind.NONE, BUYER.address, 0, 0, 0)
        return self.open if self.open is not None and self.open.shard == shard else none

    def allowance(self, owner: Address, spender: Address) -> int:
        assert spender == self.published.chain.deployment.demands
        return self.allowed

    def approve(self, spender: Address, amount: int) -> TxReceipt:
        self.allowed = amount
        return self._mined("approve", amount)

    def demand_model(self, terms: Any, participants: Any, dataset: int, shard: int, models: Any) -> TxReceipt:
        assert models == self.published.chain.commitments[self.published.manifest.order].models
        return self._opened(DemandKind.MODEL, shard, 0)

    def demand_manifest(self, terms: Any, participants: Any, dataset: int) -> TxReceipt:
        return self._opened(DemandKind.MANIFEST, MANIFEST_SHARD, 0)

    def demand_chunk(
        self, terms: Any, participants: Any, dataset: int, shard: int, root: Digest, proof: Any, row: int
    ) -> TxReceipt:
        record = self.published.chain.datasets[DATASET]
        assert root_of_path(leaf_hash(shard, root), shard, len(participants), proof) == record.dataset_root
        return self._opened(DemandKind.CHUNK, shard, row)

    def expire(self, terms: Any, participants: Any, shard: int) -> TxReceipt:
        memory = self.published.chain
        assert self.open is not None
        assert memory.time_seconds > self.open.answer_by
        if self.refuse:
            raise RevertError("refused", name="Demands_TooEarly")
        place = (self.published.manifest.order, shard)
        if place not in memory.warned:
            memory.warned.add(place)
            self.open = replace(self.open, answer_by=memory.time_seconds + 15)
        else:
            self._convict(shard)
        if self.outrun:
            raise RevertError("refused", name="Demands_NotOpen")
        return self._mined("expire")

    def _convict(self, shard: int) -> None:
        """Shard 1 first: the others stand, damages wait. With the last one, or of the broker, all is paid."""
        memory, order = self.published.chain, self.published.manifest.order
        assert self.open is not None
        memory.balances[memory.deployment.demands] -= self.open.deposit
        memory.balances[self.me.address] += self.open.deposit
        self.open = None
        found = memory.orders[order]
        if shard == MANIFEST_SHARD:
            memory.out[order] = replace(memory.shards(order), fee_forfeit=True)
            memory.orders[order] = replace(found, bond_left=0)
            memory.balances[BURN] = memory.balance(BURN) + BOND
            return
        signer = NODES[shard].address
        memory.stakes[signer] = replace(memory.stakes[signer], reserved=0)
        out = memory.shards(order).out | {shard}
        is_last, record = len(out) == len(NODES), memory.datasets[DATASET]
        status = DatasetStatus.REVOKED if is_last else DatasetStatus.REDUCED
        memory.datasets[DATASET] = replace(record, status=status, revoked=out)
        if not is_last:
            memory.out[order] = replace(memory.shards(order), out=out, damages=STAKE // 4)
            memory.balances[BURN] = memory.balance(BURN) + STAKE - STAKE // 4
            return
        memory.orders[order] = replace(found, state=OrderState.REVOKED, bond_left=0)
        memory.balances[BURN] = memory.balance(BURN) + STAKE + memory.shards(order).damages
        memory.out[order] = replace(memory.shards(order), out=out, damages=0)
        memory.balances[BUYER.address] += PRICE
        memory.balances[BROKER.address] = memory.balance(BROKER.address) + BOND

    def _opened(self, kind: DemandKind, shard: int, row: int) -> TxReceipt:
        memory, deposit = self.published.chain, DEPOSITS[shard]
        assert self.allowed >= deposit
        assert self.open is None
        order, demands = self.published.manifest.order, memory.deployment.demands
        memory.balances[self.me.address] -= deposit
        memory.balances[demands] = memory.balance(demands) + deposit
        self.open = DemandOnChain(order, shard, kind, self.me.address, 1520, deposit, row)
        return self._mined("demand", kind, shard, row)

    def _mined(self, *call: Any) -> TxReceipt:
        self.calls.append(call)
        return TxReceipt(sha256(repr(call).encode()), 60, 21_000)


Make = Callable[..., tuple[Chain, Callable[..., Demand]]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setattr(demand_module, "_LOOK_SECONDS", 0)

    def made(
        *, me: Signer = BUYER, answer_at: int | None = None, is_open: bool = False
    ) -> tuple[Chain, Callable[..., Demand]]:
        chain: Any = Chain(Builder(state=OrderState.PUBLISHED, is_open=is_open).build(), me, answer_at)
        record, terms = chain.published.chain.datasets[DATASET], chain.published.manifest.terms

        def wanted(shard: int, row: int | None = None, *, terms: Any = terms) -> Demand:
            return Demand(chain, chain, me.address, record, terms, shard, row)

        return chain, wanted

    return made


def test_an_answered_demand_costs_its_deposit_and_leaves_the_data_set_valid(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, wanted = make(answer_at=1510)
    assert follow(wanted(1), confirmed=True) == DONE
    assert chain.calls == [("approve", DEPOSITS[1]), ("demand", DemandKind.MODEL, 1, 0)]
    out = capsys.readouterr().out
    assert "for everybody and for ever, although the order is private" in out
    assert "is burned when it is answered; without an answer it comes back, and the shard is revoked" in out
    assert "to be answered by" in out
    assert "answered: the model of shard 1 is on chain" in out


def test_a_row_is_demanded_with_its_shard_s_proof(make: Make) -> None:
    chain, wanted = make(answer_at=1510)
    assert follow(wanted(1, 3), confirmed=True) == DONE
    assert chain.calls[-1] == ("demand", DemandKind.CHUNK, 1, 3)


def test_silence_is_warned_about_first_and_takes_its_shard_out_the_second_time(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, wanted = make()
    assert follow(wanted(1), confirmed=True) == PROVEN
    assert [call[0] for call in chain.calls] == ["approve", "demand", "expire", "expire"]
    out = capsys.readouterr().out
    assert "the second and last one ends at" in out
    assert "its 14 rows are not part of it any more" in out
    assert "adds up to the wei" in out
    assert chain.published.chain.balances[BUYER.address] == 1000, "the deposit is back"
    assert follow(wanted(1)) == PROVEN
    assert len(chain.calls) == 4


def test_silence_about_the_last_shard_revokes_the_data_set(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    _, wanted = make()
    assert follow(wanted(1), confirmed=True) == PROVEN
    capsys.readouterr()
    assert follow(wanted(0), confirmed=True) == PROVEN
    out = capsys.readouterr().out
    assert f"data set {DATASET} is revoked and the buyer is paid back" in out
    assert "adds up to the wei" in out


def test_broker_that_keeps_the_manifest_to_itself_loses_bond_and_fee(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, wanted = make()
    assert follow(wanted(MANIFEST_SHARD), confirmed=True) == PROVEN
    out = capsys.readouterr().out
    assert f"broker {BROKER.address} must show the manifest of data set {DATASET}" in out
    assert "the broker loses its bond, and its fee comes back" in out
    assert "adds up to the wei" in out
    assert follow(wanted(MANIFEST_SHARD)) == PROVEN
    assert chain.published.chain.datasets[DATASET].status == DatasetStatus.VALID


def test_answer_in_the_second_time_costs_the_contributor_nothing(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, wanted = make(answer_at=1530)
    assert follow(wanted(1), confirmed=True) == DONE
    assert [call[0] for call in chain.calls] == ["approve", "demand", "expire"]
    assert chain.published.chain.stakes[NODES[1].address].reserved == STAKE
    assert "answered: the model of shard 1 is on chain" in capsys.readouterr().out


def test_buyers_demand_does_not_take_the_place_of_one_whose_first_time_passed(make: Make) -> None:
    chain, wanted = make(is_open=True)
    chain.me = STRANGER
    chain.allowed = DEPOSITS[1]
    chain.demand_model(None, None, DATASET, 1, chain.commitment(chain.published.manifest.order).models)
    mine = wanted(1)
    assert mine.standing() is None, "in the first time it does"
    chain.published.chain.warned.add((chain.published.manifest.order, 1))
    assert mine.standing() is not None


def test_a_demand_that_somebody_else_ended_first_is_ended_all_the_same(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker looks at overdue demands too, and more often."""
    chain, wanted = make()
    chain.outrun = True
    assert follow(wanted(0), confirmed=True) == PROVEN
    assert "the model of shard 0 was not shown: shard 0 of data set" in capsys.readouterr().out


def test_an_expiry_that_the_contract_refuses_is_an_error(make: Make) -> None:
    chain, wanted = make()
    chain.refuse = True
    with pytest.raises(RevertError):
        follow(wanted(0), confirmed=True)


def test_a_demand_goes_on_after_a_kill_and_is_not_made_twice(make: Make) -> None:
    chain, wanted = make()
    assert follow(wanted(0), confirmed=True, wait=False) == STANDING
    assert follow(wanted(0), confirmed=True, wait=False) == STANDING
    assert follow(wanted(0)) == PROVEN
    assert [call[0] for call in chain.calls] == ["approve", "demand", "expire", "expire"]


def test_only_the_buyer_of_a_sealed_data_set_may_demand(make: Make) -> None:
    chain, wanted = make(me=STRANGER)
    with pytest.raises(TesseraError, match="only that account may demand"):
        follow(wanted(0), confirmed=True)
    assert chain.calls == []
    chain, wanted = make(me=STRANGER, answer_at=1510, is_open=True)
    assert follow(wanted(0), confirmed=True) == DONE


def test_nothing_is_demanded_that_nobody_agreed_to(make: Make) -> None:
    chain, wanted = make()
    with pytest.raises(UsageError, match="pass --yes"):
        follow(wanted(0))
    assert chain.calls == []


def test_refuses_a_shard_that_is_not_there_and_an_order_that_ended(make: Make) -> None:
    chain, wanted = make()
    with pytest.raises(UsageError, match="has no shard 2; it has 0, 1"):
        follow(wanted(2), confirmed=True)
    order = chain.published.manifest.order
    chain.published.chain.orders[order] = replace(chain.order(order), state=OrderState.SETTLED)
    with pytest.raises(TesseraError, match="its window is closed"):
        follow(wanted(0), confirmed=True)
    assert chain.calls == []


def test_terms_of_another_order_are_refused(make: Make) -> None:
    chain, wanted = make()
    with pytest.raises(UsageError, match="name its own order file"):
        wanted(0, terms=replace(chain.published.manifest.terms, price=1))
    assert chain.calls == []
