"""Demands on chain about this node's shards, answered on chain with its own key.

Whoever may demand pays a deposit and the contributor has a time to answer; silence costs it its stake. An answer
is the signed receipt, a chunk of rows, or the model in clear: what leaves is put down in the outbox log
before it leaves. The chain says what is open, so a killed node goes on where it stood and answers nothing twice. This
module decides nothing about what may be demanded; contracts do (docs/spec/refutation.md).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from generator.errors import GeneratorError, NotYet
from generator.node.context import Node, shard_of
from generator.node.orders import Accepted
from generator.node.outbox_log import OutboxLog
from generator.node.sample import Draw, check_own_model, rows_asked_for, shard_conditions, signed_shard
from provenance.chain.disputes import DemandKind, DemandOnChain, DirectedProof
from provenance.chain.errors import RevertError
from provenance.chain.model_parts import CALLDATA_BYTES, PartReading, PartWriting, store_model
from provenance.chain.ports import OrderState, TxReceipt
from provenance.crypto.merkle import chunk_of_row, directed_proof, rows_per_chunk, shard_leaves
from provenance.errors import ProvenanceError, UnavailableError
from provenance.exact import SPEC_VERSION
from provenance.exact.model import model_digest
from provenance.exact.rows import encode_rows
from provenance.exact.sampler import sampler_for
from provenance.record.receipts import ShardReceipt
from provenance.record.terms import Participant, participants_digest
from provenance.values import Address, Digest

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
_OPEN = (OrderState.MATCHED, OrderState.PUBLISHED)


class DemandReading(PartReading, Protocol):
    """What is read of the chain beside orders and commitments."""

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        """The open or last demand about a shard; UnavailableError when the chain is down."""
        ...


class DemandAnswering(PartWriting, Protocol):
    """Answers, each a transaction of this node's account."""

    def answer_receipt(self, receipt: ShardReceipt, signature: bytes) -> TxReceipt:
        """Shows the signed receipt."""
        ...

    def answer_model(self, order: Digest, shard: int, model: bytes) -> TxReceipt:
        """Shows the model in calldata."""
        ...

    def answer_model_from_parts(self, order: Digest, shard: int, parts: Sequence[Address]) -> TxReceipt:
        """Shows the model from the contracts that hold its parts."""
        ...

    def answer_chunk(
        self, order: Digest, shard: int, row_width: int, chunk_index: int, chunk: bytes, proof: DirectedProof
    ) -> TxReceipt:
        """Shows one chunk of rows with its proof under the shard's root."""
        ...


