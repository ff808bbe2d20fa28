"""Every setting of every family, defined once; `settings_of` lists them. docs/spec/settings.md shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from generator.errors import PlanError, unknown_name
from generator.families.setting_kinds import (
    AnySetting,
    EnumSetting,
    FamilySettings,
    IntSetting,
    ListSetting,
)

MAX_COUNTED_PERCENT: Final = 95
LOCAL, DISTRIBUTED = "local", "distributed"
"""The second as in `provenance.record.collection`, which a program that only prints its help need not load."""
MEAN, TRIMMED = "mean", "trimmed"
TARGET_TABLES, PAIR_TABLES = "target", "pairs"

_TABLES = EnumSetting(
    "tables",
    (TARGET_TABLES, PAIR_TABLES),
    "which tables of counts are released: of every two columns with the target, or of every two columns",
)
_NOISE = EnumSetting(
    "noise",
    (LOCAL, DISTRIBUTED),
    "who adds the noise: every contributor all of it, or each a share of it under secure aggregation",
)
_LATENT_BYTES = IntSetting("latentBytes", 64, 4, 1024, "width of the generator's random input")
_HIDDEN_WIDTH = IntSetting("hiddenWidth", 128, 4, 1024, "neurons of a hidden layer of the generator")
_HIDDEN_LAYERS = IntSetting("hiddenLayers", 2, 1, 4, "hidden layers of the generator")
_BATCH = IntSetting("batch", 256, 8, 8192, "random inputs of half a batch of the generator's fit")
_BINS_HELP = "share of the privacy budget (squared GDP parameter) for finding bins, in percent"
_TABLES_HELP = "share of the privacy budget for the tables of counts, in percent"


class MarginalSettings(FamilySettings):
    """Family "marginal". The tables get what the bins leave of the privacy budget.

    A net of 64 latent bytes and two layers of 128 stays below 80 kB for 400 codes.
    """

    family = "marginal"
    tables = _TABLES
    noise = _NOISE
    bins_percent = IntSetting("binsPercent", 10, 1, 90, _BINS_HELP)
    steps = IntSetting("steps", 800, 1, 100_000, "steps of the generator's fit")
    batch = _BATCH
    latent_bytes = _LATENT_BYTES
    hidden_width = _HIDDEN_WIDTH
    hidden_layers = _HIDDEN_LAYERS


class FedGanSettings(FamilySettings):
    """Family "fedgan". The rounds get what bins and tables leave of the privacy budget.

    Without the discriminator's loss there are no rounds and the tables get their share; without the marginal loss
    the tables set the first biases alone.
    """

    family = "fedgan"
    rounds_asked = IntSetting("rounds", 6, 1, 1000, "rounds of averaging discriminators")
    discriminator_steps = IntSetting(
        "discriminatorSteps", 20, 1, 10_000, "steps of the discriminator (DP-SGD) a round"
    )
    discriminator_batch = IntSetting(
        "discriminatorBatch", 128, 1, 65_536, "expected rows of a step of the discriminator"
    )
    discriminator_width = IntSetting(
        "discriminatorWidth", 64, 4, 1024, "neurons of the discriminator's hidden layers"
    )
    aggregation = EnumSetting(
        "aggregation",
        (MEAN, TRIMMED),
        "how discriminators are averaged: by rows, or without the largest and smallest of each weight",
    )
    tables = _TABLES
    bins_percent = IntSetting("binsPercent", 10, 1, 90, _BINS_HELP)
    tables_percent_asked = IntSetting("tablesPercent", 60, 1, 90, _TABLES_HELP)
    adversarial_percent = IntSetting(
        "adversarialPercent", 5, 0, 10_000, "weight of the discriminator's loss, in percent"
    )
    marginal_percent = IntSetting("marginalPercent", 100, 0, 100, "weight of the marginal loss, in percent")
    steps = IntSetting("steps", 700, 1, 100_000, "steps of the generator in all, spread over the rounds")
    batch = _BATCH
    latent_bytes = _LATENT_BYTES
    hidden_width = _HIDDEN_WIDTH
    hidden_layers = _HIDDEN_LAYERS

    def check(self) -> None:
        """PlanError where nothing is left for the rounds, or nothing teaches the generator."""
        _require_rest(self.bins_percent, self.tables_percent_asked, "rounds")
        if not self.adversarial_percent and not self.marginal_percent:
            raise PlanError(
                "adversarialPercent and marginalPercent are both 0: nothing teaches the generator"
            )

    @property
    def rounds(self) -> int:
        """Rounds of averaging; none where no discriminator teaches."""
        return self.rounds_asked if self.adversarial_percent else 0

    @property
    def tables_percent(self) -> int:
        """The tables' share of the squared GDP parameter."""
        return self.tables_percent_asked if self.adversarial_percent else 100 - self.bins_percent

    def sample_rate(self, training_rows: int) -> float:
        """Poisson rate of a node's rows: the expected batch over its DECLARED training rows, at most 1/2."""
        return min(0.5, self.discriminator_batch / training_rows)


