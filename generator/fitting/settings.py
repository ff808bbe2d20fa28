"""What may be asked of a fit, defined once: `FitSettings`, whose fields carry default, bounds and help text.

The command's options, `tessera.fit`, docs/spec/settings.md and messages take them from `FIT_OPTIONS`. Loads neither
numpy nor torch, so that a command can show its help at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final, TypeVar

from generator.errors import FitError
from generator.families.settings import FAMILIES

T = TypeVar("T")
_STRONG_EPSILON = 10.0
_LIKELIHOOD_ROWS = 50_000
"""Rows times epsilon from which one table's likelihood net bears the noise of its steps."""


@dataclass(frozen=True, slots=True)
class FitOption:
    """One option of a fit. kind: of its values, as a phrase. minimum, maximum: inclusive bounds of a number, None for
    none. choices: of a text.
    """

    name: str
    kind: str
    default: object
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What values are taken, as a phrase: "an integer from 1"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        start = "" if self.minimum is None else f" from {self.minimum:g}"
        end = "" if self.maximum is None else f" to {self.maximum:g}"
        return f"{self.kind}{start}{end}"

    def check(self, value: object) -> None:
        """FitError for a number out of bounds; None is always taken, other kinds are not looked at."""
        if self.minimum is None or not isinstance(value, int | float):
            return
        if not (self.minimum <= value and (self.maximum is None or value <= self.maximum)):
            raise FitError(f"{self.name} is {value:g}, expected {self.expected}")


def _option(
    default: T,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> T:
    """A field of `FitSettings`: its default beside what people read about it."""
    about = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What may be asked of a fit; each field's help text says what it means (`FIT_OPTIONS`)."""

    family: str | None = _option(
        None,
        "family of the generator; left out: autoregressive, and with epsilon marginal, unless one table has rows x "
        f"epsilon >= {_LIKELIHOOD_ROWS:,}",
        choices=FAMILIES,
    )
    epsilon: float | None = _option(
        None,
        "differential privacy of each contributor's rows, for the fit and for what the schema released together; left "
        "out: none",
        minimum=1e-6,
        maximum=1e3,
    )
    delta: float | None = _option(
        None,
        "delta beside epsilon, at most one in the number of rows; left out: 1e-5, or a tenth of that one if it is less",
        minimum=1e-12,
        maximum=0.5,
    )
    weak_privacy: bool = _option(
        False, f"say that an epsilon above {_STRONG_EPSILON:g} is meant: it hardly protects anybody"
    )
    contributors: int = _option(
        1, "split the table into this many random parts of equal size and fit them together", minimum=1
    )
    seconds: float | None = _option(
        None,
        "wall time at most, a guide for very wide tables and for rounds between contributors: privacy steps and "
        "rounds are never cut short; left out: the family's full number of steps",
        minimum=1,
    )
    threads: int = _option(1, "threads of the arithmetic", minimum=1)
    seed: int | None = _option(
        None,
        "fixes initialisation only: noise and batches under privacy are never repeatable; left out: the system's "
        "entropy",
        minimum=0,
    )
    least_rows: int = _option(
        10,
        "with epsilon, a value of an inferred schema that fewer rows hold must stand in a column that is vouched for",
        minimum=1,
    )
    declared_rows: int | None = _option(
        None,
        "public figure for the number of rows, right within a factor of two or so; left out: with epsilon what the "
        "schema released under privacy, else the number rounded down to two digits",
        minimum=1,
    )
    settings: Mapping[str, int | str] = field(
        default_factory=dict, metadata={"help": "settings of the family by name"}
    )
    conditionable: tuple[str, ...] = _option(
        (),
        "columns that rows will be asked for by, drawn early, so that such rows cost nothing more (family "
        "autoregressive); the target is drawn early anyway",
    )

    def check(self) -> None:
        """FitError for the first option that is out of its bounds."""
        for option in FIT_OPTIONS.values():
            option.check(getattr(self, option.name))
        if self.epsilon is not None and self.epsilon > _STRONG_EPSILON and not self.weak_privacy:
            raise FitError(
                f"epsilon is {self.epsilon:g}: above {_STRONG_EPSILON:g} it hardly protects anybody. Ask for less, or "
                "say that it is meant with weak_privacy (--weak-privacy)"
            )


_KINDS = {
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "tuple[str, ...]": "names",
    "Mapping[str, int | str]": "names with values",
}
FIT_OPTIONS: Final[Mapping[str, FitOption]] = {
    member.name: FitOption(
        name=member.name,
        kind=_KINDS[str(member.type).removesuffix(" | None")],
        default={} if member.name == "settings" else member.default,
        help=member.metadata["help"],
        minimum=member.metadata.get("minimum"),
        maximum=member.metadata.get("maximum"),
        choices=member.metadata.get("choices", ()),
    )
    for member in fields(FitSettings)
}


def option_lines() -> str:
    """The options as lines of a docstring: name and help text, wrapped."""
    lines = (f"{option.name}: {option.help}." for option in FIT_OPTIONS.values())
    wrapped = (textwrap.fill(line, 108, initial_indent=" " * 4, subsequent_indent=" " * 8) for line in lines)
    return "\n".join(wrapped)


def default_family(settings: FitSettings, rows: int) -> str:
    """The family that measured best for so many units (docs/decisions/0006-default-family.md): declared rows over
    those of a person.

    Columns to be conditioned on ask for the one that can draw them first.
    """
    if settings.epsilon is None or settings.conditionable:
        return "autoregressive"
    enough = settings.contributors == 1 and rows * settings.epsilon >= _LIKELIHOOD_ROWS
    return "autoregressive" if enough else "marginal"
