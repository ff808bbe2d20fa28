"""What a fit cost, as its own process measured it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


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
