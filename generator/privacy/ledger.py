"""The privacy ledger: every release ever made from a table, written before its noise is drawn.

File: one canonical JSON object a line (`privacy.release`), append only, each on the disk before `record` returns
(`files.LineFile`). A last line without its line end was never acknowledged, so no noise was drawn for it: it does
not count. Any other damage stops the node, because a lost line would be privacy spent twice.

A release is known by (order, name). Recording it again is free if nothing about it changed: the step was
cut off before its result was stored, so nobody saw it, and its one result may be drawn anew. Recorded again
with other figures it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.errors import BudgetExceeded, PrivacyError, StateError, TaskRefused
from generator.privacy.release import LedgerEntry, Release, composed_epsilon, decimal
from provenance import canonical
from provenance.canonical import JsonValue
from provenance.errors import ProvenanceError
from provenance.files import LineFile
from provenance.values import Digest


@dataclass(frozen=True, slots=True)
class PrivacyCap:
    """What the table's owner allows over the table's whole life.

    epsilon None: no cap, unprotected releases too. Raises PrivacyError for figures that would cap nothing.
    """

    epsilon: float | None
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            raise PrivacyError(f"the cap's epsilon is {self.epsilon:g}, expected a finite number above 0")
        if not 0 < self.delta < 1:
            raise PrivacyError(f"the cap's delta is {self.delta:g}, expected a number between 0 and 1")

    def document(self) -> dict[str, JsonValue]:
        """The canonical document, figures as decimal text."""
        return {"epsilon": None if self.epsilon is None else repr(self.epsilon), "delta": repr(self.delta)}

    @classmethod
    def parse(cls, document: JsonValue) -> PrivacyCap:
        """Read a document; StateError if it is not one."""
        if not isinstance(document, dict) or document.keys() != {"epsilon", "delta"}:
            raise StateError("privacy cap needs exactly epsilon and delta: set the node up again")
        epsilon = document["epsilon"]
        try:
            return cls(
                None if epsilon is None else decimal(epsilon, "epsilon"), decimal(document["delta"], "delta")
            )
        except ValueError as error:
            raise StateError(f"privacy cap: {error}; restore the file from a copy") from error


class PrivacyLedger:
    """The ledger file of one table with its owner's cap. Use under the folder's lock."""

    def __init__(self, path: Path, cap: PrivacyCap) -> None:
        self.path = path
        self.cap = cap
        self._file = LineFile(path)

    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every acknowledged release, oldest first; StateError if a line is damaged."""
        entries = []
        for number, line in enumerate(self._file.lines(), 1):
            try:
                entries.append(LedgerEntry.parse(canonical.decode(line)))
            except (ProvenanceError, PrivacyError, StateError, KeyError, ValueError) as error:
                raise StateError(
                    f"{self.path} line {number} is damaged ({error}): what was spent is no longer known, "
                    "restore the file from a copy before releasing anything"
                ) from error
        return tuple(entries)

    def spent(self, further: Sequence[Release] = (), *, order: Digest | None = None) -> float:
        """Epsilon at the cap's delta of all releases (of one order, if given) and `further` ones.

        Infinite where an unprotected release is among them.
        """
        releases = [entry.release for entry in self.entries() if order is None or entry.order == order]
        return composed_epsilon([*releases, *further], self.cap.delta)

    def training_releases(self, order: Digest) -> tuple[Release, ...]:
        """What an order's training released so far, oldest first."""
        return tuple(
            each.release
            for each in self.entries()
            if each.order == order and each.release.split == "training"
        )

    def check(self, releases: Sequence[Release], order: Digest) -> None:
        """Raise BudgetExceeded if the table cannot afford `releases` for `order`. Reads no row, spends nothing.

        Releases of the order that are recorded already are not counted twice.
        """
        known = {(entry.order, entry.release.name) for entry in self.entries()}
        new = [release for release in releases if (order, release.name) not in known]
        if self.cap.epsilon is None or not new:
            return
        total = self.spent(new)
        if total > self.cap.epsilon:
            names = ", ".join(release.name for release in new)
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
        self._file.append(canonical.encode(entry.document()))
        return entry
