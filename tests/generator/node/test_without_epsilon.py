"""Orders without epsilon: exact counts leave a node in masked sums alone, or it refuses and says why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.errors import TaskRefused
from generator.evaluation.holdout import SCORE_DELTA, SCORE_EPSILON
from generator.families.codebook_message import codebook_of
from generator.families.family import family_of
from generator.families.secure_aggregation import COUNTS_RING, VECTOR, exact_sums_of
from generator.federation.coordinator import Coordinator, TrainingOutcome
from generator.federation.node import handle_bytes
from generator.federation.step import Worker
from generator.federation.task import Array, Result, from_fixed
from generator.federation.transport import InProcessTransport
from generator.marginals.bins import encode_codes
from generator.marginals.workload import Workload
from generator.market.evidence import released_tables
from generator.market.score import broker_saw, privacy_of
from generator.node.accept import accept_order
from generator.node.context import Node
from generator.node.evaluate import score_release
from generator.node.orders import Accepted
from generator.node.report import what_leaves
from generator.node.train import train_step
from generator.privacy.accountant import epsilon_of
from generator.privacy.statement import EXACT_SUMS, NO_GUARANTEE
from provenance.record.collection import DISTRIBUTED
from provenance.record.receipts import Acceptance
from provenance.values import Address
from tests.generator.node.conftest import MakeWorld
from tests.generator.node.trained import Trained, train
from tests.generator.node.world import AUTO, World

SETTINGS: dict[str, dict[str, int | str | bool]] = {
    "marginal": {"steps": 40, "batch": 32, "hiddenWidth": 16, "hiddenLayers": 1},
    "autoregressive": {"rounds": 4, "width": 16, "neurons": 8},
    "fedgan": {"steps": 40, "rounds": 1, "hiddenWidth": 16},
}


def without_epsilon(world: World, family: str = "marginal", *, is_masked: bool = True) -> World:
    """Orders of this world ask for no privacy."""
    settings = {**SETTINGS[family], **({"noise": DISTRIBUTED} if is_masked else {})}
    world.collection = replace(world.collection, family=family, settings=settings, epsilon_micro=0)
    return world


def plain_terms(world: World, **changes: Any) -> Any:
    return world.terms(epsilon_micro=0, delta_e12=0, **changes)


@pytest.mark.parametrize(
    ("family", "is_masked", "contributors"),
    [("marginal", False, 2), ("autoregressive", False, 3), ("fedgan", False, 3), ("marginal", True, 1)],
)
def test_an_order_under_which_exact_counts_would_leave_is_not_accepted_and_no_operator_is_asked(
    world: World, family: str, is_masked: bool, contributors: int
) -> None:
    without_epsilon(world, family, is_masked=is_masked)
    policy = world.policy_without_privacy().replace('default = "auto"', 'default = "ask"')
    node = world.node(cap=None, policy=policy)
    terms = plain_terms(world, min_contributors=contributors)
    world.open(terms)
    with pytest.raises(TaskRefused, match=r"Expected epsilon, or a collection .*two contributors") as refusal:
        accept_order(node, world.offer(terms))
    assert refusal.value.code == "exact-counts"
    assert not node.approvals.all()


def test_a_training_step_that_would_send_exact_counts_is_refused_before_anything_is_recorded(
    world: World,
) -> None:
    """An order that was accepted by an earlier release."""
    without_epsilon(world, is_masked=False)
    node = world.node(cap=None, policy=world.policy_without_privacy())
    terms = plain_terms(world)
    order = world.match(terms)
    signature = node.signer.sign_typed(node.domain, Acceptance(order, node.address, 500))
    node.orders.folder(order).accept(Accepted(terms, signature, world.request, 500, signature), 1)
    with pytest.raises(TaskRefused) as refusal:
        train_step(node, world.training_task(node, world.plan(terms)))
    assert refusal.value.code == "exact-counts"
    assert node.state.ledger.entries() == ()


@pytest.mark.parametrize("trusts", [False, True])
def test_somebody_else_must_be_trusted_for_the_rest_of_a_sum_is_what_one_sent(
    world: World, trusts: bool
) -> None:
    without_epsilon(world)
    policy = world.policy_without_privacy()
    if not trusts:
        policy = AUTO.replace("allow_without_privacy = false", "allow_without_privacy = true")
    node, terms = world.node(cap=None, policy=policy), plain_terms(world)
    world.open(terms)
    if trusts:
        assert json.loads(accept_order(node, world.offer(terms)))["maxRows"] == 500
        return
    with pytest.raises(TaskRefused, match="2 contributors' parts must be kept secret") as refusal:
        accept_order(node, world.offer(terms))
    assert refusal.value.code == "policy-partners"


@pytest.fixture(scope="module", params=["marginal", "autoregressive"])
def plain_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_world: MakeWorld
) -> Trained:
    """An order without epsilon that two nodes trained. Not to be changed."""
    world = without_epsilon(make_world(tmp_path_factory.mktemp("plain")), request.param)
    return train(world, plain_terms(world), cap=None, policy=world.policy_without_privacy())


def wire_results(trained: Trained) -> Iterator[Result]:
    """What the broker holds of an order: every answer of every node."""
    order = trained.order
    for (of, _node, name), data in trained.world.market.results.items():
        if of == order and name != "accept":
            yield Result.decode(data)


def rows_read(vector: Array, workload: Workload) -> np.ndarray:
    """The audit's attack: what is a table of exact counts names its rows, cell by cell. Codes [rows, 3]; none of a
    vector that counts nothing."""
    shape = tuple(workload.code_counts[column] for column in workload.tables[0])
    block = np.asarray(vector, dtype=np.float64)[: workload.sizes[0]]
    is_count = (block >= 0) & (block <= 10_000) & (block == np.rint(block))
    counts = np.where(is_count, block, 0).astype(np.int64).reshape(shape)
    cells = np.argwhere(counts)
    return np.repeat(cells, counts[counts > 0], axis=0)[:, np.argsort(workload.tables[0])]


def share_read(read: np.ndarray, rows: np.ndarray) -> float:
    """Part of a node's rows that were read, each as often as it occurs."""
    left: dict[bytes, int] = {}
    for row in read.astype(np.int64):
        left[row.tobytes()] = left.get(row.tobytes(), 0) + 1
    found = 0
    for row in rows.astype(np.int64):
        if left.get(row.tobytes(), 0):
            left[row.tobytes()] -= 1
            found += 1
    return found / len(rows)


