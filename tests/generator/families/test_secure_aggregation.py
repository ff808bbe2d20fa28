"""Setting "noise": "distributed": what leaves a node, whose keys it takes, and what the sum is good for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant

from generator.errors import NodeRefused, PlanError, TaskRefused, UpdatesRejected
from generator.families.codebook_message import codebook_of
from generator.families.family import family_of
from generator.families.marginal_release import own_reference
from generator.families.release_noise import BINS, TABLES, workload_of
from generator.families.secure_aggregation import COUNTS_RING, VECTOR
from generator.families.settings import MarginalSettings
from generator.federation.coordinator import TrainingOutcome
from generator.federation.node import handle_bytes
from generator.federation.plan import Settings
from generator.federation.state import ContributorState
from generator.federation.step import Worker
from generator.federation.task import Result, Task, from_fixed
from generator.marginals.bins import encode_codes
from generator.marginals.measure import table_counts
from generator.market.evidence import references_of
from generator.privacy.accountant import DistributedNoise, SubsampledGaussianEvent
from generator.privacy.secure_sum import new_secret, public_of
from provenance.crypto.signing import Signer, require_signer
from provenance.crypto.typed_data import Domain
from provenance.errors import ProvenanceError
from provenance.record.collection import DISTRIBUTED
from provenance.record.receipts import AggregationKey
from provenance.values import Address, Digest, Signature
from tests.generator.families.conftest import MakeMarket, Market
from tests.generator.rest_key import REST_KEY

POOLED = {MarginalSettings.noise.name: DISTRIBUTED}
FAMILIES = ("marginal", "autoregressive")
DOMAIN = Domain(31337, Address(bytes([9]) * 20))


def spied(market: Market, seen: dict[Address, list[tuple[Task, Result]]]) -> None:
    """Keeps every task and answer that passes between coordinator and nodes."""
    for address in market.states:
        node = market.node(address)

        def pass_on(data: bytes, node: Callable[[bytes], bytes] = node, address: Address = address) -> bytes:
            answer = node(data)
            seen.setdefault(address, []).append((Task.decode(data), Result.decode(answer)))
            return answer

        market.wrap[address] = pass_on


def exact_sum(market: Market, outcome: TrainingOutcome) -> np.ndarray:
    codebook = codebook_of(outcome.shared, market.plan.schema)
    noise = family_of(market.plan.family).table_noise(market.plan)
    workload = workload_of(market.plan, codebook, noise)
    rows = [ContributorState.open(state.folder, REST_KEY).training for state in market.states.values()]
    total: np.ndarray = np.sum([table_counts(encode_codes(own, codebook), workload) for own in rows], axis=0)
    return total


def test_the_family_whose_critics_are_averaged_knows_no_such_setting(make_market: MakeMarket) -> None:
    plan = make_market("fedgan", nodes=2, settings=POOLED).plan
    with pytest.raises(PlanError, match="noise"):
        family_of("fedgan").check(plan)


def test_a_plan_whose_noise_the_grid_cannot_hold_is_refused_before_it_begins(make_market: MakeMarket) -> None:
    settings: Settings = {**POOLED, "privateRows": 65_536, "privateSteps": 1}
    plan = make_market("autoregressive", nodes=3, epsilon=200.0, settings=settings).plan
    with pytest.raises(PlanError, match="at least 256 are needed"):
        family_of("autoregressive").check(plan)


def test_a_poisoned_sum_of_gradients_ends_the_order(make_market: MakeMarket) -> None:
    market = make_market("autoregressive", nodes=3, epsilon=3.0, settings=POOLED)
    first = next(iter(market.states))
    node = market.node(first)

    def poisoned(data: bytes) -> bytes:
        answer = Result.decode(node(data))
        if answer.name.startswith("round"):
            vector = answer.arrays[VECTOR] + np.uint32(1 << 28)
            answer = replace(answer, arrays={VECTOR: vector.astype("<u4")})
        return answer.encode()

    market.wrap[first] = poisoned
    with pytest.raises(UpdatesRejected, match="whose they are was not seen"):
        market.run()


@pytest.mark.parametrize("change", ["missing", "swapped", "unreadable"])
def test_keys_other_than_the_contributors_own_end_the_task(make_market: MakeMarket, change: str) -> None:
    market = make_market("marginal", nodes=3, epsilon=3.0, settings=POOLED)
    seen: dict[Address, list[tuple[Task, Result]]] = {}
    spied(market, seen)
    first = next(iter(market.states))
    honest = market.wrap[first]

    def forged(data: bytes) -> bytes:
        task = Task.decode(data)
        if task.name != TABLES:
            return honest(data)
        keys: Any = task.meta["sumKeys"]
        keys = [dict(entry) for entry in keys]
        if change == "missing":
            keys.pop()
        elif change == "swapped":
            keys[0]["sumKey"] = "0x" + public_of(new_secret()).hex()
        else:
            keys[0]["sumKey"] = "0xzz"
        return honest(replace(task, meta={**task.meta, "sumKeys": keys}).encode())

    market.wrap[first] = forged
    with pytest.raises(NodeRefused):
        market.run()
    assert market.states[first].order(market.plan.order).result(TABLES) is None, "nothing left"


def test_a_coordinator_that_tells_one_node_something_else_gets_noise_and_no_data_set(
    make_market: MakeMarket,
) -> None:
    market = make_market("marginal", nodes=3, epsilon=None, settings=POOLED)
    first = next(iter(market.states))
    node = market.node(first)

    def altered(data: bytes) -> bytes:
        task = Task.decode(data)
        if task.name == TABLES:
            task = replace(task, arrays={**task.arrays, "more": np.zeros(1, np.int8)})
        return node(task.encode())

    market.wrap[first] = altered
    with pytest.raises(UpdatesRejected, match="together sum to"):
        market.run()


def test_a_node_that_sends_no_vector_is_named_because_nothing_cancels_without_it(
    make_market: MakeMarket,
) -> None:
    market = make_market("marginal", nodes=3, epsilon=3.0, settings=POOLED)
    first = next(iter(market.states))
    node = market.node(first)

    def silent(data: bytes) -> bytes:
        answer = Result.decode(node(data))
        return (replace(answer, arrays={}) if answer.name == TABLES else answer).encode()

    market.wrap[first] = silent
    with pytest.raises(UpdatesRejected, match=str(first)):
        market.run()


@dataclass
class Keys:
    """Vouching as a node does it, with an account each."""

    signer: Signer

    def sign(self, order: Digest, public_key: Digest) -> str:
        return str(self.signer.sign_typed(DOMAIN, AggregationKey(order, public_key)))

    def check(self, contributor: Address, order: Digest, public_key: Digest, signature: str) -> None:
        try:
            require_signer(DOMAIN, AggregationKey(order, public_key), Signature.parse(signature), contributor)
        except ProvenanceError as error:
            raise TaskRefused("bad-keys", str(error)) from error


def test_a_key_that_its_contributor_did_not_sign_is_refused(make_market: MakeMarket) -> None:
    """Nodes with accounts; a coordinator that puts its own key in the place of another contributor's."""
    market = make_market("marginal", nodes=2, epsilon=3.0, settings=POOLED)
    signers = [Signer(bytes([number + 1]) * 32) for number in range(2)]
    participants = tuple(
        replace(participant, contributor=signer.address)
        for participant, signer in zip(market.plan.participants, signers, strict=True)
    )
    market.plan = replace(market.plan, participants=participants)
    market.states = dict(zip((s.address for s in signers), market.states.values(), strict=True))
    own = public_of(new_secret())

    def node(signer: Signer, *, forge: bool) -> Callable[[bytes], bytes]:
        state = ContributorState.open(market.states[signer.address].folder, REST_KEY)

        def work(data: bytes) -> bytes:
            worker = Worker(signer.address, seed=1, vouching=Keys(signer))
            answer = handle_bytes(data, state, worker, family_of("marginal"))
            result = Result.decode(answer)
            if not (forge and "sumKey" in result.meta):
                return answer
            return replace(result, meta={**result.meta, "sumKey": "0x" + own.hex()}).encode()

        return work

    market.wrap = {signer.address: node(signer, forge=place == 1) for place, signer in enumerate(signers)}
    with pytest.raises(NodeRefused, match="bad-keys"):
        market.run()
    assert market.states[signers[0].address].order(market.plan.order).result(TABLES) is None


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_only_the_sum_is_seen_and_without_epsilon_it_is_exact(
    make_market: MakeMarket, family: str, nodes: int
) -> None:
    market = make_market(family, nodes=nodes, epsilon=None, settings=POOLED)
    seen: dict[Address, list[tuple[Task, Result]]] = {}
    spied(market, seen)
    outcome = market.run()
    assert np.array_equal(from_fixed(outcome.shared["everybody"]), exact_sum(market, outcome))
    for answers in seen.values() if nodes > 1 else ():
        for task, result in answers:
            if task.name in (BINS, TABLES) or task.name.startswith("round"):
                assert set(result.arrays) == {VECTOR}
                ones = np.unpackbits(np.ascontiguousarray(result.arrays[VECTOR]).view(np.uint8))
                assert abs(ones.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(ones))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_noise_in_the_sum_is_that_of_all_parts_together(make_market: MakeMarket, family: str) -> None:
    market = make_market(family, nodes=4, epsilon=3.0, settings=POOLED)
    outcome = market.run()
    noise = from_fixed(outcome.shared["everybody"]) - exact_sum(market, outcome)
    expected = float(from_fixed(outcome.shared["everybody_std"])[0])
    assert noise.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * len(noise)))
    noise = family_of(family).table_noise(market.plan)
    codebook = codebook_of(outcome.shared, market.plan.schema)
    sensitivity = workload_of(market.plan, codebook, noise).sensitivity
    assert expected == pytest.approx(noise * sensitivity * np.sqrt(4 / 3), rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_costs_what_local_noise_costs_and_the_statement_names_the_condition(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, nodes=3, epsilon=3.0, settings=POOLED)
    outcome = market.run()
    accountant = PLDAccountant()
    for release in family_of(family).releases(market.plan, market.plan.participants[0].contributor):
        assert release.event is not None
        event = dp_event.GaussianDpEvent(release.event.noise_multiplier)
        if isinstance(release.event, SubsampledGaussianEvent):
            event = dp_event.SelfComposedDpEvent(
                dp_event.PoissonSampledDpEvent(release.event.sample_rate, event), release.event.steps
            )
        accountant.compose(event)
        assert release.event.distributed == (None if release.name == "bins" else DistributedNoise(3, 2))
    assert accountant.get_epsilon(market.plan.delta) <= 3.0 * 1.005
    for model in outcome.models:
        statement: dict[str, Any] = dict(model.statement)
        assert model.epsilon_micro <= 3_000_000
        tables = next(mechanism for mechanism in statement["mechanisms"] if mechanism["name"] == TABLES)
        assert (tables["noiseFrom"], tables["noiseHonest"]) == (3, 2)
        assert "at least 2 of them keep their part" in statement["notCovered"][-1]
    for state in market.states.values():
        entries = ContributorState.open(state.folder, REST_KEY).ledger.entries()
        parts = {e.release.name: e.release.event.distributed for e in entries if e.release.event is not None}
        assert parts[TABLES] == DistributedNoise(3, 2)
        assert parts["bins"] is None


@pytest.mark.parametrize("family", FAMILIES)
def test_a_node_killed_before_its_answer_was_stored_makes_the_same_mask_again(
    make_market: MakeMarket, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market(family, nodes=3, epsilon=None, settings=POOLED)
    first = next(iter(market.states))
    node = market.node(first)
    killed: list[bool] = []

    def dies_once(data: bytes) -> bytes:
        if Task.decode(data).name == TABLES and not killed:
            killed.append(True)
            with monkeypatch.context() as patched:
                patched.setattr("generator.federation.state.TrainingState.store_result", broken_disk)
                with pytest.raises(OSError, match="disk"):
                    node(data)
        return node(data)

    market.wrap[first] = dies_once
    outcome = market.run()
    assert killed
    assert np.array_equal(from_fixed(outcome.shared["everybody"]), exact_sum(market, outcome))


def broken_disk(*_arguments: object) -> bytes:
    raise OSError("the disk is full")


@pytest.mark.parametrize("family", FAMILIES)
def test_secrets_are_gone_after_the_last_step_and_the_references_are_parts_of_the_sum(
    make_market: MakeMarket, family: str
) -> None:
    market = make_market(family, nodes=3, epsilon=3.0, settings=POOLED)
    outcome = market.run()
    codebook = codebook_of(outcome.shared, market.plan.schema)
    references = references_of(
        market.plan, codebook, outcome.references, [each.contributor for each in market.plan.participants]
    )
    assert (references == references[0]).all()
    for state in market.states.values():
        order = state.order(market.plan.order)
        assert not (order.folder / "sum.key").exists()
        own = own_reference(market.plan, order, exponent=0)
        assert own is not None
        assert np.array_equal(own, from_fixed(outcome.shared["everybody"]) / 3)


def test_counts_are_on_the_grid_whatever_their_weight() -> None:
    counts = np.array([0.0, 1.0, 10.0**9])
    assert np.array_equal(COUNTS_RING.decode(COUNTS_RING.encode(counts)), counts)
