"""The states of an order as the broker tells them. The chain's own state stands beside it and wins."""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    """In the order of a successful workflow; the last five are final."""

    ACCEPTED = "accepted"
    """Stored here, not yet in escrow."""
    OPEN = "open"
    """The price is in escrow."""
    MATCHED = "matched"
    TRAINED = "trained"
    COMMITTED = "committed"
    SEEDED = "seeded"
    SCORED = "scored"
    PUBLISHED = "published"
    SETTLED = "settled"
    REFUNDED = "refunded"
    """Not delivered; the buyer has the money back."""
    REVOKED = "revoked"
    """Published, then shown to be false or withheld; the buyer has the money back."""
    CANCELLED = "cancelled"
    """The buyer took the order back before the match."""
    REJECTED = "rejected"
    """The chain did not take the order; no money moved."""


FINAL_STATES = frozenset(
    {
        *(OrderState.SETTLED, OrderState.REFUNDED, OrderState.REVOKED),
        *(OrderState.CANCELLED, OrderState.REJECTED),
    }
)
