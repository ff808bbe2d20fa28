"""The privacy ledger: every release ever made from a table, written before its noise is drawn.

File: one canonical JSON object a line, append only, each line flushed to the disk before `record` returns.
A last line without its line end was never acknowledged, so no noise was drawn for it: it is cut off. Any
other damage stops the node, because a lost line would be privacy spent twice.

A release is known by (order, name). Recording it again is free if nothing about it changed: the step was
cut off before its result was stored, so nobody saw it, and its one result may be drawn anew. Recorded again
with other figures it is refused.

Accounting. Unit: one row; neighbours: add or remove one row. The rows that train and the rows held out are
disjoint and chosen row by row, so their releases compose in parallel and the table has spent the larger of
the two.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from generator.errors import BudgetExceeded, StateError, TaskRefused
from generator.federation.files import sync_folder
from generator.federation.task import Json
from generator.privacy.accountant import (
    GaussianEvent,
    NoiseParts,
    PrivacyEvent,
    SubsampledGaussianEvent,
    epsilon_of,
)
from generator.privacy.errors import PrivacyError
from provenance import canonical
from provenance.errors import ProvenanceError
from provenance.values import Digest

FORMAT = "tessera-release/1"
Part: TypeAlias = Literal["training", "holdout"]


@dataclass(frozen=True, slots=True)
class PrivacyCap:
    """What the table's owner allows over the table's whole life. epsilon None: no cap, unprotected
    releases too.
    """

    epsilon: float | None
    delta: float = 1e-5

    def document(self) -> dict[str, Json]:
        """The canonical document, figures as decimal text."""
        return {"epsilon": None if self.epsilon is None else repr(self.epsilon), "delta": repr(self.delta)}

    @classmethod
    def parse(cls, document: Json) -> PrivacyCap:
        """Read a document; StateError if it is not one."""
        if not isinstance(document, dict) or document.keys() != {"epsilon", "delta"}:
            raise StateError("privacy cap needs exactly epsilon and delta: set the node up again")
        epsilon = document["epsilon"]
        return cls(
            None if epsilon is None else _number(epsilon, "epsilon"), _number(document["delta"], "delta")
        )


@dataclass(frozen=True, slots=True)
class Release:
    """Figures that leave the node under one name.

    event: the mechanism with its noise multiplier, None for exact figures without any privacy. part: whose
    rows.
    """

    name: str
    event: PrivacyEvent | None
    part: Part = "training"


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


class PrivacyLedger:
    """The ledger file of one table with its owner's cap. Use under the folder's lock."""

    def __init__(self, path: Path, cap: PrivacyCap) -> None:
        self.path = path
        self.cap = cap

    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every acknowledged release, oldest first; StateError if a line is damaged."""
        whole, _ = self._read()
        entries = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entries.append(_parse(canonical.decode(line)))
            except (ProvenanceError, PrivacyError, StateError, KeyError, ValueError) as error:
                raise StateError(
                    f"{self.path} line {number} is damaged ({error}): what was spent is no longer known, "
                    "restore the file from a copy before releasing anything"
                ) from error
        return tuple(entries)

    def spent(self, further: Sequence[Release] = (), *, order: Digest | None = None) -> float:
        """Epsilon at the cap's delta of all releases (of one order, if given) and `further` ones; may be
        infinite.
        """
        releases = [e.release for e in self.entries() if order is None or e.order == order]
        return composed_epsilon([*releases, *further], self.cap.delta)

    def check(self, releases: Sequence[Release], order: Digest) -> None:
        """Raise BudgetExceeded if the table cannot afford `releases` for `order`. Reads no row, spends
        nothing.

        Releases of the order that are recorded already are not counted twice.
        """
        known = {(e.order, e.release.name) for e in self.entries()}
        new = [r for r in releases if (order, r.name) not in known]
        if self.cap.epsilon is None or not new:
            return
        total = self.spent(new)
        if total > self.cap.epsilon:
            names = ", ".join(r.name for r in new)
            raise BudgetExceeded(
                f"{names} would take this table to epsilon {total:.4g} at delta {self.cap.delta:g}, its "
                f"owner's cap is {self.cap.epsilon:g} ({self.spent():.4g} are spent): raise the cap or "
                "decline the order"
            )

    def record(self, release: Release, *, order: Digest, delta: float, request: str = "") -> LedgerEntry:
        """Write a release down, durably, before its noise is drawn; returns the entry.

        delta: at which the order counts. Raises BudgetExceeded over the cap; TaskRefused if the same release
        was recorded with other figures. Recording an unchanged release again returns the old entry.
        """
        for entry in self.entries():
            if (entry.order, entry.release.name) == (order, release.name):
                if entry.release != release:
                    raise TaskRefused(
                        "release-changed", f"{release.name} was recorded with other figures; it is made once"
                    )
                return entry
        self.check([release], order)
        entry = LedgerEntry(order, release, request, composed_epsilon([release], delta), delta)
        self._append(canonical.encode(_document(entry)) + b"\n")
        return entry

    def _append(self, line: bytes) -> None:
        whole, torn = self._read()
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if torn:
                os.ftruncate(descriptor, len(whole))
            os.lseek(descriptor, len(whole), os.SEEK_SET)
            view = memoryview(line)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self.path.parent)

    def _read(self) -> tuple[bytes, bytes]:
        """The acknowledged lines, and what a killed writer left after them."""
        data = self.path.read_bytes() if self.path.exists() else b""
        end = data.rfind(b"\n") + 1
        return data[:end], data[end:]


