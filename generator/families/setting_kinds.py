"""Kinds of family settings: an integer within bounds, one word of several, a list of names.

A setting is an attribute of its family's class (`families.settings`). Name, default, bounds and help text stand
there once; reading a plan, the command line, its help, the specification's table and every message come from it.
On the class the attribute is the definition, on an instance the value:

    MarginalSettings.steps.help                          # "steps of the generator's fit"
    MarginalSettings.parse({"steps": 50}).steps          # 50

Needs nothing but the standard library, so that a command can show its help at once.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Self, TypeVar, overload

from generator.errors import PlanError, unknown_name
from provenance import canonical
from provenance.errors import CanonicalError

V = TypeVar("V")


class Setting(ABC, Generic[V]):
    """One setting of a family. name: as collections and plans write it. help: one phrase for people."""

    def __init__(self, name: str, default: V, help: str) -> None:
        self.name = name
        self.default = default
        self.help = help

    @property
    @abstractmethod
    def expected(self) -> str:
        """What values are taken, as a phrase: "an integer from 1 to 90"."""

    @abstractmethod
    def parse(self, value: object) -> V:
        """A plan's value; ValueError if it is not one of this setting."""

    def parse_text(self, text: str) -> int | str:
        """What a plan holds for a text that a person typed; ValueError if it is not a value of this setting."""
        self.parse(text)
        return text

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: FamilySettings, owner: type) -> V: ...
    def __get__(self, instance: FamilySettings | None, owner: type) -> Self | V:
        if instance is None:
            return self
        return self.parse(instance.given[self.name]) if self.name in instance.given else self.default


class IntSetting(Setting[int]):
    """An integer with inclusive bounds."""

    def __init__(self, name: str, default: int, minimum: int, maximum: int, help: str) -> None:
        super().__init__(name, default, help)
        self.minimum = minimum
        self.maximum = maximum

    @property
    def expected(self) -> str:
        return f"an integer from {self.minimum:,} to {self.maximum:,}"

    def parse(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value <= self.maximum:
            return value
        raise ValueError

    def parse_text(self, text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError
        return self.parse(int(text))


class EnumSetting(Setting[str]):
    """One word of several, the first being the default."""

    def __init__(self, name: str, choices: Sequence[str], help: str) -> None:
        super().__init__(name, choices[0], help)
        self.choices = tuple(choices)

    @property
    def expected(self) -> str:
        return f"one of {', '.join(self.choices)}"

    def parse(self, value: object) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        raise ValueError


class ListSetting(Setting[tuple[str, ...]]):
    """A list of different names, none by default. In a plan it is text: a canonical JSON list of strings."""

    def __init__(self, name: str, help: str) -> None:
        super().__init__(name, (), help)

    @property
    def expected(self) -> str:
        return 'text that is a JSON list of different names, like ["age","sex"]'

    def parse(self, value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            try:
                members = canonical.decode(value.encode())
            except CanonicalError as error:
                raise ValueError from error
            if isinstance(members, list):
                names = tuple(member for member in members if isinstance(member, str))
                if len(set(names)) == len(members):
                    return names
        raise ValueError

    def parse_text(self, text: str) -> str:
        """Names between commas, or the JSON list itself."""
        names = json.loads(text) if text.startswith("[") else [name.strip() for name in text.split(",")]
        encoded = self.encode(names)
        self.parse(encoded)
        return encoded

    @staticmethod
    def encode(names: Sequence[str]) -> str:
        """The text that a plan holds."""
        return canonical.encode(list(names)).decode()


AnySetting = IntSetting | EnumSetting | ListSetting


class FamilySettings:
    """Base of the families' classes: the values of a plan, and the default for what it does not name."""

    family: ClassVar[str]

    def __init__(self, given: Mapping[str, int | str]) -> None:
        self.given = dict(given)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.given})"

    @classmethod
    def parse(cls, given: Mapping[str, int | str]) -> Self:
        """Read a plan's settings; PlanError names family, setting, what was found and what was expected."""
        known = {setting.name: setting for setting in cls.all()}
        if unknown := sorted(given.keys() - known.keys()):
            raise PlanError(unknown_name(f"setting of family {cls.family}", unknown[0], known))
        for name, value in given.items():
            try:
                known[name].parse(value)
            except ValueError as error:
                raise PlanError(
                    f"setting {name} of family {cls.family} is {value!r}, expected {known[name].expected}"
                ) from error
        settings = cls(given)
        settings.check()
        return settings

    def check(self) -> None:
        """PlanError for values that do not go together."""

    @classmethod
    def all(cls) -> tuple[AnySetting, ...]:
        """The family's settings, in the order of their definition, those of the base classes first."""
        members = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
        return tuple(
            value for value in members.values() if isinstance(value, IntSetting | EnumSetting | ListSetting)
        )
