"""Permits of orders that wait for the chain: each has its own nonce of the token, and they are used in that order.

A permit is good for the token's next nonce only. A buyer that orders twice before the first order is placed signs
the second permit for the nonce after, which the quote names; the orders are then placed one after the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.database.models import OrderRow
from backend.errors import PermitNonceError
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from provenance.api.orders import OrderState
from provenance.crypto.permit import NO_PERMIT, Permit, PermitMessage, is_permit_of
from provenance.crypto.typed_data import Domain
from provenance.record.terms import OrderTerms
from provenance.values import Address, Digest

MOST_WAITING = 8
"""So many orders of one buyer may wait for the chain at once: for each the nonce of its permit is looked for."""


@dataclass(frozen=True, slots=True)
class Permits:
    """The token as read before a transaction: the buyer's next nonce and the domain that permits are signed under."""

    buyer: Address
    spender: Address
    first: int
    domain: Domain

    @classmethod
    def read(cls, ports: Ports, buyer: Address) -> Permits:
        """Asks the chain."""
        message = ports.chain.permit_message(buyer, 0, 0)
        return cls(buyer, message.spender, message.nonce, ports.chain.token_domain())

    def message(self, terms: OrderTerms, nonce: int) -> PermitMessage:
        """What the buyer signs for an order of these terms."""
        return PermitMessage(self.buyer, self.spender, terms.price, nonce, terms.match_by)

    def nonce_of(self, terms: OrderTerms, permit: Permit) -> int | None:
        """The nonce that a permit was signed for; None for no permit, a used one, and one that is no key's of the
        buyer: of those the chain is asked.
        """
        if permit == NO_PERMIT:
            return None
        message = replace(self.message(terms, self.first), deadline=permit.deadline)
        candidates = (replace(message, nonce=self.first + ahead) for ahead in range(MOST_WAITING))
        found = (each.nonce for each in candidates if is_permit_of(self.domain, each, permit))
        return next(found, None)

    def waiting(self, session: Session) -> dict[int, Digest]:
        """Orders of the buyer that are not placed yet, by the nonce of their permit."""
        found = ((self.nonce_of(order.terms, order.permit), order.id) for order in self._accepted(session))
        return {nonce: order for nonce, order in found if nonce is not None}

    def _accepted(self, session: Session) -> list[StoredOrder]:
        query = select(OrderRow).where(
            OrderRow.buyer == str(self.buyer), OrderRow.state == OrderState.ACCEPTED
        )
        return [StoredOrder.of(row) for row in session.scalars(query.order_by(OrderRow.created_at))]

    def next_nonce(self, taken: Collection[int]) -> int:
        """The nonce of the buyer's next permit."""
        return next(nonce for nonce in range(self.first, self.first + len(taken) + 1) if nonce not in taken)

    def check(self, session: Session, terms: OrderTerms, permit: Permit) -> None:
        """Raises PermitNonceError for a permit that an order before it makes useless, or that none comes before."""
        if len(self._accepted(session)) >= MOST_WAITING:
            raise PermitNonceError(
                f"permit: {MOST_WAITING} orders of {self.buyer} wait to be placed; send this one again when they are"
            )
        found, waiting = self.nonce_of(terms, permit), self.waiting(session)
        expected = self.next_nonce(waiting)
        if found is not None and found != expected:
            of = f", which is that of order {waiting[found]}" if found in waiting else ""
            raise PermitNonceError(
                f"permit: found nonce {found}{of}, expected {expected}; sign the permit again with that nonce, "
                "or approve the escrow once and send no permit",
                (("permit", f"expected nonce {expected}"),),
            )
