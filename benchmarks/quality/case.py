"""One fit of the benchmark: what is fitted, on which table, how, and what it cost as its own process measured it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
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
IN_FLOAT: Final = "autoregressive, in float"
NO_CRITIC: Final = "fedgan, no critic"
NO_MARGINALS: Final = "fedgan, no marginals"
PAIRS_ONLY: Final = "marginal, no 3-way"
SUMMED: Final = "marginal, sums masked"
SUMMED_GRADIENTS: Final = "autoregressive, sums masked"


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


@dataclass(frozen=True, slots=True)
class FitReport:
    """CPU seconds of the fit (all contributors together) and of making `sample_rows` rows a second time.

    fit_peak_rss_bytes: the most memory of the process until the fit ended, None where it was not measured.
    model_bytes, sent_bytes: of the model file and of the most that one contributor sent; None where there is none.
    refused: contributors whose own rows were too few to fit alone under the noise, and who are not in the pool.
    """

    fit_cpu_seconds: float
    fit_seconds: float
    sample_cpu_seconds: float
    sample_rows: int
    fit_peak_rss_bytes: int | None
    model_bytes: int | None = None
    sent_bytes: int | None = None
    refused: int = 0

    @classmethod
    def load(cls, path: Path) -> FitReport:
        """Read what `save` or a peer's process wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Subject:
    """A family and its settings. in_float: rows are drawn from the net as it was before quantisation."""

    family: str
    settings: Settings = field(default_factory=dict)
    in_float: bool = False


OURS: Final[Mapping[str, Subject]] = {
    "autoregressive": Subject("autoregressive"),
    "marginal": Subject("marginal"),
    "fedgan": Subject("fedgan"),
    IN_FLOAT: Subject("autoregressive", in_float=True),
    NO_CRITIC: Subject("fedgan", {"adversarialPercent": 0}),
    NO_MARGINALS: Subject("fedgan", {"marginalPercent": 0}),
    PAIRS_ONLY: Subject("marginal", {"tables": "pairs"}),
    SUMMED: Subject("marginal", {"noise": "distributed"}),
    SUMMED_GRADIENTS: Subject("autoregressive", {"noise": "distributed"}),
}
