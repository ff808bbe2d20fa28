"""Contribution: exact Shapley shares of a data set's shards, from released histograms only, for anyone to
recompute.

Utility of a set of shards = 1 - mean total variation distance, over pair tables, between their row-weighted
mixture and a reference made of the nodes' own DP-released pair tables; the empty set is worth what
independent columns with the reference's one-way marginals would be. Plain Shapley pays for splitting, for
copies and for garbage, so:

1. Arrival is weighted by rows: of those still to come, shard k comes next with probability rows_k / rows.
   Splitting a shard then gains nothing, and 100 rows beside 10,000 earn almost nothing.
2. Shard k's gains are measured against a reference WITHOUT node k's own histogram: garbage that agrees with
   its own release alone earns nothing. (A single player is measured against its own.)
3. A claim of rows counts in the reference for at most what the release adds up to, within noise, and for at
   most three times the median claim.
4. Nodes whose releases are nearer to each other than half of what two independent samples would be hold
   largely the same rows: they are one player with the rows of the larger, and split its value by rows.

Negative values earn 0; if nobody earns, shares go by rows. More than 10 players: 400 orders of arrival,
drawn from the hash of the inputs, stand for all. Arithmetic is in integers, so that every machine gets the
same basis points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.duplicates import duplicate_groups, similarities
from generator.evaluation.errors import EvaluationError
from generator.evaluation.reference import (
    ONE,
    ShardEvidence,
    check_evidence,
    independent_tables,
    normalised,
    reference_tables,
    reference_weights,
)
from generator.marginals.workload import Workload

FORMAT = "tessera-score/1"
MAX_EXACT_PLAYERS = 10
SAMPLED_ORDERS = 400
BASIS_POINTS = 10_000
_MICRO = 1_000_000
_SCALE = 1 << 60
_SHARE_BITS = 30

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """Shares in basis points (they sum to 10,000), values in millionths, and the document to publish."""

    shares_bps: tuple[int, ...]
    values_micro: tuple[int, ...]
    document: dict[str, object]


def score_shards(evidence: Sequence[ShardEvidence], pairs: Workload) -> Score:
    """Score a data set's shards over the two-way tables `pairs`.

    Raises EvaluationError if the evidence does not fit the tables or contradicts itself.
    """
    check_evidence(evidence, pairs)
    weights = reference_weights(evidence, pairs)
    alike = similarities(evidence, pairs)
    players = duplicate_groups(alike, len(evidence))
    game = _Game(evidence, pairs, weights, players)
    exact = len(players) <= MAX_EXACT_PLAYERS
    player_values = _exact_values(game) if exact else _sampled_values(game, evidence)
    values = [0] * len(evidence)
    for player, value in zip(players, player_values, strict=True):
        rows = [evidence[k].rows for k in player]
        for k, own in zip(player, rows, strict=True):
            values[k] = value * own // sum(rows)
    shares = _basis_points(values, [item.rows for item in evidence])
    document: dict[str, object] = {
        "format": FORMAT,
        "codeCounts": list(pairs.code_counts),
        "tables": [list(table) for table in pairs.tables],
        "shards": [item.document() for item in evidence],
        "referenceWeights": weights,
        "similarities": [
            {"shards": [a, b], "differenceMicro": difference} for (a, b), difference in sorted(alike.items())
        ],
        "players": [list(player) for player in players],
        "method": "exact" if exact else f"{SAMPLED_ORDERS} orders",
        "utilities": game.utilities(),
        "valuesMicro": values,
        "sharesBps": list(shares),
    }
    return Score(shares, tuple(values), document)


def recompute_score(document: object) -> Score:
    """Score the evidence in a `tessera-score/1` document afresh.

    Raises EvaluationError if it is no such document or anything in it differs from what its evidence gives.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise EvaluationError(
            f'score document: expected an object of format "{FORMAT}"; fetch the file again'
        )
    try:
        counts = tuple(int(count) for count in document["codeCounts"])
        pairs = Workload(counts, tuple((int(a), int(b)) for a, b in document["tables"]))
        evidence = [ShardEvidence.parse(item) for item in document["shards"]]
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(f"score document: {error!r}; the file is damaged or not a score") from error
    score = score_shards(evidence, pairs)
    for key in sorted(set(score.document) | set(document)):
        if document.get(key) != score.document.get(key):
            raise EvaluationError(
                f"score document: field {key!r} is not what its evidence gives; distrust it"
            )
    return score


