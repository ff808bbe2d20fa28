"""Contribution: exact Shapley shares of a data set's shards, from counts and released histograms only. The one
copy of the arithmetic of `tessera-score/2` (docs/spec/verification.md): coordinator, nodes and verifier use it.

What is measured is the generator, not the luck of the rows that were ordered: a shard's evidence is the pair
counts of the first max(rows, EVIDENCE_ROWS) rows of its stream, which model and seed give to anyone. In a
few hundred rows, sampling error alone outweighs what a generator is worth.

Utility of a set of shards = 1 - mean total variation distance, over pair tables, between their mixture,
weighted by delivered rows, and a reference made of the nodes' own DP-released pair tables; the empty set is
worth what independent columns with the reference's univariate marginals would be. Plain Shapley pays for
splitting, for copies and for garbage, so:

1. Arrival is weighted by rows: of those still to come, shard k comes next with probability rows_k / rows.
   Splitting a shard then gains nothing, and 100 rows beside 10,000 earn almost nothing.
2. Shard k's gains are measured against a reference WITHOUT node k's own histogram: garbage that agrees with
   its own release alone earns nothing. (A single player is measured against its own.)
3. A claim of rows counts in the reference for at most what the release adds up to, within noise, and for at
   most three times the median claim.
4. Nodes whose releases are those of copies are one player with the rows of the largest, and split its value
   by rows. Who is a copy is given (the test is generator.evaluation.contribution).

Where only the sum of the nodes' tables was seen, each is given an equal part of it as its own: rule 2 then measures
everybody against the sum, and rule 4 finds no copies.

Negative values earn 0; if nobody earns, shares go by rows. Every share is at least half of the shard's part by
rows, which the contracts keep for a contributor that disagrees: a record with less could be refused. Files of
`tessera-score/1` were made without that floor. More than 10 players: 400 orders of arrival, drawn from the hash
of the inputs, stand for all. Arithmetic is in integers, so that every machine gets the same basis points.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from provenance.units import WHOLE_BPS, WHOLE_MICRO

ONE = 1_000_000_000
EXACT_PLAYERS = 10
SAMPLED_ORDERS = 400
_CLAIM_CAP = 3
_CLAIM_STDS = 4
_FACTOR_BITS = 20
_FINE_BITS = 10
_SHARE_BITS = 30
_SCALE = 1 << 60

SUM = "sum"
"""Member "references" of a score file whose shards were measured against the sum of all nodes' tables."""

