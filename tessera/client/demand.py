"""Having a contributor show a model or rows on chain, or the broker its manifest; or having silence cost them.

Needs neither manifest nor files: terms by their digest, the rest from the chain. One demand of a shard is open at a
time and the chain knows it, so the same calls may be made again at any time: they look, wait, or end what ran out.
An answer has two times: when nobody answered in the first one, whoever looks warns; after the second, ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from provenance.chain.disputes import MANIFEST_SHARD, DemandOnChain
from provenance.chain.errors import RevertError, UnknownShardError
from provenance.chain.ports import DatasetOnChain, OrderState, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.record.terms import OrderTerms
from provenance.values import Address
from provenance.verify.refutation import shard_proof
from tessera.client.accounts import Parties, holdings
from tessera.errors import TesseraError, UsageError

DEPOSIT_PART: Final = 10
"""A demand costs this part of what the rows cost: burned when it is answered, back when it is not."""
_LOOK_SECONDS = 1.0


class DemandState(Enum):
    """How a demand stands. ENDED: whoever had to answer was convicted, by this demand or otherwise."""

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
class Waiting:
    """A demand that waits for its answer, at chain time `now`. warned: this is the second time, after which silence
    is punished."""

    demand: DemandOnChain
    warned: bool
    now: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What one wallet wants of a data set: of `shard` the model, or the chunk that holds `row` of the shard; of shard
    MANIFEST_SHARD the manifest."""

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
        if self.is_manifest:
            return
        try:
            self.record.shard(self.shard)
        except UnknownShardError as error:
            raise UsageError(f"shard={self.shard}: {error}") from error

    @property
    def is_manifest(self) -> bool:
        return self.shard == MANIFEST_SHARD

    @property
    def words(self) -> str:
        """What is demanded."""
        if self.is_manifest:
            return f"the manifest of data set {self.record.id}"
        if self.row is None:
            return f"the model of shard {self.shard}"
        return f"the chunk with row {self.row} of shard {self.shard}"

    @property
    def deposit_wei(self) -> int:
        """A tenth of what the shard's rows, or for the manifest all rows, cost."""
        rows = self.terms.rows if self.is_manifest else self.record.shard(self.shard).rows
        return self.terms.price * rows // (self.terms.rows * DEPOSIT_PART)

    @property
    def answerer(self) -> Address:
        """Who has to answer."""
        return self.terms.broker if self.is_manifest else self.record.shard(self.shard).contributor

    @property
    def is_over(self) -> bool:
        """Whether whoever had to answer is convicted already, or the whole data set is: nothing is left to demand."""
        record = self.chain.dataset(self.record.id)
        if self.is_manifest:
            return not record.stands or self.chain.shards(self.record.order).fee_forfeit
        return self.shard not in {each.shard for each in record.standing}

    def on_chain(self) -> DemandOnChain:
        """The shard's demand as the chain has it."""
        return self.chain.demand(self.record.order, self.shard)

    def standing(self) -> DemandOnChain | None:
        """A demand that is open and keeps this one from being sent; None when it may be sent.

        The buyer's own demand takes the place of somebody else's, in its first time.
        """
        open_one = self.on_chain()
        if not open_one.is_open:
            return None
        is_anothers = self.demander == self.terms.buyer != open_one.demander
        is_first = self.chain.chain_time() <= open_one.answer_by and not self._is_warned()
        return None if is_anothers and is_first else open_one

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
        if self.is_manifest:
            return self.writer.demand_manifest(self.terms, participants, self.record.id)
        if self.row is None:
            models = self.chain.commitment(self.record.order).models
            return self.writer.demand_model(self.terms, participants, self.record.id, self.shard, models)
        roots = self.record.shard_roots
        proof, root = shard_proof(roots, self.shard), roots[self.shard]
        return self.writer.demand_chunk(
            self.terms, participants, self.record.id, self.shard, root, proof, self.row
        )

    def follow(self, *, wait: bool = True, tell: Callable[[Waiting], None] | None = None) -> DemandResult:
        """Waits for the answer; when nobody answered in the first time, warns and waits for the second; when that is
        over too, ends the demand. wait: False looks once. tell: called once in each time with the open demand."""
        told: set[bool] = set()
        while True:
            open_one = self.on_chain()
            if not open_one.is_open:
                return self._closed()
            now, warned = self.chain.chain_time(), self._is_warned()
            if now > open_one.answer_by:
                ended = self._expire(warned=warned)
                if ended is not None:
                    return ended
                continue
            if tell is not None and warned not in told:
                tell(Waiting(open_one, warned, now))
                told.add(warned)
            if not wait:
                return DemandResult(DemandState.OPEN)
            time.sleep(_LOOK_SECONDS)

    def _is_warned(self) -> bool:
        return self.chain.is_warned(self.record.order, self.shard)

    def _closed(self) -> DemandResult:
        return DemandResult(DemandState.ENDED if self.is_over else DemandState.ANSWERED)

    def _expire(self, *, warned: bool) -> DemandResult | None:
        """Warns, and None; or ends the demand: deposit back, whoever was silent pays."""
        signer = None if self.is_manifest else self.answerer
        parties = Parties(self.terms, signer, self.demander)
        participants = self.chain.participants(self.record.order)
        before = holdings(self.chain, parties)
        try:
            receipt = self.writer.expire(self.terms, participants, self.shard)
        except RevertError:
            # Whoever looks may warn or end it, and the broker looks too.
            now = self.on_chain()
            if now.is_open and (warned or not self._is_warned()):
                raise
            return None
        if not warned:
            return None
        return DemandResult(DemandState.ENDED, receipt, before, holdings(self.chain, parties))
