"""`tessera sample`: rows of a model file, streamed."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import track

from scripts.conditions import ConditionOptions, segment_lines
from scripts.errors import UsageError
from scripts.row_file import write_rows
from scripts.terminal import err, say

if TYPE_CHECKING:
    from provenance.conditions import Conditions
    from provenance.exact.conditional import Tally
    from provenance.schema import Schema

STEP_ROWS = 65_536


def parse_seed(text: str) -> bytes:
    """The 32 bytes of a seed in hex, with or without 0x; fewer digits are a number, filled with zeros on the
    left."""
    digits = text.removeprefix("0x")
    if not 1 <= len(digits) <= 64 or not set(digits) <= set(string.hexdigits):
        raise UsageError(
            f"--seed: found {text!r}, expected 1 to 64 hex digits; `openssl rand -hex 32` makes some"
        )
    return int(digits, 16).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which rows, and how they are made. rows: None for as many as the conditions say."""

    rows: int | None
    first_row: int
    seed_hex: str
    asked: ConditionOptions
    batch_rows: int
    threads: int


def run_sample(model: Path, sampling: Sampling, *, out_file: Path, conditions_out: Path | None) -> None:
    """Write rows first_row .. first_row + rows - 1 of the model in `model`, and what was asked of them."""
    from provenance.container import Container
    from provenance.container_sampler import ContainerSampler

    seed = parse_seed(sampling.seed_hex)
    container = Container.parse(model.read_bytes())
    conditions, rows = _asked(container.schema, sampling)
    if conditions_out is not None and conditions is None:
        raise UsageError("--conditions-out: no conditions were asked; add --where, --balance or --count")
    sampler = ContainerSampler(container, seed, conditions=conditions)
    first_row, batch_rows, threads = sampling.first_row, sampling.batch_rows, sampling.threads
    # Memory stays flat however many rows are asked for, and the model is decoded once a step.
    step = max(batch_rows * threads, STEP_ROWS)
    starts = range(first_row, first_row + rows, step)
    shown = track(
        starts, "sampling", console=err, transient=True, disable=not err.is_terminal or len(starts) < 4
    )
    batches = (
        sampler.values(start, min(step, first_row + rows - start), batch_rows, threads=threads)
        for start in shown
    )
    written = write_rows(out_file, container.schema, batches)
    say(f"{out_file}: {written:,} rows ({first_row} to {first_row + rows - 1}) of {model}")
    if conditions is not None:
        if conditions_out is not None:
            conditions_out.write_bytes(conditions.encode())
        _say_conditions(conditions, first_row, rows, sampler.tally)


def _asked(schema: Schema, sampling: Sampling) -> tuple[Conditions | None, int]:
    """The conditions and how many rows. A wish for all rows may begin anywhere; several kinds of rows are a
    request of a fixed length, of which a part is had by its document."""
    rows, first_row, asked = sampling.rows, sampling.first_row, sampling.asked
    if not asked.stated:
        if rows is None:
            raise UsageError("--rows is missing: say how many rows")
        return None, rows
    if first_row and (asked.balance or asked.counts):
        raise UsageError(
            "--first-row: rows in the middle of a balance or of counts are a part of a request; write its document "
            "with --conditions-out, and give that with --conditions"
        )
    conditions = asked.conditions(schema, None if rows is None else first_row + rows)
    if conditions is None:
        raise UsageError("--rows is missing: say how many rows")
    if first_row + (rows or 1) > conditions.rows:
        raise UsageError(
            f"found rows {first_row} to {first_row + (rows or 1) - 1}, expected rows of the {conditions.rows:,} that "
            "the conditions ask for"
        )
    return conditions, conditions.rows - first_row if rows is None else rows


def _say_conditions(conditions: Conditions, first_row: int, rows: int, tally: Tally) -> None:
    import numpy as np

    counts = np.zeros(len(conditions.segments), dtype=np.int64)
    for start in range(first_row, first_row + rows, STEP_ROWS):
        numbers = np.arange(start, min(start + STEP_ROWS, first_row + rows), dtype=np.uint64)
        counts += np.bincount(conditions.segment_of(numbers), minlength=len(counts))
    for line in segment_lines(conditions, counts.tolist()):
        say(f"  {line}")
    attempts = tally.attempts / tally.rows if tally.rows else 1.0
    say(f"  {attempts:.3g} attempts a row; conditions {conditions.digest}")