EVIDENCE_ROWS = 16_384
"""Least rows of a shard's stream that its evidence counts: sampling error is then small beside a reference."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tables:
    """The two-way tables that shards are compared on; cells are flat, table after table, last column fastest."""

    code_counts: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Cells of each table."""
        return tuple(self.code_counts[a] * self.code_counts[b] for a, b in self.pairs)

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """Where each table lies among the cells."""
        return tuple(slice(int(a), int(b)) for a, b in pairwise(np.cumsum([0, *self.sizes])))

    @property
    def cells(self) -> int:
        """Cells of all tables together."""
        return sum(self.sizes)

    def counts(self, codes: Integers) -> Integers:
        """int64[cells] of codes int64[rows, C]."""
        parts = [
            np.bincount(codes[:, a] * self.code_counts[b] + codes[:, b], minlength=size)
            for (a, b), size in zip(self.pairs, self.sizes, strict=True)
        ]
        return np.concatenate(parts).astype(np.int64)

    def totals(self, counts: Integers) -> Integers:
        """int64[tables]: the rows that each table of int64[cells] counts."""
        return np.array([counts[span].sum() for span in self.spans], dtype=np.int64)

    def normalised(self, counts: Integers) -> Integers:
        """Counts int64[cells] scaled so that each table sums to about ONE, floored; an empty table is uniform."""
        result = np.empty_like(counts)
        for span in self.spans:
            total = int(counts[span].sum())
            shrink = 1 + (total >> 32)  # so that counts * ONE stays below 2^63
            scaled = (counts[span] // shrink) * ONE // max(total // shrink, 1)
            result[span] = scaled if total > 0 else ONE // (span.stop - span.start)
        return result

    def independent(self, reference: Integers) -> Integers:
        """Each normalised table replaced by the product of its own margins."""
        parts = []
        for (a, b), span in zip(self.pairs, self.spans, strict=True):
            block = reference[span].reshape(self.code_counts[a], self.code_counts[b])
            parts.append((block.sum(axis=1)[:, None] * block.sum(axis=0)[None, :] // ONE).ravel())
        return np.concatenate(parts)


def evidence_rows(rows: int) -> int:
    """Rows of its stream that the evidence of a shard of `rows` rows counts."""
    return max(rows, EVIDENCE_ROWS)


@dataclass(frozen=True)
class ShardEvidence:
    """What is known of one shard without its node's table.

    rows: rows delivered. claimed_rows: the training rows that the node declared. evidence_counts int64[K]:
    pair counts of the first `evidence_rows(rows)` rows of its stream. reference_counts int64[K]: the node's
    released pair counts, rounded, noise included. noise_variances int64[tables]: variance of the noise on a
    cell of each table, rounded up; all 0 without privacy.
    """

    rows: int
    claimed_rows: int
    evidence_counts: Integers
    reference_counts: Integers
    noise_variances: Integers

    @property
    def released_rows(self) -> int:
        """The rows that the node's release adds up to: its tables' mean total, at least 1."""
        return max(int(self.reference_counts.sum()) // len(self.noise_variances), 1)


@dataclass
class Contribution:
    """Recomputes the shares. `players` are groups of shards: those of copies count as one."""

    tables: Tables
    evidence: Sequence[ShardEvidence]
    players: Sequence[Sequence[int]]
    _cache: dict[tuple[int, int], int] = field(default_factory=dict, init=False)

    @cached_property
    def reference_weights(self) -> list[int]:
        """Rows that each node counts for in the reference: claims bounded by release and three medians."""
        bounded = []
        for item in self.evidence:
            spread = max(
                size * int(v) for size, v in zip(self.tables.sizes, item.noise_variances, strict=True)
            )
            bounded.append(min(item.claimed_rows, item.released_rows + _CLAIM_STDS * math.isqrt(spread)))
        ordered = sorted(bounded)
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) // 2
        return [max(min(rows, _CLAIM_CAP * median), 1) for rows in bounded]

    def values(self) -> list[int]:
        """Each shard's value in millionths."""
        by_player = self._exact() if len(self.players) <= EXACT_PLAYERS else self._sampled()
        values = [0] * len(self.evidence)
        for player, value in zip(self.players, by_player, strict=True):
            total = sum(self.evidence[k].rows for k in player)
            for k in player:
                values[k] = value * self.evidence[k].rows // total
        return values

    def shares_bps(self, values: Sequence[int], undelivered: Sequence[int] = ()) -> tuple[int, ...]:
        """Basis points of the delivered shards, by value and none below its floor. undelivered: rows of the shards
        that belong to the data set but were not delivered; each has its floor and no more."""
        floors = share_floors([*(item.rows for item in self.evidence), *undelivered])
        return share_out(self._paid(values), floors)

    def first_shares_bps(self, values: Sequence[int]) -> tuple[int, ...]:
        """Basis points as `tessera-score/1` divided them: by value alone."""
        return share_out(self._paid(values), [0] * len(values))

    def _paid(self, values: Sequence[int]) -> list[int]:
        paid = [max(value, 0) for value in values]
        return paid if any(paid) else [item.rows for item in self.evidence]

    def utilities(self) -> list[list[int]]:
        """[player left out of the reference, coalition as bits, millionths] of all coalitions that were used."""
        return [[*key, value] for key, value in sorted(self._cache.items())]

    @cached_property
    def _rows(self) -> list[int]:
        return [max(self.evidence[k].rows for k in player) for player in self.players]

    @cached_property
    def _histograms(self) -> list[Integers]:
        own = [self.tables.normalised(item.evidence_counts) for item in self.evidence]
        return [
            self._mixed([own[k] for k in player], [self.evidence[k].rows for k in player])
            for player in self.players
        ]

    @cached_property
    def _references(self) -> list[Integers]:
        everyone = range(len(self.evidence))
        others = [[k for k in everyone if k not in player] or list(everyone) for player in self.players]
        return [self._reference(members) for members in others]

    def _reference(self, members: Sequence[int]) -> Integers:
        total = np.zeros(self.tables.cells, dtype=np.int64)
        for k in members:
            # at most twice the release: what a claim adds to it is noise, and int64 must hold count * factor
            released = self.evidence[k].released_rows
            factor = (min(self.reference_weights[k], 2 * released) << _FACTOR_BITS) // released
            total += self.evidence[k].reference_counts * factor >> (_FACTOR_BITS - _FINE_BITS)
        return self.tables.normalised(np.concatenate([_project(total[span]) for span in self.tables.spans]))

    def _utility(self, against: int, coalition: int) -> int:
        key = (against, coalition)
        if key not in self._cache:
            reference = self._references[against]
            mixed = self._mixture(coalition) if coalition else self.tables.independent(reference)
            distance = int(np.abs(mixed - reference).sum())
            self._cache[key] = WHOLE_MICRO - distance * WHOLE_MICRO // (2 * ONE * len(self.tables.pairs))
        return self._cache[key]

    def _mixture(self, coalition: int) -> Integers:
        members = [k for k in range(len(self.players)) if coalition >> k & 1]
        return self._mixed([self._histograms[k] for k in members], [self._rows[k] for k in members])

    def _mixed(self, histograms: Sequence[Integers], rows: Sequence[int]) -> Integers:
        """Normalised histograms mixed by delivered rows, whatever number of rows each was counted over."""
        total = sum(rows)
        mixed = np.zeros(self.tables.cells, dtype=np.int64)
        for histogram, own in zip(histograms, rows, strict=True):
            mixed += histogram * ((own << _SHARE_BITS) // total)
        return mixed >> _SHARE_BITS

    def _gain(self, player: int, before: int) -> int:
        return self._utility(player, before | 1 << player) - self._utility(player, before)

    def _exact(self) -> list[int]:
        rows, players = self._rows, range(len(self.players))
        probability, values = [0] * (1 << len(rows)), [0] * len(rows)
        probability[0] = _SCALE
        for coalition in range(len(probability)):
            waiting = [k for k in players if not coalition >> k & 1]
            left = sum(rows[k] for k in waiting)
            for k in waiting:
                weight = probability[coalition] * rows[k] // left
                probability[coalition | 1 << k] += weight
                values[k] += weight * self._gain(k, coalition)
        return [value // _SCALE for value in values]

    def _sampled(self) -> list[int]:
        inputs = hashlib.sha256()
        for item in self.evidence:
            inputs.update(item.evidence_counts.astype(">i8").tobytes())
            inputs.update(item.reference_counts.astype(">i8").tobytes())
        values = [0] * len(self.players)
        for order in range(SAMPLED_ORDERS):
            seed = inputs.digest() + order.to_bytes(4, "big")
            coalition = 0
            for arrival in range(len(self.players)):
                word = hashlib.sha256(seed + arrival.to_bytes(4, "big")).digest()[:8]
                player = self._next(coalition, int.from_bytes(word, "big"))
                values[player] += self._gain(player, coalition)
                coalition |= 1 << player
        return [value // SAMPLED_ORDERS for value in values]

    def _next(self, arrived: int, word: int) -> int:
        waiting = [k for k in range(len(self.players)) if not arrived >> k & 1]
        ticket = word * sum(self._rows[k] for k in waiting) >> 64
        for k in waiting:
            if ticket < self._rows[k]:
                return k
            ticket -= self._rows[k]
        return waiting[-1]


def share_floors(rows: Sequence[int]) -> list[int]:
    """Half of each shard's part by rows, in basis points, rounded down as the registry rounds it for a contributor that
    answered with another evaluation (docs/spec/refutation.md, rule 20). rows: of all shards of the data set."""
    whole = sum(rows)
    return [WHOLE_BPS * own // (2 * whole) for own in rows]


def share_out(paid: Sequence[int], floors: Sequence[int]) -> tuple[int, ...]:
    """10,000 basis points: the first len(paid) shards by what they are paid for, the later ones at their floors.

    Whoever would have less than its floor has the floor, and the others divide what is left, until nobody is below.
    Basis points by largest remainder, ties to the lower shard. Some `paid` must be positive; floors sum to 5,000 at
    most, so that there is always enough.
    """
    shares, above = list(floors), list(range(len(paid)))
    while True:
        whole = sum(paid[k] for k in above)
        left = WHOLE_BPS - sum(floors) + sum(floors[k] for k in above)
        kept = [k for k in above if left * paid[k] >= floors[k] * whole]
        if len(kept) == len(above):
            break
        above = kept
    for k in above:
        shares[k] = left * paid[k] // whole
    order = sorted(above, key=lambda k: (-(left * paid[k] % whole), k))
    for k in order[: WHOLE_BPS - sum(shares)]:
        shares[k] += 1
    return tuple(shares[: len(paid)])


def _project(counts: Integers) -> Integers:
    """Nearest non-negative counts with (about) the same total."""
    total = max(int(counts.sum()), 0)
    low, high = 0, max(int(counts.max()), 1)
    while low < high:
        middle = (low + high) // 2
        if int(np.maximum(counts - middle, 0).sum()) > total:
            low = middle + 1
        else:
            high = middle
    return np.maximum(counts - low, 0)