def test_the_attack_reads_every_row_of_the_tables_that_are_sent_in_clear(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    """The family's own messages, as nodes in one process send them: no node of a market does."""
    world = without_epsilon(make_world(tmp_path), is_masked=False)
    node, other = world.node(0, cap=None), world.node(1, cap=None)
    answers, outcome = in_one_process(world, node, other)
    codebook = codebook_of(outcome.shared, world.collection.schema)
    rows = encode_codes(node.state.training, codebook)
    sent = from_fixed(answers[node.address, "tables"].arrays["counts"] * 2**24)
    assert share_read(rows_read(sent, released_tables(codebook, outcome.plan)), rows) == 1.0


def in_one_process(
    world: World, *nodes: Node
) -> tuple[Mapping[tuple[Address, str], Result], TrainingOutcome]:
    plan = world.plan(plain_terms(world))
    family, answers = family_of(plan.family), dict[tuple[Address, str], Result]()

    def of(node: Node) -> Any:
        def work(data: bytes) -> bytes:
            answer = handle_bytes(data, node.state, Worker(node.address, seed=1), family)
            result = Result.decode(answer)
            answers[node.address, result.name] = result
            return answer

        return work

    transport = InProcessTransport({node.address: of(node) for node in nodes})
    return answers, Coordinator(plan, transport, family).run()


def test_the_attack_reads_no_row_out_of_any_message_of_an_order_without_epsilon(plain_once: Trained) -> None:
    outcome = plain_once.outcome
    codebook = codebook_of(outcome.shared, plain_once.world.collection.schema)
    workload = released_tables(codebook, outcome.plan)
    attacked = 0
    for result in wire_results(plain_once):
        node = next(each for each in plain_once.nodes if each.address == result.node)
        rows = encode_codes(node.state.training, codebook)
        for array in result.arrays.values():
            decoded = COUNTS_RING.decode(array.view(np.uint64)) if array.dtype == np.uint64 else array
            if len(decoded) >= workload.sizes[0]:
                attacked += 1
                assert share_read(rows_read(decoded, workload), rows) < 0.01
    assert attacked >= 2, "the tables of both nodes"
    everybody = from_fixed(outcome.shared["everybody"])
    read = rows_read(everybody, workload)
    assert share_read(read, encode_codes(plain_once.nodes[0].state.training, codebook)) == 1.0, (
        "the sum gives rows away, though not whose, and the statement says so"
    )


def test_training_sends_masked_vectors_and_nothing_beside_them(plain_once: Trained) -> None:
    names = set[str]()
    for result in wire_results(plain_once):
        names.add(result.name.split("/")[0])
        if result.name in ("keys", "finish"):
            assert not result.arrays
        else:
            assert set(result.arrays) == {VECTOR}
            bits = np.unpackbits(np.ascontiguousarray(result.arrays[VECTOR]).view(np.uint8))
            assert not len(bits) or abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits)), "fair coins"
            assert set(result.meta) == {"epsilonMicro"}, "no loss, no count"
    rounds = {"round"} if plain_once.world.collection.family == "autoregressive" else set()
    assert names == {"keys", "bins", "tables", "finish"} | rounds


