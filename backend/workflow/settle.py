"""Settlement, the last steps of an order: publication, challenge window, payment; or the buyer's money back."""

from __future__ import annotations

import logging

from backend.content import drop_older, release
from backend.errors import OrderFailedError
from backend.manifest_demands import MOST_BYTES, answer_manifest_demand
from backend.orders.repository import OrderRepository
from backend.ports import Ports
from backend.tasks.keys import ask_for_keys
from backend.tasks.repository import JobRepository
from backend.tasks.retention import delete_old_results
from backend.workflow.demands import StepDemands
from backend.workflow.generate import Generation
from backend.workflow.late_files import LateFiles
from backend.workflow.order_log import OrderLog
from backend.workflow.publication import Publication, assemble, judge
from backend.workflow.retry import Retry
from provenance.api.orders import OrderState
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderOnChain
from provenance.chain.ports import OrderState as ChainState
from provenance.errors import ProvenanceError
from provenance.record.terms import OrderTerms
from provenance.values import Digest

_LOG = logging.getLogger("backend.workflow")
UNDELIVERED = (ChainState.OPEN, ChainState.MATCHED)
DELIVERED = (ChainState.PUBLISHED, ChainState.SETTLED, ChainState.REVOKED)
FINAL = {
    ChainState.NONE: OrderState.REJECTED,
    ChainState.CANCELLED: OrderState.CANCELLED,
    ChainState.REFUNDED: OrderState.REFUNDED,
    ChainState.REVOKED: OrderState.REVOKED,
    ChainState.SETTLED: OrderState.SETTLED,
}
REVOKED_REASON = "a shard was shown on chain to be false, or withheld: the data set is revoked"


