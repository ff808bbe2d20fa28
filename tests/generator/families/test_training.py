"""All families from the first release to committed models, over the coordinator and real node folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from generator.errors import NodeRefused, UpdatesRejected
from generator.families import fedgan_node
from generator.families.settings import FAMILIES
from generator.federation.coordinator import RoundProgress, TrainingOutcome
from generator.federation.state import ContributorState
from generator.federation.task import Result, Task
from generator.learning.gan import train_discriminator
from generator.privacy.release import composed_epsilon
from generator.privacy.statement import epsilon_micro
from provenance.exact.sampler import sampler_for
from provenance.values import Address
from tests.generator.families.conftest import MakeMarket, Market
from tests.generator.rest_key import REST_KEY


class KilledError(BaseException):
    """Stands for kill -9."""


def rows_of(market: Market, outcome: TrainingOutcome, rows: int = 4000) -> np.ndarray:
    parts = []
    for model in outcome.models:
        data = market.states[model.contributor].order(outcome.plan.order).model()
        parts.append(sampler_for(1)(data, b"\x05" * 32, model.shard).values(0, rows))
    return np.concatenate(parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_synthetic_rows_keep_a_dependence_that_shuffled_columns_lose(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, epsilon=None)
    outcome = market.run()
    rows = rows_of(market, outcome)
    agreement = np.mean((rows[:, 0] > 25) == rows[:, 2])
    assert agreement > 0.75, "0.9 in the table, 0.5 with columns shuffled alone"
    assert np.mean(rows[:, 0]) == pytest.approx(24.5, abs=2.5)
    assert outcome.flagged == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_ledger_s_epsilon_is_the_statement_s_and_keeps_the_ceiling(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, nodes=2, epsilon=3.0)
    seen: list[RoundProgress] = []
    outcome = market.run(seen.append)
    for model in outcome.models:
        ledger = market.states[model.contributor].ledger
        entries = ledger.entries()
        spent = composed_epsilon([entry.release for entry in entries], 1e-5)
        assert spent <= 3.0
        assert model.epsilon_micro == model.statement["epsilonMicro"] == epsilon_micro(spent)
        assert model.delta_e12 == 10_000_000
        mechanisms: Any = model.statement["mechanisms"]
        assert [m["name"] for m in mechanisms] == [entry.release.name for entry in entries]
    spent_so_far = [p.epsilon for p in seen if p.epsilon is not None]
    assert len(spent_so_far) == len(seen)
    assert spent_so_far == sorted(spent_so_far)
    assert spent_so_far[-1] == pytest.approx(3.0, rel=0.01)
    assert len(seen) == seen[-1].rounds


@pytest.mark.parametrize("family", FAMILIES)
def test_without_privacy_the_statement_promises_nothing_and_the_ledger_is_unbounded(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, nodes=1, epsilon=None)
    model = market.run().models[0]
    assert (model.epsilon_micro, model.statement["guarantee"]) == (0, "none")
    assert market.states[model.contributor].ledger.spent() == float("inf")


def test_a_round_trains_every_discriminator_and_sends_their_average_back(make_market: MakeMarket) -> None:
    market = make_market("fedgan", nodes=2, epsilon=None)
    sent: dict[str, list[np.ndarray]] = {}
    answered: dict[str, list[np.ndarray]] = {}
    for address in market.states:
        node = market.node(address)

        def spy(data: bytes, node: Callable[[bytes], bytes] = node) -> bytes:
            task, answer = Task.decode(data), node(data)
            if "state" in task.arrays:
                sent.setdefault(task.name, []).append(task.arrays["state"])
                answered.setdefault(task.name, []).append(
                    Result.decode(answer).arrays.get("state", np.empty(0))
                )
            return answer

        market.wrap[address] = spy
    market.run()
    assert list(sent) == ["round/0001", "round/0002", "finish"]
    for before, after in (("round/0001", "round/0002"), ("round/0002", "finish")):
        assert sent[after][0] == pytest.approx(np.mean(answered[before], axis=0), abs=1e-5 * 2**24)
        assert not np.array_equal(answered[before][0], answered[before][1])
        assert not np.array_equal(sent[before][0], answered[before][0])


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("marginal", {"tables": "pairs"}),
        ("fedgan", {"tables": "pairs"}),
        ("fedgan", {"adversarialPercent": 0}),
        ("fedgan", {"marginalPercent": 0, "adversarialPercent": 100}),
    ],
)
def test_each_part_of_a_family_can_be_left_out(
    make_market: MakeMarket, family: str, settings: dict[str, Any]
) -> None:
    market = make_market(family, nodes=2, epsilon=3.0, settings=settings)
    outcome = market.run()
    assert outcome.flagged == ()
    assert rows_of(market, outcome, 50).shape == (100, 3)
    assert all(model.epsilon_micro <= 3_000_000 for model in outcome.models)
    released = outcome.references[outcome.models[0].contributor]["counts"]
    codes = outcome.shared["code_counts"]
    pairs = codes[0] * codes[1] + codes[0] * codes[2] + codes[1] * codes[2]
    assert len(released) == (pairs if settings.get("tables") == "pairs" else np.prod(codes))


def poison(market: Market, address: Address, step: str, name: str, factor: int | float) -> None:
    node = market.node(address)

    def send(data: bytes) -> bytes:
        result = Result.decode(node(data))
        if result.name != step:
            return result.encode()
        return replace(result, arrays={**result.arrays, name: result.arrays[name] * factor}).encode()

    market.wrap[address] = send


@pytest.mark.parametrize(
    ("family", "step", "array", "word"),
    [
        ("marginal", "bins", "base", "histograms"),
        ("marginal", "tables", "counts", "histograms"),
        ("fedgan", "round/0002", "state", "length"),
        ("autoregressive", "round/0002", "exponents", "length"),
    ],
)
def test_a_poisoned_node_is_named_and_the_others_models_stay_useful(
    make_market: MakeMarket, family: str, step: str, array: str, word: str
) -> None:
    market = make_market(family, nodes=3, epsilon=None)
    bad = list(market.states)[1]
    poison(market, bad, step, array, -3 if array == "exponents" else 60)
    outcome = market.run()
    assert [(f.contributor, f.step) for f in outcome.flagged] == [(bad, step)]
    assert word in outcome.flagged[0].reason
    rows = rows_of(market, outcome)[:4000]
    assert np.mean((rows[:, 0] > 25) == rows[:, 2]) > 0.75


def test_an_order_fails_when_most_releases_are_poisoned(make_market: MakeMarket) -> None:
    market = make_market("marginal", nodes=3, epsilon=None)
    for address in list(market.states)[:2]:
        poison(market, address, "bins", "base", -5)
    with pytest.raises(UpdatesRejected, match="1 of 3 releases are plausible"):
        market.run()


def test_a_node_killed_in_a_round_takes_it_up_again_with_its_generator(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market("fedgan", nodes=1, epsilon=3.0)
    address = next(iter(market.states))
    learnt: list[int] = []
    real_learn = fedgan_node._learn

    def learn(step: Any, fitter: Any, settings: Any, segment: int) -> float:
        learnt.append(segment)
        return real_learn(step, fitter, settings, segment)

    def train(*args: Any, **kwargs: Any) -> Any:
        if learnt[-1] == 1:
            raise KilledError
        return train_discriminator(*args, **kwargs)

    monkeypatch.setattr(fedgan_node, "_learn", learn)
    with monkeypatch.context() as patched:
        patched.setattr(fedgan_node, "train_discriminator", train)
        with pytest.raises(KilledError):
            market.run()
    kept = market.states[address].order(market.plan.order).load_arrays("round/0002")
    assert kept is not None, "the generator was saved before the discriminator's steps"
    outcome = market.run()
    assert learnt == [0, 1, 2], "what the generator had learnt was not learnt again"
    assert outcome.models[0].epsilon_micro <= 3_000_000
    names = [
        entry.release.name
        for entry in ContributorState.open(market.states[address].folder, REST_KEY).ledger.entries()
    ]
    assert names == ["bins", "tables", "round/0001", "round/0002"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_second_run_resends_everything_and_commits_to_the_same_models(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, nodes=2)
    first = market.run()
    entries = [state.ledger.entries() for state in market.states.values()]
    again = market.run()
    assert again.models == first.models
    assert [state.ledger.entries() for state in market.states.values()] == entries


def test_a_round_asked_out_of_order_is_refused_and_releases_nothing(make_market: MakeMarket) -> None:
    market = make_market("fedgan", nodes=1, epsilon=None)
    address = next(iter(market.states))
    real = market.node(address)

    def skip(data: bytes) -> bytes:
        task = Task.decode(data)
        name = "round/0002" if task.name == "round/0001" else task.name
        return real(replace(task, name=name).encode())

    market.wrap[address] = skip
    with pytest.raises(NodeRefused, match="round-missing"):
        market.run()
    assert len(market.states[address].ledger.entries()) == 2


def test_a_codebook_that_does_not_cover_the_table_is_refused(make_market: MakeMarket) -> None:
    market = make_market("marginal", nodes=1, epsilon=None)
    address = next(iter(market.states))
    real = market.node(address)

    def narrow(data: bytes) -> bytes:
        task = Task.decode(data)
        if task.name != "tables":
            return real(data)
        width = task.arrays["width"].copy()
        width[-1] = 5000
        return real(replace(task, arrays={**task.arrays, "width": width}).encode())

    market.wrap[address] = narrow
    with pytest.raises(NodeRefused, match="bad-task"):
        market.run()
    assert [e.release.name for e in market.states[address].ledger.entries()] == ["bins"]
