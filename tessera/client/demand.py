"""Having a contributor show a model or a chunk of rows on chain, or lose its stake for keeping it.

Needs neither manifest nor files: terms by their digest, the rest from the chain. One demand of a shard is
open at a time and the chain knows it, so the same calls may be made again at any time: they look, wait, or
end what ran out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from provenance.chain.disputes import DemandOnChain
from provenance.chain.errors import RevertError, UnknownShardError
from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderState, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.record.terms import OrderTerms
from provenance.values import Address
from provenance.verify.refutation import shard_proof
from tessera.client.accounts import Parties, holdings
from tessera.errors import TesseraError, UsageError

DEPOSIT_PART: Final = 100
"""A demand costs this part of the price, kept by who answers it."""
_LOOK_SECONDS = 1.0


class DemandState(Enum):
    """How a demand stands. ENDED: the data set is revoked, by this demand or otherwise."""

    OPEN = "open"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class DemandResult:
    """How a demand stands. receipt, before, after: of the transaction that ended it, if this call sent one;
    token wei of every account that it touched."""

    state: DemandState
    receipt: TxReceipt | None = None
    before: Mapping[str, int] | None = None
    after: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """What one wallet wants of a data set: of `shard` the model, or the chunk that holds `row` of the shard."""

    chain: ChainReader
    writer: ChainWriter
    demander: Address
    record: DatasetOnChain
    terms: OrderTerms
    shard: int
    row: int | None = None

    def __post_init__(self) -> None:
        found = self.terms.order_id(self.chain.deployment.domain)
        if found != self.record.order:
            raise UsageError(
                f"these terms are those of order {found}, data set {self.record.id} delivered {self.record.order}: "
                "name its own order file"
            )
        try:
            self.record.shard(self.shard)
        except UnknownShardError as error:
            raise UsageError(f"--shard {self.shard}: {error}") from error

    @property
    def words(self) -> str:
        """What is demanded."""
        if self.row is None:
            return f"the model of shard {self.shard}"
        return f"the chunk with row {self.row} of shard {self.shard}"

    @property
    def deposit_wei(self) -> int:
        return self.terms.price // DEPOSIT_PART

    @property
    def contributor(self) -> Address:
        """Who has to answer."""
        return self.record.shard(self.shard).contributor

    @property
    def is_over(self) -> bool:
        """Whether the data set is not valid any more: there is nothing left to demand."""
        return self.chain.dataset(self.record.id).status != DatasetStatus.VALID

    def on_chain(self) -> DemandOnChain:
        """The shard's demand as the chain has it."""
        return self.chain.demand(self.record.order, self.shard)

    def standing(self) -> DemandOnChain | None:
        """A demand that is open and keeps this one from being sent; None when it may be sent.

        The buyer's own demand takes the place of somebody else's, in its time.
        """
        open_one = self.on_chain()
        if not open_one.is_open:
            return None
        is_anothers = self.demander == self.terms.buyer != open_one.demander
        gives_way = is_anothers and self.chain.chain_time() <= open_one.answer_by
        return None if gives_way else open_one

    def check(self) -> None:
        """Raises TesseraError when the chain would refuse the demand."""
        if self.chain.order(self.record.order).state is not OrderState.PUBLISHED:
            raise TesseraError(
                f"data set {self.record.id} is settled or ended: its window is closed, nothing can be demanded"
            )
        if not self.terms.is_open and self.demander != self.terms.buyer:
            raise TesseraError(
                f"data set {self.record.id} is sealed to {self.terms.buyer}: only that account may demand, not "
                f"{self.demander}"
            )

    def send(self) -> TxReceipt:
        """Pays the deposit and demands. Raises as `check`."""
        self.check()
        spender = self.chain.deployment.demands
        if self.chain.allowance(self.demander, spender) < self.deposit_wei:
            self.writer.approve(spender, self.deposit_wei)
        participants = self.chain.participants(self.record.order)
        if self.row is None:
            models = self.chain.commitment(self.record.order).models
            return self.writer.demand_model(self.terms, participants, self.record.id, self.shard, models)
        roots = self.record.shard_roots
        proof, root = shard_proof(roots, self.shard), roots[self.shard]
        return self.writer.demand_chunk(
            self.terms, participants, self.record.id, self.shard, root, proof, self.row
        )

    def follow(
        self, *, wait: bool = True, tell: Callable[[DemandOnChain], None] | None = None
    ) -> DemandResult:
        """Waits for the answer, or ends the demand when its time ran out. wait: False looks once. tell:
        called once with the open demand."""
        while True:
            open_one = self.on_chain()
            if not open_one.is_open:
                return DemandResult(DemandState.ENDED if self.is_over else DemandState.ANSWERED)
            if self.chain.chain_time() > open_one.answer_by:
                return self._end()
            if tell is not None:
                tell(open_one)
                tell = None
            if not wait:
                return DemandResult(DemandState.OPEN)
            time.sleep(_LOOK_SECONDS)

    def _end(self) -> DemandResult:
        """Nobody answered: deposit back, data set revoked, signer slashed, buyer paid back."""
        parties = Parties(self.terms, self.contributor, self.demander)
        participants = self.chain.participants(self.record.order)
        before = holdings(self.chain, parties)
        try:
            receipt = self.writer.expire(self.terms, participants, self.shard)
        except RevertError:
            # Whoever looks may end it, and the broker looks too.
            if self.on_chain().is_open:
                raise
            return DemandResult(DemandState.ENDED if self.is_over else DemandState.ANSWERED)
        return DemandResult(DemandState.ENDED, receipt, before, holdings(self.chain, parties))
