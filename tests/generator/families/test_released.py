"""What a coordinator may send with the second round: only a codebook under which every table can be counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from generator.errors import TaskRefused
from generator.families.released import codebook_arrays, codebook_of
from generator.federation.node import handle
from generator.federation.step import Worker
from generator.federation.task import Array, Task
from generator.marginals.bins import base_grid, build_codebook, release_bins
from generator.marginals.errors import MarginalError

MakeMarket = Callable[..., Any]


def honest(market: Any) -> dict[str, Array]:
    schema = market.plan.schema
    state = next(iter(market.states.values()))
    return codebook_arrays(build_codebook(schema, release_bins(state.values, base_grid(schema), 0.0)))


def edited(arrays: dict[str, Array], name: str, place: int, change: int) -> dict[str, Array]:
    changed = {key: np.array(value) for key, value in arrays.items()}
    changed[name][place] += change
    return changed


def test_a_codebook_of_real_counts_is_taken(make_market: MakeMarket) -> None:
    market = make_market("marginal", nodes=1)
    arrays = honest(market)
    book = codebook_of(arrays, market.plan.schema)
    assert np.array_equal(book.low, arrays["low"])


@pytest.mark.parametrize(
    ("name", "place", "change"),
    [("low", 0, 1), ("width", 0, 1), ("low", 2, -1), ("width", -3, -1)],
    ids=["lowest value left out", "overlap", "unsorted or overlapping", "gap or end left out"],
)
def test_refuses_a_codebook_that_some_tables_would_not_fit(
    make_market: MakeMarket, name: str, place: int, change: int
) -> None:
    """A refusal that depends on the rows would tell whether a value is there, for no epsilon."""
    market = make_market("marginal", nodes=1)
    arrays = edited(honest(market), name, place, change)
    with pytest.raises(MarginalError, match="codebook"):
        codebook_of(arrays, market.plan.schema)


def test_a_probing_codebook_is_refused_whatever_the_table_holds(make_market: MakeMarket) -> None:
    """Age 18 is left out; no row of the second table has it."""
    market = make_market("marginal", nodes=2)
    arrays = edited(edited(honest(market), "low", 0, 1), "width", 0, -1)
    reasons = []
    for number, (address, state) in enumerate(market.states.items()):
        if number:
            state.values[state.values[:, 0] == 0, 0] = 1
        task = Task(market.plan.order, "tables", address, {"plan": market.plan.document()}, arrays)
        with pytest.raises(TaskRefused) as caught:
            handle(task, state, Worker(address))
        reasons.append(str(caught.value))
        assert state.ledger.entries() == ()
    assert reasons[0] == reasons[1]
