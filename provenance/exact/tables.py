"""The two published lookup tables of specification version 1, read from tables_v1.bin and checked by digest.

NORMAL[i] = round(64 + 21 * Phi^-1((i + 0.5) / 256)), 256 bytes: a noise byte to a latent input of 3 .. 125.
EXP[i] = round(2^20 * exp(-i / 64)), 769 big-endian u32: a logit's distance below the largest to its weight.
The file is the definition. `tests.provenance.exact.make_tables` wrote it once with floats; nothing recomputes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from provenance.errors import IntegrityError
from provenance.values import Digest, sha256

NORMAL_LENGTH = 256
EXP_LENGTH = 769
EXP_LAST = EXP_LENGTH - 1
EXP_ONE = 2**20
TABLES_DIGEST = Digest.parse("0xf5d60c326204acfbbd9529cc8deacfbbd5954852296b675873b796c6b8c75475")


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """normal: uint8[256]; exp: uint32[769]; both read-only."""

    normal: NDArray[np.uint8]
    exp: NDArray[np.uint32]


@cache
def load_tables() -> Tables:
    """The tables of version 1. Raises IntegrityError if the installed file is not the published one."""
    data = resources.files(__package__).joinpath("tables_v1.bin").read_bytes()
    if sha256(data) != TABLES_DIGEST:
        raise IntegrityError(
            f"tables_v1.bin has digest {sha256(data)}, expected {TABLES_DIGEST}; install the package again"
        )
    normal = np.frombuffer(data, dtype=np.uint8, count=NORMAL_LENGTH)
    exp = np.frombuffer(data, dtype=">u4", offset=NORMAL_LENGTH).astype(np.uint32)
    exp.setflags(write=False)
    return Tables(normal, exp)
