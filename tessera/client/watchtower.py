"""A watchtower: answers demands for contributors that are away, from sealed copies that they left with it.

It has a key of its own for gas, and one that opens the copies. It opens a copy only when the chain shows an open demand
for it, and only after the contributor had some time to answer itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from provenance.chain.answers import Answer, AnswerWriting
from provenance.chain.disputes import DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.model_parts import PartReading
from provenance.chain.ports import OrderOnChain, OrderState, ShardsOnChain
from provenance.chain.sealed_answers import open_answer
from provenance.crypto.seal import DeliveryKey
from provenance.errors import MalformedError, SealError
from provenance.units import local_time
from provenance.values import Digest

log = logging.getLogger(__name__)
PATIENCE_SECONDS: Final = 300.0
_WATCHED: Final = (OrderState.MATCHED, OrderState.PUBLISHED)


class TowerReading(PartReading, Protocol):
    """What a tower reads of the chain."""

    def order(self, order_id: Digest) -> OrderOnChain: ...
    def shards(self, order_id: Digest) -> ShardsOnChain: ...
    def demand(self, order: Digest, shard: int) -> DemandOnChain: ...
    def is_warned(self, order: Digest, shard: int) -> bool: ...
    def chain_time(self) -> int: ...


@dataclass
class Watchtower:
    """Watches the orders whose copies lie in a folder. patience_seconds: how long the contributor itself is waited for;
    after a warning nobody is."""

    chain: TowerReading
    writer: AnswerWriting
    folder: Path
    key: DeliveryKey
    patience_seconds: float = PATIENCE_SECONDS
    clock: Callable[[], float] = time.monotonic
    _seen: dict[tuple[Digest, int, DemandKind], float] = field(default_factory=dict)
    _told: set[tuple[Digest, int, DemandKind, bool]] = field(default_factory=set)

    def look(self) -> int:
        """Looks at every order with copies once; returns the answers sent. Raises UnavailableError."""
        answered = 0
        for order, shards in self._held():
            if self.chain.order(order).state in _WATCHED:
                out = self.chain.shards(order).out
                answered += sum(self._look_at(order, shard) for shard in shards if shard not in out)
        return answered

    def _held(self) -> Iterator[tuple[Digest, list[int]]]:
        """Orders and shards that there are copies of."""
        for folder in sorted(self.folder.iterdir()):
            if not folder.is_dir():
                continue
            try:
                order = Digest.parse("0x" + folder.name)
            except MalformedError:
                continue
            yield order, sorted(int(each.name) for each in folder.iterdir() if each.name.isdecimal())

    def _look_at(self, order: Digest, shard: int) -> bool:
        demand = self.chain.demand(order, shard)
        if not demand.is_open:
            for place in [place for place in self._seen if place[:2] == (order, shard)]:
                del self._seen[place]
            return False
        warned, now = self.chain.is_warned(order, shard), self.chain.chain_time()
        self._tell(demand, now, warned=warned)
        if warned and now > demand.answer_by:
            return False
        first = self._seen.setdefault((order, shard, demand.kind), self.clock())
        if not warned and self.clock() - first < self.patience_seconds:
            return False
        return self._answer(demand)

    def _tell(self, demand: DemandOnChain, now: int, *, warned: bool) -> None:
        """Once in each time."""
        told = (demand.order, demand.shard, demand.kind, warned)
        if told in self._told:
            return
        self._told.add(told)
        which = "SECOND AND LAST" if warned else "first"
        log.warning(
            "order %s: the %s of shard %d is demanded, the %s time ends at %s",
            str(demand.order)[:12], demand.kind.name.lower(), demand.shard, which, local_time(demand.answer_by, now),
        )  # fmt: skip

    def _answer(self, demand: DemandOnChain) -> bool:
        """Sends the newest copy that the chain takes."""
        what = demand.kind.name.lower()
        for path, answer in self._copies(demand):
            try:
                sent = answer.send(demand, self.chain, self.writer)
            except RevertError as error:
                if not self.chain.demand(demand.order, demand.shard).is_open:
                    return False  # answered or ended in the meantime
                log.error("%s: the chain does not take it: %s", path, error)
                continue
            log.warning(
                "order %s: the %s of shard %d is shown on chain (transaction %s)",
                str(demand.order)[:12], what, demand.shard, sent.hash,
            )  # fmt: skip
            return True
        log.error(
            "order %s: no copy here answers the demand for the %s of shard %d: its contributor must",
            str(demand.order)[:12], what, demand.shard,
        )  # fmt: skip
        return False

    def _copies(self, demand: DemandOnChain) -> Iterator[tuple[Path, Answer]]:
        """Those for the demand that open, the newest first."""
        folder = self.folder / demand.order.hex() / str(demand.shard)
        paths = folder.glob(f"{demand.kind.name.lower()}-*")
        for path in sorted(paths, key=lambda each: each.stat().st_mtime_ns, reverse=True):
            try:
                yield (
                    path,
                    open_answer(path.read_bytes(), demand.order, demand.shard, demand.kind, self.key),
                )
            except (SealError, MalformedError) as error:
                log.error("%s: %s", path, error)
