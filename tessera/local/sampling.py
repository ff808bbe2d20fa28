"""`tessera sample`: rows of a model file, streamed; long tables in parts, so that the same command goes on
after any kind of end."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.files import READABLE, write_whole
from tessera.errors import UsageError
from tessera.local.conditions import ConditionOptions, segment_lines
from tessera.local.model import seed_bytes
from tessera.local.row_file import write_rows
from tessera.local.row_makers import RowSource, make_parts
from tessera.local.row_parts import PartFolder, PartPlan, open_parts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.exact.container import Container
    from provenance.table.conditions import Conditions
    from provenance.table.schema import Schema

_SEED_TAG = b"tessera/sample-seed/1"
_COUNTED_ROWS = 65_536
Progress = Callable[[int, int], None]
"""Called with (parts finished, parts in all)."""


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


@dataclass(frozen=True, slots=True)
class Met:
    """How conditions were met: the rows of each segment in words, the mean attempts that the first
    `counted` rows took."""

    conditions: Conditions
    segments: Sequence[str]
    attempts: float
    counted: int


@dataclass(frozen=True, slots=True)
class SampleResult:
    """Rows first_row .. first_row + rows - 1 were written. met: None without conditions."""

    first_row: int
    rows: int
    met: Met | None


def parse_seed(text: str) -> bytes:
    """The 32 bytes of a seed as it is typed: a decimal number, or hexadecimal after 0x. Raises UsageError."""
    if re.fullmatch(r"[0-9]{1,78}", text):
        return seed_bytes(int(text))
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,64}", text):
        return seed_bytes(int(text, 16))
    advice = (
        f"write 0x{text} if it is hexadecimal" if re.fullmatch(r"[0-9a-fA-F]{1,64}", text) else "such as 42"
    )
    raise UsageError(
        f"seed=: found {text!r:.80}, expected a number from 0 to 2^256 - 1, or 0x and up to 64 hexadecimal digits; "
        f"{advice}"
    )


def sample_file(
    request: SampleRequest,
    out_file: Path,
    conditions_out: Path | None = None,
    progress: Progress | None = None,
) -> SampleResult:
    """Write the rows to `out_file`, and what was asked of them to `conditions_out`."""
    from provenance.exact.container import Container

    data = request.model.read_bytes()
    container = Container.parse(data)
    conditions, rows = _asked(container.schema, request)
    if conditions_out is not None and conditions is None:
        raise UsageError("conditions_out=: no conditions were asked; add where=, balance= or count=")
    first_row = request.first_row
    limit = container.schema.max_rows
    if limit is not None and first_row + rows > limit:
        raise UsageError(
            f"rows=: found {first_row + rows:,} rows, expected at most {limit:,}, as many as the schema's "
            "key pattern has keys; ask for fewer, or fit with a longer pattern"
        )
    document = None if conditions is None else conditions.encode()
    source = RowSource(data, request.seed, request.batch_rows, request.threads, request.device, document)
    plan = PartPlan.of(first_row, rows, len(container.schema.columns))
    if plan.parts == 1:
        values = source.sampler().values(first_row, rows, request.batch_rows, threads=request.threads)
        write_rows(out_file, container.schema, [values], first_row)
    else:
        _write_in_parts(source, request.processes, container, plan, out_file, progress)
    if conditions is None:
        return SampleResult(first_row, rows, None)
    if conditions_out is not None:
        write_whole(conditions_out, conditions.encode(), mode=READABLE)
    return SampleResult(first_row, rows, _met(source, conditions, first_row, rows))


def _asked(schema: Schema, request: SampleRequest) -> tuple[Conditions | None, int]:
    """The conditions and how many rows. A request for all rows may begin anywhere; several kinds of rows are
    a request of a fixed length, of which a part is had by its document."""
    rows, first_row, asked = request.rows, request.first_row, request.asked
    if first_row and (asked.balance or asked.counts):
        raise UsageError(
            "first_row=: rows in the middle of a balance or of counts are a part of a request; write its document "
            "(conditions_out=), and give that (conditions=)"
        )
    conditions = asked.conditions(schema, None if rows is None else first_row + rows)
    if conditions is None:
        if rows is None:
            raise UsageError("rows= is missing: say how many rows")
        return None, rows
    if first_row + (rows or 1) > conditions.rows:
        raise UsageError(
            f"found rows {first_row} to {first_row + (rows or 1) - 1}, expected rows of the {conditions.rows:,} that "
            "the conditions ask for"
        )
    return conditions, conditions.rows - first_row if rows is None else rows


def _met(source: RowSource, conditions: Conditions, first_row: int, rows: int) -> Met:
    """What was delivered, and the attempts that the first rows took."""
    import numpy as np

    counts = np.zeros(len(conditions.segments), dtype=np.int64)
    for start in range(first_row, first_row + rows, _COUNTED_ROWS):
        numbers = np.arange(start, min(start + _COUNTED_ROWS, first_row + rows), dtype=np.uint64)
        counts += np.bincount(conditions.segment_of(numbers), minlength=len(counts))
    sampler, few = source.sampler(), min(rows, _COUNTED_ROWS)
    sampler.values(first_row, few)
    attempts = sampler.tally.attempts / sampler.tally.rows if sampler.tally.rows else 1.0
    return Met(conditions, segment_lines(conditions, counts.tolist()), attempts, few)


def _write_in_parts(
    source: RowSource,
    processes: int,
    container: Container,
    plan: PartPlan,
    out_file: Path,
    progress: Progress | None,
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
        write_rows(
            out_file,
            container.schema,
            _values(source, processes, container, folder, progress),
            plan.first_row,
        )
        folder.remove()


def _values(
    source: RowSource, processes: int, container: Container, folder: PartFolder, progress: Progress | None
) -> Iterator[NDArray[np.int64]]:
    """The values of all parts in order."""
    from provenance.exact.rows import decode_rows

    for done, part in enumerate(make_parts(source, folder, processes), 1):
        if progress is not None:
            progress(done, folder.plan.parts)
        yield decode_rows(folder.read(part), container.schema.value_widths)
