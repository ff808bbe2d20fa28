"""The coordinator worker: jobs that contradict the chain fail, what may succeed later waits, a repeat is a replay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, cast

import pytest

from generator.errors import JobRefused
from generator.market.jobs import read_job
from generator.market.worker import CoordinationWorker
from provenance.api.coordination import LeasedJob, Phase, ScoreResult, ShardResult, TrainResult
from provenance.api.errors import MarketConflict, MarketRefused, MarketUnreachable
from provenance.api.market import MarketClient
from provenance.api.queue import Progress, TaskView
from provenance.chain.dispute_events import DemandedReceipt, ReceiptAnswered
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.events import LogPosition
from provenance.chain.ports import OrderState, ShardsOnChain
from provenance.record.collection import Request
from provenance.values import Address, Digest, Signature, sha256
from tests.generator.node.world import World


class Client:
    """The broker's side of a market: one job, and the queue of the world."""

    def __init__(self, world: World, phase: Phase = "train", **changes: object) -> None:
        self.world = world
        plan = plan_of(world) | changes
        self.job = LeasedJob(order=world.order(), phase=phase, attempt=1, plan=plan)
        self.finished: list[TrainResult | ScoreResult] = []
        self.failed: list[str] = []
        self.rejected: list[tuple[int, str]] = []
        self.refuse: Exception | None = None
        self.post_task = world.market.post_task
        self.tasks: Callable[[Digest, str], list[TaskView]] = world.market.tasks
        self.task_result, self.content, self.upload = (
            world.market.task_result, world.market.fetch, world.market.upload,
        )  # fmt: skip

    def lease_job(self, wait_seconds: int, lease_seconds: int) -> LeasedJob | None:
        return self.job

    def job_progress(self, job: LeasedJob, lease_seconds: int, progress: Progress | None) -> None:
        pass

    def finish_job(self, job: LeasedJob, result: TrainResult | ScoreResult) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.finished.append(result)

    def reject_result(self, task_id: int, reason: str) -> None:
        assert self.failed == [], "the broker must see the answer rejected when it sees that the phase failed"
        self.rejected.append((task_id, reason))

    def fail_job(self, job: LeasedJob, reason: str) -> None:
        self.failed.append(reason)


def plan_of(world: World) -> dict[str, Any]:
    domain = world.chain.deployment.domain
    return {
        "format": "tessera-job/1",
        "chainId": domain.chain_id,
        "escrow": str(domain.verifying_contract),
        "termsSignature": "0x" + "11" * 65,
        "models": None,
        "seed": None,
        "terms": world.terms().document(),
        "collection": world.collection.document(),
        "request": world.request.document(),
        "participants": [
            {
                "contributor": str(participant.contributor),
                "rows": participant.rows,
                "declaredRows": 1200,
                "maxRows": 500,
                "acceptance": "0x" + "11" * 65,
            }
            for participant in world.participants
        ],
    }


def worker(world: World, client: Client) -> CoordinationWorker:
    return CoordinationWorker(cast(MarketClient, client), world.reads, threading.Event())


@pytest.fixture
def matched(world: World) -> World:
    for number in range(2):
        node = world.node(number)
        world.market.nodes[node.address] = node
        world.accept(node)
    world.match()
    return world


@pytest.mark.parametrize("state", [OrderState.REFUNDED, OrderState.CANCELLED, OrderState.PUBLISHED])
def test_job_of_an_order_that_is_not_matched_fails(world: World, state: OrderState) -> None:
    client = Client(world)
    world.chain.states[world.order()] = state
    worker(world, client).step()
    assert f"{state.name} on chain, expected MATCHED" in client.failed[0]


def test_job_whose_documents_the_terms_do_not_bind_fails(matched: World) -> None:
    client = Client(matched, request=Request("other").document())
    worker(matched, client).step()
    assert "not the one that the terms bind" in client.failed[0]


def test_job_whose_terms_are_another_orders_fails(matched: World) -> None:
    client = Client(matched, terms=matched.terms(rows=501).document())
    worker(matched, client).step()
    assert "the job's terms are those of" in client.failed[0]


def test_job_whose_participants_the_chain_does_not_name_fails(matched: World) -> None:
    plan = plan_of(matched)["participants"]
    assert isinstance(plan, list)
    client = Client(matched, participants=list(reversed(plan)))
    worker(matched, client).step()
    assert "not those that the chain names" in client.failed[0]


