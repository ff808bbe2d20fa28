"""`tessera sample`: rows of a model file, streamed."""

from __future__ import annotations

import string
from pathlib import Path

from rich.progress import track

from scripts.errors import UsageError
from scripts.row_file import write_rows
from scripts.terminal import err, say

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


def run_sample(
    model: Path, *, rows: int, seed_hex: str, out_file: Path, first_row: int, batch_rows: int, threads: int
) -> None:
    """Write rows first_row .. first_row + rows - 1 of the model in `model`."""
    from provenance.container import Container

    seed = parse_seed(seed_hex)
    container = Container.parse(model.read_bytes())
    limit = container.schema.max_rows
    if limit is not None and first_row + rows > limit:
        raise UsageError(
            f"--rows: found {first_row + rows:,} rows, expected at most {limit:,}, as many as the schema's "
            "key pattern has keys; ask for fewer, or fit with a longer pattern"
        )
    # Memory stays flat however many rows are asked for, and the model is decoded once a step.
    step = max(batch_rows * threads, STEP_ROWS)
    starts = range(first_row, first_row + rows, step)
    shown = track(
        starts, "sampling", console=err, transient=True, disable=not err.is_terminal or len(starts) < 4
    )
    batches = (
        container.sample(seed, start, min(step, first_row + rows - start), batch_rows, threads)
        for start in shown
    )
    written = write_rows(out_file, container.schema, batches, first_row)
    say(f"{out_file}: {written:,} rows ({first_row} to {first_row + rows - 1}) of {model}")
