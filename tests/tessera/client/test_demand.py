"""`tessera demand` against a chain in memory: who may, what it costs, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.ports import DatasetStatus, OrderState, StakeOnChain, TxReceipt
from provenance.crypto.merkle import leaf_hash, root_of_path
from provenance.crypto.signing import Signer
from provenance.values import Address, Digest, sha256
from tessera.cli.disputes import DONE, PROVEN, STANDING, follow
from tessera.client import demand as demand_module
from tessera.client.demand import Demand
from tessera.errors import TesseraError, UsageError
from tests.provenance.verify.publication import BUYER, DATASET, NODES, Builder, Publication

PRICE, BOND, STAKE = 230, 6, 8
DEPOSIT = PRICE // 100
STRANGER = Signer(b"\x61" * 32)


@dataclass
class Chain:
    """The demands contract in memory. `answer_at`: chain time at which somebody answers; None: nobody does.

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

    def demand_chunk(
        self, terms: Any, participants: Any, dataset: int, shard: int, root: Digest, proof: Any, row: int
    ) -> TxReceipt:
        record = self.published.chain.datasets[DATASET]
        assert root_of_path(leaf_hash(shard, root), shard, len(participants), proof) == record.dataset_root
        return self._opened(DemandKind.CHUNK, shard, row)

    def expire(self, terms: Any, participants: Any, shard: int) -> TxReceipt:
        memory, order = self.published.chain, self.published.manifest.order
        assert self.open is not None
        assert memory.time_seconds > self.open.answer_by
        if self.refuse:
            raise RevertError("refused", name="Demands_TooEarly")
        self.open = None
        memory.datasets[DATASET] = replace(memory.datasets[DATASET], status=DatasetStatus.REVOKED)
        memory.orders[order] = replace(memory.orders[order], state=OrderState.REVOKED, bond_left=0)
        signer = participants[shard].contributor
        memory.stakes[signer] = replace(memory.stakes[signer], reserved=0)
        memory.balances[BUYER.address] += PRICE + BOND + STAKE
        if self.outrun:
            raise RevertError("refused", name="Demands_NotOpen")
        return self._mined("expire")

    def _opened(self, kind: DemandKind, shard: int, row: int) -> TxReceipt:
        assert self.allowed >= DEPOSIT
        assert self.open is None
        order = self.published.manifest.order
        self.open = DemandOnChain(order, shard, kind, self.me.address, 1520, DEPOSIT, row)
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
    assert chain.calls == [("approve", DEPOSIT), ("demand", DemandKind.MODEL, 1, 0)]
    out = capsys.readouterr().out
    assert "for everybody and for ever, although the order is private" in out
    assert "answered: the model of shard 1 is on chain" in out


def test_a_row_is_demanded_with_its_shard_s_proof(make: Make) -> None:
    chain, wanted = make(answer_at=1510)
    assert follow(wanted(1, 3), confirmed=True) == DONE
    assert chain.calls[-1] == ("demand", DemandKind.CHUNK, 1, 3)


def test_silence_ends_the_demand_and_the_order_and_adds_up(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    chain, wanted = make()
    assert follow(wanted(0), confirmed=True) == PROVEN
    assert [call[0] for call in chain.calls] == ["approve", "demand", "expire"]
    assert "adds up to the wei" in capsys.readouterr().out
    assert follow(wanted(0)) == PROVEN
    assert len(chain.calls) == 3


def test_a_demand_that_somebody_else_ended_first_is_ended_all_the_same(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """The broker looks at overdue demands too, and more often."""
    chain, wanted = make()
    chain.outrun = True
    assert follow(wanted(0), confirmed=True) == PROVEN
    assert f"data set {DATASET} was revoked" in capsys.readouterr().out


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
    assert [call[0] for call in chain.calls] == ["approve", "demand", "expire"]


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
