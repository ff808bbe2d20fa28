"""An order of a collection whose unit is a person, through two nodes: all noise is for a person's rows together."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from generator.errors import BudgetExceeded, SettingsError
from generator.families.codebook_message import codebook_of
from generator.federation.state import ContributorState
from generator.federation.task import from_fixed
from generator.fitting.private_schema import PrivateRequest, private_schema
from generator.marginals.bins import encode_codes
from generator.marginals.measure import table_counts
from generator.market.evidence import released_tables, score_tables
from generator.node.accept import accept_order
from generator.node.setup import Setup, initialise
from generator.privacy import noise
from generator.privacy.accountant import epsilon_of
from generator.privacy.ledger import PrivacyCap
from generator.privacy.owner import Owner
from generator.privacy.schema_release import charge_schema
from generator.privacy.units import Units
from provenance.crypto.at_rest import RestKey
from provenance.record.collection import DISTRIBUTED, Collection
from provenance.table.codec import decode_values
from provenance.table.schema import Schema
from provenance.table.unit import Unit
from tests.generator.node.conftest import MakeWorld
from tests.generator.node.memory import DEPLOYMENT
from tests.generator.node.test_without_epsilon import SETTINGS, plain_terms
from tests.generator.node.trained import Trained, train
from tests.generator.node.world import SCHEMA, World, toy_rows, toy_table

K = 3
UNIT = Unit("who", K)
ROWS = 500


def of_persons(world: World, family: str, *, is_masked: bool, epsilon_micro: int = 3_000_000) -> World:
    settings = {**SETTINGS[family], **({"noise": DISTRIBUTED} if is_masked else {})}
    if family == "autoregressive":
        settings |= {"privateSteps": 4, "privateRows": 64}
    elif family == "fedgan":
        settings |= {"discriminatorSteps": 2}
    schema = Schema.parse({**SCHEMA, "unit": UNIT.document()})
    world.collection = replace(
        world.collection, schema=schema, family=family, settings=settings, epsilon_micro=epsilon_micro
    )
    return world


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """(number of draws, their deviation) of all noise, in order."""
    found: list[Any] = []
    real = noise.gaussian

    def spy(count: int, std: Any, exponent: int = 0) -> Any:
        found.append((count, std))
        return real(count, std, exponent)

    monkeypatch.setattr(noise, "gaussian", spy)
    return found


@pytest.mark.parametrize(
    ("family", "is_masked"),
    [
        ("marginal", False),
        ("marginal", True),
        ("autoregressive", False),
        ("autoregressive", True),
        ("fedgan", False),
    ],
)
def test_every_release_of_an_order_is_for_a_whole_person(
    make_world: MakeWorld, tmp_path: Path, drawn: list[Any], family: str, is_masked: bool
) -> None:
    trained = train(of_persons(make_world(tmp_path), family, is_masked=is_masked))
    plan, schema = trained.outcome.plan, trained.world.collection.schema
    codebook = codebook_of(trained.outcome.shared, schema)
    workload = released_tables(codebook, plan)
    tables = [np.max(std) for count, std in drawn if count == workload.cells and np.ndim(std)]
    rows_sensitivity = np.sqrt(np.sum(np.square(workload.weights))) / min(workload.weights)
    multiplier = event_of(trained, "tables").noise_multiplier
    assert len(tables) == 2
    assert np.allclose(tables, multiplier * K * rows_sensitivity, rtol=1e-3)
    del drawn[:]

    result = trained.score()
    pairs = score_tables(codebook, schema)
    one_row = len(pairs.tables) * ROWS
    assert [std for _, std in drawn] == [event_of(trained, "score").noise_multiplier * K * one_row] * 2
    assert sum(result.shares_bps) == 10_000
    for node in trained.nodes:
        assert node.state.ledger.spent() <= 3.0 + 1e-6
    for shard in result.shards:
        assert shard.content is not None
        statement: Any = shard.content.statement
        assert statement["unit"] == f"one person, at most {K} rows of the contributor's table"
        assert [each["rows"] for each in statement["persons"]] == [K]


def event_of(trained: Trained, name: str) -> Any:
    """Of a release of the first node, from its ledger."""
    entries = trained.nodes[0].state.ledger.entries()
    (event,) = (entry.release.event for entry in entries if entry.release.name == name)
    return event


@pytest.mark.parametrize("family", ["marginal", "autoregressive"])
def test_without_epsilon_sums_are_exact_whatever_the_unit_and_the_score_is_for_a_person(
    make_world: MakeWorld, tmp_path: Path, drawn: list[Any], family: str
) -> None:
    world = of_persons(make_world(tmp_path), family, is_masked=True, epsilon_micro=0)
    trained = train(world, plain_terms(world), cap=None, policy=world.policy_without_privacy())
    plan = trained.outcome.plan
    codebook = codebook_of(trained.outcome.shared, world.collection.schema)
    workload = released_tables(codebook, plan)
    own = [table_counts(encode_codes(node.state.training, codebook), workload) for node in trained.nodes]
    assert np.array_equal(from_fixed(trained.outcome.shared["everybody"]), sum(own))
    del drawn[:]
    trained.score()
    pairs = score_tables(codebook, world.collection.schema)
    event = event_of(trained, "score")
    assert [std for _, std in drawn] == [event.noise_multiplier * K * len(pairs.tables) * ROWS] * 2
    assert epsilon_of([event], 1e-5) <= 1.0


def test_a_node_uses_some_rows_of_each_person_and_holds_out_whole_persons(world: World) -> None:
    state = of_persons(world, "marginal", is_masked=False).node(0).state
    rows = toy_rows(0, state.schema)
    assert rows.persons is not None
    assert len(state.values) == len(rows.values) < 1200
    whole = Units.of(state.schema, len(rows.values), rows.persons)
    assert whole.number is not None
    training = state.training_units
    assert training.number is not None
    assert np.bincount(training.number).max() == K
    seen = np.bincount(training.number, minlength=len(np.unique(whole.number)))
    every = np.bincount(whole.number)
    assert set(seen[seen > 0] - every[seen > 0]) == {0}, "all rows of a person, or none"
    assert 0 < len(state.holdout) < len(state.values) / 4


@pytest.mark.parametrize("is_charged", [False, True])
def test_a_schema_that_was_released_for_persons_is_charged_to_the_table_that_a_node_offers(
    world: World, tmp_path: Path, *, is_charged: bool
) -> None:
    of_persons(world, "marginal", is_masked=False)
    rows, document = toy_rows(0, world.collection.schema), world.collection.schema.document()
    cells = decode_values(world.collection.schema, np.asarray(rows.values))
    draft = private_schema(lambda: iter([cells]), PrivateRequest("toy", 2.0, 1e-5, unit=UNIT)).schema
    assert draft.release is not None
    schema = Schema.parse({**document, "release": draft.release.document()})
    world.collection = replace(world.collection, schema=schema)
    table, folder = (
        Owner(tmp_path / "owner").table(rows.values, schema, "visits.csv"),
        world.folder / "node0" / "table",
    )
    ContributorState.create(folder, schema, rows, PrivacyCap(3.2), RestKey.of(world.signer(0)), owned=table)
    node = world.node(0)
    terms = world.terms(request=world.request.digest)
    world.open(terms)
    if not is_charged:
        assert accept_order(node, world.offer(terms))
        return
    charge_schema(table.ledger(), schema)
    with pytest.raises(BudgetExceeded):
        accept_order(node, world.offer(terms))


class Listing:
    """A market that lists one collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def __enter__(self) -> Listing:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def network(self) -> Any:
        return SimpleNamespace(stake_wei=10**18)

    def collection(self, _asked: str) -> Any:
        return SimpleNamespace(id=self._collection.digest, document=self._collection.document())


