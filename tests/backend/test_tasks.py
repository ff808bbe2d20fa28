"""The queue of node tasks: leases, expiry, one result, refusals."""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from backend.tasks.keys import keep_released_key
from backend.tasks.repository import TaskRepository
from provenance.api.tasks import ReleaseTask
from provenance.crypto.signing import Signer
from provenance.store.unixfs import cid_of
from provenance.values import Digest
from tests.backend.conftest import Api, Clock
from tests.waiting import HANG_SECONDS

LEASE = {"waitSeconds": 0, "leaseSeconds": 30}


@pytest.fixture
def order(api: Api, buyer: Signer) -> str:
    return api.order(buyer, api.collection())


def post(
    api: Api,
    order: str,
    node: Signer,
    name: str = "fit",
    body: bytes = b"payload",
    kind: str = "train",
) -> httpx.Response:
    return api.call(
        "POST", f"/v1/tasks?order={order}&node={node.address}&name={name}&kind={kind}", body, by=api.broker
    )


def lease(api: Api, node: Signer, **changes: object) -> httpx.Response:
    return api.call("POST", "/v1/tasks/lease", LEASE | changes, by=node)


def put(api: Api, node: Signer, task: int, body: bytes = b"result") -> httpx.Response:
    return api.call("PUT", f"/v1/tasks/{task}/result", body, by=node)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_refuses_other_bytes_under_the_same_name(api: Api, order: str, two_nodes: list[Signer]) -> None:
    assert post(api, order, two_nodes[0]).status_code == 201
    assert post(api, order, two_nodes[0]).status_code == 200
    assert code(post(api, order, two_nodes[0], body=b"other")) == (409, "conflict")


def test_refuses_a_task_of_an_unknown_order_or_without_payload(
    api: Api, order: str, two_nodes: list[Signer]
) -> None:
    assert code(post(api, "0x" + "99" * 32, two_nodes[0])) == (404, "not-found")
    assert code(post(api, order, two_nodes[0], body=b"")) == (422, "invalid-request")


def test_a_task_belongs_to_its_node_alone(api: Api, order: str, two_nodes: list[Signer]) -> None:
    mine, other = two_nodes
    task = post(api, order, mine).json()["id"]
    assert lease(api, other).status_code == 204
    assert api.call("GET", f"/v1/tasks/{task}/payload", by=other).status_code == 404
    assert code(put(api, other, task)) == (404, "not-found")
    assert api.call("POST", f"/v1/tasks/{task}/heartbeat", {}, by=other).status_code == 404
    assert (
        api.call("POST", f"/v1/tasks/{task}/refuse", {"code": "x", "reason": "y"}, by=other).status_code
        == 404
    )
    assert api.call("GET", f"/v1/tasks/{task}/payload", by=mine).content == b"payload"


def test_a_result_is_stored_once(api: Api, order: str, two_nodes: list[Signer]) -> None:
    node = two_nodes[0]
    task = post(api, order, node).json()["id"]
    assert api.call("GET", f"/v1/tasks/{task}/result", by=api.broker).status_code == 404
    assert lease(api, node).json()["task"] == {
        "id": task, "order": order, "name": "fit", "kind": "train", "attempt": 1
    }  # fmt: skip
    assert put(api, node, task).status_code == 201
    assert put(api, node, task).status_code == 200
    assert code(put(api, node, task, b"other")) == (409, "conflict")
    assert api.call("GET", f"/v1/tasks/{task}/result", by=api.broker).content == b"result"
    listed = api.call("GET", f"/v1/tasks?order={order}&name=fit", by=api.broker).json()["tasks"]
    assert [(each["state"], each["refusal"]) for each in listed] == [("done", None)]
    assert lease(api, node).status_code == 204


def test_an_expired_lease_is_given_again_and_a_heartbeat_prevents_it(
    api: Api, order: str, two_nodes: list[Signer], clock: Clock
) -> None:
    node = two_nodes[0]
    task = post(api, order, node).json()["id"]
    assert lease(api, node).json()["task"]["attempt"] == 1
    clock.now += 20
    assert lease(api, node).status_code == 204
    assert api.call("POST", f"/v1/tasks/{task}/heartbeat", {"leaseSeconds": 30}, by=node).status_code == 200
    clock.now += 20
    assert lease(api, node).status_code == 204
    clock.now += 20
    assert lease(api, node).json()["task"]["attempt"] == 2


def test_a_result_after_the_lease_is_still_taken(
    api: Api, order: str, two_nodes: list[Signer], clock: Clock
) -> None:
    node = two_nodes[0]
    task = post(api, order, node).json()["id"]
    lease(api, node)
    clock.now += 100
    assert put(api, node, task).status_code == 201


