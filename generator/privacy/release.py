"""Releases: what leaves a node under noise, what several of them cost together, and a ledger's line for one.

Unit: one row, or one person where the table's schema says whose rows are whose; neighbours: add or remove one unit. The
rows that train and the rows held out are disjoint and chosen unit by unit, so their releases compose in parallel: the
table has spent the larger of the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from generator.errors import PrivacyError, StateError
from generator.privacy.accountant import (
    DistributedNoise,
    GaussianEvent,
    PrivacyEvent,
    SubsampledGaussianEvent,
    Threshold,
    epsilon_of,
)
from provenance.canonical import JsonValue
from provenance.values import Digest

FORMAT = "tessera-release/1"
Split: TypeAlias = Literal["training", "holdout"]
"""Which rows of a table a release reads."""
_SPLITS: tuple[Split, ...] = ("training", "holdout")


@dataclass(frozen=True, slots=True)
class Release:
    """Figures that leave the node under one name.

    event: the mechanism with its noise multiplier, None for exact figures without any privacy.
    """

    name: str
    event: PrivacyEvent | None
    split: Split = "training"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line: the release, the order it was made for, the request's digest ("" when there is none).

    epsilon: of this release alone at delta; infinity for an unprotected one.
    """

    order: Digest
    release: Release
    request: str
    epsilon: float
    delta: float

    def document(self) -> dict[str, JsonValue]:
        """The canonical document, figures as decimal text; `parse` reads it back."""
        return {
            "format": FORMAT,
            "order": str(self.order),
            "release": self.release.name,
            "part": self.release.split,
            "request": self.request,
            "event": event_document(self.release.event),
            "epsilon": repr(self.epsilon),
            "delta": repr(self.delta),
        }

    @classmethod
    def parse(cls, document: JsonValue) -> LedgerEntry:
        """Read a document; StateError, KeyError, ValueError or a ProvenanceError if it is not one."""
        if not isinstance(document, dict) or document["format"] != FORMAT:
            raise StateError(f"expected a line of format {FORMAT}")
        request = document["request"]
        if not isinstance(request, str):
            raise StateError("request is malformed")
        return cls(
            order=Digest.parse(str(document["order"])),
            release=release_of(document),
            request=request,
            epsilon=decimal(document["epsilon"], "epsilon"),
            delta=decimal(document["delta"], "delta"),
        )


def release_of(document: JsonValue) -> Release:
    """The release of a document; StateError, KeyError or ValueError if it names none."""
    if not isinstance(document, dict):
        raise StateError("a release is not an object")
    name, part = document["release"], document["part"]
    split = next((split for split in _SPLITS if split == part), None)
    if not isinstance(name, str) or split is None:
        raise StateError("release or part is malformed")
    return Release(name, _event(document["event"]), split)


def composed_epsilon(releases: Sequence[Release], delta: float) -> float:
    """Epsilon of all releases together: the larger of the two disjoint splits' compositions."""
    spent = 0.0
    for split in _SPLITS:
        events = [release.event for release in releases if release.split == split]
        protected = [event for event in events if event is not None]
        if len(protected) < len(events):
            return math.inf
        try:
            spent = max(spent, _epsilon_of(tuple(protected), delta))
        except PrivacyError:  # more than the accountant can express: over any cap
            return math.inf
    return spent


def event_document(event: PrivacyEvent | None) -> dict[str, JsonValue]:
    """A mechanism as canonical JSON, its figures as decimal text that reads back to the same number."""
    if event is None:
        return {"mechanism": "none"}
    document: dict[str, JsonValue] = {
        "mechanism": "gaussian",
        "noiseMultiplier": repr(float(event.noise_multiplier)),
    }
    if isinstance(event, GaussianEvent) and event.threshold is not None:
        each = event.threshold
        document["threshold"] = {
            "columns": each.columns,
            "least": each.least,
            "std": repr(float(each.std)),
            **({} if each.unit_rows == 1 else {"unitRows": each.unit_rows}),
        }
    if isinstance(event, SubsampledGaussianEvent):
        document["mechanism"] = "subsampled-gaussian"
        document["sampleRate"] = repr(float(event.sample_rate))
        document["steps"] = event.steps
    if event.distributed is not None:
        document["noiseFrom"] = event.distributed.contributors
        document["noiseHonest"] = event.distributed.honest
    return document


def decimal(value: JsonValue, name: str) -> float:
    """A number that stands as decimal text; StateError names it if it is something else."""
    if not isinstance(value, str):
        raise StateError(f"{name} is {value!r}, expected a decimal number as text")
    return float(value)


@lru_cache(maxsize=256)
def _epsilon_of(events: tuple[PrivacyEvent, ...], delta: float) -> float:
    """Composing subsampled steps takes a fifth of a second, and every round asks for the same figures."""
    return epsilon_of(events, delta)


def _event(document: JsonValue) -> PrivacyEvent | None:
    if not isinstance(document, dict):
        raise StateError("event is not an object")
    if document["mechanism"] == "none":
        return None
    noise, distributed = decimal(document["noiseMultiplier"], "noiseMultiplier"), _distributed(document)
    if document["mechanism"] == "gaussian":
        return GaussianEvent(noise, distributed, _threshold(document))
    if document["mechanism"] == "subsampled-gaussian" and isinstance(document["steps"], int):
        rate = decimal(document["sampleRate"], "sampleRate")
        return SubsampledGaussianEvent(noise, rate, document["steps"], distributed)
    raise StateError(f"mechanism {document['mechanism']!r} is unknown to this version: update the node")


def _threshold(document: dict[str, JsonValue]) -> Threshold | None:
    value = document.get("threshold")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise StateError("threshold is not an object")
    columns, least, unit_rows = value["columns"], value["least"], value.get("unitRows", 1)
    if not isinstance(columns, int) or not isinstance(least, int) or not isinstance(unit_rows, int):
        raise StateError("columns, least and unitRows of a threshold must be integers")
    return Threshold(columns, least, decimal(value["std"], "std"), unit_rows)


def _distributed(document: dict[str, JsonValue]) -> DistributedNoise | None:
    if "noiseFrom" not in document:
        return None
    contributors, honest = document["noiseFrom"], document["noiseHonest"]
    if not isinstance(contributors, int) or not isinstance(honest, int):
        raise StateError("noiseFrom and noiseHonest must be integers")
    return DistributedNoise(contributors, honest)
