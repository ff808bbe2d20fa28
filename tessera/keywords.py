"""Errors for keyword options that there are not: they name the known ones, and the nearest."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def known_options(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with a TypeError for an unknown option that names the known ones. Its
    signature stays visible."""
    parameters = inspect.signature(function).parameters
    known = [name for name, each in parameters.items() if each.kind == each.KEYWORD_ONLY]

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        for name in sorted(options.keys() - parameters.keys()):
            near = get_close_matches(name, known, n=1)
            raise TypeError(
                f"{function.__name__}() has no option {name!r}{f', did you mean {near[0]!r}?' if near else ';'} "
                f"it has {', '.join(known)}"
            )
        return function(*arguments, **options)

    return call
