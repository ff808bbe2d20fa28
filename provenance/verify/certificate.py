"""What a verification says. A check is done or absent: never defaulted, never a placeholder number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from provenance.canonical import JsonValue
from provenance.errors import ProvenanceError
from provenance.verify.seed_origin import SeedOrigin

FORMAT: Final = "tessera-certificate/1"


class CheckFailedError(ProvenanceError):
    """The claim is false; the message says how."""


class NotCheckedError(ProvenanceError):
    """The claim could not be looked at; the message says why."""


def require(condition: bool, message: str) -> None:
    """Raises CheckFailedError unless `condition`."""
    if not condition:
        raise CheckFailedError(message)


class Label(StrEnum):
    """How strong a claim is at best, strongest first."""

    FRAUD_PROVABLE = "fraud-provable"
    RECOMPUTED = "recomputed"
    SIGNED = "signed"
    NOT_PROVEN = "not proven"


class Status(StrEnum):
    """What this run found."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered check; `detail` says what was compared, or why it failed or was left out."""

    number: int
    name: str
    label: Label
    status: Status
    detail: str

    def document(self) -> dict[str, JsonValue]:
        return {
            "number": self.number,
            "name": self.name,
            "label": self.label.value,
            "status": self.status.value,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Certificate:
    """The verdict over one data set at one block. Valid for exactly these bytes and this chain.

    `key_problem`: why the delivery key in hand opens nothing; empty when it opens, or when none was given. `remarks`:
    what whoever reads "passed" has to know, such as shards that are not part of the data set any more. `seed`: who
    could have influenced it; None unless it was found to be the one that was drawn.
    """

    dataset: str
    order: str
    block: int
    checks: tuple[Check, ...]
    key_problem: str = ""
    remarks: tuple[str, ...] = ()
    seed: SeedOrigin | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is Status.FAILED)

    @property
    def unchecked(self) -> tuple[Check, ...]:
        """Checks that could be done by someone, but were not in this run (no key, no bytes)."""
        return tuple(
            check
            for check in self.checks
            if check.status is Status.NOT_CHECKED and check.label is not Label.NOT_PROVEN
        )

    @property
    def not_proven(self) -> tuple[Check, ...]:
        """Claims that no verification can prove."""
        return tuple(check for check in self.checks if check.label is Label.NOT_PROVEN)

    @property
    def passed(self) -> bool:
        """True when nothing failed. Look at `unchecked` to see how much was looked at."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 nothing failed, but the key given is not the data set's."""
        if not self.passed:
            return 1
        return 2 if self.key_problem else 0

    def check(self, name: str) -> Check:
        """The check called `name`. Raises KeyError."""
        for each in self.checks:
            if each.name == name:
                return each
        raise KeyError(name)

    def document(self) -> dict[str, JsonValue]:
        """The JSON form."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "order": self.order,
            "block": self.block,
            "verdict": "passed" if self.passed else "failed",
            "keyProblem": self.key_problem or None,
            "remarks": list(self.remarks),
            "seed": None if self.seed is None else self.seed.document(),
            "checks": [check.document() for check in self.checks],
            "failed": [check.name for check in self.failed],
            "notChecked": [check.name for check in self.unchecked],
            "notProven": [check.name for check in self.not_proven],
        }
