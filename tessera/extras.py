"""The optional parts of this distribution: which modules each needs, and the sentence that names
a missing one.

pyproject.toml says under `optional-dependencies` which distributions bring them; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util

DISTRIBUTION = "tessera-market"

_NETWORK = ("httpx", "httpx_sse", "pydantic", "tenacity")
_EXACT = ("safetensors", "scipy")
MODULES: dict[str, tuple[str, ...]] = {
    "client": _NETWORK,
    "generator": ("pydantic", *_EXACT, "torch"),
    "node": (*_NETWORK, *_EXACT, "torch"),
    "backend": (
        *_NETWORK,
        *_EXACT,
        "fastapi",
        "jinja2",
        "uvicorn",
        "sqlalchemy",
        "alembic",
        "pydantic_settings",
        "dbos",
    ),
    "evaluate": ("scipy", "sklearn"),
    "parquet": ("pyarrow",),
}
"""By extra, the top-level modules that code behind it imports and the base installation does not bring."""


class MissingExtraError(ModuleNotFoundError):
    """Something was asked for whose extra is not installed."""

    def __init__(self, what: str, module: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {module}, which is not installed: pip install '{DISTRIBUTION}[{extra}]'",
            name=module,
        )


def missing(extra: str) -> str:
    """The first module that `extra` lacks here; empty when it lacks none. "" is the base installation."""
    for module in MODULES.get(extra, ()):
        if util.find_spec(module) is None:
            return module
    return ""


def require(extra: str, what: str) -> None:
    """Raises MissingExtraError unless everything that `extra` brings can be imported; imports nothing."""
    if module := missing(extra):
        raise MissingExtraError(what, module, extra)


def extra_of(error: ModuleNotFoundError) -> MissingExtraError | None:
    """The error that names the extra which would bring the missing module; None for a module of no extra."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in MODULES.items():
        if module in modules:
            return MissingExtraError("this", module, extra)
    return None


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """An import inside that fails for want of `extra` becomes a MissingExtraError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in MODULES[extra]:
            raise
        raise MissingExtraError(what, error.name, extra) from error


def version() -> str:
    """The version of the installed distribution, from its metadata."""
    from importlib import metadata

    return metadata.version(DISTRIBUTION)
