"""`tessera sample`: rows of a model file, streamed; long tables in parts, so that the same command goes on after
any kind of end.
"""

from __future__ import annotations

import hashlib
import os
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from tessera.errors import UsageError
from tessera.local.conditions import ConditionOptions, segment_lines
from tessera.local.row_file import write_rows
from tessera.local.row_makers import make_parts
from tessera.local.row_parts import PartFolder, PartPlan, open_parts
from tessera.local.row_source import RowSource
from tessera.terminal import err, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.exact.container import Container
    from provenance.table.conditions import Conditions
    from provenance.table.schema import Schema

_SEED_TAG = b"tessera/sample-seed/1"
_COUNTED_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Which rows of which model, under which conditions; rows: None for as many as the conditions ask for.
    processes, threads, batch_rows and device (None: numpy) change the speed only."""

    model: Path
    rows: int | None
    seed: bytes
    first_row: int = 0
    asked: ConditionOptions = field(default_factory=ConditionOptions)
    batch_rows: int = 4096
    threads: int = 1
    processes: int = 1
    device: str | None = None


def parse_seed(text: str) -> bytes:
    """The 32 bytes of a seed in hex, with or without 0x; fewer digits are a number, filled with zeros on the
    left."""
    digits = text.removeprefix("0x")
    if not 1 <= len(digits) <= 64 or not set(digits) <= set(string.hexdigits):
        raise UsageError(
            f"--seed: found {text!r}, expected 1 to 64 hex digits; `openssl rand -hex 32` makes some"
        )
    return int(digits, 16).to_bytes(32, "big")


def run_sample(request: SampleRequest, out_file: Path, conditions_out: Path | None = None) -> None:
    """Write the rows to `out_file`, and what was asked of them to `conditions_out`."""
    from provenance.exact.container import Container

    data = request.model.read_bytes()
    container = Container.parse(data)
    conditions, rows = _asked(container.schema, request)
    if conditions_out is not None and conditions is None:
        raise UsageError("--conditions-out: no conditions were asked; add --where, --balance or --count")
    first_row = request.first_row
    limit = container.schema.max_rows
    if limit is not None and first_row + rows > limit:
        raise UsageError(
            f"--rows: found {first_row + rows:,} rows, expected at most {limit:,}, as many as the schema's "
            "key pattern has keys; ask for fewer, or fit with a longer pattern"
        )
    document = None if conditions is None else conditions.encode()
    source = RowSource(data, request.seed, request.batch_rows, request.threads, request.device, document)
    plan = PartPlan.of(first_row, rows, len(container.schema.columns))
    if plan.parts == 1:
        values = source.sampler().values(first_row, rows, request.batch_rows, threads=request.threads)
        write_rows(out_file, container.schema, [values], first_row)
    else:
        _write_in_parts(source, request.processes, container, plan, out_file)
    say(f"{out_file}: {rows:,} rows ({first_row} to {first_row + rows - 1}) of {request.model}")
    if conditions is not None:
        if conditions_out is not None:
            conditions_out.write_bytes(conditions.encode())
        _say_conditions(source, conditions, first_row, rows)


def _asked(schema: Schema, request: SampleRequest) -> tuple[Conditions | None, int]:
    """The conditions and how many rows. A wish for all rows may begin anywhere; several kinds of rows are a
    request of a fixed length, of which a part is had by its document."""
    rows, first_row, asked = request.rows, request.first_row, request.asked
    if first_row and (asked.balance or asked.counts):
        raise UsageError(
            "--first-row: rows in the middle of a balance or of counts are a part of a request; write its document "
            "with --conditions-out, and give that with --conditions"
        )
    conditions = asked.conditions(schema, None if rows is None else first_row + rows)
    if conditions is None:
        if rows is None:
            raise UsageError("--rows is missing: say how many rows")
        return None, rows
    if first_row + (rows or 1) > conditions.rows:
        raise UsageError(
            f"found rows {first_row} to {first_row + (rows or 1) - 1}, expected rows of the {conditions.rows:,} that "
            "the conditions ask for"
        )
    return conditions, conditions.rows - first_row if rows is None else rows


def _say_conditions(source: RowSource, conditions: Conditions, first_row: int, rows: int) -> None:
    """What was delivered, and the attempts that the first rows took."""
    import numpy as np

    counts = np.zeros(len(conditions.segments), dtype=np.int64)
    for start in range(first_row, first_row + rows, _COUNTED_ROWS):
        numbers = np.arange(start, min(start + _COUNTED_ROWS, first_row + rows), dtype=np.uint64)
        counts += np.bincount(conditions.segment_of(numbers), minlength=len(counts))
    for line in segment_lines(conditions, counts.tolist()):
        say(f"  {line}")
    sampler, few = source.sampler(), min(rows, _COUNTED_ROWS)
    sampler.values(first_row, few)
    attempts = sampler.tally.attempts / sampler.tally.rows if sampler.tally.rows else 1.0
    of_first = "" if few == rows else f" (of the first {few:,})"
    say(f"  {attempts:.3g} attempts a row{of_first}; conditions {conditions.digest}")


def _write_in_parts(
    source: RowSource, processes: int, container: Container, plan: PartPlan, out_file: Path
) -> None:
    # a BLAS with threads of its own would get into the other workers' way
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    intent: dict[str, str | int] = {
        "format": "tessera-sample-parts/1",
        "model file": hashlib.sha256(source.container).hexdigest(),
        "seed": hashlib.sha256(_SEED_TAG + source.seed).hexdigest(),
        "conditions": "none" if source.conditions is None else hashlib.sha256(source.conditions).hexdigest(),
        "first row": plan.first_row,
        "rows": plan.rows,
    }
    with open_parts(out_file, intent, plan, sum(container.schema.value_widths)) as folder:
        write_rows(out_file, container.schema, _values(source, processes, container, folder), plan.first_row)
        folder.remove()


def _values(
    source: RowSource, processes: int, container: Container, folder: PartFolder
) -> Iterator[NDArray[np.int64]]:
    """The values of all parts in order."""
    from provenance.exact.rows import decode_rows

    shown = track(
        make_parts(source, folder, processes), "sampling", total=folder.plan.parts, console=err, transient=True,
        disable=not err.is_terminal,
    )  # fmt: skip
    for part in shown:
        yield decode_rows(folder.read(part), container.schema.value_widths)
