"""The environment variables of the command: an unknown TESSERA_ name is a mistake, not a wish to be ignored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches

from tessera.errors import UsageError

PREFIX = "TESSERA_"
OWN = ("TESSERA_KEY", "TESSERA_NETWORK", "TESSERA_WALLET")


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Raises UsageError, with the nearest known name, for a TESSERA_ variable that no program of ours reads."""
    unknown = [name for name in sorted(environment) if name.startswith(PREFIX) and name not in OWN]
    if not unknown:
        return
    known = (*OWN, *_backend_names())
    for name in unknown:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            raise UsageError(f"the environment sets {name}, which nothing reads: {advice} Unset it otherwise")


def _backend_names() -> tuple[str, ...]:
    """What the backend reads; nothing where it is not installed. Only asked when there is something
    to look up."""
    try:
        from backend.settings import Settings
    except ModuleNotFoundError:
        return ()
    return tuple(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
