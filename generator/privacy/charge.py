"""What an order costs a table: a parameter of Gaussian DP, fixed before its first noise; and the filter over all.

Orders are chosen by people who saw the answers to earlier ones. Composing whatever was released, as if it had been
planned at once, is no valid filter then (arXiv:2602.06756, section 3). Sums of mu^2 are: under a fixed bound on
them everything together is Gaussian DP (Smith and Thakurta 2022, arXiv:2210.17520; for zCDP Feldman and Zrnic 2021
and Whitehouse et al. 2023). So each order is charged the mu of its whole plan, however much of it is carried out.

Plans with subsampled steps have a tail that no mu bounds: they are charged a probability too (`accountant.gdp_charge`),
and so are thresholds of released values. The sum stays below a hundredth of the cap's delta, taken off before the bound
on mu^2 is computed.

Rows of the two splits are disjoint, so the larger sum counts. That holds for one secret of the split: charges under
different secrets add up, and so does what read the whole table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from generator.errors import PrivacyError, StateError
from generator.privacy.accountant import (
    GaussianEvent,
    PrivacyEvent,
    gdp_charge,
    gdp_epsilon,
    gdp_mu,
    threshold_delta,
)
from generator.privacy.release import Release, Split, composed_epsilon, decimal, event_document, release_of
from provenance.canonical import JsonValue
from provenance.values import Digest

FORMAT = "tessera-charge/1"
WHOLE = "whole"
"""Instead of a split's name: the releases read rows of both parts, as a fit on the owner's own machine does."""
TAIL = 1e-4
"""What a plan with subsampled steps is charged beside its mu, as a part of the cap's delta."""
MOST_TAIL = 1e-2
_ROUNDING = 1e-9
"""Relative room for rounding at a cap: what by arithmetic fits exactly, fits. It moves epsilon by less than 1e-8."""
_SPLITS: tuple[Split, ...] = ("training", "holdout")


@dataclass(frozen=True, slots=True)
class Cost:
    """mu_squared: of Gaussian DP; infinite without any privacy. tail: the probability that goes beside it."""

    mu_squared: float = 0.0
    tail: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.mu_squared + other.mu_squared, self.tail + other.tail)

    def larger(self, other: Cost) -> Cost:
        """The larger of both in each figure."""
        return Cost(max(self.mu_squared, other.mu_squared), max(self.tail, other.tail))

    def epsilon(self, delta: float) -> float:
        """Epsilon at `delta`; infinite where there is none."""
        if math.isinf(self.mu_squared) or self.tail >= delta:
            return math.inf
        try:
            return gdp_epsilon(math.sqrt(self.mu_squared), delta - self.tail)
        except PrivacyError:  # more than the accountant can express
            return math.inf


@dataclass(frozen=True, slots=True)
class Charge:
    """One order's releases that are planned together, with their cost by the part of the table that they read.

    split: a name of the secret that parts the table, or WHOLE.
    """

    order: Digest
    releases: tuple[Release, ...]
    split: str
    training: Cost
    holdout: Cost

    @classmethod
    def of(cls, order: Digest, releases: Sequence[Release], split: str, delta: float) -> Charge:
        """What `releases` cost; delta: the cap's."""
        training, holdout = (
            _cost([r for r in releases if r.split == part], TAIL * delta) for part in _SPLITS
        )
        return cls(order, tuple(releases), split, training, holdout)

    def document(self) -> dict[str, JsonValue]:
        """The canonical document, figures as decimal text; `parse` reads it back."""
        return {
            "format": FORMAT,
            "order": str(self.order),
            "releases": [
                {"release": each.name, "part": each.split, "event": event_document(each.event)}
                for each in self.releases
            ],
            "split": self.split,
            "training": _document(self.training),
            "holdout": _document(self.holdout),
        }

    @classmethod
    def parse(cls, document: dict[str, JsonValue]) -> Charge:
        """Read a document; StateError, KeyError, ValueError or a ProvenanceError if it is not one."""
        releases, split = document["releases"], document["split"]
        if not isinstance(releases, list) or not isinstance(split, str):
            raise StateError("releases or split is malformed")
        return cls(
            Digest.parse(str(document["order"])),
            tuple(release_of(each) for each in releases),
            split,
            _parsed(document["training"]),
            _parsed(document["holdout"]),
        )


