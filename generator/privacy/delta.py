"""How many rows a table is said to have, and how large a delta may be beside them."""

from __future__ import annotations

from typing import Final

from generator.errors import PrivacyError

DEFAULT: Final = 1e-5
"""The largest default; a tenth of one in the number of rows where that is less."""


_STEP: Final = 10


def public_rows(rows: int) -> int:
    """What is told of a table's number of rows under epsilon: two digits of it, in steps of ten at the least, rounded
    down; 1 below ten. The exact number would tell whether one row is there to whoever knows of the others.
    """
    step = max(_STEP, int(10 ** (len(str(rows)) - 2)))
    return max(1, rows - rows % step)


def delta_for(asked: float | None, rows: int) -> float:
    """The delta that was asked for a table of so many public rows; None: min(1e-5, 1 / (10 rows)).

    PrivacyError above 1 / rows: such a delta allows to publish a row as it is (Dwork and Roth 2014, section 2.3).
    """
    if asked is None:
        return min(DEFAULT, 1 / (10 * rows))
    if not 0 < asked < 1:
        raise PrivacyError(f"delta is {asked:g}, expected a number between 0 and 1, such as 1e-5")
    if asked * rows > 1 + 1e-12:
        raise PrivacyError(
            f"delta is {asked:g}, expected at most one in the {rows:,} rows ({1 / rows:.3g}): a larger one allows to "
            f"publish a row of the table as it is. Left out, it is {delta_for(None, rows):.3g}"
        )
    return asked
