"""Attacks on models by their owner: refusals, then a model that leaks and one that privacy keeps from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from generator.errors import EvaluationError
from generator.evaluation.density import columns_log_density, log_density
from generator.fitting import audit as audits
from generator.fitting.audit import AuditRequest, audit, quick_attack, settings_of
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from provenance.exact.container import Container
from provenance.table.persons import Rows
from provenance.table.schema import Schema
from provenance.table.unit import Unit

COLUMNS, CODES, ROWS = 8, 8, 250
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "dice",
        "columns": [
            {"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": CODES - 1} for i in range(COLUMNS)
        ],
    }
)
VALUES = np.random.default_rng(0).integers(0, CODES, (ROWS, COLUMNS))
"""Without any dependence: whatever tells members from others was learnt by heart."""
LEAKING = FitSettings(family="autoregressive", seed=1, settings={"decayPercent": 1})
PRIVATE = FitSettings(
    family="marginal", epsilon=1.0, seed=1,
    settings={"steps": 60, "batch": 64, "latentBytes": 32, "hiddenWidth": 32, "hiddenLayers": 1},
)  # fmt: skip
NONE_ASIDE = np.zeros(ROWS, dtype=bool)


@pytest.fixture(scope="module")
def leaking() -> Container:
    return fit(VALUES, SCHEMA, LEAKING)


@pytest.fixture(scope="module")
def private() -> Container:
    return fit(VALUES, SCHEMA, PRIVATE)


def test_refuses_a_part_that_is_too_small_to_attack_with(leaking: Container) -> None:
    with pytest.raises(EvaluationError, match="150 training rows: expected at least 200"):
        audit(leaking, VALUES[:150], NONE_ASIDE[:150], AuditRequest())
    assert quick_attack(leaking, VALUES[:150], NONE_ASIDE[:150]) is None


def test_refuses_more_rows_than_the_model_was_fitted_to(leaking: Container) -> None:
    more = np.concatenate([VALUES, VALUES[:1]])
    with pytest.raises(EvaluationError, match="251 rows, and the model was fitted to 250"):
        audit(leaking, more, np.zeros(251, dtype=bool), AuditRequest())


def test_refuses_few_reference_rows_and_canaries_that_the_table_does_not_bear(leaking: Container) -> None:
    with pytest.raises(EvaluationError, match="39 reference rows: expected at least 40"):
        audit(leaking, VALUES, NONE_ASIDE, AuditRequest(other=VALUES[:39]))
    for count in (19, 251):
        with pytest.raises(EvaluationError, match=f"{count} canaries in 250 rows"):
            audit(leaking, VALUES, NONE_ASIDE, AuditRequest(canaries=count))


def test_refuses_a_model_that_does_not_say_how_it_was_fitted(leaking: Container) -> None:
    with pytest.raises(EvaluationError, match="does not say how it was fitted"):
        settings_of(replace(leaking, fit={}))


def test_a_model_that_learnt_rows_by_heart_is_found_by_attack_and_by_canaries(leaking: Container) -> None:
    told: list[tuple[str, float]] = []
    report = audit(
        leaking, VALUES, NONE_ASIDE, AuditRequest(), lambda what, share: told.append((what, share))
    )
    assert report.canaries is not None
    assert report.membership.refits == 5
    assert report.membership.attack.others == ROWS
    assert report.membership.attack.lower > 0.7
    assert [rate is None for rate in report.membership.rates] == [False, True]
    assert report.canaries.epsilon > 0.5
    assert report.epsilon is None
    assert not report.refuted
    notes = " ".join(report.notes)
    assert "too few for a false-positive rate of 0.1%" in notes
    assert "Do not publish" in notes
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert {"fitting with canaries", "fitting again, 5 of 5"} <= {what for what, _ in told}


def test_the_others_are_whole_persons_where_the_schema_names_a_unit() -> None:
    """Of 50 persons with the same row five times: by rows, nobody would be told from a person who trained."""
    schema = replace(SCHEMA, unit=Unit("who", 5))
    people = np.repeat(np.arange(50), 5)
    rows = Rows(VALUES[people], np.stack([people, people + 1], axis=1))
    found = audit(fit(rows, schema, LEAKING), rows, NONE_ASIDE, AuditRequest(canaries=20))
    assert (found.membership.refits, found.membership.attack.others) == (5, ROWS)
    assert found.membership.attack.lower > 0.9
    quick = quick_attack(fit(rows, schema, LEAKING), rows, NONE_ASIDE)
    assert quick is not None
    assert quick.lower > 0.9


def test_rows_of_the_population_attack_the_model_itself(leaking: Container) -> None:
    other = np.random.default_rng(9).integers(0, CODES, (200, COLUMNS))
    found = audit(leaking, VALUES, NONE_ASIDE, AuditRequest(other=other, canaries=0))
    assert (found.membership.refits, found.membership.attack.others) == (0, 200)
    assert found.membership.attack.lower > 0.7
    assert found.canaries is None


def test_rows_that_the_fit_set_aside_are_the_non_members() -> None:
    aside = np.arange(ROWS) % 5 == 0
    model = fit(VALUES[~aside], SCHEMA, LEAKING)
    found = audit(model, VALUES, aside, AuditRequest(canaries=0))
    assert (found.membership.attack.members, found.membership.attack.others) == (200, 50)
    assert found.membership.attack.lower > 0.6


def test_many_rows_that_did_not_train_fit_a_model_as_the_reference(
    leaking: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "ENOUGH_FOR_MODEL", 100)
    other = np.random.default_rng(9).integers(0, CODES, (100, COLUMNS))
    steps: list[str] = []
    request = AuditRequest(other=other, canaries=0)
    found = audit(leaking, VALUES, NONE_ASIDE, request, lambda what, _: steps.append(what))
    assert "fitting a reference model" in steps
    assert found.membership.attack.lower > 0.53


def test_the_lower_bound_of_a_private_model_is_below_its_epsilon(private: Container) -> None:
    report = audit(private, VALUES, NONE_ASIDE, AuditRequest())
    assert report.epsilon == 1.0
    assert report.canaries is not None
    assert report.canaries.epsilon < 1.0
    assert not report.refuted
    assert report.membership.attack.lower < 0.6


def test_a_statement_whose_noise_was_not_drawn_is_refuted(
    leaking: Container, private: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "settings_of", lambda container: replace(LEAKING, epsilon=None))
    lying = replace(leaking, privacy={**private.privacy, "epsilonMicro": 100_000})
    other = np.random.default_rng(9).integers(0, CODES, (200, COLUMNS))
    assert audit(lying, VALUES, NONE_ASIDE, AuditRequest(other=other)).refuted


def test_a_model_is_fitted_again_as_it_was(private: Container) -> None:
    again = settings_of(private)
    assert (again.family, again.epsilon, again.delta, again.declared_rows) == ("marginal", 1.0, 1e-5, ROWS)
    assert fit(VALUES, SCHEMA, again).fit["settings"] == private.fit["settings"]


def test_the_density_of_columns_is_one_over_the_values_for_rows_of_chance(leaking: Container) -> None:
    model = leaking.parts[0].model_bytes
    many = np.random.default_rng(3).integers(0, CODES, (50_000, COLUMNS))
    found = columns_log_density(model, many, VALUES)
    assert found == pytest.approx(np.full(ROWS, -COLUMNS * np.log(CODES)), abs=0.2)
    assert log_density(model, VALUES).mean() > found.mean() + 0.2, "the model knows its rows"
