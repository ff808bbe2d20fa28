"""`tessera sample`: rows of a model file, streamed; long tables in parts, so that the same command goes on after
any kind of end.
"""

from __future__ import annotations

import hashlib
import os
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from scripts.errors import UsageError
from scripts.row_file import write_rows
from scripts.row_makers import make_parts
from scripts.row_parts import PartFolder, PartPlan, open_parts
from scripts.row_source import RowSource
from scripts.terminal import err, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.container import Container

_SEED_TAG = b"tessera/sample-seed/1"


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Which rows of which model; processes, threads, batch_rows and device (None: numpy) change the speed
    only."""

    model: Path
    rows: int
    seed: bytes
    first_row: int = 0
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


def run_sample(request: SampleRequest, out_file: Path) -> None:
    """Write the rows to `out_file`."""
    from provenance.container import Container

    data = request.model.read_bytes()
    container = Container.parse(data)
    first_row, rows = request.first_row, request.rows
    limit = container.schema.max_rows
    if limit is not None and first_row + rows > limit:
        raise UsageError(
            f"--rows: found {first_row + rows:,} rows, expected at most {limit:,}, as many as the schema's "
            "key pattern has keys; ask for fewer, or fit with a longer pattern"
        )
    source = RowSource(data, request.seed, request.batch_rows, request.threads, request.device)
    plan = PartPlan.of(first_row, rows, len(container.schema.columns))
    if plan.parts == 1:
        values = source.sampler().values(first_row, rows, request.batch_rows, threads=request.threads)
        write_rows(out_file, container.schema, [values], first_row)
    else:
        _write_in_parts(source, request.processes, container, plan, out_file)
    say(f"{out_file}: {rows:,} rows ({first_row} to {first_row + rows - 1}) of {request.model}")


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
