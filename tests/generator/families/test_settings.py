"""Settings and budgets are refused before anything happens."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.errors import PlanError
from generator.families.family import family_of
from generator.families.fedgan import initial_state
from generator.families.setting_kinds import EnumSetting, IntSetting
from generator.families.settings import (
    DISTRIBUTED,
    FAMILIES,
    LOCAL,
    AutoregressiveSettings,
    FedGanSettings,
    MarginalSettings,
    settings_from_texts,
    settings_of,
)
from provenance.record.collection import FAMILIES as OFFERED
from provenance.record.collection import sums_alone
from provenance.values import sha256
from tests.generator.families.conftest import MakeMarket


def test_refuses_an_unknown_family() -> None:
    with pytest.raises(PlanError, match="'oracle' is unknown; known: autoregressive, fedgan, marginal"):
        family_of("oracle")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "settings", [{"surplus": 1}, {"steps": 0}, {"steps": "many"}, {"steps": True}, {"binsPercent": 100}]
)
def test_refuses_unknown_settings_and_values_out_of_bounds(
    make_market: MakeMarket, family: str, settings: dict[str, Any]
) -> None:
    plan = make_market(family, settings=settings).plan
    with pytest.raises(PlanError, match=next(iter(settings))):
        family_of(family).check(plan)


def test_an_unknown_setting_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(
        PlanError, match=r"family marginal 'step' is unknown; did you mean 'steps'\? Known: b"
    ):
        MarginalSettings.parse({"step": 5})


def test_a_value_out_of_bounds_is_answered_with_what_was_expected() -> None:
    with pytest.raises(PlanError, match="steps of family fedgan is 0, expected an integer from 1 to 100,000"):
        FedGanSettings.parse({"steps": 0})


def test_settings_are_read_from_texts_of_a_command_line() -> None:
    typed = ["steps=500", "noise=distributed", "conditionable=age,sex"]
    assert settings_from_texts(typed) == {
        "steps": 500,
        "noise": "distributed",
        "conditionable": '["age","sex"]',
    }
    assert AutoregressiveSettings.parse({"conditionable": '["age","sex"]'}).conditionable == ("age", "sex")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps", "NAME=VALUE"),
        ("steps=many", "steps is 'many', expected an integer from 1"),
        ("steps=0", "steps is '0', expected an integer from 1"),
        ("noise=none", "expected one of local, distributed"),
        ("stepz=5", "did you mean 'steps'"),
        ("conditionable=age,age", "JSON list of different names"),
    ],
)
def test_texts_that_are_no_settings_are_refused(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)):
        settings_from_texts([text])


def test_a_text_for_another_family_s_setting_is_refused() -> None:
    with pytest.raises(PlanError, match="setting of family marginal 'width' is unknown"):
        settings_from_texts(["width=5"], "marginal")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_setting_has_one_line_of_help_and_takes_its_own_default(family: str) -> None:
    for setting in settings_of(family):
        assert setting.help
        assert "\n" not in setting.help
        if isinstance(setting, IntSetting | EnumSetting):
            assert setting.parse(setting.default) == setting.default
        else:
            assert setting.parse(setting.encode(setting.default)) == setting.default


def test_refuses_fedgan_shares_that_leave_the_rounds_nothing() -> None:
    with pytest.raises(PlanError, match="leave nothing for the rounds"):
        FedGanSettings.parse({"binsPercent": 40, "tablesPercent": 60})
    with pytest.raises(PlanError, match="expected one of mean, trimmed"):
        FedGanSettings.parse({"aggregation": "median"})


def test_refuses_a_fedgan_that_nothing_teaches() -> None:
    with pytest.raises(PlanError, match="nothing teaches the generator"):
        FedGanSettings.parse({"adversarialPercent": 0, "marginalPercent": 0})


def test_fedgan_without_its_critic_has_no_rounds_and_gives_their_budget_to_the_tables(
    make_market: MakeMarket,
) -> None:
    plan = make_market("fedgan", settings={"adversarialPercent": 0}).plan
    family, first = family_of("fedgan"), plan.participants[0].contributor
    assert family.rounds(plan) == 3
    same = replace(plan, family="marginal", settings={})
    assert family.releases(plan, first) == family_of("marginal").releases(same, first)


def test_refuses_autoregressive_shares_that_leave_the_steps_nothing() -> None:
    with pytest.raises(PlanError, match="leave nothing for the steps"):
        AutoregressiveSettings.parse({"binsPercent": 40, "tablesPercent": 60})


def test_defaults_are_accepted_and_every_offered_family_is_known() -> None:
    assert MarginalSettings.parse({}).steps == 800
    assert FedGanSettings.parse({}).rounds == 6
    assert AutoregressiveSettings.parse({}).rounds == 160
    assert sorted(FAMILIES) == sorted(OFFERED)
    assert [family_of(name).name for name in FAMILIES] == list(FAMILIES)


def test_the_first_discriminator_is_fixed_by_the_order_and_fits_the_network() -> None:
    import torch

    from generator.learning.gan import Discriminator, flat_state

    one = initial_state(7, 5, sha256(b"1"))
    assert one.shape == flat_state(Discriminator(7, 5, torch.Generator())).shape
    assert np.array_equal(one, initial_state(7, 5, sha256(b"1")))
    assert not np.array_equal(one, initial_state(7, 5, sha256(b"2")))
    assert np.abs(one).max() <= 1 / np.sqrt(5)


def test_the_coordinator_s_side_of_all_families_needs_no_torch() -> None:
    program = (
        "import sys; import generator.federation.coordinator\n"
        "from generator.families.family import family_of\n"
        "from generator.families.settings import FAMILIES\n"
        "assert all(family_of(name) for name in FAMILIES)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


def test_broker_and_nodes_mean_the_same_by_masked_sums() -> None:
    for settings in (MarginalSettings, AutoregressiveSettings):
        named = {settings.noise.name: DISTRIBUTED}
        settings.parse(named)
        assert sums_alone(named)
    assert not sums_alone({MarginalSettings.noise.name: LOCAL})
