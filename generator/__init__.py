"""Training: private tables in, quantised exact generators out. The only package that imports torch.

`generator.fit(table)` and `generator.FittedGenerator` are the Python interface (`generator.fitted`). They are loaded
when they are asked for, so that the coordinator, which needs neither torch nor the fit, starts quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from generator.fitted import FittedGenerator, fit

__all__ = ["FittedGenerator", "fit"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from generator import fitted

        return getattr(fitted, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
