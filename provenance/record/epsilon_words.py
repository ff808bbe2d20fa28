"""What epsilon means for somebody who wants to know whether a row is in a table.

Whoever thinks it an even chance has odds of 1 before. The releases multiply them by at most e^loss, where loss is the
privacy loss (Dwork and Roth 2014, section 3.5.1), so the posterior is at most e^loss / (1 + e^loss) (Wasserman and Zhou
2010). A loss that is exceeded with a chance of delta leaves that chance open.
"""

from __future__ import annotations

import math

from provenance.table.unit import Unit
from provenance.units import E12, MICRO, format_fixed, to_float

EVEN = "somebody who thinks it an even chance that"


def sure_micro(loss: float) -> int:
    """The posterior of an even chance after a privacy loss of at most `loss`, in millionths rounded up."""
    return min(10**MICRO, math.ceil(10**MICRO / (1 + math.exp(-loss))))


def sure_text(micro: int) -> str:
    """A posterior in millionths as a percentage, rounded up: "95.3 %"."""
    tenths = -(-micro // 1_000)
    return f"{tenths // 10}.{tenths % 10} %"


def protected(unit: Unit | None) -> str:
    """Whom the privacy of a table is for: "a row", or "a person (at most 10 rows)"."""
    return (
        "a row" if unit is None else f"a person (at most {unit.rows:,} {'row' if unit.rows == 1 else 'rows'})"
    )


def epsilon_in_words(epsilon_micro: int, delta_e12: int, unit: Unit | None) -> str:
    """What (epsilon, delta) alone promises about one row, or one person.

    delta >= P(loss > epsilon + t) (1 - e^-t); with t = ln 2 the loss stays below epsilon + ln 2 but for a chance
    of 2 delta.
    """
    sure = sure_text(sure_micro(to_float(epsilon_micro, MICRO) + math.log(2)))
    chance = format_fixed(2 * delta_e12, E12)
    return f"{EVEN} {protected(unit)} is in the table ends at {sure} at most, but for a chance of {chance}"