def test_the_score_is_never_exact_and_is_measured_against_the_sum(
    plain_once: Trained, tmp_path: Path
) -> None:
    trained = plain_once.copy_to(
        tmp_path / "copy", cap=None, policy=plain_once.world.policy_without_privacy()
    )
    result = trained.score()
    for node in trained.nodes:
        (entry,) = (each for each in node.state.ledger.entries() if each.release.name == "score")
        assert entry.release == score_release(trained.outcome.plan)
        assert entry.release.event is not None
        assert epsilon_of([entry.release.event], SCORE_DELTA) <= SCORE_EPSILON
        answered = Result.decode(trained.world.market.results[trained.order, node.address, "evaluate"])
        assert answered.meta["epsilonMicro"] == SCORE_EPSILON * 10**6, "what the node's outbox log shows"
    assert sum(result.shares_bps) == 10_000
    told = " ".join(result.broker_saw)
    assert "exact sums of all contributors'" in told
    assert "private by" not in told
    assert "noisy" not in told
    assert "epsilon 1 and delta 0.00001" in str(result.privacy["scores"])


def test_the_statement_names_what_sums_do_not_cover(plain_once: Trained) -> None:
    terms = plain_terms(plain_once.world)
    statement: Any = privacy_of(plain_once.world.job("score", terms), plain_once.outcome)["nodes"]
    assert exact_sums_of(plain_once.outcome.plan) == 2
    for each in statement:
        lines = each["statement"]["notCovered"]
        assert lines == [NO_GUARANTEE, *(line.format(contributors=2) for line in EXACT_SUMS)]
        assert each["statement"]["mechanisms"] == []


def test_what_the_broker_saw_follows_the_plan(plain_once: Trained) -> None:
    plan = plain_once.outcome.plan
    alone = replace(plan, settings={**plan.settings, "noise": "local"})
    assert "each contributor's exact" in broker_saw(alone)[0]
    private = replace(plan, epsilon_micro=10**6, delta_e12=10**7)
    assert "private by epsilon" in broker_saw(private)[0]


@pytest.mark.parametrize("epsilon_micro", [0, 1_000_000])
def test_a_dry_run_names_noise_where_there_is_some(world: World, epsilon_micro: int) -> None:
    without_epsilon(world, "autoregressive", is_masked=not epsilon_micro)
    lines = "\n".join(what_leaves(world.node(cap=None), world.terms(epsilon_micro=epsilon_micro)))
    training = lines.split("finish")[0]
    assert ("Gaussian noise" in training, "DP-SGD" in training) == (bool(epsilon_micro),) * 2
    assert ("exact, masked" in training) == (not epsilon_micro)
