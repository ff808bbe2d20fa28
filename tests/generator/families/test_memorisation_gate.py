"""The gate on what small tables' shared net has learnt by heart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from generator.evaluation.density import log_density
from generator.families.memorisation_gate import FOUND, GATE, SHARES, kept_share
from generator.federation.aggregate import Flagged
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.federation.task import Result, to_fixed
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from generator.learning import recipes
from generator.learning.memorisation import memorisation, passes_gate
from provenance.table.schema import Schema
from provenance.values import Address, Digest
from tests.generator.families.conftest import MakeMarket

COLUMNS, CODES = 24, 8
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "dice",
        "columns": [
            {"name": f"c{i}", "type": "integer", "minimum": 0, "maximum": CODES - 1} for i in range(COLUMNS)
        ],
    }
)
NODES = tuple(Address(bytes([k]) * 20) for k in (1, 2))
PLAN = TrainingPlan(
    Digest(bytes(32)), "autoregressive", SCHEMA, None, 10**7, tuple(PlanParticipant(n, 1000) for n in NODES)
)


def answer(node: Address, areas: object, seen: object = 900, unseen: object = 100) -> Result:
    meta: Any = {"epsilonMicro": 0, "seenRows": seen, "unseenRows": unseen}
    return Result(PLAN.order, GATE, node, meta, {FOUND: to_fixed(np.asarray(areas))})


def table(rows: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(0, CODES, (rows, COLUMNS))


@pytest.mark.parametrize(
    "broken",
    [
        answer(NODES[1], [0.5] * 3),
        answer(NODES[1], [0.5] * 5 + [1.5]),
        answer(NODES[1], [0.5] * 5 + [2.0]),
        answer(NODES[1], [0.5] * 6, seen=-1),
        answer(NODES[1], [0.5] * 6, unseen=True),
        answer(NODES[1], [0.5] * 6, seen=10**6),
        answer(NODES[1], [0.5] * 6, seen=None),
    ],
)
def test_an_answer_that_no_table_gives_is_flagged_and_left_out(broken: Result) -> None:
    flagged: list[Flagged] = []
    falling = [0.9, 0.8, 0.7, 0.59, 0.55, 0.5]
    assert kept_share(PLAN, [answer(NODES[0], falling), broken], flagged) == SHARES[3]
    assert [(flag.contributor, flag.step) for flag in flagged] == [(NODES[1], GATE)]


def test_nothing_learnt_is_kept_where_nobody_held_a_row_out() -> None:
    assert kept_share(PLAN, [answer(node, [0.5] * 6, unseen=0) for node in NODES], []) == 0.0


def test_nodes_count_by_their_pairs_of_rows_and_the_furthest_net_that_passes_is_kept() -> None:
    large, small = answer(NODES[0], [0.59] * 6), answer(NODES[1], [1.0] * 6, seen=90, unseen=10)
    assert kept_share(PLAN, [large, small], []) == 1.0
    assert kept_share(PLAN, [answer(NODES[0], [0.7] * 6, 90, 10), answer(NODES[1], [1.0] * 6)], []) == 0.0


def test_a_federation_does_not_keep_a_net_that_tells_its_rows_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Columns without any dependence: whatever the net finds between them, it has learnt by heart."""
    monkeypatch.setattr(recipes, "decay_for", lambda rows: 0.1)
    rows, unseen = table(300, 0), table(4000, 1)
    areas, notes = [], []
    for settings in ({"rounds": 40}, {"rounds": 40, "decayPercent": 10}):
        asked = FitSettings(contributors=2, settings=settings, seed=0)
        container = fit(rows, SCHEMA, asked, owners=np.arange(len(rows)) % 2)
        notes.append(container.fit["notes"])
        model = container.parts[0].model_bytes
        areas.append(memorisation(log_density(model, rows), log_density(model, unseen)))
    gated, ungated = areas
    assert not passes_gate(ungated, 270, 30), "a decay that was asked for is taken as it is"
    assert gated < ungated - 0.05
    assert ["% of what the net learnt is kept" in str(note) for note in notes] == [True, False]


def test_the_gate_is_one_more_release_and_round_of_small_tables_without_epsilon(
    make_market: MakeMarket,
) -> None:
    market = make_market("autoregressive", nodes=2, epsilon=None, settings={"decayPercent": 0, "rounds": 5})
    market.run()
    names = [e.release.name for e in market.states[next(iter(market.states))].ledger.entries()]
    assert names == ["bins", "tables", "rounds", GATE]
