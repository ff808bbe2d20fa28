"""Family "autoregressive" between nodes: sums of gradients, whoever holds which rows, and what a kill leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from generator.errors import NodeRefused
from generator.families import autoregressive, autoregressive_node
from generator.families.autoregressive_schedule import ROUNDS, WEIGHTS
from generator.families.codebook_message import codebook_of
from generator.families.family import family_of
from generator.families.steps import report
from generator.federation.compress import STEPS
from generator.federation.plan import PlanParticipant
from generator.federation.state import ContributorState
from generator.federation.task import Result, Task, from_fixed, to_fixed
from generator.learning.descent import Descent
from generator.learning.dp_sgd import DPSGD
from generator.marginals.bins import encode_codes
from generator.marginals.target import target_from_counts, univariate_marginals
from generator.marginals.workload import choose_workload
from generator.privacy import noise
from generator.privacy.accountant import SubsampledGaussianEvent
from generator.privacy.ledger import PrivacyCap
from provenance.exact.sampler import Sampler
from provenance.values import Address
from tests.generator.families.conftest import MakeMarket, Market
from tests.generator.rest_key import REST_KEY

FAMILY = "autoregressive"


class KilledError(BaseException):
    """Stands for kill -9."""


def watch(market: Market, seen: Callable[[Task, Result], None]) -> None:
    for address in market.states:
        node = market.node(address)

        def spy(data: bytes, node: Callable[[bytes], bytes] = node) -> bytes:
            answer = node(data)
            seen(Task.decode(data), Result.decode(answer))
            return answer

        market.wrap[address] = spy


def test_a_round_asked_out_of_order_is_refused(make_market: MakeMarket) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=None)
    address = next(iter(market.states))
    real = market.node(address)

    def skip(data: bytes) -> bytes:
        task = Task.decode(data)
        name = "round/0003" if task.name == "round/0002" else task.name
        return real(replace(task, name=name).encode())

    market.wrap[address] = skip
    with pytest.raises(NodeRefused, match="round-missing"):
        market.run()


@pytest.mark.parametrize("step", ["round/0061", "round/0000"])
def test_a_round_beyond_the_plan_is_refused(make_market: MakeMarket, step: str) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=None)
    real = market.node(next(iter(market.states)))
    market.wrap[next(iter(market.states))] = lambda data: real(
        replace(t, name=step).encode() if (t := Task.decode(data)).name == "round/0001" else data
    )
    with pytest.raises(NodeRefused, match="bad-task"):
        market.run()


def test_weights_of_another_size_are_refused(make_market: MakeMarket) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=None)
    real = market.node(next(iter(market.states)))

    def short(data: bytes) -> bytes:
        task = Task.decode(data)
        if task.name != "round/0001":
            return real(data)
        return real(replace(task, arrays={**task.arrays, WEIGHTS: task.arrays[WEIGHTS][:-1]}).encode())

    market.wrap[next(iter(market.states))] = short
    with pytest.raises(NodeRefused, match="bad-task"):
        market.run()


def test_all_noise_is_one_release_that_the_ledger_holds_before_the_first_round(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=3.0)
    address = next(iter(market.states))
    ledger = market.states[address].ledger
    held: list[list[str]] = []
    real = DPSGD.add_noise

    def spy(*args: Any) -> Any:
        held.append([entry.release.name for entry in ledger.entries()])
        return real(*args)

    monkeypatch.setattr(DPSGD, "add_noise", spy)
    market.run()
    assert held[0] == ["bins", "tables", ROUNDS]
    event = ledger.entries()[-1].release.event
    assert isinstance(event, SubsampledGaussianEvent)
    assert (event.steps, len(held)) == (8, 16)
    assert event.sample_rate == pytest.approx(200 / 900)


def test_epsilon_lets_no_loss_leave_the_node(make_market: MakeMarket) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=3.0)
    losses: list[Any] = []
    watch(market, lambda task, result: losses.append(result.meta.get("losses")))
    market.run()
    assert not any(losses)


def test_a_node_sends_a_byte_a_weight_and_round(make_market: MakeMarket) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=None)
    sizes: list[int] = []
    weights: list[int] = []

    def seen(task: Task, result: Result) -> None:
        if task.name.startswith("round"):
            sizes.append(len(result.encode()))
            weights.append(result.arrays[STEPS].size)

    watch(market, seen)
    market.run()
    assert len(sizes) == 2 * 60
    assert max(sizes) <= 1.04 * weights[0] + 600


def test_training_is_what_it_would_be_in_one_place_however_rows_are_spread(
    make_market: MakeMarket, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every row in every batch and no rounding, weights depend on the rows and not on who holds them."""
    monkeypatch.setattr(noise, "poisson_sample", lambda rows, rate: np.arange(rows))
    monkeypatch.setattr(
        autoregressive_node, "compressed", lambda vector: ({STEPS: to_fixed(vector)}, 0 * vector)
    )
    monkeypatch.setattr(autoregressive, "expanded", lambda arrays, _: from_fixed(arrays[STEPS]))
    market = make_market(FAMILY, nodes=2, epsilon=None, settings={"rounds": 20})
    values = np.concatenate([state.values for state in market.states.values()])
    values = values[np.argsort(values[:, 0], kind="stable")]
    sent: dict[str, np.ndarray] = {}
    for name, cut in (("skewed", 250), ("balanced", 500)):
        states = {}
        for number, (address, part) in enumerate(
            zip(market.states, (values[:cut], values[cut:]), strict=True)
        ):
            states[address] = ContributorState.create(
                tmp_path / f"{name}{number}",
                market.plan.schema,
                part,
                PrivacyCap(None),
                REST_KEY,
                hold_out=False,
            )
        market.states, market.wrap = states, {}

        def seen(task: Task, result: Result, name: str = name) -> None:
            if task.name == "finish":
                sent[name] = from_fixed(task.arrays[WEIGHTS])

        watch(market, seen)
        market.run()
    assert sent["skewed"] == pytest.approx(sent["balanced"], abs=0.002)
    assert np.abs(sent["skewed"]).max() > 0.3


