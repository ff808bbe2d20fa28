"""Orders that are placed: which there are, what becomes of them, their rows once they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.api.market import Event
from provenance.api.orders import FAILED_STATES, OrderView, StateEvent
from provenance.api.orders import OrderState as Told
from provenance.chain.ports import OrderState
from provenance.errors import UnavailableError
from provenance.record.terms import OrderTerms
from provenance.units import local_time
from provenance.values import Digest
from tessera.client.delivery import Delivered, KeyPatience, deliver
from tessera.client.order_file import OrderFile
from tessera.client.party import PATIENCE_SECONDS, Party
from tessera.errors import OrderFailedError, TermsDifferError, UsageError
from tessera.words import ORDER_STATES

if TYPE_CHECKING:
    from provenance.verify.dataset import Progress

LEAST_PREFIX = 6
DELIVERABLE = frozenset({Told.PUBLISHED, Told.SETTLED})

Order = str | Digest | OrderFile | Path
"""An order by its id, the first digits of its id, its file, or as signed."""


class Following(Party):
    """A party that watches orders and fetches what they bring."""

    def orders(self, *, state: str | None = None, mine: bool = True) -> tuple[OrderView, ...]:
        """Orders as the broker lists them: the wallet's, or everybody's without a wallet or with mine=False.

        Raises UsageError for a state that there is not.
        """
        buyer = self._signer.address if mine and self._signer is not None else None
        if state is not None and state not in list(Told):
            raise UsageError(f"state: found {state!r}, expected one of {', '.join(Told)}")
        return self.api.orders(buyer=buyer, state=None if state is None else Told(state))

    def status(self, order: Order) -> OrderView:
        """One order as the broker has it."""
        return self.api.order(self.find(order))

    def find(self, order: Order) -> Digest:
        """The id of an order. Raises UsageError for digits that no order, or more than one, begins with."""
        if isinstance(order, Digest):
            return order
        if isinstance(order, OrderFile):
            return order.order_id
        if isinstance(order, Path) or not order.startswith("0x"):
            return OrderFile.read(Path(order)).order_id
        if len(order) == 2 + 2 * Digest.LENGTH:
            return Digest.parse(order)
        if len(order) < LEAST_PREFIX:
            raise UsageError(
                f"order {order!r}: expected its id, or at least {LEAST_PREFIX - 2} digits of it after 0x"
            )
        found = [
            view.order_id for view in self.orders(mine=False) if str(view.order_id).startswith(order.lower())
        ]
        if len(found) != 1:
            listed = "".join(f"\n  {each}" for each in found)
            raise UsageError(
                f"{len(found)} orders begin with {order}, expected one: give more digits, `tessera orders` lists "
                f"them{listed}"
            )
        return found[0]

    def terms(self, order: Order) -> OrderTerms:
        """The terms of an order: of its file, or of the broker, who is believed only if they hash to its id."""
        if isinstance(order, OrderFile):
            return order.terms
        if isinstance(order, Path) or (isinstance(order, str) and not order.startswith("0x")):
            return OrderFile.read(Path(order)).terms
        wanted = self.find(order)
        terms = self.status(wanted).order_terms()
        if terms.order_id(self.profile.deployment.domain) != wanted:
            raise TermsDifferError(
                f"the broker's terms for {wanted} hash to another order: use the order file that `tessera request` "
                "wrote"
            )
        return terms

    def events(self, order: Order) -> Iterator[Event]:
        """An order's events from its first, as they come, until it ends; a broken connection is made anew. Of an order
        in hand the chain's clock is looked at too: OrderFailedError when it is overdue, whatever the broker says.
        """
        order_id = self.find(order)
        if not isinstance(order, OrderFile):
            return self.api.events(order_id)
        return self.api.events(order_id, is_over=lambda: self._require_in_time(order))

    def _require_in_time(self, order: OrderFile) -> bool:
        """False; raises OrderFailedError for an order that is not delivered and cannot be any more."""
        try:
            record, now = self.chain.order(order.order_id), self.chain.chain_time()
            state, due = record.state, order.terms.deliver_by
            is_over = state in (OrderState.NONE, OrderState.OPEN) and now > due
            if (
                state is OrderState.MATCHED
            ):  # demands and outages move the deadline, and an open demand suspends it
                due = self.chain.deadline(order.order_id)
                is_over = not record.open_demands and self.chain.is_overdue(order.order_id)
        except UnavailableError:
            return False  # a chain that does not answer makes nobody late
        if is_over:
            raise OrderFailedError(
                f"order {order.order_id} {ORDER_STATES[state]}, and delivery was due at {local_time(due, now)}: "
                "the broker does not say so. `tessera refund` brings back what is in escrow"
            )
        return False

    def watch(self, order: Order, observe: Callable[[Event], None] | None = None) -> None:
        """Waits until the rows can be fetched. Raises OrderFailedError when the order ended otherwise."""
        order_id = self.find(order)
        for event in self.events(order):
            if observe is not None:
                observe(event)
            state = event.data.state if isinstance(event.data, StateEvent) else None
            if state in FAILED_STATES:
                break
            if state in DELIVERABLE:
                return
        view = self.status(order_id)
        raise OrderFailedError(
            f"order {order_id} ended {view.state}: {view.reason or 'no reason was given'}. Look at the balance of "
            f"{view.buyer}: what was in escrow is back, or `tessera refund` brings it back after the deadline"
        )

    def download(
        self,
        order: Order,
        to: Path | str,
        progress: Progress | None = None,
        patience: KeyPatience | None = None,
    ) -> Delivered:
        """Fetch a published data set, check every row against chain, model and seed, write it to `to`.

        progress: called with (rows recomputed, rows in all). patience: how long keys are waited for that contributors
        release after the publication, a minute by default; rows of a shard whose key is still missing then are left
        out, as `Delivered.withheld` says. Raises OrderFailedError when there is no data set yet, UsageError without the
        right delivery key, FalseDatasetError when a check fails: nothing is written then.
        """
        order_id = self.find(order)
        dataset = self.chain.dataset_of_order(order_id)
        if dataset is None:
            raise OrderFailedError(
                f"order {order_id} has no data set on chain yet: watch it with the command that placed it"
            )
        patience = patience or KeyPatience(PATIENCE_SECONDS)
        return deliver(self.chain, self.content, dataset, self.delivery_key, Path(to), progress, patience)
