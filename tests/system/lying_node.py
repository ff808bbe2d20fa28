"""A contributor node that lies about one row: the real program with a patched sampler. For tests only.

    python -m tests.system.lying_node node run --folder node

Row FALSE_ROW of its shard is changed before anything is hashed, so that file, root, receipt and evidence agree on
the lie, and only who makes the row again can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from generator.node import sample
from provenance.exact.rows import encode_rows
from tessera.cli.app import main

FALSE_ROW = 1_234


def one_false_row(values: NDArray[np.int64], value_widths: Sequence[int]) -> bytes:
    """The row bytes, but for one row whose last column says the other of its two values."""
    changed = values.copy()
    changed[FALSE_ROW, -1] = 1 - changed[FALSE_ROW, -1]
    return encode_rows(changed, value_widths)


if __name__ == "__main__":
    with patch.object(sample, "encode_rows", one_false_row):
        main()
