"""What the application talks to, as one value built in the composition root; tests bring memory twins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backend.database.engine import Database
from backend.settings import Settings
from provenance.chain.dispute_events import CommitmentAnswered, EvaluationAnswered, SaltAnswered
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.ports import ChainReads, ChainWriting, OrderLimits, TxReceipt
from provenance.crypto.permit import PermitMessage
from provenance.crypto.typed_data import Domain
from provenance.record.terms import OrderTerms, Participant
from provenance.store.ports import ContentStore
from provenance.values import Address, Cid, Digest


class BrokerReading(ChainReads, Protocol):
    """The market as read by its broker: also what a buyer has to sign, and the allowance for bonds."""

    def limits(self) -> OrderLimits:
        """What this market asks of every order; never changes."""
        ...

    def is_final(self, block: int) -> bool: ...

    def allowance(self, owner: Address, spender: Address) -> int: ...

    def token_domain(self) -> Domain: ...

    def permit_message(self, owner: Address, value: int, deadline: int) -> PermitMessage: ...

    def demand(self, order: Digest, shard: int) -> DemandOnChain: ...

    def answered_commitment(self, order: Digest, shard: int) -> CommitmentAnswered | None: ...

    def answered_salt(self, order: Digest, shard: int) -> SaltAnswered | None: ...

    def answered_evaluation(self, order: Digest, shard: int) -> EvaluationAnswered | None: ...


class BrokerWriting(ChainWriting, Protocol):
    """The broker's transactions: those of every account, the allowance for bonds and deposits, demands."""

    def approve(self, spender: Address, amount_wei: int) -> TxReceipt: ...

    def demand_step(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        shard: int,
        kind: DemandKind,
        digests: Sequence[Digest] = (),
    ) -> TxReceipt: ...

    def answer_manifest(self, order: Digest, manifest: bytes) -> TxReceipt: ...

    def expire(self, terms: OrderTerms, participants: Sequence[Participant], shard: int) -> TxReceipt: ...


class WaitingStore(ContentStore, Protocol):
    """Where uploads wait, out of everybody's reach, until the chain records the data set that they belong to."""

    def cids(self) -> Sequence[Cid]:
        """All that wait."""
        ...

    def drop(self, cid: Cid) -> None:
        """Forgets what was released, or will never be."""
        ...


class OrderRunner(Protocol):
    """Carries accepted orders to their end."""

    def start(self, order: str) -> None:
        """Begins or continues the order's workflow in the background. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside the request. `clock` is wall time in unix seconds; deadlines use the chain's time.

    store: what anybody may read. waiting: what was uploaded for data sets that are not recorded yet.
    """

    settings: Settings
    database: Database
    chain: BrokerReading
    writer: BrokerWriting
    store: ContentStore
    waiting: WaitingStore
    runner: OrderRunner
    clock: Callable[[], float]
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain of this market."""
        return self.chain.deployment.domain

    @property
    def broker(self) -> Address:
        """The broker's own address: its key authorises admin and coordinator calls."""
        return self.writer.address