@pytest.mark.parametrize(
    "change",
    [{"terms": {}}, {"participants": None}, {"collection": 5}, {"format": "tessera-job/2"}, {"more": 1}],
)
def test_job_that_cannot_be_read_fails_or_is_named(matched: World, change: dict[str, Any]) -> None:
    client = Client(matched, **change)
    worker(matched, client).step()
    assert client.failed
    assert client.finished == []


def test_refusing_node_fails_the_order_by_name(matched: World) -> None:
    address = matched.participants[1].contributor
    node = matched.market.nodes[address]
    matched.market.nodes[address] = replace(
        node, settings=node.settings.model_copy(update={"declared_rows": 7})
    )
    client = Client(matched)
    worker(matched, client).step()
    assert str(address) in client.failed[0]
    assert "rows-differ" in client.failed[0]


def test_an_answer_that_does_not_hold_is_rejected_by_name_before_the_phase_fails(matched: World) -> None:
    """Before: the phase failed and nothing was demanded of whoever spoiled it."""
    client, address = Client(matched), matched.participants[1].contributor
    true, bins = client.task_result, "bins"

    def spoiled(task_id: int) -> bytes:
        (task,) = [each for each in client.tasks(matched.order(), bins) if each.node == address]
        return b"not a result" if task_id == task.id else true(task_id)

    client.task_result = spoiled
    worker(matched, client).step()
    ((task_id, reason),) = client.rejected
    assert [each.node for each in client.tasks(matched.order(), bins) if each.id == task_id] == [address]
    assert reason
    (failure,) = client.failed
    assert f"contributor {address} answered task 'bins' with what does not hold" in failure


def test_late_order_fails_with_the_silent_nodes(matched: World) -> None:
    class Nobody(Client):
        pass

    client = Nobody(matched)
    client.tasks = lambda _order, _name: []
    order = next(iter(matched.chain.matched))
    matched.chain.deadlines[order] = 3_000
    matched.chain.time_seconds = 3_001
    worker(matched, client).step()
    assert "delivery was due by 1970-01-01 00:50:00 UTC" in client.failed[0]


@pytest.mark.parametrize("state", [OrderState.NONE, OrderState.OPEN])
def test_job_waits_for_a_match_that_the_chain_does_not_show_yet(matched: World, state: OrderState) -> None:
    """The backend may look less deep into the chain, or ask a node that is ahead."""
    client, order = Client(matched), matched.order()
    matched.chain.states[order] = state
    with pytest.raises(ChainUnavailableError, match="looking again later"):
        worker(matched, client).step()
    assert (client.failed, client.finished) == ([], [])
    matched.chain.states[order] = OrderState.MATCHED
    worker(matched, client).step()
    (trained,) = client.finished
    assert isinstance(trained, TrainResult)
    matched.chain.committed[order] = tuple(model.model_digest for model in trained.models)
    scoring = Client(matched, "score")
    with pytest.raises(ChainUnavailableError, match="looking again later"):
        worker(matched, scoring).step()
    assert (scoring.failed, scoring.finished) == ([], [])


@pytest.mark.parametrize("error", [ChainUnavailableError("down"), MarketUnreachable("down")])
def test_what_may_succeed_later_is_neither_finished_nor_failed(matched: World, error: Exception) -> None:
    client = Client(matched)

    def down(_order: Digest, _name: str) -> NoReturn:
        raise error

    client.tasks = down
    with pytest.raises(type(error)):
        worker(matched, client).step()
    assert client.failed == []
    assert client.finished == []


def test_bug_in_a_phase_fails_the_order_instead_of_ending_the_worker(matched: World) -> None:
    client = Client(matched)

    def broken(_order: Digest, _name: str) -> NoReturn:
        raise ZeroDivisionError("secret figure")

    client.tasks = broken
    worker(matched, client).step()
    assert client.failed == ["the coordinator's software failed (ZeroDivisionError); its log has the cause"]