def composed_epsilon(releases: Sequence[Release], delta: float) -> float:
    """Epsilon of all releases together: the larger of the two disjoint parts' compositions."""
    spent = 0.0
    parts: tuple[Part, ...] = ("training", "holdout")
    for part in parts:
        events = [r.event for r in releases if r.part == part]
        protected = [event for event in events if event is not None]
        if len(protected) < len(events):
            return math.inf
        try:
            spent = max(spent, _epsilon_of(tuple(protected), delta))
        except PrivacyError:  # more than the accountant can express: over any cap
            return math.inf
    return spent


@lru_cache(maxsize=256)
def _epsilon_of(events: tuple[PrivacyEvent, ...], delta: float) -> float:
    """Composing subsampled steps takes a fifth of a second, and each round asks for the same figures."""
    return epsilon_of(events, delta)


def _document(entry: LedgerEntry) -> dict[str, Json]:
    return {
        "format": FORMAT,
        "order": str(entry.order),
        "release": entry.release.name,
        "part": entry.release.part,
        "request": entry.request,
        "event": event_document(entry.release.event),
        "epsilon": repr(entry.epsilon),
        "delta": repr(entry.delta),
    }


def event_document(event: PrivacyEvent | None) -> dict[str, Json]:
    """A mechanism as canonical JSON, its figures as decimal text that reads back to the same number."""
    if event is None:
        return {"mechanism": "none"}
    document: dict[str, Json] = {
        "mechanism": "gaussian",
        "noiseMultiplier": repr(float(event.noise_multiplier)),
    }
    if isinstance(event, SubsampledGaussianEvent):
        document["mechanism"] = "subsampled-gaussian"
        document["sampleRate"] = repr(float(event.sample_rate))
        document["steps"] = event.steps
    if event.parts is not None:
        document["noiseFrom"] = event.parts.contributors
        document["noiseHonest"] = event.parts.honest
    return document


def _event(document: Json) -> PrivacyEvent | None:
    if not isinstance(document, dict):
        raise StateError("event is not an object")
    if document["mechanism"] == "none":
        return None
    noise, parts = _number(document["noiseMultiplier"], "noiseMultiplier"), _parts(document)
    if document["mechanism"] == "gaussian":
        return GaussianEvent(noise, parts)
    if document["mechanism"] == "subsampled-gaussian" and isinstance(document["steps"], int):
        rate = _number(document["sampleRate"], "sampleRate")
        return SubsampledGaussianEvent(noise, rate, document["steps"], parts)
    raise StateError(f"mechanism {document['mechanism']!r} is unknown to this version: update the node")


def _parts(document: dict[str, Json]) -> NoiseParts | None:
    if "noiseFrom" not in document:
        return None
    contributors, honest = document["noiseFrom"], document["noiseHonest"]
    if not isinstance(contributors, int) or not isinstance(honest, int):
        raise StateError("noiseFrom and noiseHonest must be integers")
    return NoiseParts(contributors, honest)


def _parse(document: Json) -> LedgerEntry:
    if not isinstance(document, dict) or document["format"] != FORMAT:
        raise StateError(f"expected a line of format {FORMAT}")
    name, request, part = document["release"], document["request"], document["part"]
    if not isinstance(name, str) or not isinstance(request, str) or part not in ("training", "holdout"):
        raise StateError("release, request or part is malformed")
    known: Part = "training" if part == "training" else "holdout"
    release = Release(name, _event(document["event"]), known)
    epsilon, delta = _number(document["epsilon"], "epsilon"), _number(document["delta"], "delta")
    return LedgerEntry(Digest.parse(str(document["order"])), release, request, epsilon, delta)


def _number(value: Json, name: str) -> float:
    if not isinstance(value, str):
        raise StateError(f"{name} is {value!r}, expected a decimal number as text")
    return float(value)
