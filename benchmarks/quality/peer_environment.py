"""The peers' own environments: one a package, made by pip, never a dependency of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_TORCH: Final = "torch==2.13.0"  # a free range takes several GB of CUDA libraries

REQUIREMENTS: Final = {
    "ctgan": (_TORCH, "ctgan==0.12.1"),
    "mostlyai-engine": (_TORCH, "mostlyai-engine==2.7.3"),
    "smartnoise-synth": (_TORCH, "smartnoise-synth==1.0.8", "packaging"),
}
# method -> (environment, module that runs it)
METHODS: Final = {
    "ctgan": ("ctgan", "benchmarks.quality.peers.gan"),
    "tvae": ("ctgan", "benchmarks.quality.peers.gan"),
    "tabular_argn": ("mostlyai-engine", "benchmarks.quality.peers.tabular_argn"),
    "mst": ("smartnoise-synth", "benchmarks.quality.peers.marginal"),
    "aim": ("smartnoise-synth", "benchmarks.quality.peers.marginal"),
    "dp_ctgan": ("smartnoise-synth", "benchmarks.quality.peers.dp_ctgan"),
}


def python_of(peers: Path, method: str) -> Path:
    """The interpreter that can run `method`."""
    return peers / METHODS[method][0] / "bin" / "python"


def make_peers(folder: Path, tell: Callable[[str], None]) -> None:
    """Create every environment below `folder`; one that stands is left alone. About 6 GB, some minutes."""
    for name, requirements in REQUIREMENTS.items():
        home = folder / name
        if (home / ".made").exists():
            continue
        tell(f"{name}: {' '.join(requirements)}")
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        # torch first: resolved together with some of these packages pip takes another build of it
        for requirement in requirements:
            subprocess.run(
                [str(home / "bin" / "python"), "-m", "pip", "install", "-q", requirement], check=True
            )
        # the torchvision that comes along is built for CUDA and breaks the import of transformers beside it
        subprocess.run(
            [str(home / "bin" / "python"), "-m", "pip", "uninstall", "-q", "-y", "torchvision", "torchaudio"],
            check=True,
        )
        (home / ".made").touch()
