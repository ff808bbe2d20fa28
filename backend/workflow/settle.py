"""The last steps: publication, the challenge window, settlement; and giving the money back when it comes to
that.
"""

from __future__ import annotations

from backend.errors import OrderFailedError
from backend.orders.states import OrderState
from backend.ports import Ports
from backend.workflow.demands import Demanding
from backend.workflow.generate import Producing
from backend.workflow.order_log import Journal
from backend.workflow.publication import Publication, assemble
from backend.workflow.retry import Patience
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderOnChain
from provenance.chain.ports import OrderState as ChainState
from provenance.record.terms import OrderTerms
from provenance.values import Digest

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


class Delivering:
    """Steps `publish`, `settle` and `give_back`."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._journal = Journal(ports, order)
        self._patience = Patience(ports)
        self._demanding = Demanding(ports, order)

    def publish(self) -> None:
        """Puts the manifest into the store, then records the data set on chain."""
        stored = self._journal.load()
        publication = self._publication()
        self._require_contents(publication)
        cid = self._patience.ask(lambda: self._ports.store.put(publication.manifest))
        self._journal.note_manifest(str(cid))
        self._patience.transact(
            "publish",
            lambda: self._chain().state not in UNDELIVERED,
            lambda: self._ports.writer.publish(stored.terms, stored.participants(), publication.record),
            lambda receipt: self._journal.sent("publish", receipt),
        )
        if self._chain().state not in DELIVERED:
            raise OrderFailedError("the order was ended on chain before publication")
        self._journal.enter(OrderState.PUBLISHED)

    def settle(self) -> None:
        """Pays out once the challenge window has passed in chain time and no demand is open."""
        stored = self._journal.load()
        record = self._publication().record
        while self._chain().state is ChainState.PUBLISHED:
            self._patience.until(lambda: True if self._is_ripe(stored.terms) else None)
            try:
                self._patience.transact(
                    "settle",
                    lambda: self._chain().state is not ChainState.PUBLISHED,
                    lambda: self._ports.writer.settle(
                        stored.terms, stored.participants(), record.shares_bps, record.parents
                    ),
                    lambda receipt: self._journal.sent("settle", receipt),
                )
            except OrderFailedError as error:
                if not isinstance(error.__cause__, RevertError) or self._is_ripe(stored.terms):
                    raise
                # A demand came between the look and the transaction: the window is open again.
                self._journal.say(f"not settled yet: {error}; waiting for the window to close again")
        self._enter_final(self._chain().state)

    def _is_ripe(self, terms: OrderTerms) -> bool:
        """Whether settling is possible, or no longer needed."""
        self._demanding.end_overdue()
        order = self._chain()
        if order.state is not ChainState.PUBLISHED:
            return True
        is_over = self._ports.ledger.chain_time() > order.window_ends(terms.challenge_seconds)
        return is_over and not order.open_demands

    def _enter_final(self, state: ChainState, reason: str | None = None) -> bool:
        """Moves the order where the chain has brought it; False when that is no end."""
        final = FINAL.get(state)
        if final is not None:
            self._journal.enter(final, REVOKED_REASON if final is OrderState.REVOKED else reason)
        return final is not None

    def give_back(self, reason: str) -> bool:
        """Returns the buyer's money; True when the order is final, False when it is published after all."""
        self._journal.give_up(reason)
        while True:
            state = self._chain().state
            if self._enter_final(state, reason):
                return True
            if state is ChainState.PUBLISHED:
                return False
            # While a demand is open the contract returns nothing.
            self._patience.ask(self._demanding.end_overdue)
            self._return_money()

    def _return_money(self) -> None:
        """Abandons, which the contract allows up to the deadline, or refunds, which it allows after it."""
        stored = self._journal.load()
        # The contract returns nothing while a demand is open; answer or expiry ends it.
        self._patience.until(lambda: None if self._chain().open_demands else True)
        matched = self._chain().state is ChainState.MATCHED
        participants = stored.participants() if matched else ()
        overdue = matched and self._patience.ask(self._ports.ledger.chain_time) > stored.terms.deliver_by
        writer = self._ports.writer
        try:
            self._patience.transact(
                "refund" if overdue else "abandon",
                lambda: self._chain().state not in UNDELIVERED,
                lambda: (writer.refund if overdue else writer.abandon)(stored.terms, participants),
                lambda receipt: self._journal.sent("refund" if overdue else "abandon", receipt),
            )
        except OrderFailedError as error:
            if not isinstance(error.__cause__, RevertError):
                raise
            # The deadline may have passed between the look and the transaction: look again.
            self._journal.say(f"the money could not be returned yet: {error}; trying again")
            self._patience.pause(1.0)

    def _publication(self) -> Publication:
        producing = Producing(self._ports, self._order)
        return assemble(self._ports, producing)

    def _require_contents(self, publication: Publication) -> None:
        """A data set whose files are not there must never be published."""
        for cid in publication.contents:
            if not self._patience.ask(lambda cid=cid: self._ports.store.has(cid)):  # type: ignore[misc]
                raise OrderFailedError(f"the content store does not hold {cid}, which the manifest names")

    def _chain(self) -> OrderOnChain:
        return self._patience.ask(lambda: self._ports.ledger.order(self._id))
