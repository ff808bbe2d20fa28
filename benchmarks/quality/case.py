"""One fit of the benchmark: what is fitted, on which table, how, and the files that it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = dict[
    str, "str | int | float | bool | JsonObject | list[JsonObject] | list[str] | None"
]
Settings: TypeAlias = Mapping[str, str | int | float | bool]

CENTRAL: Final = "central"
FEDERATED: Final = "federated"
ALONE: Final = "alone, pooled"
CONTRIBUTORS: Final = 4
SKEW: Final = 0.1
DELTA: Final = 1e-5


@dataclass(frozen=True)
class Case:
    """subject: a family of ours, a part removed, or a peer. setup: CENTRAL, FEDERATED or ALONE.

    validation: fitted on part of the training rows and judged on the rest, to choose settings.
    """

    table: str
    subject: str
    epsilon: float | None
    setup: str
    seed: int
    validation: bool = False
    settings: Settings = field(default_factory=dict)

    def document(self) -> JsonObject:
        """All fields, for results and requests."""
        return {
            "table": self.table,
            "subject": self.subject,
            "epsilon": self.epsilon,
            "setup": self.setup,
            "seed": self.seed,
            "validation": self.validation,
            "settings": dict(sorted(self.settings.items())),
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Case:
        """The inverse of `document`."""
        return cls(**document)

    @property
    def key(self) -> str:
        """A file name that no other case has."""
        text = json.dumps(self.document(), sort_keys=True)
        budget = "none" if self.epsilon is None else f"{self.epsilon:g}"
        words = (self.table, self.subject, self.setup.split(",")[0], budget, str(self.seed))
        return "-".join((*words, hashlib.sha256(text.encode()).hexdigest()[:8]))
