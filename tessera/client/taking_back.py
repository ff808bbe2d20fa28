"""Orders that are taken back. The chain is asked, nobody else: the exit is open without the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState
from provenance.record.terms import OrderTerms
from provenance.units import local_time
from provenance.values import Digest
from tessera.client.following import Following, Order
from tessera.errors import TesseraError
from tessera.words import ORDER_STATES

if TYPE_CHECKING:
    from provenance.chain.ports import TxReceipt


class TakingBack(Following):
    """A party that takes back an order, or its price."""

    def cancel(self, order: Order) -> TxReceipt:
        """Take an order back before it is matched: the whole price returns at once. One that is signed and not placed
        yet nobody can place any more. Raises TesseraError later than that."""
        terms = self.terms(order)
        if terms.buyer != self.wallet.address:
            raise TesseraError(f"the order was signed by {terms.buyer}, this wallet is {self.wallet.address}")
        order_id = terms.order_id(self.profile.deployment.domain)
        if self.chain.order(order_id).state is OrderState.MATCHED:
            deadline = local_time(self.chain.deadline(order_id), self.chain.chain_time())
            raise TesseraError(
                f"order {order_id} {ORDER_STATES[OrderState.MATCHED]}: too late to cancel; without delivery `tessera "
                f"refund` brings the price back after {deadline}"
            )
        self._require(terms, OrderState.NONE, OrderState.OPEN)
        return self.writer.cancel(terms)

    def refund(self, order: Order) -> tuple[TxReceipt, int]:
        """Take the price back after the deadline passed without delivery: the transaction, and the token
        wei that came.

        Anybody may send it, the money goes to the buyer only. Raises TesseraError before the deadline.
        """
        terms = self.terms(order)
        order_id = self._require(terms, OrderState.OPEN, OrderState.MATCHED)
        state, now = self.chain.order(order_id).state, self.chain.chain_time()
        deadline = terms.match_by if state is OrderState.OPEN else self.chain.deadline(order_id)
        if now <= deadline:
            cancel = "; `tessera cancel` takes it back at once" if state is OrderState.OPEN else ""
            raise TesseraError(
                f"order {order_id} {ORDER_STATES[state]}: it can be refunded after {local_time(deadline, now)}{cancel}"
            )
        before = self.chain.balance(terms.buyer)
        try:
            receipt = self.writer.refund(terms, self.chain.participants(order_id))
        except RevertError:
            # The broker gives the money back by itself, and may have come first.
            self._require(terms, OrderState.OPEN, OrderState.MATCHED)
            raise
        return receipt, self.chain.balance(terms.buyer) - before

    def _require(self, terms: OrderTerms, *states: OrderState) -> Digest:
        """The order's id; TesseraError when it is in none of `states`."""
        order_id = terms.order_id(self.profile.deployment.domain)
        state = self.chain.order(order_id).state
        if state not in states:
            raise TesseraError(f"order {order_id} {ORDER_STATES[state]}: there is nothing to take back")
        return order_id
