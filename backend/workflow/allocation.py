"""Allocation of an order's rows to those who accepted: whole rows, in proportion to declared rows, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.values import Address, Signature


@dataclass(frozen=True, slots=True)
class Offer:
    """One contributor's signed acceptance. `max_rows` counts synthetic rows, `declared_rows` private ones."""

    contributor: Address
    declared_rows: int
    max_rows: int
    acceptance: Signature


def choose(offers: Sequence[Offer], rows: int, minimum: int, maximum: int) -> tuple[Offer, ...] | None:
    """The offers to match: the largest tables first, at most `maximum`. None when they do not suffice.

    Every chosen contributor delivers at least one row, so no more are chosen than there are rows.
    """
    ranked = sorted(offers, key=lambda offer: (-offer.declared_rows, offer.contributor))
    chosen = ranked[: min(maximum, rows)]
    if len(chosen) < minimum or sum(offer.max_rows for offer in chosen) < rows:
        return None
    return tuple(chosen)


def allocate(rows: int, offers: Sequence[Offer]) -> tuple[int, ...]:
    """Rows of each offer: largest remainder of the proportional part, at least 1, at most `max_rows`.

    The caller made sure that len(offers) <= rows <= the sum of the limits (`choose`).
    """
    given = [1] * len(offers)
    left = rows - len(offers)
    while left:
        open_offers = [i for i, offer in enumerate(offers) if given[i] < offer.max_rows]
        weight = sum(offers[i].declared_rows for i in open_offers)
        parts = [left * offers[i].declared_rows for i in open_offers]
        added = [
            min(part // weight, offers[i].max_rows - given[i])
            for i, part in zip(open_offers, parts, strict=True)
        ]
        if not any(added):
            # Less than one row for everybody: the largest remainders take one each.
            order = sorted(range(len(open_offers)), key=lambda k: (-(parts[k] % weight), k))
            for k in order[:left]:
                added[k] = 1
        for i, more in zip(open_offers, added, strict=True):
            given[i] += more
        left -= sum(added)
    return tuple(given)
