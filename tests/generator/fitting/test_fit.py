"""`tessera fit`'s engine: refusals before the table is read, and containers that sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.errors import FitError, PlanError
from generator.families.family import family_of
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.fitting.fit import FitProgress, check_settings, fit, fit_csv
from generator.fitting.schema_budget import within_budget
from generator.fitting.settings import FitSettings, default_family
from generator.learning.fit_marginals import MarginalFitter
from generator.privacy.accountant import Threshold
from generator.privacy.charge import WHOLE
from generator.privacy.delta import delta_for, public_rows
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.release import Release, composed_epsilon
from generator.privacy.schema_release import schema_releases
from provenance.errors import ProvenanceError
from provenance.exact.container import Container, Part
from provenance.exact.container_sampler import ContainerSampler
from provenance.exact.model import AutoregressiveModel, decode_model
from provenance.table.conditions_text import conditions_on_all
from provenance.table.schema import Schema
from provenance.values import Address, Digest

SMALL: dict[str, dict[str, int]] = {
    "marginal": {"steps": 120, "batch": 64, "latentBytes": 16, "hiddenWidth": 32, "hiddenLayers": 1},
    "autoregressive": {
        "rounds": 60,
        "roundRows": 300,
        "decayPercent": 10,
        "privateSteps": 8,
        "width": 8,
        "neurons": 8,
    },
}
DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "toy",
    "target": "bought",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 18, "maximum": 67},
        {"name": "town", "type": "string", "enum": ["A", "B", "C"], "nullable": True, "missing": "?"},
        {"name": "bought", "type": "boolean"},
    ],
}
SCHEMA = Schema.parse(DOCUMENT)
INFERRED = Schema.parse(
    {**DOCUMENT, "columns": [{**DOCUMENT["columns"][0], "inferred": ["maximum"]}, *DOCUMENT["columns"][1:]]}
)


def table(rows: int = 800) -> np.ndarray:
    random = np.random.default_rng(3)
    age = random.integers(0, 50, rows)
    town = random.integers(0, 4, rows)
    bought = (age > 25) ^ (random.random(rows) < 0.1)
    return np.stack([age, town, bought], axis=1).astype(np.int64)


def test_refuses_inferred_fields_under_epsilon_before_the_table_is_read(tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"age\.maximum.*schema infer --epsilon.*\"public\""):
        fit_csv(tmp_path / "absent.csv", INFERRED, FitSettings(epsilon=1.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contributors", 0),
        ("threads", 0),
        ("seconds", 0),
        ("seed", -1),
        ("declared_rows", 0),
        ("epsilon", -1.0),
        ("epsilon", float("nan")),
        ("epsilon", float("inf")),
        ("epsilon", 20_000.0),
        ("delta", 0.0),
        ("delta", float("nan")),
    ],
)
def test_refuses_options_out_of_their_bounds_and_names_them(name: str, value: float) -> None:
    with pytest.raises(FitError, match=f"{name} is .*, expected (a number|an integer) from"):
        fit(table(), SCHEMA, replace(FitSettings(), **{name: value}))  # type: ignore[arg-type]


def test_refuses_an_epsilon_that_hardly_protects_unless_it_is_meant() -> None:
    with pytest.raises(FitError, match=r"epsilon is 11: above 10 .* \(--weak-privacy\)"):
        fit(table(), SCHEMA, FitSettings(epsilon=11.0))
    FitSettings(epsilon=11.0, weak_privacy=True).check()
    FitSettings(epsilon=10.0).check()


@pytest.mark.parametrize("declared", [None, 400])
def test_refuses_a_delta_above_one_in_the_public_rows(declared: int | None) -> None:
    delta = 1.01 / (declared or 800)
    with pytest.raises(FitError, match="expected at most one in the"):
        fit(table(), SCHEMA, FitSettings(epsilon=1.0, delta=delta, declared_rows=declared))


@pytest.mark.parametrize(
    ("asked", "rows", "expected"),
    [(None, 800, 1e-5), (None, 10_000, 1e-5), (None, 50_000, 2e-6), (1 / 3, 3, 1 / 3), (1e-3, 1_000, 1e-3)],
)
def test_delta_left_out_is_a_tenth_of_one_in_the_rows_where_that_is_less(
    asked: float | None, rows: int, expected: float
) -> None:
    assert delta_for(asked, rows) == expected


def test_refuses_more_contributors_than_rows() -> None:
    with pytest.raises(FitError, match="800 rows cannot be split between 801"):
        fit(table(), SCHEMA, FitSettings(contributors=801))


@pytest.mark.parametrize(
    "settings",
    [
        FitSettings(family="oracle"),
        FitSettings(settings={"surplus": 1}),
    ],
)
def test_refuses_plans_that_no_family_can_carry_out(settings: FitSettings) -> None:
    with pytest.raises(PlanError):
        fit(table(), SCHEMA, settings)


def test_refuses_a_family_s_settings_without_its_name_where_rows_decide_the_family() -> None:
    with pytest.raises(FitError, match=r"the settings steps are a family's own.*name the family"):
        check_settings(SCHEMA, FitSettings(epsilon=1.0, settings={"steps": 5}))


def test_refuses_conditionable_columns_of_a_family_that_draws_all_at_once() -> None:
    with pytest.raises(FitError, match=r"family marginal draws all columns at once.* autoregressive"):
        check_settings(SCHEMA, FitSettings(family="marginal", conditionable=("town",)))


@pytest.mark.parametrize("text", ['["wage"]', '["town","town"]', "[1]", "town", '["town", "age"]', 5])
def test_refuses_a_list_of_conditionable_columns_that_is_none(text: str | int) -> None:
    with pytest.raises(PlanError, match="conditionable"):
        check_settings(SCHEMA, FitSettings(family="autoregressive", settings={"conditionable": text}))


@pytest.mark.parametrize("contributors", [1, 2])
def test_conditionable_columns_and_the_target_are_drawn_first_and_cost_no_attempts(contributors: int) -> None:
    settings = FitSettings(
        family="autoregressive", contributors=contributors, seed=1, settings=SMALL["autoregressive"],
        conditionable=("town",),
    )  # fmt: skip
    container = fit(table(), SCHEMA, settings)
    for part in container.parts:
        model = decode_model(part.model_bytes)
        assert isinstance(model, AutoregressiveModel)
        # few codes before many
        assert model.order == (2, 1, 0)
    asked = conditions_on_all(SCHEMA, 500, ["town=B"])
    sampler = ContainerSampler(container, bytes(32), conditions=asked)
    assert (sampler.values(0, 500)[:, 1] == 1).all()
    assert sampler.tally.attempts == 500
    assert container.fit["settings"] == {**SMALL["autoregressive"], "conditionable": '["town"]'}


def test_a_value_outside_the_schema_is_named_with_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("age,town,bought\n20,A,true\n99,B,false\n")
    with pytest.raises(ProvenanceError, match="age"):
        fit_csv(path, SCHEMA, FitSettings())


def with_age(**words: Any) -> Schema:
    """The toy schema as a draft that was read off rows, its first column with these words."""
    columns = [{**DOCUMENT["columns"][0], **words}, *DOCUMENT["columns"][1:]]
    return Schema.parse({**DOCUMENT, "columns": columns, "leastRows": 2})


def test_a_column_is_vouched_for_by_name_and_the_container_says_why() -> None:
    settings = FitSettings("marginal", epsilon=2.0, settings=SMALL["marginal"])
    other = with_age(inferred=["minimum"], public="labour law").document()
    other["columns"][2]["inferred"] = ["type"]  # type: ignore[index, call-overload]
    with pytest.raises(FitError, match=r"took bought\.type from the data"):
        fit(table(), Schema.parse(other), settings)
    container = fit(table(), with_age(inferred=["minimum"], public="labour law"), settings)
    assert 1_990_000 <= int(str(container.privacy["epsilonMicro"])) <= 2_000_000
    assert container.fit["schemaFrom"] == {"declared": ["town", "bought"], "vouched": {"age": "labour law"}}
    assert container.schema.cell_columns[0].remarks.public == "labour law"


@pytest.mark.parametrize(("rows", "least"), [(1, 2), (9, 10)])
def test_refuses_values_of_few_rows_in_a_draft_whose_marks_were_removed(rows: int, least: int) -> None:
    values = table()
    values[:, 0] = np.where(values[:, 0] == 49, 48, values[:, 0])
    values[:rows, 0] = 49
    settings = FitSettings("marginal", epsilon=2.0, least_rows=least, settings=SMALL["marginal"])
    with pytest.raises(
        FitError, match=rf"column 'age': found 1 of its bounds held by fewer than {least} rows"
    ):
        fit(values, with_age(), settings)
    fit(values, with_age(), replace(settings, least_rows=rows))
    fit(values, with_age(public="labour law"), settings)
    fit(values, with_age(maximum=80), settings)
    fit(values, SCHEMA, settings)
    values[:, 1] = np.where(values[:, 1] == 2, 1, values[:, 1])
    values[0, 1] = 2
    with pytest.raises(FitError, match="column 'town': found 1 of its categories held by fewer than"):
        fit(values, with_age(maximum=80), settings)


THRESHOLD = {"columns": 1, "least": 27, "stdMicro": 4_000_000}
RELEASE = {"id": "0x" + "5c" * 32, "epsilonMicro": 990_000, "deltaE12": 10_000_000, "rows": 805, "parts": [
    {"name": "rows", "noiseMultiplierMicro": 20_000_000},
    {"name": "values", "noiseMultiplierMicro": 4_000_000, "threshold": THRESHOLD},
]}  # fmt: skip


def test_what_a_schema_released_is_charged_with_the_fit_and_its_rows_stand_for_the_number() -> None:
    schema = Schema.parse({**DOCUMENT, "release": RELEASE})
    with pytest.raises(FitError, match=r"schema and fit together, and the schema's release has spent 0\.9"):
        fit_csv(Path("absent.csv"), schema, FitSettings(epsilon=0.5))
    with pytest.raises(FitError, match="thresholds of the schema's release need more than delta"):
        fit_csv(Path("absent.csv"), schema, FitSettings(epsilon=2.0, delta=1e-12))
    for family in SMALL:
        container = fit(table(), schema, FitSettings(family, epsilon=2.0, settings=SMALL[family]))
        statement: Any = container.privacy
        assert [each["name"] for each in statement["mechanisms"]][:2] == ["schema/rows", "schema/values"]
        assert statement["mechanisms"][1]["threshold"] == THRESHOLD
        assert 1_950_000 <= statement["epsilonMicro"] <= 2_000_000
        assert (container.fit["declaredRows"], container.fit["declaredRowsAreExact"]) == (805, False)
        assert "800" not in repr((container.fit, statement))
    alone = fit(table(), schema, FitSettings("marginal", settings=SMALL["marginal"]))
    assert alone.privacy["guarantee"] == "none"


def test_a_schema_s_release_is_charged_to_its_table_once_and_whatever_the_cap(tmp_path: Path) -> None:
    schema = Schema.parse({**DOCUMENT, "release": RELEASE})
    settings = FitSettings("marginal", epsilon=2.0, settings=SMALL["marginal"])
    ledger = PrivacyLedger(tmp_path / "own" / "ledger.jsonl", PrivacyCap(None), split=WHOLE)
    fit(table(), schema, replace(settings, epsilon=None), ledger=ledger)
    assert charged(ledger) == [["schema/rows", "schema/values"]]
    assert ledger.charged()[0].training.tail == Threshold(1, 27, 4.0).delta() > 0
    assert 0.9 < ledger.charged_epsilon() <= 0.99
    fit(table(), schema, settings, ledger=ledger)
    assert 1.95 < ledger.charged_epsilon() <= 2.0
    fit(table(), schema, settings, ledger=ledger)
    assert charged(ledger) == [["schema/rows", "schema/values"], *[["bins", "tables"]] * 2]
    other = Schema.parse({**DOCUMENT, "release": {**RELEASE, "id": "0x" + "5d" * 32}})
    fit(table(), other, settings, ledger=ledger)
    assert charged(ledger)[3:] == [["schema/rows", "schema/values"], ["bins", "tables"]]

    strict = PrivacyLedger(tmp_path / "strict" / "ledger.jsonl", PrivacyCap(0.5), split=WHOLE)
    with pytest.raises(FitError, match="is not made: bins, tables would take this table to epsilon"):
        fit(table(), schema, settings, ledger=strict)
    assert charged(strict) == [["schema/rows", "schema/values"]]
    assert strict.charged_epsilon() > 0.9


@pytest.mark.parametrize("epsilon", [1.0, 1.2, 3.0, 9.0])
@pytest.mark.parametrize("family", SMALL)
def test_a_fit_gets_all_that_its_schema_leaves_of_the_budget(family: str, epsilon: float) -> None:
    schema = Schema.parse({**DOCUMENT, "release": RELEASE})
    participants = (PlanParticipant(Address(bytes(20)), 805),)
    settings = SMALL[family]
    plan = TrainingPlan(
        Digest(bytes(32)), family, schema, round(epsilon * 10**6), 10**7, participants, settings
    )

    def releases(each: TrainingPlan) -> tuple[Release, ...]:
        return family_of(family).releases(each, participants[0].contributor)

    smaller = within_budget(plan, releases)
    total = composed_epsilon([*schema_releases(schema), *releases(smaller)], 1e-5)
    assert 0.99 * epsilon < total <= epsilon


def charged(ledger: PrivacyLedger) -> list[list[str]]:
    """The releases of each charge."""
    return [[release.name for release in charge.releases] for charge in ledger.charged()]


@pytest.mark.parametrize("contributors", [1, 3])
@pytest.mark.parametrize("family", SMALL)
def test_the_container_samples_rows_like_the_table_s(family: str, contributors: int) -> None:
    settings = FitSettings(family=family, contributors=contributors, seed=1, settings=SMALL[family])
    container = fit(table(2400), SCHEMA, settings)
    assert len(container.parts) == contributors
    assert Container.parse(container.encode()) == container
    rows = ContainerSampler(container, b"\x01" * 32).values(0, 6000)
    assert np.mean((rows[:, 0] > 25) == rows[:, 2]) > 0.75


@pytest.mark.parametrize(("epsilon", "family"), [(None, "autoregressive"), (3.0, "marginal")])
def test_the_default_family_follows_from_the_privacy_asked_for(epsilon: float | None, family: str) -> None:
    settings = FitSettings(epsilon=epsilon, seconds=1.0)
    assert fit(table(60), SCHEMA, settings).family == family


def test_the_default_family_under_privacy_follows_from_rows_contributors_and_conditions() -> None:
    asked = FitSettings(epsilon=2.0)
    assert default_family(asked, 24_999) == "marginal"
    assert default_family(asked, 25_000) == "autoregressive"
    assert default_family(replace(asked, contributors=2), 1_000_000) == "marginal"
    assert default_family(replace(asked, conditionable=("town",)), 100) == "autoregressive"


@pytest.mark.parametrize("family", SMALL)
def test_the_same_seed_gives_the_same_model_without_privacy_and_never_with_it(family: str) -> None:
    def models(epsilon: float | None) -> list[bytes]:
        settings = FitSettings(family=family, seed=7, epsilon=epsilon, settings=SMALL[family])
        return [fit(table(), SCHEMA, settings).parts[0].model_bytes for _ in range(2)]

    first, second = models(None)
    assert first == second
    first, second = models(3.0)
    assert first != second


def test_the_time_limit_cuts_the_fit_short_and_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    step = MarginalFitter.step

    def counted(fitter: MarginalFitter, *given: Any) -> object:
        nonlocal made
        made += 1
        return step(fitter, *given)

    monkeypatch.setattr(MarginalFitter, "step", counted)
    seen: list[FitProgress] = []
    settings = FitSettings(
        family="marginal", seconds=3.0, seed=1, settings={**SMALL["marginal"], "steps": 100_000}
    )
    fit(table(), SCHEMA, settings, seen.append)
    assert 0 < made < 100_000
    assert [p.stage for p in seen][:2] == ["bins", "tables"]
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_private_table_is_gone_when_the_fit_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fit(table(), SCHEMA, FitSettings(settings=SMALL["autoregressive"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "owners",
    [
        np.zeros(800, dtype=np.int64),
        np.zeros(799, dtype=np.int64),
        np.full(800, -1),
        np.arange(800) % 3,
        np.zeros(800),
    ],
    ids=["one without rows", "too few", "negative", "one too many", "not integers"],
)
def test_refuses_owners_that_are_not_these_contributors(owners: np.ndarray) -> None:
    with pytest.raises(FitError, match="owners"):
        fit(table(), SCHEMA, FitSettings(contributors=2), owners=owners)


def test_refuses_declared_rows_beside_owners_and_fewer_than_contributors() -> None:
    owners = np.arange(800) % 2
    with pytest.raises(FitError, match="leave one of them out"):
        fit(table(), SCHEMA, FitSettings(contributors=2, declared_rows=800), owners=owners)
    with pytest.raises(FitError, match="declared rows"):
        fit(table(), SCHEMA, FitSettings(contributors=3, declared_rows=2))


def test_given_owners_hold_their_rows_and_weigh_by_them() -> None:
    values = table(2000)
    owners = (values[:, 1] == 0).astype(np.int64)
    settings = FitSettings(family="marginal", contributors=2, seed=1, settings=SMALL["marginal"])
    container = fit(values, SCHEMA, settings, owners=owners)
    share = float(owners.mean())
    assert container.parts[1].weight / 65_536 == pytest.approx(share, abs=1e-4)
    own = [
        Container(**{**vars(container), "parts": (Part(65_536, part.model_bytes),)})
        for part in container.parts
    ]
    shares = [
        float(np.mean(ContainerSampler(container, b"\x01" * 32).values(0, 3000)[:, 1] == 0))
        for container in own
    ]
    assert shares[0] < share - 0.05 < share + 0.05 < shares[1]


def test_declared_rows_stand_in_for_the_exact_number() -> None:
    settings = FitSettings("marginal", epsilon=3.0, declared_rows=1000, settings=SMALL["marginal"])
    container = fit(table(777), SCHEMA, settings)
    assert container.fit["declaredRows"] == 1000
    assert container.fit["declaredRowsAreExact"] is False
    assert "777" not in repr((container.fit, container.privacy))

    rounded = fit(table(777), SCHEMA, FitSettings("marginal", epsilon=3.0, settings=SMALL["marginal"]))
    assert (rounded.fit["declaredRows"], rounded.fit["declaredRowsAreExact"]) == (770, False)
    assert "777" not in repr((rounded.fit, rounded.privacy))
    exact = fit(table(777), SCHEMA, FitSettings("marginal", settings=SMALL["marginal"]))
    assert (exact.fit["declaredRows"], exact.fit["declaredRowsAreExact"]) == (777, True)


@pytest.mark.parametrize(
    ("rows", "told"), [(1, 1), (9, 1), (19, 10), (123, 120), (1_999, 1_900), (32_561, 32_000)]
)
def test_under_epsilon_two_digits_of_the_number_of_rows_are_told(rows: int, told: int) -> None:
    assert public_rows(rows) == told
