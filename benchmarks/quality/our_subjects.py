"""What of ours is measured: the families with their defaults, and each with one part removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.quality.case import Settings


@dataclass(frozen=True, slots=True)
class Subject:
    """A family and its settings. in_float: rows are drawn from the net as it was before quantisation."""

    family: str
    settings: Settings = field(default_factory=dict)
    in_float: bool = False


IN_FLOAT: Final = "autoregressive, in float"
NO_CRITIC: Final = "fedgan, no critic"
NO_MARGINALS: Final = "fedgan, no marginals"
PAIRS_ONLY: Final = "marginal, no 3-way"
SUMMED: Final = "marginal, sums masked"
SUMMED_GRADIENTS: Final = "autoregressive, sums masked"

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
