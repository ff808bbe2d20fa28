"""The contribution rule of `tessera-score/1`, written a second time from docs/spec/verification.md.

Shares are exact Shapley values, arrival weighted by rows, of the utility 1 - mean total variation distance
between the row-weighted mixture of shards and a reference of the nodes' noisy releases without the shard's
own. Integers throughout, so that every machine gets the same basis points; the coordinator's code is
generator.evaluation.
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

ONE = 1_000_000_000
MICRO = 1_000_000
BASIS_POINTS = 10_000
EXACT_PLAYERS = 10
SAMPLED_ORDERS = 400
_CLAIM_CAP = 3
_CLAIM_STDS = 4
_FACTOR_BITS = 20
_FINE_BITS = 10
_SHARE_BITS = 30
_SCALE = 1 << 60

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Tables:
    """The two-way tables that shards are compared on; cells are flat, table after table, last column
    fastest.
    """

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

    def counts(self, codes: Integers) -> Integers:
        """int64[cells] of codes int64[rows, C]."""
        parts = [
            np.bincount(codes[:, a] * self.code_counts[b] + codes[:, b], minlength=size)
            for (a, b), size in zip(self.pairs, self.sizes, strict=True)
        ]
        return np.concatenate(parts).astype(np.int64)


@dataclass(frozen=True)
class ShardEvidence:
    """What the score file says of one shard: its counts, its node's noisy release and claim."""

    rows: int
    claimed_rows: int
    shard_counts: Integers
    reference_counts: Integers
    noise_variances: Integers


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
            bounded.append(min(item.claimed_rows, self._released(item) + _CLAIM_STDS * math.isqrt(spread)))
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

    def shares_bps(self, values: Sequence[int]) -> tuple[int, ...]:
        """Basis points by largest remainder; by rows when nobody earned anything."""
        paid = [max(value, 0) for value in values]
        if sum(paid) == 0:
            paid = [item.rows for item in self.evidence]
        shares = [BASIS_POINTS * value // sum(paid) for value in paid]
        order = sorted(range(len(paid)), key=lambda k: (-(BASIS_POINTS * paid[k] % sum(paid)), k))
        for k in order[: BASIS_POINTS - sum(shares)]:
            shares[k] += 1
        return tuple(shares)

    def utilities(self) -> list[list[int]]:
        """[player left out of the reference, coalition as bits, millionths] of all coalitions that were
        used.
        """
        return [[*key, value] for key, value in sorted(self._cache.items())]

    @cached_property
    def _rows(self) -> list[int]:
        return [max(self.evidence[k].rows for k in player) for player in self.players]

    @cached_property
    def _histograms(self) -> list[Integers]:
        sums = [np.sum([self.evidence[k].shard_counts for k in player], axis=0) for player in self.players]
        return [self._normalised(np.asarray(counts, dtype=np.int64)) for counts in sums]

    @cached_property
    def _references(self) -> list[Integers]:
        everyone = range(len(self.evidence))
        others = [[k for k in everyone if k not in player] or list(everyone) for player in self.players]
        return [self._reference(members) for members in others]

    def _reference(self, members: Sequence[int]) -> Integers:
        total = np.zeros(sum(self.tables.sizes), dtype=np.int64)
        for k in members:
            released = self._released(self.evidence[k])
            factor = (min(self.reference_weights[k], 2 * released) << _FACTOR_BITS) // released
            total += self.evidence[k].reference_counts * factor >> (_FACTOR_BITS - _FINE_BITS)
        return self._normalised(np.concatenate([_project(total[span]) for span in self.tables.spans]))

    def _released(self, item: ShardEvidence) -> int:
        return max(int(item.reference_counts.sum()) // len(self.tables.pairs), 1)

    def _normalised(self, counts: Integers) -> Integers:
        result = np.empty_like(counts)
        for span in self.tables.spans:
            total = int(counts[span].sum())
            shrink = 1 + (total >> 32)  # so that counts * ONE stays below 2^63
            scaled = (counts[span] // shrink) * ONE // max(total // shrink, 1)
            result[span] = scaled if total > 0 else ONE // (span.stop - span.start)
        return result

    def _independent(self, reference: Integers) -> Integers:
        parts = []
        for (a, b), span in zip(self.tables.pairs, self.tables.spans, strict=True):
            block = reference[span].reshape(self.tables.code_counts[a], self.tables.code_counts[b])
            parts.append((block.sum(axis=1)[:, None] * block.sum(axis=0)[None, :] // ONE).ravel())
        return np.concatenate(parts)

    def _utility(self, against: int, coalition: int) -> int:
        key = (against, coalition)
        if key not in self._cache:
            reference = self._references[against]
            mixed = self._mixture(coalition) if coalition else self._independent(reference)
            distance = int(np.abs(mixed - reference).sum())
            self._cache[key] = MICRO - distance * MICRO // (2 * ONE * len(self.tables.pairs))
        return self._cache[key]

    def _mixture(self, coalition: int) -> Integers:
        members = [k for k in range(len(self.players)) if coalition >> k & 1]
        total = sum(self._rows[k] for k in members)
        mixed = np.zeros(sum(self.tables.sizes), dtype=np.int64)
        for k in members:
            mixed += self._histograms[k] * ((self._rows[k] << _SHARE_BITS) // total)
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
            inputs.update(item.shard_counts.astype(">i8").tobytes())
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