def test_a_node_killed_in_a_round_takes_it_up_again_from_the_same_residual(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=3.0)
    address = next(iter(market.states))
    calls: list[str] = []

    def die(step: Any, *args: Any) -> None:
        calls.append(step.task.name)
        if calls.count("round/0003") == 1 and step.task.name == "round/0003":
            raise KilledError
        report(step, *args)

    monkeypatch.setattr(autoregressive_node, "report", die)
    with pytest.raises(KilledError):
        market.run()
    order = market.states[address].order(market.plan.order)
    assert order.load_arrays("round/0002") is not None, "what round 3 begins with is kept"
    outcome = market.run()
    assert calls.count("round/0001") == 2, "one a node: a stored round is not made again"
    names = [entry.release.name for entry in market.states[address].ledger.entries()]
    assert names == ["bins", "tables", ROUNDS]
    assert outcome.models[0].epsilon_micro <= 3_000_000


def test_all_nodes_commit_to_one_model(make_market: MakeMarket) -> None:
    outcome = make_market(FAMILY, nodes=3, epsilon=None).run()
    assert len({model.model_digest for model in outcome.models}) == 1


def test_the_plan_alone_decides_how_many_rounds_there_are(make_market: MakeMarket) -> None:
    plan = make_market(FAMILY, nodes=2, epsilon=None, settings={"rounds": 256}).plan
    family = family_of(FAMILY)
    tiny = tuple(PlanParticipant(Address(bytes([k]) * 20), 30) for k in (1, 2))
    assert family.rounds(replace(plan, participants=tiny)) < family.rounds(plan) <= 259
    assert family.rounds(replace(plan, participants=tiny[:1])) == 3


@pytest.mark.parametrize("epsilon", [None, 3.0])
def test_a_lone_contributor_killed_in_its_training_goes_on(
    make_market: MakeMarket, monkeypatch: pytest.MonkeyPatch, epsilon: float | None
) -> None:
    monkeypatch.setattr(autoregressive_node, "_KEEP_SECONDS", 0.0)
    market = make_market(FAMILY, nodes=1, epsilon=epsilon)
    address = next(iter(market.states))
    order = market.states[address].order(market.plan.order)
    begun: list[int] = []
    real = Descent.step

    def die(descent: Descent, gradient: np.ndarray, fraction: float) -> None:
        begun.append(descent.steps)
        if len(begun) == 7:
            raise KilledError
        real(descent, gradient, fraction)

    monkeypatch.setattr(Descent, "step", die)
    with pytest.raises(KilledError):
        market.run()
    assert order.load_arrays("training") is not None
    market.run()
    assert begun[7] == 6, "six steps are made and kept"
    assert begun[7:] == list(range(6, begun[-1] + 1)), "and none is made twice"
    assert order.load_arrays("training") is None
    assert [e.release.name for e in market.states[address].ledger.entries()] == ["bins", "tables", ROUNDS]


def test_epsilon_leaves_the_univariate_marginals_that_were_released(make_market: MakeMarket) -> None:
    market = make_market(FAMILY, nodes=2, epsilon=50.0, settings={"tablesPercent": 60})
    sent: dict[str, Any] = {}
    watch(market, lambda task, _: sent.update({task.name: task.arrays}))
    outcome = market.run()
    marginals = sent["finish"]
    codebook = codebook_of(marginals, market.plan.schema)
    workload = choose_workload(codebook.code_counts, market.plan.schema.target_index)
    wanted = univariate_marginals(target_from_counts(outcome.shared["everybody"], workload, 0.0, 1))
    model = market.states[next(iter(market.states))].order(market.plan.order).model()
    codes = encode_codes(Sampler(model, bytes(32), 0).values(0, 20_000), codebook)
    for column, count in enumerate(codebook.code_counts):
        shares = np.bincount(codes[:, column], minlength=count) / len(codes)
        own = wanted[codebook.column_codes(column)]
        assert 0.5 * np.abs(shares - own).sum() < 0.03
