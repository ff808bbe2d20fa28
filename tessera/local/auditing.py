"""`tessera.audit`: what a model gives away about its training table, and the saved report, for its owner alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from generator.evaluation.report import Tell
from generator.fitting.aside import set_aside
from generator.fitting.audit import AuditReport, AuditRequest
from generator.fitting.audit import audit as audit_values
from generator.privacy.owner import OwnedTable
from provenance.files import write_whole
from provenance.table.python_cells import TableLike
from tessera.local.evaluating import checked_target
from tessera.local.model import Model, load
from tessera.local.owned import owned_rows
from tessera.local.table_file import read_table


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """The figures (`report`, or as plain values `document()`), and the table's place at its owner."""

    report: AuditReport
    table: OwnedTable

    def __repr__(self) -> str:
        auc = self.report.membership.attack.auc
        return f"Audit({self.report.schema!r}, {self.report.rows:,} rows, AUC {auc:.3f})"

    def document(self) -> dict[str, object]:
        """All figures as JSON has them."""
        return {**asdict(self.report), "refuted": self.report.refuted}

    def save(self, path: Path | str) -> None:
        """A page (.html) that stands alone, or all figures (.json), that only this user can read. UsageError for
        another name."""
        to = checked_target(path)
        if to.suffix == ".json":
            text = json.dumps(self.document(), indent=1) + "\n"
        else:
            from tessera.local.audit_page import audit_page

            text = audit_page(self.report)
        write_whole(to, text.encode())


def audit(
    model: Path | str | Model,
    table: Path | str | TableLike,
    *,
    reference: Path | str | TableLike | None = None,
    canaries: int | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Tell | None = None,
) -> Audit:
    """Attack a model with the table that it was fitted to: who trained, a lower bound on epsilon from planted rows,
    copies. Nothing leaves this machine, and no figure is private: the report is for the owner of the table.

    model: a file that `tessera fit` wrote, or a `Model`. table, reference: a CSV or Parquet file, or columns by name;
    reference: other rows of the same population that did not train. canaries: rows to plant, 0 for none, None for a
    number that the table bears. seed: of all that is drawn but noise. progress: called with (step, share of all work).
    Raises ModelError or DocumentError for another kind of file, TableError for another schema's rows, EvaluationError
    for too few rows or more than the model was fitted to.
    """
    known = model if isinstance(model, Model) else load(model)
    owned, rows = owned_rows(table, known.schema)
    owned.ledger().note("audit, exact figures")
    request = AuditRequest(
        other=None
        if reference is None
        else np.asarray(read_table(reference, known.schema).values, dtype=np.int64),
        canaries=canaries,
        seed=seed,
        threads=threads,
    )
    aside = set_aside(rows, owned.split_secret(), None)
    report = audit_values(
        known.container,
        rows,
        aside,
        request,
        progress or (lambda _step, _share: None),
    )
    return Audit(report, owned)