def test_result_that_the_backend_refuses_fails_the_order_and_a_conflict_does_not(matched: World) -> None:
    client = Client(matched)
    client.refuse = MarketConflict("PUT", 409, "conflict", "there is one")
    worker(matched, client).step()
    assert client.failed == []
    client.refuse = MarketRefused("PUT", 422, "invalid-request", "models[0]: wrong")
    worker(matched, client).step()
    assert client.failed == ["the backend refuses the result: models[0]: wrong"]


def test_order_runs_through_both_phases_and_a_second_worker_gets_the_same(matched: World) -> None:
    client = Client(matched)
    worker(matched, client).step()
    (trained,) = client.finished
    assert isinstance(trained, TrainResult)
    assert [model.shard for model in trained.models] == [0, 1]
    calls = matched.market.calls
    again = Client(matched)
    worker(matched, again).step()
    assert again.finished == [trained]
    assert matched.market.calls == calls

    order = matched.order()
    matched.chain.committed[order] = tuple(model.model_digest for model in trained.models)
    matched.chain.seeds[order] = Digest(bytes([9]) * 32)
    scoring = Client(matched, "score")
    worker(matched, scoring).step()
    assert scoring.failed == []
    (score,) = scoring.finished
    assert isinstance(score, ScoreResult)
    assert sum(score.shares_bps) == 10_000


def test_job_is_read_as_values(matched: World) -> None:
    job = read_job(Client(matched).job, matched.reads)
    assert job.participants == matched.participants
    assert job.training_plan() == matched.plan()
    with pytest.raises(JobRefused):
        read_job(Client(matched, terms={}).job, matched.reads)


ROOT, CONTENT = sha256(b"root"), sha256(b"content")


def undelivered(world: World, *, shard: int = 1, root: Digest = ROOT) -> ShardResult:
    """A shard for which a receipt stands alone."""
    return ShardResult(
        shard=shard,
        contributor=world.participants[1].contributor,
        rows=200,
        model_digest=sha256(b"model"),
        shard_root=root,
        epsilon_micro=2_000_000,
        delta_e12=10_000_000,
        content_digest=CONTENT,
        receipt_signature=Signature(bytes(65)),
    )


def answered(told: ShardResult) -> ReceiptAnswered:
    nowhere = LogPosition(0, Digest(bytes(32)), Digest(bytes(32)), 0, Address(bytes(20)))
    shown = DemandedReceipt(told.shard_root, told.epsilon_micro, told.delta_e12, CONTENT)
    signature = told.receipt_signature
    return ReceiptAnswered(nowhere, Digest(bytes(32)), told.shard, told.contributor, shown, signature)


def test_a_receipt_that_the_worker_does_not_see_yet_is_waited_for(matched: World) -> None:
    """The worker may look deeper into the chain than the broker, or through another RPC endpoint."""
    told = undelivered(matched)
    client = Client(matched, "score", undelivered=[told.to_document()])
    with pytest.raises(ChainUnavailableError, match="no receipt of shard 1"):
        worker(matched, client).step()
    assert client.failed == []
    matched.chain.receipts[matched.order(), 1] = answered(told)
    assert read_job(client.job, matched.reads).undelivered == (told,)


def test_another_receipt_than_the_one_on_chain_is_refused(matched: World) -> None:
    told = undelivered(matched)
    matched.chain.receipts[matched.order(), 1] = answered(undelivered(matched, root=sha256(b"other")))
    with pytest.raises(JobRefused, match="the chain holds"):
        read_job(Client(matched, undelivered=[told.to_document()]).job, matched.reads)


def test_a_drop_that_the_worker_does_not_see_yet_is_waited_for(matched: World) -> None:
    client = Client(matched, out=[1])
    with pytest.raises(ChainUnavailableError, match=r"without shards \[1\]"):
        worker(matched, client).step()
    assert client.failed == []
    matched.chain.out[matched.order()] = ShardsOnChain(out=frozenset({1}))
    assert read_job(client.job, matched.reads).out == {1}
    with pytest.raises(JobRefused, match="expected all of them"):
        read_job(Client(matched, out=[]).job, matched.reads)


def test_a_plan_without_a_shard_that_the_order_lacks_is_refused(matched: World) -> None:
    told = undelivered(matched, shard=2).to_document()
    for client in (Client(matched, out=[2]), Client(matched, undelivered=[told])):
        with pytest.raises(JobRefused, match=r"without shards \[2\]; the order has 2"):
            read_job(client.job, matched.reads)