class _Game:
    """Utilities of coalitions of players, each against the reference without one player; cached."""

    def __init__(
        self, evidence: Sequence[ShardEvidence], pairs: Workload, weights: list[int], players: list[list[int]]
    ) -> None:
        self.rows = [max(evidence[k].rows for k in player) for player in players]
        self._pairs = pairs
        self._histograms = [normalised(_summed_counts(evidence, player), pairs) for player in players]
        self._references: list[Integers] = []
        everyone = set(range(len(evidence)))
        for player in players:
            others = sorted(everyone - set(player)) or sorted(everyone)
            self._references.append(reference_tables(evidence, pairs, weights, others))
        self._cache: dict[tuple[int, int], int] = {}

    def utility(self, against: int, coalition: int) -> int:
        """Utility in millionths of a coalition (bit set of players) against the reference without
        `against`.
        """
        key = (against, coalition)
        if key not in self._cache:
            reference = self._references[against]
            mixed = self._mixture(coalition) if coalition else independent_tables(reference, self._pairs)
            distance = int(np.abs(mixed - reference).sum())
            self._cache[key] = _MICRO - distance * _MICRO // (2 * ONE * len(self._pairs.tables))
        return self._cache[key]

    def _mixture(self, coalition: int) -> Integers:
        rows = {k: r for k, r in enumerate(self.rows) if coalition >> k & 1}
        total = sum(rows.values())
        mixed = np.zeros(self._pairs.cells, dtype=np.int64)
        for k, own in rows.items():
            mixed += self._histograms[k] * ((own << _SHARE_BITS) // total)
        return mixed >> _SHARE_BITS

    def gain(self, player: int, before: int) -> int:
        """What `player` adds on arrival after the coalition `before`."""
        return self.utility(player, before | 1 << player) - self.utility(player, before)

    def utilities(self) -> list[list[int]]:
        """[player left out of the reference, coalition as a bit set, utility in millionths], all that were
        used.
        """
        return [
            [against, coalition, self._cache[against, coalition]]
            for against, coalition in sorted(self._cache)
        ]


def _summed_counts(evidence: Sequence[ShardEvidence], members: Sequence[int]) -> Integers:
    """Pair counts of several shards together."""
    return np.asarray(np.sum([evidence[k].shard_counts for k in members], axis=0), dtype=np.int64)


def _exact_values(game: _Game) -> list[int]:
    players = range(len(game.rows))
    probability = [0] * (1 << len(game.rows))
    probability[0] = _SCALE
    values = [0] * len(game.rows)
    for coalition in range(len(probability)):
        left = sum(game.rows[k] for k in players if not coalition >> k & 1)
        for k in players:
            if not coalition >> k & 1:
                weight = probability[coalition] * game.rows[k] // left
                probability[coalition | 1 << k] += weight
                values[k] += weight * game.gain(k, coalition)
    return [value // _SCALE for value in values]


def _sampled_values(game: _Game, evidence: Sequence[ShardEvidence]) -> list[int]:
    seed = hashlib.sha256()
    for item in evidence:
        seed.update(item.shard_counts.astype(">i8").tobytes() + item.reference_counts.astype(">i8").tobytes())
    values = [0] * len(game.rows)
    for order in range(SAMPLED_ORDERS):
        draw = _uniforms(seed.digest() + order.to_bytes(4, "big"))
        coalition = 0
        for arrival in range(len(game.rows)):
            player = _next_arrival(game.rows, coalition, draw(arrival))
            values[player] += game.gain(player, coalition)
            coalition |= 1 << player
    return [value // SAMPLED_ORDERS for value in values]


def _uniforms(seed: bytes) -> Callable[[int], int]:
    return lambda index: int.from_bytes(hashlib.sha256(seed + index.to_bytes(4, "big")).digest()[:8], "big")


def _next_arrival(rows: list[int], arrived: int, word: int) -> int:
    left = [k for k in range(len(rows)) if not arrived >> k & 1]
    ticket = word * sum(rows[k] for k in left) >> 64
    for k in left:
        if ticket < rows[k]:
            return k
        ticket -= rows[k]
    return left[-1]


def _basis_points(values: list[int], rows: list[int]) -> tuple[int, ...]:
    """Largest remainders; ties go to the lower shard number."""
    paid = [max(value, 0) for value in values]
    if sum(paid) == 0:
        paid = rows
    total = sum(paid)
    shares = [BASIS_POINTS * value // total for value in paid]
    remainders = sorted(range(len(paid)), key=lambda k: (-(BASIS_POINTS * paid[k] % total), k))
    for k in remainders[: BASIS_POINTS - sum(shares)]:
        shares[k] += 1
    return tuple(shares)