@pytest.mark.parametrize("declared", [290, 900])
def test_a_node_is_set_up_with_the_rows_of_a_person_that_are_used_and_no_name(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: int
) -> None:
    of_persons(world, "marginal", is_masked=False)
    cells = decode_values(world.collection.schema, toy_table(0)[:1000])
    lines = zip(*cells.values(), (f"Zweigelt-{row // 10}" for row in range(1000)), strict=True)
    text = "\n".join([",".join([*cells, UNIT.column]), *(",".join(line) for line in lines)])
    (tmp_path / "visits.csv").write_text(text + "\n")
    DEPLOYMENT.save(tmp_path / "deployment.json")
    monkeypatch.setattr("generator.node.setup.MarketClient", lambda *_, **__: Listing(world.collection))
    monkeypatch.setattr("generator.node.setup.require_same_market", lambda *_: None)
    monkeypatch.setattr("generator.node.setup.ChainReader", lambda *_: nullcontext(Mock()))
    asked = Setup(
        folder=tmp_path / "node", backend="http://127.0.0.1:1", rpc="http://127.0.0.1:2", table=tmp_path / "visits.csv",
        collection="toy", declared_rows=declared, epsilon_cap=4.0, owner=tmp_path / "owner",
        deployment=tmp_path / "deployment.json",
    )  # fmt: skip
    if declared > 2 * 300:
        with pytest.raises(
            SettingsError, match=r"found 900 rows to declare, expected about 300: .* 3 rows of a"
        ):
            initialise(asked)
        return
    made = initialise(asked)
    assert (made.rows, made.used, made.unit, made.settings.declared_rows) == (1000, 300, UNIT, 290)
    state = ContributorState.open(asked.folder / "table", RestKey.of(made.signer))
    number = state.training_units.number
    assert number is not None
    assert len(state.training) + len(state.holdout) == 300
    assert set(np.bincount(number)) <= {0, K}
    kept = [
        path for root in (asked.folder, asked.owner) if root for path in root.rglob("*") if path.is_file()
    ]
    assert not any(b"Zweigelt" in path.read_bytes() for path in kept)
