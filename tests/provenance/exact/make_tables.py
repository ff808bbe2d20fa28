"""How tables_v1.bin was made, once: `python -m tests.provenance.exact.make_tables FILE`. Never used at run time.

Floats decide only how values round, and the nearest rounding boundary is far wider than any float error; a
test checks that the published file and this recipe agree.
"""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path
from statistics import NormalDist

from provenance.exact.tables import EXP_LENGTH, EXP_ONE, NORMAL_LENGTH


def make_tables() -> bytes:
    """NORMAL as 256 bytes, then EXP as 769 big-endian u32."""
    quantile = NormalDist().inv_cdf
    normal = bytes(round(64 + 21 * quantile((i + 0.5) / NORMAL_LENGTH)) for i in range(NORMAL_LENGTH))
    exp = [round(EXP_ONE * math.exp(-i / 64)) for i in range(EXP_LENGTH)]
    return normal + struct.pack(f">{EXP_LENGTH}I", *exp)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(make_tables())
