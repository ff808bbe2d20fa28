"""The chain follower: fetch, then store raw and apply, these two in one transaction with the checkpoint.

A checkpoint is a block number with its hash. When the chain no longer has that hash, it was reorganised: the
follower returns to the newest checkpoint that the chain still has, deletes what came after, and follows again.
Nothing that moves money depends on these tables: the order's steps read the chain itself.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, fields

from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from backend.database.models import ChainEventRow, CheckpointRow
from backend.indexer.apply import apply, rebuild
from backend.ports import Ports
from provenance.canonical import JsonValue, encode
from provenance.chain.dispute_events import DemandedEvaluation, DemandedReceipt
from provenance.chain.errors import ChainError
from provenance.chain.events import ChainEvent, OtherEvent, Transfer
from provenance.errors import UnavailableError
from provenance.record.terms import Participant
from provenance.values import Address, Digest, Signature

_LOG = logging.getLogger("backend.indexer")
MAX_BLOCKS = 2000
RETRY_SECONDS = 2.0
_POSITION = "at"


@dataclass(frozen=True, slots=True)
class Reorganised:
    """The chain replaced blocks after `ancestor` (None: all that were followed)."""

    ancestor: int | None


@dataclass(frozen=True, slots=True)
class Followed:
    """Blocks up to `block` are applied; `is_head` when nothing newer was there."""

    block: int
    is_head: bool


class Follower:
    """Follows one chain into the database of `ports`. `step` looks once, `run` until the process leaves."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def run(self) -> None:
        """Loops in a thread of its own."""
        while not self._ports.stopping.is_set():
            pause = self._ports.settings.poll_seconds
            try:
                outcome = self.step()
                if isinstance(outcome, Reorganised):
                    _LOG.warning("the chain was reorganised; following again from block %s", outcome.ancestor)
                    continue
                if not outcome.is_head:
                    continue
            except (UnavailableError, ChainError, SQLAlchemyError) as error:
                _LOG.warning("cannot follow the chain now: %s", error)
                pause = RETRY_SECONDS
            self._ports.stopping.wait(pause)

    def start(self) -> threading.Thread:
        """Runs in the background."""
        thread = threading.Thread(target=self.run, name="chain-follower", daemon=True)
        thread.start()
        return thread

    def step(self) -> Reorganised | Followed:
        """One look at the chain: rolls back, or applies the next stretch of blocks."""
        chain = self._ports.chain
        checkpoint = self._newest_checkpoint()
        if checkpoint is not None and str(chain.block_hash(checkpoint.block)) != checkpoint.hash:
            ancestor = self._common_ancestor()
            self._roll_back(ancestor)
            return Reorganised(ancestor)
        done = chain.deployment.block - 1 if checkpoint is None else checkpoint.block
        head = chain.block_number()
        last = min(head, done + MAX_BLOCKS)
        if last <= done:
            return Followed(done, is_head=True)
        before = chain.block_hash(last)
        events = [
            event for event in chain.events(done + 1, last) if not isinstance(event, OtherEvent | Transfer)
        ]
        if before is None or chain.block_hash(last) != before:
            # Replaced while it was read: the next look fetches the new blocks.
            return Followed(done, is_head=False)
        self._store([event_row(event) for event in events], last, str(before))
        return Followed(last, is_head=last == head)

    def _newest_checkpoint(self) -> CheckpointRow | None:
        with self._ports.database.read() as session:
            return session.scalar(select(CheckpointRow).order_by(CheckpointRow.block.desc()).limit(1))

    def _common_ancestor(self) -> int | None:
        """The newest checkpoint that the chain still has."""
        with self._ports.database.read() as session:
            checkpoints = session.scalars(select(CheckpointRow).order_by(CheckpointRow.block.desc())).all()
        for checkpoint in checkpoints:
            if str(self._ports.chain.block_hash(checkpoint.block)) == checkpoint.hash:
                return checkpoint.block
        return None

    def _roll_back(self, ancestor: int | None) -> None:
        """Deletes everything after the ancestor and rebuilds the derived tables from the rows that stay."""
        last = -1 if ancestor is None else ancestor
        with self._ports.database.write() as session:
            session.execute(delete(ChainEventRow).where(ChainEventRow.block > last))
            session.execute(delete(CheckpointRow).where(CheckpointRow.block > last))
            rebuild(session)

    def _store(self, rows: list[ChainEventRow], block: int, block_hash: str) -> None:
        oldest = block - self._ports.settings.finality_blocks
        with self._ports.database.write() as session:
            for row in rows:
                session.add(row)
                apply(session, row)
                session.flush()
            session.add(CheckpointRow(block=block, hash=block_hash))
            session.execute(delete(CheckpointRow).where(CheckpointRow.block < oldest))


def event_row(event: ChainEvent) -> ChainEventRow:
    """The row of one event, keyed by its place in the chain.

    The payload is canonical JSON with every integer as a decimal string (they may have 256 bits).
    """
    document = {
        field.name: _json(getattr(event, field.name)) for field in fields(event) if field.name != _POSITION
    }
    order = getattr(event, "order", None)
    return ChainEventRow(
        block=event.at.block,
        log_index=event.at.log_index,
        transaction=str(event.at.transaction),
        order=None if order is None else str(order),
        kind=event.name,
        payload=encode(document),
    )


def _json(value: object) -> JsonValue:
    if isinstance(value, Address | Digest | Signature):
        return str(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Participant | DemandedReceipt | DemandedEvaluation):
        return {field.name: _json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_json(item) for item in value]
    raise TypeError(f"an event holds {type(value).__name__}, which has no stored form; add one here")
