"""Allocation of an order's rows to those who accepted, by what they have delivered before.

A declaration costs nothing, so it counts only as far as something stands behind it: of a contributor with settled
shards at most DECLARED_FOR_DELIVERED rows for each row that it delivered; of a newcomer at most CLAIM_CAP medians of
what all declare. Newcomers together deliver at most a part of the order, and stand behind the others when there are
more than it takes. A market where the others cannot deliver the rest has only its newcomers: then each may deliver at
most twice an equal part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from provenance.units import WHOLE_BPS
from provenance.values import Address, Signature

DECLARED_FOR_DELIVERED = 10
CLAIM_CAP = 3


@dataclass(frozen=True, slots=True)
class Offer:
    """One contributor's signed acceptance.

    max_rows, staked_rows, delivered_rows: synthetic rows, those it accepts now, those that its free stake bears, and
    those of its settled shards. declared_rows: private ones.
    """

    contributor: Address
    declared_rows: int
    max_rows: int
    acceptance: Signature
    delivered_rows: int = 0
    staked_rows: int = 2**63

    @property
    def most_rows(self) -> int:
        """Rows that it can be matched with."""
        return min(self.max_rows, self.staked_rows)

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was delivered, verifiable for its whole window, and paid."""
        return self.delivered_rows == 0


@dataclass(frozen=True, slots=True)
class Place:
    """An offer that is matched: at most so many rows, in proportion to its weight."""

    offer: Offer
    limit: int
    weight: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an order needs. newcomer_bps: the part of its rows that newcomers deliver together."""

    rows: int
    minimum: int
    maximum: int
    newcomer_bps: int


def choose(offers: Sequence[Offer], wanted: Wanted) -> tuple[Place, ...] | None:
    """The offers to match: who delivered most, then the largest tables, at most `maximum`. None when those
    do not suffice.

    Every chosen contributor delivers at least one row, so no more are chosen than there are rows.
    """
    weights = _weights(offers)
    ranked = sorted(offers, key=lambda offer: (offer.is_new, -weights[offer.contributor], offer.contributor))
    chosen = ranked[: min(wanted.maximum, wanted.rows)]
    if len(chosen) < wanted.minimum:
        return None
    places = tuple(Place(offer, offer.most_rows, weights[offer.contributor]) for offer in chosen)
    count = sum(offer.is_new for offer in chosen)
    part = wanted.rows * wanted.newcomer_bps // WHOLE_BPS // max(count, 1)
    for most in (part, -(-2 * wanted.rows // len(chosen))):
        limited = tuple(_limited(place, max(1, most)) for place in places)
        if sum(place.limit for place in limited) >= wanted.rows:
            return limited
    return None


def _weights(offers: Sequence[Offer]) -> dict[Address, int]:
    declared = sorted(offer.declared_rows for offer in offers)
    median = declared[(len(declared) - 1) // 2] if declared else 0
    return {
        offer.contributor: min(
            offer.declared_rows,
            CLAIM_CAP * median if offer.is_new else DECLARED_FOR_DELIVERED * offer.delivered_rows,
        )
        for offer in offers
    }


def _limited(place: Place, newcomer_rows: int) -> Place:
    return replace(place, limit=min(place.limit, newcomer_rows)) if place.offer.is_new else place


def allocate(rows: int, places: Sequence[Place]) -> tuple[int, ...]:
    """Rows of each place: largest remainder of the proportional part, at least 1, at most its limit.

    The caller made sure that len(places) <= rows <= the sum of the limits (`choose`).
    """
    given = [1] * len(places)
    left = rows - len(places)
    while left:
        free = [i for i, place in enumerate(places) if given[i] < place.limit]
        weight = sum(places[i].weight for i in free)
        parts = [left * places[i].weight for i in free]
        added = [min(part // weight, places[i].limit - given[i]) for i, part in zip(free, parts, strict=True)]
        if not any(added):
            # Less than one row for everybody: the largest remainders take one each.
            order = sorted(range(len(free)), key=lambda k: (-(parts[k] % weight), k))
            for k in order[:left]:
                added[k] = 1
        for i, more in zip(free, added, strict=True):
            given[i] += more
        left -= sum(added)
    return tuple(given)