def test_a_refusal_is_final_and_typed(api: Api, order: str, two_nodes: list[Signer]) -> None:
    node = two_nodes[0]
    task = post(api, order, node).json()["id"]
    refusal = {"code": "budget", "reason": "the cap is reached"}
    for _ in range(2):
        assert api.call("POST", f"/v1/tasks/{task}/refuse", refusal, by=node).status_code == 200
    assert code(put(api, node, task)) == (409, "lease-lost")
    assert code(api.call("POST", f"/v1/tasks/{task}/heartbeat", {}, by=node)) == (409, "lease-lost")
    listed = api.call("GET", f"/v1/tasks?order={order}", by=api.broker).json()["tasks"]
    assert (listed[0]["state"], listed[0]["refusal"]) == ("refused", refusal)


def test_a_result_that_the_broker_rejects_is_a_refusal_and_stays_one(
    api: Api, order: str, two_nodes: list[Signer]
) -> None:
    node = two_nodes[0]
    task = post(api, order, node).json()["id"]

    def reject() -> httpx.Response:
        return api.call("POST", f"/v1/tasks/{task}/reject", {"reason": "not signed"}, by=api.broker)

    assert code(reject()) == (409, "conflict"), "nothing was answered yet"
    assert put(api, node, task).status_code == 201
    assert [reject().status_code for _ in range(2)] == [200, 200]
    assert code(put(api, node, task, b"another")) == (409, "lease-lost")
    listed = api.call("GET", f"/v1/tasks?order={order}", by=api.broker).json()["tasks"]
    assert listed[0]["state"] == "refused"
    assert listed[0]["refusal"] == {"code": "invalid-answer", "reason": "not signed"}
    assert api.call("GET", f"/v1/tasks/{task}/result", by=api.broker).content == b"result"
    unknown = api.call("POST", "/v1/tasks/99999/reject", {"reason": "x"}, by=api.broker)
    assert code(unknown) == (404, "not-found")


def test_a_waiting_lease_gets_a_task_that_comes_later(
    api: Api, order: str, two_nodes: list[Signer], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, look = threading.Event(), TaskRepository.has_leasable

    def watched(repository: TaskRepository, node: str, now: float) -> bool:
        found = look(repository, node, now)
        looked.set()
        return found

    monkeypatch.setattr(TaskRepository, "has_leasable", watched)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lease, api, two_nodes[0], waitSeconds=25)
        assert looked.wait(HANG_SECONDS)
        # The wait holds no thread and no transaction: others are served meanwhile.
        task = post(api, order, two_nodes[0]).json()["id"]
        assert waiting.result(HANG_SECONDS).json()["task"]["id"] == task


def test_two_leases_at_once_never_get_the_same_task(api: Api, order: str, two_nodes: list[Signer]) -> None:
    tasks = {post(api, order, two_nodes[0], name=f"t{i}").json()["id"] for i in range(6)}
    with ThreadPoolExecutor(len(tasks)) as pool:
        leases = [pool.submit(lease, api, two_nodes[0]) for _ in tasks]
        found = [each.result(HANG_SECONDS).json()["task"]["id"] for each in leases]
    assert set(found) == tasks
    assert len(found) == len(tasks)


def test_names_may_hold_slashes(api: Api, order: str, two_nodes: list[Signer]) -> None:
    post(api, order, two_nodes[0], name="round/0003")
    assert lease(api, two_nodes[0]).json()["task"]["name"] == "round/0003"


@pytest.mark.parametrize(
    "body", [{"leaseSeconds": 1}, {"progress": {"steps": 4}}, {"progress": {"loss": "much"}}, {"lease": 5}]
)
def test_a_malformed_heartbeat_is_refused(
    api: Api, order: str, two_nodes: list[Signer], body: dict[str, object]
) -> None:
    task = post(api, order, two_nodes[0]).json()["id"]
    lease(api, two_nodes[0])
    answer = api.call("POST", f"/v1/tasks/{task}/heartbeat", body, by=two_nodes[0])
    assert code(answer) == (422, "invalid-request")


def test_what_is_named_as_a_wrapped_key_and_is_none_is_not_released(
    api: Api, order: str, two_nodes: list[Signer]
) -> None:
    """Its contributor named it: the store would hold for everybody whatever it wants to spread."""
    long = b"k" * 81
    asked = ReleaseTask(order=Digest.parse(order), wrapped_key_cid=cid_of(long)).encode()
    task = post(api, order, two_nodes[0], name="release", body=asked, kind="release").json()["id"]
    lease(api, two_nodes[0])
    assert code(put(api, two_nodes[0], task, long)) == (422, "invalid-request")
    assert not api.ports.store.has(cid_of(long))


def test_results_of_other_tasks_do_not_load_what_was_asked(
    api: Api, order: str, two_nodes: list[Signer]
) -> None:
    payload = bytes(4 << 20)
    task = int(post(api, order, two_nodes[0], body=payload).json()["id"])
    tracemalloc.start()
    try:
        keep_released_key(api.ports, task, str(two_nodes[0].address), b"result")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(payload) // 2
