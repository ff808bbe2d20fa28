"""Reading a collection's settings: integers, words and lists of names with bounds, nothing unknown accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from generator.errors import PlanError
from generator.federation.plan import Settings
from provenance import canonical
from provenance.errors import CanonicalError

MAX_COUNTED_PERCENT = 95


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer setting: its default and its inclusive bounds."""

    default: int
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Word:
    """A text setting: its choices, the first being the default."""

    choices: Sequence[str]


@dataclass(frozen=True, slots=True)
class Names:
    """A setting that lists names, none by default: text that is a canonical JSON list of different strings."""


Rule = Whole | Word | Names


def names_setting(names: Sequence[str]) -> str:
    """The text of a `Names` setting."""
    return canonical.encode(list(names)).decode()


class SettingsReader:
    """Values of one family's settings; PlanError names the family, the setting, what was found and
    expected.
    """

    def __init__(self, family: str, known: Mapping[str, Rule], given: Settings) -> None:
        self._family = family
        self._known = known
        self._given = given
        unknown = sorted(given.keys() - known.keys())
        if unknown:
            raise PlanError(
                f"family {family} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )

    def whole(self, name: str) -> int:
        """An integer setting."""
        rule = self._known[name]
        if not isinstance(rule, Whole):
            raise KeyError(name)
        value = self._given.get(name, rule.default)
        if isinstance(value, bool) or not isinstance(value, int) or not rule.minimum <= value <= rule.maximum:
            raise PlanError(
                f"setting {name} of family {self._family} is {value!r}, expected an integer from "
                f"{rule.minimum} to {rule.maximum}"
            )
        return value

    def counted_shares(self, *, left_for: str) -> tuple[int, int]:
        """binsPercent and tablesPercent of a family whose `left_for` live on what these two leave."""
        bins, tables = self.whole("binsPercent"), self.whole("tablesPercent")
        if bins + tables > MAX_COUNTED_PERCENT:
            raise PlanError(
                f"binsPercent {bins} and tablesPercent {tables} leave nothing for the {left_for}: "
                f"at most {MAX_COUNTED_PERCENT} together"
            )
        return bins, tables

    def names(self, name: str) -> tuple[str, ...]:
        """A list of names."""
        text = self._given.get(name, "[]")
        try:
            found = canonical.decode(text.encode()) if isinstance(text, str) else None
        except CanonicalError:
            found = None
        if isinstance(found, list):
            names = tuple(each for each in found if isinstance(each, str))
            if len(set(names)) == len(found):
                return names
        raise PlanError(
            f"setting {name} of family {self._family} is {text!r}, expected text that is a JSON list of "
            'different names, like ["age","sex"]'
        )

    def word(self, name: str) -> str:
        """A text setting."""
        rule = self._known[name]
        if not isinstance(rule, Word):
            raise KeyError(name)
        value = self._given.get(name, rule.choices[0])
        if not isinstance(value, str) or value not in rule.choices:
            raise PlanError(
                f"setting {name} of family {self._family} is {value!r}, "
                f"expected one of {', '.join(rule.choices)}"
            )
        return value
