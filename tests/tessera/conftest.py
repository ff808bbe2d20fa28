"""Running the command in this process, and a small model file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from provenance.exact.container import Container, Part, part_weights
from tessera.cli.app import app
from tessera.terminal import exit_status
from tests.provenance.verify.publication import SCHEMA, tiny_model


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def tessera(capsys: pytest.CaptureFixture[str]) -> Run:
    """`tessera WORDS` as the console command runs it: usage errors, expected errors and all."""

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        try:
            status = exit_status(lambda: app([str(word) for word in words]))
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """A container of two tiny models over the schema `toy`."""
    weights = part_weights([2, 3])
    parts = tuple(Part(weight, tiny_model(k)) for k, weight in enumerate(weights))
    path = tmp_path / "toy.tsm"
    path.write_bytes(Container(SCHEMA, "marginal", 1, parts, {"epsilonMicro": 0}, {}).encode())
    return path
