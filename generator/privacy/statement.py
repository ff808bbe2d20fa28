"""The privacy statement of a shard or data set, in the shape of NIST SP 800-226.

It names the unit, the neighbours, epsilon and delta, what they mean for a person, each mechanism, and what is NOT
covered; it holds strings and integers only, so that it can be hashed as canonical JSON. Epsilon is always rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from generator.errors import PrivacyError
from generator.privacy.accountant import GaussianEvent, PrivacyEvent, Threshold, epsilon_of
from generator.privacy.meaning import in_words, meanings
from provenance.table.unit import Unit
from provenance.units import E12, MICRO, round_up

FORMAT = "tessera-privacy/1"
NOT_COVERED = (
    "the schema (column names, categories, bounds and grids), which is declared as public, but for what a mechanism of "
    "its own names",
    "the declared number of rows of each table, which is public",
    "the quality of the operating system's generator, which the noise is drawn from",
    "that the noise was really added: this rests on the contributor's signature and stake, not on proof",
)
NO_GUARANTEE = "no differential privacy was asked for: nothing bounds what the data set tells about one row"
EXACT_SUMS = (
    "what left the node in training are exact sums over the tables of {contributors} contributors: whoever sees them "
    "may read rows of these tables out of them, though not whose they are",
    "the other contributors' vectors, taken from the sum, leave this contributor's: it is hidden only while at least "
    "one of the others keeps its own to itself",
)
"""Of an order without privacy, whose vectors were seen in their sum alone."""
ROWS_NOT_COVERED = (
    "a person with several rows, beyond what `persons` says",
    "a person with rows in several contributors' tables, or in several tables of one: each figure is for one table",
)
PERSONS_NOT_COVERED = (
    "a person with rows in several contributors' tables, or in several tables of one, under the same key or another: "
    "each figure is for one table",
    "a person who stands under several values of the column that says whose a row is: each of them counts as a person",
)
ACCOUNTING = (
    "Gaussian DP, exact; with subsampled steps, composed privacy loss distributions (upper bound). A person of k rows: "
    "k times mu, exact; with subsampled steps, k neighbours in a row (upper bound)"
)
PERSON_ACCOUNTING = (
    "Gaussian DP, exact; with subsampled steps, composed privacy loss distributions (upper bound). Sensitivities are "
    "those of a person's rows together, samples are of persons"
)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A named release: what left the node, and the event that the accountant counts for it."""

    name: str
    event: PrivacyEvent

    def document(self) -> dict[str, object]:
        """Its entry in a privacy statement: figures as integers, rounded against the contributor."""
        noise = math.floor(self.event.noise_multiplier * 10**MICRO)
        document: dict[str, object] = {"name": self.name, "noiseMultiplierMicro": noise}
        if isinstance(self.event, GaussianEvent):
            document["mechanism"] = "gaussian"
            if self.event.threshold is not None:
                document["threshold"] = threshold_document(self.event.threshold)
        else:
            document["mechanism"] = "poisson-subsampled-gaussian"
            document["sampleRateE9"] = math.ceil(self.event.sample_rate * 1_000_000_000)
            document["steps"] = self.event.steps
        if self.event.distributed is not None:
            document["noiseFrom"] = self.event.distributed.contributors
            document["noiseHonest"] = self.event.distributed.honest
        return document


def privacy_statement(
    mechanisms: Sequence[Mechanism], delta: float | None, unit: Unit | None, summed: int = 0
) -> dict[str, object]:
    """Canonical-JSON-able statement; `delta` None says that no privacy was asked for (then: no mechanisms).

    unit: of the schema, which the mechanisms were counted for; None for rows. summed: of how many contributors the sum
    alone was seen, where no privacy was asked for; 0 where it was not so.
    """
    if delta is None:
        if mechanisms:
            raise PrivacyError(
                "mechanisms were listed without a delta; give the delta that they are counted at"
            )
        return {"format": FORMAT, "guarantee": "none", "epsilonMicro": 0, "deltaE12": 0,
                "mechanisms": [], "notCovered": [NO_GUARANTEE, *_exact_sums(summed)]}  # fmt: skip
    events = [mechanism.event for mechanism in mechanisms]
    epsilon = epsilon_of(events, delta)
    means = meanings(events, delta, unit)
    rows = "row" if unit is not None and unit.rows == 1 else "rows"
    return {
        "format": FORMAT,
        "guarantee": "epsilon-delta differential privacy",
        "unit": "one row of the contributor's table" if unit is None
                else f"one person, at most {unit.rows:,} {rows} of the contributor's table",
        "neighbours": "add or remove one row" if unit is None
                      else "add or remove one person with all rows that are used",
        "epsilonMicro": epsilon_micro(epsilon),
        "deltaE12": delta_e12(delta),
        "meaning": in_words(means, delta_e12(delta), unit),
        "persons": [each.document() for each in means],
        "accounting": ACCOUNTING if unit is None else PERSON_ACCOUNTING,
        "mechanisms": [mechanism.document() for mechanism in mechanisms],
        "notCovered": [
            *NOT_COVERED, *(ROWS_NOT_COVERED if unit is None else PERSONS_NOT_COVERED), *_conditions(mechanisms),
        ],
    }  # fmt: skip


def threshold_document(threshold: Threshold) -> dict[str, int]:
    """How values that nobody lists beforehand were hidden, in integers that the accountant counted by."""
    return {
        "columns": threshold.columns,
        "least": threshold.least,
        "stdMicro": round(threshold.std * 10**MICRO),
        **({} if threshold.unit_rows == 1 else {"unitRows": threshold.unit_rows}),
    }


def _exact_sums(contributors: int) -> list[str]:
    return [line.format(contributors=contributors) for line in EXACT_SUMS] if contributors else []


def _conditions(mechanisms: Sequence[Mechanism]) -> list[str]:
    """What the guarantee rests on where no contributor adds the whole noise alone."""
    parts = {mechanism.event.distributed for mechanism in mechanisms} - {None}
    return [
        f"the noise of sums is drawn in parts by {noise.contributors} contributors and is whole while at least "
        f"{noise.honest} of them keep their part to themselves; fewer leave less noise"
        for noise in sorted(filter(None, parts), key=lambda noise: (noise.contributors, noise.honest))
    ]


def epsilon_micro(epsilon: float) -> int:
    """Spent epsilon in millionths."""
    return round_up(epsilon, MICRO)


def delta_e12(delta: float) -> int:
    """Spent delta in units of 1e-12."""
    return round_up(delta, E12)