@dataclass
class DemandWatch:
    """Looks for open demands about the shards of this node and answers them."""

    node: Node
    chain: DemandReading
    writer: DemandAnswering
    outbox: OutboxLog
    _over: set[Digest] = field(default_factory=set)
    _late: set[Digest] = field(default_factory=set)

    def look(self) -> int:
        """Looks at every order once; returns the answers given. Raises UnavailableError when the chain is down."""
        answered = 0
        for order, accepted in self.node.orders.accepted():
            if order in self._over:
                continue
            try:
                answered += self._look_at(order, accepted)
            except UnavailableError:
                raise
            except (GeneratorError, ProvenanceError) as error:
                log.error("order %s: a demand could not be answered: %s", str(order)[:12], error)
        return answered

    def _look_at(self, order: Digest, accepted: Accepted) -> bool:
        record = self.node.chain.order(order)
        if record.state not in _OPEN:
            if record.state not in (OrderState.NONE, OrderState.OPEN):
                self._over.add(order)
            return False
        participants = self.node.chain.participants(order)
        if participants_digest(participants) != record.participants_digest:
            return False  # the node of the chain is between two answers: looked at again
        if self.node.address not in {participant.contributor for participant in participants}:
            self._over.add(order)
            return False
        demand = self.chain.demand(order, shard_of(participants, self.node.address))
        if not demand.is_open or self._too_late(demand):
            return False
        try:
            return self._answer(accepted, participants, demand)
        except RevertError:
            if self.chain.demand(order, demand.shard).is_open:
                raise
            return False  # answered or ended in the meantime

    def _too_late(self, demand: DemandOnChain) -> bool:
        late = self.node.chain.chain_time() > demand.answer_by
        if late and demand.order not in self._late:
            self._late.add(demand.order)
            log.error(
                "order %s: a demand for the %s ran out", str(demand.order)[:12], demand.kind.name.lower()
            )
        return late

    def _answer(
        self, accepted: Accepted, participants: tuple[Participant, ...], demand: DemandOnChain
    ) -> bool:
        model = self.node.state.order(demand.order).model()
        commitment = self.node.chain.commitment(demand.order)
        check_own_model(commitment, demand.shard, model_digest(model))
        if commitment.seed is None:
            raise NotYet(f"the seed of order {demand.order} is not drawn yet")
        draw = Draw(model, commitment.seed, demand.shard, participants[demand.shard].rows)
        what = demand.kind.name.lower()
        log.warning("order %s: the %s is demanded on chain, answering", str(demand.order)[:12], what)
        if demand.kind is DemandKind.MODEL:
            sent = self._send_model(demand, model)
        else:
            rows = self._row_bytes(accepted, participants, draw)
            sent = (
                self._send_receipt(accepted, demand, draw, rows)
                if demand.kind is DemandKind.RECEIPT
                else self._send_chunk(demand, draw, rows)
            )
        log.info("order %s: %s shown on chain (transaction %s)", str(demand.order)[:12], what, sent.hash)
        return True

    def _send_model(self, demand: DemandOnChain, model: bytes) -> TxReceipt:
        self._leaves(demand, model)
        if len(model) <= CALLDATA_BYTES:
            return self.writer.answer_model(demand.order, demand.shard, model)
        parts = [part.address for part in store_model(self.chain, self.writer, model)]
        return self.writer.answer_model_from_parts(demand.order, demand.shard, parts)

    def _send_receipt(
        self, accepted: Accepted, demand: DemandOnChain, draw: Draw, row_bytes: bytes
    ) -> TxReceipt:
        signed = signed_shard(self.node, accepted, draw, row_bytes)
        self._leaves(demand, signed.signature)
        return self.writer.answer_receipt(signed.receipt, signed.signature)

    def _send_chunk(self, demand: DemandOnChain, draw: Draw, row_bytes: bytes) -> TxReceipt:
        width = len(row_bytes) // draw.rows
        index, size = chunk_of_row(demand.row, width), rows_per_chunk(width) * width
        chunk = row_bytes[index * size : (index + 1) * size]
        self._leaves(demand, chunk)
        proof = directed_proof(shard_leaves(row_bytes, width), index)
        return self.writer.answer_chunk(demand.order, demand.shard, width, index, chunk, proof)

    def _row_bytes(self, accepted: Accepted, participants: tuple[Participant, ...], draw: Draw) -> bytes:
        """The shard's rows, made again: they are a function of what is kept."""
        threads = self.node.settings.threads
        conditions = shard_conditions(self.node, accepted, participants, draw.shard)
        sampler = sampler_for(SPEC_VERSION)(draw.model, draw.seed, draw.shard)
        if conditions is None:
            return sampler.row_bytes(0, draw.rows, threads=threads)
        values = rows_asked_for(draw, conditions, threads)
        return encode_rows(values, sampler.model.codebook.value_widths)

    def _leaves(self, demand: DemandOnChain, data: bytes) -> None:
        """What leaves is on record first."""
        self.outbox.add(f"{demand.kind.name.lower()} demanded", "chain", data, str(demand.order))


@contextmanager
def watching(watch: DemandWatch, stop: threading.Event, seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """Looks in a thread of its own for as long as the block lasts: training must not keep an answer waiting."""
    done = threading.Event()

    def run() -> None:
        while not (stop.is_set() or done.wait(seconds)):
            try:
                watch.look()
            except UnavailableError as error:
                log.warning("%s", error)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: the next look must come
                # The name only: a foreign message might quote a value of the table.
                log.error("looking for demands broke with %s; looking again", type(error).__name__)

    thread = threading.Thread(target=run, name="demands", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2 * seconds)
