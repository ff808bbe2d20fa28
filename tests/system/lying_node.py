"""A contributor node that lies about one row: the real program with a patched sampler. For tests only.

    python -m tests.system.lying_node node run --folder node

Row FALSE_ROW of its shard is changed before anything is hashed, so that file, root, receipt and evidence agree on
the lie, and only who makes the row again can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from generator.node import sample
from tessera.cli.app import main

FALSE_ROW = 1_234
TRUE_ROWS = sample.encode_rows


def one_false_row(values: NDArray[np.int64], value_widths: Sequence[int]) -> bytes:
    """The row bytes, but for one row whose last column says the other of its two values."""
    changed = values.copy()
    changed[FALSE_ROW, -1] = 1 - changed[FALSE_ROW, -1]
    return TRUE_ROWS(changed, value_widths)


if __name__ == "__main__":
    sample.encode_rows = one_false_row
    main()
