"""TOML files that an operator edits: read strictly, and every mistake answered with its file, line and remedy.

Models are pydantic's, strict and closed: another type is no value, another name no entry. What pydantic finds is
said here in one sentence: where it stands, what was found, what was expected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from generator.errors import SettingsError, unknown_name

M = TypeVar("M", bound=BaseModel)
Location: TypeAlias = tuple[int | str, ...]
"""Where an entry stands: its name, or ("rule", 1, name) in the second [[rule]]."""

_EXPECTED = {
    "int_type": "an integer",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "model_type": "a table",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_short": "some text",
}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A TOML file as it was read: its values, and its text for line numbers."""

    path: Path
    text: str
    values: dict[str, object]

    @classmethod
    def read(cls, path: Path, advice: str) -> ConfigFile:
        """Read a file; SettingsError with `advice` where it is missing, and with the line where it is not TOML."""
        try:
            text = path.read_text("utf-8")
            return cls(path, text, tomllib.loads(text))
        except FileNotFoundError as error:
            raise SettingsError(f"{path} is missing: {advice}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not TOML: {error}") from error

    def place(self, location: Location) -> str:
        """Where an entry stands, as "FILE, line 3"; the file alone where the entry is not in it."""
        table, key = _split(location)
        lines = self.text.splitlines()
        for number, (header, line) in enumerate(zip(_headers(lines), lines, strict=True), 1):
            if header == table and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return f"{self.path}, line {number}"
        return str(self.path)


def checked(
    make: Callable[[], M], place: Callable[[Location], str], known: Callable[[Location], Iterable[str]]
) -> M:
    """What `make` makes; SettingsError for what its model refuses.

    place: where an entry stands. known: names that an entry at this place may have.
    """
    try:
        return make()
    except ValidationError as error:
        first = error.errors()[0]
        location = first["loc"]
        raise SettingsError(f"{place(location)}: {_sentence(location, first, known(location))}") from error


def entry_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The names that a model's entries have in its file."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _sentence(location: Location, error: ErrorDetails, known: Iterable[str]) -> str:
    names = [f"{part + 1}" if isinstance(part, int) else f", {part}" for part in location]
    name = " ".join(names).replace(" ,", ",").removeprefix(", ")
    if error["type"] == "extra_forbidden":
        return unknown_name("entry", str(location[-1]), known)
    if error["type"] == "missing":
        return f"{name} is missing: add it"
    context = error.get("ctx", {})
    expected = _EXPECTED.get(error["type"], "").format(**context) or str(context.get("error", error["msg"]))
    return f"{name} is {error['input']!r:.80}, expected {expected}"


def _split(location: Location) -> tuple[tuple[str, int] | None, str]:
    """The table that an entry stands in, None for the top of the file, and its key."""
    match location:
        case (str(table), int(number), str(key), *_):
            return (table, number), key
        case (str(key), *_):
            return None, key
    return None, ""


def _headers(lines: Iterable[str]) -> Iterable[tuple[str, int] | None]:
    """For every line the [[table]] that it stands in, counted from 0."""
    counts: dict[str, int] = {}
    current: tuple[str, int] | None = None
    for line in lines:
        if header := re.match(r"\s*\[\[\s*([\w-]+)\s*\]\]", line):
            name = header[1]
            current = (name, counts.get(name, 0))
            counts[name] = current[1] + 1
        yield current