class AutoregressiveSettings(FamilySettings):
    """Family "autoregressive". The steps get what bins and tables leave of the privacy budget."""

    family = "autoregressive"
    rounds = IntSetting(
        "rounds",
        160,
        1,
        2000,
        "rounds of several contributors without privacy, at most (small tables get fewer)",
    )
    round_rows = IntSetting(
        "roundRows", 3072, 16, 65_536, "expected rows of a round, of all contributors together"
    )
    private_steps = IntSetting("privateSteps", 200, 1, 2000, "steps of DP-SGD, with epsilon")
    private_rows = IntSetting(
        "privateRows", 4096, 16, 65_536, "expected rows of a step of DP-SGD, of all contributors together"
    )
    decay_percent = IntSetting(
        "decayPercent",
        0,
        0,
        10_000,
        "weight decay without privacy, in percent; 0: by the number of rows, and by held-out rows of a small table",
    )
    clip_percent = IntSetting(
        "clipPercent", 200, 1, 100_000, "clip norm of a row's gradient with epsilon, in percent"
    )
    bins_percent = IntSetting("binsPercent", 5, 1, 90, _BINS_HELP)
    tables_percent = IntSetting("tablesPercent", 30, 1, 90, _TABLES_HELP)
    width = IntSetting("width", 0, 0, 512, "width of the net's running vector; 0: 64, with epsilon 32")
    neurons = IntSetting("neurons", 0, 0, 512, "neurons of a column's hidden layer; 0: half the width")
    conditionable = ListSetting(
        "conditionable", "columns to draw first, beside the target, so that conditions on them cost nothing"
    )
    noise = _NOISE

    def check(self) -> None:
        """PlanError where nothing is left for the steps."""
        _require_rest(self.bins_percent, self.tables_percent, "steps")

    @property
    def decay(self) -> float | None:
        """Weight decay without privacy; None where the number of rows decides."""
        return self.decay_percent / 100 or None

    @property
    def clip(self) -> float:
        """Clip norm of a row's gradient."""
        return self.clip_percent / 100


FAMILY_SETTINGS: Final[Mapping[str, type[FamilySettings]]] = {
    settings.family: settings for settings in (MarginalSettings, FedGanSettings, AutoregressiveSettings)
}
FAMILIES: Final = tuple(FAMILY_SETTINGS)


def settings_of(family: str) -> tuple[AnySetting, ...]:
    """The settings of a family: each has `name`, `default`, `expected`, `help`, `parse` and `parse_text`.

    Raises PlanError for a family that is not known.
    """
    if family not in FAMILY_SETTINGS:
        raise PlanError(unknown_name("family", family, FAMILIES))
    return FAMILY_SETTINGS[family].all()


def settings_from_texts(assignments: Iterable[str], family: str | None = None) -> dict[str, int | str]:
    """What a plan holds for texts such as "steps=500", of one family or, where none is named, of any.

    Raises PlanError for a text without "=", an unknown name, a value that is none of the setting's.
    """
    families = FAMILIES if family is None else (family,)
    known = {setting.name: setting for name in families for setting in settings_of(name)}
    settings: dict[str, int | str] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise PlanError(f"setting {assignment!r} has no value; expected NAME=VALUE, such as steps=500")
        if name not in known:
            of = "setting" if family is None else f"setting of family {family}"
            raise PlanError(unknown_name(of, name, known))
        try:
            settings[name] = known[name].parse_text(text)
        except ValueError as error:
            raise PlanError(f"setting {name} is {text!r}, expected {known[name].expected}") from error
    return settings


def _require_rest(bins_percent: int, tables_percent: int, left_for: str) -> None:
    """PlanError where bins and tables leave `left_for` nothing of the privacy budget."""
    if bins_percent + tables_percent > MAX_COUNTED_PERCENT:
        raise PlanError(
            f"binsPercent {bins_percent} and tablesPercent {tables_percent} leave nothing for the {left_for}: "
            f"at most {MAX_COUNTED_PERCENT} together"
        )