class Settlement:
    """Steps `publish`, `settle` and `give_back`."""

    def __init__(self, ports: Ports, order: str, generation: Generation) -> None:
        self._ports = ports
        self._id = Digest.parse(order)
        self._log = OrderLog(ports, order)
        self._retry = Retry(ports)
        self._demands = StepDemands(ports, order)
        self._generation = generation
        self._late = LateFiles(ports, self._id, self._log)

    def publish(self) -> None:
        """Records the data set on chain; only then files and manifest can be read by others, and keys are asked for."""
        stored = self._log.load()
        if self._chain().state in UNDELIVERED:
            self._retry.call(lambda: judge(self._ports, self._generation))
        publication = assemble(self._ports, self._generation)
        if len(publication.manifest) > MOST_BYTES:
            raise OrderFailedError(
                f"the manifest has {len(publication.manifest):,} bytes; demanded on chain, one transaction shows "
                f"{MOST_BYTES:,}: match fewer contributors"
            )
        self._require_contents(publication)
        # More than once only where blocks are replaced that were deep enough to be acted on.
        while (state := self._chain().state) in UNDELIVERED:
            self._retry.transact(
                "publish",
                lambda: self._chain().state not in UNDELIVERED,
                lambda: self._ports.writer.publish(stored.terms, stored.participants(), publication.record),
                lambda receipt: self._log.mined("publish", receipt),
            )
        if state not in DELIVERED:
            raise OrderFailedError("the order was ended on chain before publication")
        self._release(publication)
        self._log.enter(OrderState.PUBLISHED)
        self._retry.call(self.sweep)

    def settle(self) -> None:
        """Pays out once the challenge window has passed in chain time and no demand is open."""
        stored = self._log.load()
        publication = assemble(self._ports, self._generation)
        record = publication.record
        while self._chain().state is ChainState.PUBLISHED:
            self._retry.poll(lambda: self._can_settle(stored.terms, publication) or None)
            try:
                self._retry.transact(
                    "settle",
                    lambda: self._chain().state is not ChainState.PUBLISHED,
                    lambda: self._ports.writer.settle(
                        stored.terms, stored.participants(), record.shares_bps, record.parents
                    ),
                    lambda receipt: self._log.mined("settle", receipt),
                )
            except OrderFailedError as error:
                is_refused = isinstance(error.__cause__, RevertError)
                if not is_refused or self._can_settle(stored.terms, publication):
                    raise
                # A demand came between the look and the transaction: the window is open again.
                self._log.message(f"not settled yet: {error}; waiting for the window to close again")
        self._enter_final(self._chain().state)
        self._retry.call(self.sweep)

    def _can_settle(self, terms: OrderTerms, publication: Publication) -> bool:
        """Whether the order can be settled, or need not be any more."""
        if self._chain().open_demands:
            self._show_manifest(publication.manifest)
        self._demands.end_overdue()
        self._take_late(publication)
        order = self._chain()
        if order.state is not ChainState.PUBLISHED:
            return True
        chain, length = self._ports.chain, terms.challenge_seconds
        is_over = chain.chain_time() > chain.end_of(order.window_ends(length), length)
        return is_over and not order.open_demands

    def _take_late(self, publication: Publication) -> None:
        """Nothing waits for late files: what keeps them away now is looked at again later."""
        try:
            self._late.take(publication.shards)
        except ProvenanceError as error:
            _LOG.warning("order %s: late files: %s", str(self._id)[:12], error)

    def _show_manifest(self, manifest: bytes) -> None:
        """Somebody may demand it on chain: silence would cost bond and fee. An answer that came too late ends nothing
        but the demand."""
        try:
            shown = answer_manifest_demand(self._ports.chain, self._ports.writer, self._id, manifest)
        except RevertError as refusal:
            _LOG.error("order %s: the manifest could not be shown on chain: %s", str(self._id)[:12], refusal)
            return
        if shown is not None:
            self._log.mined("manifest", shown)

    def _enter_final(self, state: ChainState, reason: str | None = None) -> bool:
        """Moves the order to the final state that the chain shows; False when the chain's state is not final."""
        final = FINAL.get(state)
        if final is not None:
            self._log.enter(final, REVOKED_REASON if final is OrderState.REVOKED else reason)
        return final is not None

    def give_back(self, reason: str) -> bool:
        """Returns the buyer's money; True when the order is final, False when it is published after all."""
        self._log.give_up(reason)
        while True:
            state = self._chain().state
            if self._enter_final(state, reason):
                self._retry.call(self.sweep)
                return True
            if state is ChainState.PUBLISHED:
                return False
            self._retry.poll(lambda: self._no_demand_open() or None)
            self._return_money()

    def sweep(self) -> None:
        """Drops uploads older than every order that is still to be recorded: they were for orders that ended. Those of
        contributors whose shards are published without files stay: the rest may come as long as the order is published.
        What nodes sent for orders that are over is deleted when its time has come.
        """
        waiting = self._ports.waiting.cids()  # first: what comes now may be for an order that comes now
        with self._ports.database.read() as session:
            oldest = OrderRepository(session).oldest_unrecorded()
            awaited = JobRepository(session).awaited_late()
        drop_older(self._ports, waiting, oldest, awaited)
        delete_old_results(self._ports)

    def _no_demand_open(self) -> bool:
        """The contract returns nothing while a demand is open; an answer or its expiry ends it."""
        self._demands.end_overdue()
        return not self._chain().open_demands

    def _return_money(self) -> None:
        """Abandons, which the contract allows up to the deadline, or refunds, which it allows after it."""
        stored = self._log.load()
        matched = self._chain().state is ChainState.MATCHED
        participants = stored.participants() if matched else ()
        overdue = matched and self._is_overdue()
        writer = self._ports.writer
        try:
            self._retry.transact(
                "refund" if overdue else "abandon",
                lambda: self._chain().state not in UNDELIVERED,
                lambda: (writer.refund if overdue else writer.abandon)(stored.terms, participants),
                lambda receipt: self._log.mined("refund" if overdue else "abandon", receipt),
            )
        except OrderFailedError as error:
            if not isinstance(error.__cause__, RevertError):
                raise
            # The deadline may have passed between the look and the transaction: look again.
            self._log.message(f"the money could not be returned yet: {error}; trying again")
            self._retry.pause(1.0)

    def _is_overdue(self) -> bool:
        return self._retry.call(lambda: self._ports.chain.is_overdue(self._id))

    def _require_contents(self, publication: Publication) -> None:
        """A data set with a missing file must never be published. The store is asked too: it must answer now."""
        for cid in publication.contents:
            is_stored = self._retry.call(lambda cid=cid: self._ports.store.has(cid))  # type: ignore[misc]
            if not is_stored and not self._ports.waiting.has(cid):
                raise OrderFailedError(f"nobody uploaded {cid}, which the manifest names")

    def _release(self, publication: Publication) -> None:
        for cid in publication.contents:
            self._retry.call(lambda cid=cid: release(self._ports, cid))  # type: ignore[misc]
        self._take_late(publication)
        manifest = self._retry.call(lambda: self._ports.store.put(publication.manifest))
        self._log.store_manifest(str(manifest))
        self._retry.call(lambda: ask_for_keys(self._ports, self._id, publication.shards))

    def _chain(self) -> OrderOnChain:
        return self._retry.call(lambda: self._ports.chain.order(self._id))