def total(charges: Iterable[Charge]) -> Cost:
    """What one row has spent at the most by all charges together."""
    parts: dict[str, tuple[Cost, Cost]] = {}
    whole = Cost()
    for charge in charges:
        if charge.split == WHOLE:
            whole = whole + charge.training + charge.holdout
        else:
            training, holdout = parts.get(charge.split, (Cost(), Cost()))
            parts[charge.split] = (training + charge.training, holdout + charge.holdout)
    for training, holdout in parts.values():
        whole = whole + training.larger(holdout)
    return whole


def keeps(charges: Sequence[Charge], epsilon: float, delta: float) -> bool:
    """Whether all charges keep a cap: as the filter has it, or as the one order of the table, by its own epsilon."""
    spent = total(charges)
    if not is_tail_full(spent, delta):
        bound = gdp_mu(epsilon, delta * (1 - MOST_TAIL) if spent.tail else delta) ** 2
        if spent.mu_squared <= bound * (1 + _ROUNDING):
            return True
    return alone(charges, delta) <= epsilon * (1 + _ROUNDING)


def is_tail_full(spent: Cost, delta: float) -> bool:
    """Whether thresholds and subsampled steps take more of delta than a filter leaves for them."""
    return spent.tail > MOST_TAIL * delta * (1 + _ROUNDING)


def alone(charges: Sequence[Charge], delta: float) -> float:
    """Epsilon of a table's first order while it is the only one, for nothing was chosen by an answer yet; infinite
    where there are several orders or splits."""
    if len({(charge.order, charge.split) for charge in charges}) != 1:
        return math.inf
    return composed_epsilon([release for charge in charges for release in charge.releases], delta)


def epsilon_left(charges: Sequence[Charge], epsilon: float, delta: float) -> float:
    """The most epsilon of one more order of Gaussian releases that the cap bears."""
    spent = total(charges)
    if is_tail_full(spent, delta):
        return 0.0
    bound = gdp_mu(epsilon, delta * (1 - MOST_TAIL) if spent.tail else delta) ** 2
    rest = bound - spent.mu_squared
    if rest <= bound * _ROUNDING:
        return 0.0
    return gdp_epsilon(math.sqrt(rest), delta)


def _cost(releases: Sequence[Release], tail: float) -> Cost:
    events = [each.event for each in releases]
    protected = [event for event in events if event is not None]
    if len(protected) < len(events):
        return Cost(math.inf)
    if not protected:
        return Cost()
    try:
        return _protected(tuple(protected), tail)
    except PrivacyError:  # more than the accountant can express: over any cap
        return Cost(math.inf)


@lru_cache(maxsize=256)
def _protected(events: tuple[PrivacyEvent, ...], tail: float) -> Cost:
    """A plan with subsampled steps takes a second, and every task asks for the same one."""
    if all(isinstance(event, GaussianEvent) for event in events):
        tail = 0.0
    return Cost(gdp_charge(events, tail), tail + threshold_delta(events))


def _document(cost: Cost) -> dict[str, JsonValue]:
    return {"muSquared": repr(cost.mu_squared), "tail": repr(cost.tail)}


def _parsed(document: JsonValue) -> Cost:
    if not isinstance(document, dict):
        raise StateError("a cost is not an object")
    cost = Cost(decimal(document["muSquared"], "muSquared"), decimal(document["tail"], "tail"))
    if not (cost.mu_squared >= 0 and cost.tail >= 0):
        raise StateError("a cost is below 0 or no number")
    return cost
