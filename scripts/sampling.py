"""`tessera sample`: rows of a model file, streamed."""

from __future__ import annotations

from pathlib import Path

from rich.progress import track

from scripts.errors import UsageError
from scripts.row_file import write_rows
from scripts.terminal import err, say

STEP_ROWS = 65_536


def parse_seed(text: str) -> bytes:
    """32 bytes from hexadecimal, with or without 0x."""
    try:
        seed = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise UsageError(f"--seed: found {text!r}, expected 64 hex digits (32 bytes)") from error
    if len(seed) != 32:
        raise UsageError(
            f"--seed: found {len(seed)} bytes, expected 32 (64 hex digits); `openssl rand -hex 32` makes some"
        )
    return seed


def run_sample(
    model: Path, *, rows: int, seed_hex: str, out_file: Path, first_row: int, batch_rows: int, threads: int
) -> None:
    """Write rows first_row .. first_row + rows - 1 of the model in `model`."""
    from provenance.container import Container

    seed = parse_seed(seed_hex)
    container = Container.parse(model.read_bytes())
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
    written = write_rows(out_file, container.schema, batches)
    say(f"{out_file}: {written:,} rows ({first_row} to {first_row + rows - 1}) of {model}")
