"""The results file: one JSON object a line, appended when a case is done; the last line of a case counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.quality.case import Case, FitReport
from benchmarks.quality.figures import Figures


@dataclass(frozen=True)
class Result:
    """A finished case; figures and report are None if it failed, and `failure` says how."""

    case: Case
    machine: str
    figures: Figures | None = None
    report: FitReport | None = None
    failure: str | None = None


def append(path: Path, result: Result) -> None:
    """Add one line."""
    line = {
        "case": result.case.document(),
        "machine": result.machine,
        "figures": None if result.figures is None else asdict(result.figures),
        "report": None if result.report is None else asdict(result.report),
        "failure": result.failure,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, sort_keys=True) + "\n")


def read(path: Path) -> dict[str, Result]:
    """Results by case key, in the order of their last lines; a file that does not exist is empty."""
    latest: dict[str, Result] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        line = json.loads(text)
        figures, report = line["figures"], line["report"]
        result = Result(
            Case.parse(line["case"]),
            line["machine"],
            None if figures is None else Figures(**figures),
            None if report is None else FitReport(**report),
            line["failure"],
        )
        latest.pop(result.case.key, None)
        latest[result.case.key] = result
    return latest
