"""Whole workflows of orders against the real contracts: the steps run in a thread, the test plays nodes and worker."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from backend.contributors import ContributorRepository, Records
from backend.database.models import OrderEventRow
from backend.errors import OrderFailedError, Stopping
from backend.indexer.follower import Follower
from backend.ports import BrokerReading, BrokerWriting
from backend.tasks.retention import delete_old_results
from backend.workflow.generate import Generation
from backend.workflow.match import Matching
from backend.workflow.order_workflow import run_order
from backend.workflow.settle import Settlement
from provenance.canonical import decode_object, encode
from provenance.chain.disputes import DemandKind
from provenance.chain.ports import OrderState
from provenance.chain.writer import ChainWriter
from provenance.crypto.merkle import dataset_root
from provenance.crypto.seal import sealed_size
from provenance.crypto.signing import Signer
from provenance.record.manifest import Manifest
from provenance.record.receipts import (
    Acceptance,
    ContentFile,
    Evaluation,
    ShardContent,
    ShardReceipt,
    shares_digest,
)
from provenance.record.terms import OrderTerms, Participant, participants_digest
from provenance.store.unixfs import cid_of
from provenance.values import Address, Cid, Digest, sha256
from tests.backend.conftest import Api, Chain, Clock, Json, catch_up
from tests.provenance.salts import committed, salt_of
from tests.waiting import HANG_SECONDS, until

SHARES = [7000, 3000]


@dataclass
class World:
    """Two staked nodes with announced tables, and everything they and the worker would do."""

    api: Api
    nodes: list[Signer]
    collection: str
    running: Future[object] | None = None

    @contextmanager
    def in_work(self, order: str) -> Iterator[None]:
        """Runs the order's workflow in a thread and waits for its end."""
        try:
            with self.beside(lambda: run_order(self.api.ports, order)):
                yield
        finally:
            self.api.ports.stopping.set()

    @contextmanager
    def beside(self, action: Callable[[], object]) -> Iterator[None]:
        """Runs the action in a thread and waits for its end; what it raises is raised here. When one side fails, the
        other ends too."""
        stopping = self.api.ports.stopping

        def attempt() -> None:
            try:
                action()
            except BaseException:
                stopping.set()  # or the test would wait for work that nobody does
                raise

        with ThreadPoolExecutor(1) as pool:
            self.running = pool.submit(attempt)
            try:
                yield
                self.running.result(HANG_SECONDS)
            except Stopping:
                self.running.result(HANG_SECONDS)
                raise
            except BaseException:
                stopping.set()  # or the thread would wait for a test that has failed
                raise
            finally:
                self.running = None

    def signer(self, address: str) -> Signer:
        return next(node for node in self.nodes if str(node.address) == address)

    def lease(self, target: str, by: Signer) -> Json:
        """Asks until there is work."""

        def ask() -> Json | None:
            ended = self.api.ports.stopping.is_set() or (self.running is not None and self.running.done())
            assert not ended, "nobody is left who would give out work"
            answer = self.api.call("POST", target, {"waitSeconds": 20, "leaseSeconds": 30}, by=by)
            assert answer.status_code in (200, 204), answer.text
            return answer.json() if answer.status_code == 200 else None

        return until(ask, f"work for {by.address}")

    def task(self, node: Signer) -> Json:
        task: Json = self.lease("/v1/tasks/lease", node)["task"]
        return task

    def accept(self, node: Signer, max_rows: int = 50) -> None:
        task = self.task(node)
        assert (task["name"], task["kind"]) == ("accept", "accept")
        offer = self.api.call("GET", f"/v1/tasks/{task['id']}/payload", by=node).json()
        assert offer["format"] == "tessera-accept/1"
        message = Acceptance(Digest.parse(offer["orderId"]), node.address, max_rows)
        signature = node.sign_typed(self.api.ports.domain, message)
        result = json.dumps({"maxRows": max_rows, "signature": str(signature)}).encode()
        assert self.api.call("PUT", f"/v1/tasks/{task['id']}/result", result, by=node).status_code == 201

    def refuse(self, node: Signer) -> None:
        task = self.task(node)
        body = {"code": "policy", "reason": "not for this price"}
        assert self.api.call("POST", f"/v1/tasks/{task['id']}/refuse", body, by=node).status_code == 200

    def job(self, phase: str) -> Json:
        job: Json = self.lease("/v1/coordination/lease", self.api.broker)["job"]
        assert job["phase"] == phase
        return job

    def finish(self, job: Json, result: Json) -> httpx.Response:
        return self.api.call("PUT", f"{path_of(job)}/result", result, by=self.api.broker)

    def fail(self, job: Json, reason: str) -> httpx.Response:
        return self.api.call("POST", f"{path_of(job)}/failure", {"reason": reason}, by=self.api.broker)

    def train_result(self, job: Json) -> Json:
        models = []
        for shard, entry in enumerate(job["plan"]["participants"]):
            digest = model_of(shard, job["order"])
            models.append(
                {"contributor": entry["contributor"], "shard": shard, "modelDigest": str(digest),
                 "epsilonMicro": 2_900_000, "deltaE12": 10_000_000}
            )  # fmt: skip
        return {"models": models}

    def upload(self, data: bytes, by: Signer) -> ContentFile:
        answer = self.api.call("POST", "/v1/content", data, by=by)
        assert answer.status_code in (200, 201), answer.text
        assert answer.json()["cid"] == str(cid_of(data))
        return sealed(data)

    def score_result(self, job: Json, score_micro: int = 900_000) -> Json:
        plan, order = job["plan"], Digest.parse(job["order"])
        domain, seed = self.api.ports.domain, Digest.parse(plan["seed"]["seed"])
        shards, roots = [], []
        for shard, entry in enumerate(plan["participants"]):
            node = self.signer(entry["contributor"])
            content = ShardContent(
                self.upload(f"sealed rows {shard} {order}".encode(), node),
                self.upload(f"sealed model {shard} {order}".encode(), node),
                None,
                {"mechanism": "gaussian"},
                sha256(b"key"),
                cid_of(wrapped_key(shard, order)),
            )
            roots.append(sha256(f"root {shard}".encode()))
            model = Digest.parse(plan["models"][shard]["modelDigest"])
            receipt = ShardReceipt(
                order, shard, model, seed, entry["rows"], roots[-1], 2_900_000, 10_000_000, content.digest
            )
            shards.append(
                {"shard": shard, "contributor": entry["contributor"], "rows": entry["rows"],
                 "modelDigest": str(model), "shardRoot": str(roots[-1]), "epsilonMicro": 2_900_000,
                 "deltaE12": 10_000_000, "content": content.document(),
                 "receiptSignature": str(node.sign_typed(domain, receipt))}
            )  # fmt: skip
        root = dataset_root(roots)
        evaluations = []
        score = self.upload(f"sealed score {order}".encode(), self.api.broker)
        for entry in plan["participants"]:
            message = Evaluation(order, root, score_micro, shares_digest(SHARES), score.plain_sha256)
            signature = self.signer(entry["contributor"]).sign_typed(domain, message)
            evaluations.append(
                {"contributor": entry["contributor"], "scoreMicro": score_micro, "signature": str(signature)}
            )
        return {
            "datasetRoot": str(root), "shards": shards, "sharesBps": SHARES,
            "score": {"file": score.document(), "wrappedKey": "0x00", "keyCommitment": str(sha256(b"key"))},
            "evaluations": evaluations,
            "privacy": {"statement": "zCDP"}, "brokerSaw": ["noisy marginals"],
        }  # fmt: skip

    def bring_to_match(self) -> None:
        for node in self.nodes:
            self.accept(node)

    def bind(self) -> None:
        """Every node commits to its model and its salt."""
        for node in self.nodes:
            order, shard, target = self.matched_task(node, "commit")
            bound = committed(node, self.api.ports.domain, order, shard, model_of(shard, str(order)))
            answer = {
                "shard": shard, "modelDigest": str(bound.model_digest), "saltDigest": str(bound.salt_digest),
                "signature": str(bound.signature),
            }  # fmt: skip
            assert self.api.call("PUT", target, encode(answer), by=node).status_code == 201

    def reveal(self) -> None:
        """Every node tells its salt."""
        for node in self.nodes:
            _, shard, target = self.matched_task(node, "reveal")
            answer = encode({"salt": str(salt_of(shard))})
            assert self.api.call("PUT", target, answer, by=node).status_code == 201

    def release(self, node: Signer, answer: bytes | None = None) -> httpx.Response:
        """A node sends its wrapped key, or something else."""
        task = self.task(node)
        assert (task["name"], task["kind"]) == ("release", "release")
        order = Digest.parse(task["order"])
        participants = self.api.ports.chain.participants(order)
        shard = [member.contributor for member in participants].index(node.address)
        target = f"/v1/tasks/{task['id']}/result"
        return self.api.call("PUT", target, answer or wrapped_key(shard, order), by=node)

    def matched_task(self, node: Signer, kind: str) -> tuple[Digest, int, str]:
        """The order, the node's shard, and where its answer goes."""
        task = self.task(node)
        assert task["kind"] == kind
        payload = self.api.call("GET", f"/v1/tasks/{task['id']}/payload", by=node).json()
        order = Digest.parse(payload["order"])
        participants = self.api.ports.chain.participants(order)
        assert payload["match"] == str(participants_digest(participants))
        shard = [member.contributor for member in participants].index(node.address)
        return order, shard, f"/v1/tasks/{task['id']}/result"


def sealed(data: bytes) -> ContentFile:
    """As a content document names `data`, taken for a small sealed file."""
    return ContentFile(cid_of(data), len(data), sha256(data), sha256(b"plain"), len(data) - sealed_size(0))


def wrapped_key(shard: int, order: Digest) -> bytes:
    """What node `shard` releases when the record is on chain."""
    return f"wrapped key {shard} {order}".encode()


@pytest.fixture
def world(api: Api, chain: Chain, two_nodes: list[Signer]) -> World:
    collection = api.collection()
    for node, rows in zip(two_nodes, (2000, 1000), strict=True):
        answer = api.announce(node, collection, rows)
        assert answer.status_code == 201, answer.text
    return World(api, two_nodes, collection)


def states(api: Api, order: str) -> list[object]:
    with api.ports.database.read() as session:
        rows = session.scalars(select(OrderEventRow).where(OrderEventRow.order == order)).all()
        return [decode_object(row.data)["state"] for row in rows if row.kind == "state"]


def chain_state(api: Api, order: str) -> OrderState:
    return api.ports.chain.order(Digest.parse(order)).state


def test_money_comes_back_when_the_worker_gives_up(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    before = chain.reader.balance(buyer.address)
    with world.in_work(order):
        world.bring_to_match()
        job = world.job("train")
        assert world.fail(job, "a node is lost").status_code == 200
    assert job["plan"]["participants"][0]["declaredRows"] == 2000
    assert chain_state(api, order) is OrderState.REFUNDED
    assert chain.reader.balance(buyer.address) == before
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert (shown["state"], shown["reason"]) == ("refunded", "phase train failed: a node is lost")
    assert states(api, order) == ["accepted", "open", "matched", "refunded"]


def test_uploads_wait_for_no_order_that_ended(
    world: World, api: Api, buyer: Signer, chain: Chain, clock: Clock
) -> None:
    """An order that ends before its score leaves nothing; what may belong to an older one that goes on stays."""

    def ends_in_training(order: str) -> None:
        with world.in_work(order):
            world.bring_to_match()
            job = world.job("train")
            uploads.append(world.upload(f"sealed rows of {order}".encode(), world.nodes[0]).cid)
            assert world.fail(job, "a node is lost").status_code == 200
        assert chain_state(api, order) is OrderState.REFUNDED
        api.ports.stopping.clear()

    uploads: list[Cid] = []
    first, second = api.order(buyer, world.collection), api.order(chain.account(), world.collection)
    clock.now += 1
    ends_in_training(first)
    assert api.ports.waiting.has(uploads[0]), "it could be the other order's"
    ends_in_training(second)
    assert not any(map(api.ports.waiting.has, uploads))


def test_money_comes_back_when_nodes_refuse_until_the_match_deadline(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    before = chain.reader.balance(buyer.address)
    with world.in_work(order):
        world.refuse(world.nodes[0])
        world.accept(world.nodes[1])
        chain.skip(600)
    assert chain.reader.balance(buyer.address) == before
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert shown["state"] == "refunded"
    assert shown["reason"].startswith("1 contributors accepted")


def test_an_acceptance_nested_without_end_counts_as_a_refusal(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    with world.in_work(order):
        hostile = world.task(world.nodes[0])
        bomb = b"[" * 200_000
        answer = api.call("PUT", f"/v1/tasks/{hostile['id']}/result", bomb, by=world.nodes[0])
        assert answer.status_code == 201
        world.accept(world.nodes[1])
        chain.skip(600)
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert shown["reason"].startswith("1 contributors accepted"), "the other node's answer still counts"


NOBODY = Address.parse("0x000000000000000000000000000000000000dEaD")


def test_money_comes_back_when_nobody_has_trained_in_time(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Past its deadline the order costs all of the bond. Nobody gains by it: who did not train is not on the chain."""
    order = api.order(buyer, world.collection)
    before = chain.reader.balance(buyer.address)
    owed = [chain.reader.claimable(node.address) for node in world.nodes]
    burned = chain.reader.balance(NOBODY)
    with world.in_work(order):
        world.bring_to_match()
        world.job("train")
        deliver_by = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"]).deliver_by
        chain.skip(deliver_by + 1 - chain.reader.chain_time())
    shown = api.call("GET", f"/v1/orders/{order}").json()
    terms = OrderTerms.parse(shown["terms"])
    assert (shown["state"], shown["reason"]) == ("refunded", "the deadline passed before phase train ended")
    assert [chain.reader.claimable(node.address) for node in world.nodes] == owed
    assert chain.reader.balance(buyer.address) == before
    assert chain.reader.balance(NOBODY) == burned + terms.bond
    with api.ports.database.read() as session:
        nodes = ContributorRepository(session).list(world.collection)
    assert all(chain.reader.stake_of(Address.parse(each.address)).reserved == 0 for each in nodes)


def test_an_order_that_the_chain_refuses_is_rejected_and_no_money_moves(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    body = api.signed_order(buyer, api.quote(buyer, world.collection))
    body["permit"]["s"] = "0x" + "11" * 32
    order = api.call("POST", "/v1/orders", body).json()["orderId"]
    before = chain.reader.balance(buyer.address)
    with world.in_work(order):
        pass
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert shown["state"] == "rejected"
    assert shown["reason"].startswith("place: ")
    assert chain.reader.balance(buyer.address) == before


def test_a_cancelled_order_ends_as_cancelled(world: World, api: Api, buyer: Signer, chain: Chain) -> None:
    order = api.order(buyer, world.collection)
    with world.in_work(order):
        _until_state(api, order, OrderState.OPEN)
        terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])
        ChainWriter(chain.reader, buyer).cancel(terms)
    assert api.call("GET", f"/v1/orders/{order}").json()["state"] == "cancelled"


def test_an_order_that_somebody_refunded_before_the_match_is_never_called_matched(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    matching = Matching(api.ports, order)
    matching.place()
    terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])
    chain.skip(terms.match_by + 1 - chain.reader.chain_time())
    chain.bank.refund(terms, ())
    with pytest.raises(OrderFailedError, match="refunded"):
        matching.match()
    run_order(api.ports, order)
    assert states(api, order) == ["accepted", "open", "refunded"]


def test_a_worker_result_that_the_contract_would_refuse_is_refused_before(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    with world.in_work(order):
        world.bring_to_match()
        job = world.job("train")
        good = world.train_result(job)
        swapped = {"models": [good["models"][1], good["models"][0]]}
        answer = world.finish(job, swapped)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "models[0].shard")
        greedy = {"models": [good["models"][0] | {"epsilonMicro": 3_000_001}, good["models"][1]]}
        assert world.finish(job, greedy).json()["errors"][0]["field"] == "models[0].epsilonMicro"
        assert world.finish(job, good).status_code == 201
        assert world.finish(job, good).status_code == 200
        world.bind()
        _until_mined(api, chain, order)
        world.reveal()
        job = world.job("score")
        good = world.score_result(job)
        unsealed = world.score_result(job)
        unsealed["shards"][0]["content"]["model"]["plainSize"] += 1
        field = world.finish(job, unsealed).json()["errors"][0]["field"]
        assert field == "shards[0].content.model.size"
        for member, value in (("sharesBps", [5000, 4000]), ("datasetRoot", "0x" + "11" * 32)):
            answer = world.finish(job, good | {member: value})
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, member)
        assert world.finish(job, good | {"sharesBps": [3000, 7000]}).status_code == 422
        assert world.fail(job, "enough").status_code == 200
    assert chain_state(api, order) is OrderState.REFUNDED


def test_an_order_goes_from_signature_to_settlement(
    world: World, api: Api, buyer: Signer, chain: Chain, clock: Clock
) -> None:
    order = api.order(buyer, world.collection, challengeSeconds=5)
    paid = [chain.reader.claimable(node.address) for node in world.nodes]
    with world.in_work(order):
        world.bring_to_match()
        job = world.job("train")
        progress = {"round": 1, "rounds": 4, "loss": 0.25, "message": "averaged"}
        assert api.call("POST", f"{path_of(job)}/progress", progress, by=api.broker).status_code == 200
        assert world.finish(job, world.train_result(job)).status_code == 201
        world.bind()
        _until_mined(api, chain, order)
        world.reveal()
        job = world.job("score")
        answer = world.finish(job, world.score_result(job))
        assert answer.status_code == 201, answer.text
        _until_state(api, order, OrderState.PUBLISHED)
        chain.skip(10)
    assert states(api, order) == [
        *("accepted", "open", "matched", "trained", "committed", "seeded", "scored", "published", "settled")
    ]
    catch_up(Follower(api.ports))
    shown = api.call("GET", f"/v1/orders/{order}").json()
    steps = [each["step"] for each in shown["transactions"]]
    assert [step for step in steps if step != "approve"] == [
        "place",
        "match",
        "commit",
        "fix",
        "draw",
        "publish",
        "settle",
    ]
    assert shown["chainState"] == "settled"
    assert [each["rows"] for each in shown["participants"]] == [40, 20]
    dataset = api.call("GET", f"/v1/datasets/{shown['datasetId']}").json()
    assert (dataset["rows"], dataset["depth"], dataset["collection"]) == (60, 0, world.collection)
    assert [each["scoreMicro"] for each in dataset["evaluations"]] == [900_000, 900_000]
    manifest = Manifest.parse(api.call("GET", f"/v1/datasets/{dataset['id']}/manifest").content)
    assert str(manifest.digest) == dataset["manifestDigest"]
    assert manifest.document()["order"] == order
    assert dataset["manifestCid"] == shown["manifestCid"]
    earned = [chain.reader.claimable(node.address) - old for node, old in zip(world.nodes, paid, strict=True)]
    whole = 60 * 10**12 * 95 // 100
    assert earned == [whole * 7 // 10, whole * 3 // 10]
    page = api.call("GET", "/").text
    assert dataset["identifier"] in page
    assert "People &amp; &lt;work&gt;" in page
    assert "<work>" not in page
    # Nothing that is shown afterwards needs what the nodes sent, not after a restart either.
    clock.now += api.ports.settings.task_retention_seconds
    assert delete_old_results(api.ports) == 1
    assert api.call("GET", f"/v1/orders/{order}").json() == shown
    assert api.call("GET", f"/v1/datasets/{dataset['id']}").json() == dataset
    assert api.call("GET", f"/v1/datasets/{dataset['id']}/manifest").content == manifest.encode()
    assert len(api.call("GET", f"/v1/orders/{order}/salts").json()) == 1
    run_order(api.ports, order)
    assert api.call("GET", f"/v1/orders/{order}").json() == shown


def test_every_step_may_run_twice_and_sends_nothing_twice(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """What a kill between a transaction and its note leaves behind: the step runs again from its start."""
    order = api.order(buyer, world.collection, challengeSeconds=0)
    ports = api.ports
    matching, generation = Matching(ports, order), Generation(ports, order)
    settlement = Settlement(ports, order, generation)
    nonce = ChainNonce(chain, ports.broker)
    matching.place()
    assert nonce.used_by(matching.place) == 0
    with world.beside(world.bring_to_match):
        matching.match()
    assert nonce.used_by(matching.match) == 0
    with world.beside(lambda: work(world, "train", world.train_result)):
        generation.train()
    assert nonce.used_by(generation.train) == 0
    with world.beside(world.bind):
        generation.commit()
    assert nonce.used_by(generation.commit) == 0
    chain.mine(4)
    with world.beside(world.reveal):
        generation.draw()
    assert nonce.used_by(generation.draw) == 0
    with world.beside(lambda: work(world, "score", world.score_result)):
        generation.score()
    settlement.publish()
    manifest = api.call("GET", f"/v1/orders/{order}").json()["manifestCid"]
    assert nonce.used_by(settlement.publish) == 0
    assert api.call("GET", f"/v1/orders/{order}").json()["manifestCid"] == manifest
    assert not settlement.give_back("a late failure must not take back what is published")
    chain.skip(3)
    settlement.settle()
    assert nonce.used_by(settlement.settle) == 0
    assert nonce.used_by(lambda: run_order(ports, order)) == 0
    assert chain_state(api, order) is OrderState.SETTLED


def _publish(world: World, api: Api, chain: Chain, order: str) -> Settlement:
    """Carries an order to its publication, step by step; the settlement."""
    generation = drawn(world, api, chain, order)
    with world.beside(lambda: work(world, "score", world.score_result)):
        generation.score()
    settlement = Settlement(api.ports, order, generation)
    settlement.publish()
    return settlement


def _demand_a_model(
    api: Api, buyer: Signer, chain: Chain, order: str
) -> tuple[OrderTerms, tuple[Participant, ...], ChainWriter]:
    """The buyer's demand for the model of shard 0."""
    reader, identifier = chain.reader, Digest.parse(order)
    shown = api.call("GET", f"/v1/orders/{order}").json()
    terms = OrderTerms.parse(shown["terms"])
    participants = reader.participants(identifier)
    writer = ChainWriter(reader, buyer)
    writer.approve(reader.deployment.demands, terms.price)
    models = reader.commitment(identifier).models
    dataset = reader.dataset_of_order(identifier)
    assert dataset is not None
    writer.demand_model(terms, participants, dataset, 0, models)
    return terms, participants, writer


@pytest.mark.parametrize("ended_by", ["buyer", "broker"])
def test_nothing_is_settled_while_a_demand_is_open_and_silence_costs_that_contributor_alone(
    world: World, api: Api, buyer: Signer, chain: Chain, ended_by: str
) -> None:
    order = api.order(buyer, world.collection, challengeSeconds=30)
    _publish(world, api, chain, order)
    identifier = Digest.parse(order)
    before = chain.reader.balance(buyer.address)
    paid = [chain.reader.claimable(node.address) for node in world.nodes]
    terms, participants, writer = _demand_a_model(api, buyer, chain, order)
    deposit = terms.price * participants[0].rows // terms.rows // 10
    assert chain.reader.balance(buyer.address) == before - deposit
    reader, broker = Watched(api.ports.chain), Watched(api.ports.writer)
    watched = replace(api.ports, chain=reader, writer=broker)
    settlement = Settlement(watched, order, Generation(watched, order))
    with world.beside(settlement.settle):
        chain.skip(60)  # the window is over, the demand is open
        reader.await_looks(5)
        found = chain.reader.order(identifier)
        assert (found.state, found.open_demands) == (OrderState.PUBLISHED, 1)
        for is_over in (
            lambda: chain.reader.is_warned(identifier, 0),
            lambda: chain.reader.shards(identifier).out,
        ):
            if ended_by == "buyer":
                # The time runs out in the very block that ends the demand: the broker cannot come first.
                chain.skip_with_next_block(terms.answer_seconds + 1)
                writer.expire(terms, participants, 0)
            else:
                chain.skip(terms.answer_seconds + 1)
            until(is_over, "the end of the demand's time")
    expired = Counter() if ended_by == "buyer" else Counter({"expire": 2})
    assert broker.calls == expired + Counter({"settle": 1}), "no settlement was tried before"
    assert chain_state(api, order) is OrderState.SETTLED
    assert chain.reader.shards(identifier).out == {0}
    # The silent contributor's part goes back, made up from its stake to its rows' part of the price; the other is paid
    # as if nothing had been, and the bond is whole.
    divided = terms.price * 95 // 100
    back = max(divided * SHARES[0] // 10_000, terms.price * participants[0].rows // terms.rows)
    assert chain.reader.balance(buyer.address) == before + back
    earned = [chain.reader.claimable(node.address) - old for node, old in zip(world.nodes, paid, strict=True)]
    assert earned == [0, divided * SHARES[1] // 10_000]
    catch_up(Follower(api.ports))
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert (shown["state"], shown["chainState"]) == ("settled", "settled")
    assert [each["state"] for each in shown["demands"]] == ["expired"]
    with api.ports.database.read() as session:
        records = Records(session)
        assert participants[0].contributor in records.slashed(blocks=1000)
        assert records.slashed(blocks=0) == set()
    assert api.call("GET", f"/v1/datasets/{shown['datasetId']}").json()["status"] == "reduced"


def test_money_comes_back_after_a_demand_that_expires_while_it_is_waited_for(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    order = api.order(buyer, world.collection)
    generation = drawn(world, api, chain, order)
    identifier = Digest.parse(order)
    terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])
    models = chain.reader.commitment(identifier).models
    api.ports.writer.demand_step(terms, chain.reader.participants(identifier), 0, DemandKind.RECEIPT, models)
    settlement = Settlement(api.ports, order, generation)
    with world.beside(lambda: settlement.give_back("the worker is lost")):
        threading.Event().wait(0.5)
        assert chain_state(api, order) is OrderState.MATCHED, "nothing is returned while the demand is open"
        chain.skip(terms.answer_seconds + 1)
        until(lambda: chain.reader.is_warned(identifier, 0), "the warning")
        chain.skip(terms.answer_seconds + 1)
    assert chain_state(api, order) is OrderState.REFUNDED


def test_a_false_salt_is_demanded_on_chain_and_costs_its_contributor_and_not_the_broker(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: the broker waited for the right one until the deadline, and lost its bond."""
    order = api.order(buyer, world.collection)
    generation = committed_to(world, api, order)
    chain.mine(4)

    def reveal_one_falsely() -> None:
        for node, salt in zip(world.nodes, (salt_of(7), None), strict=True):
            _, shard, target = world.matched_task(node, "reveal")
            told = encode({"salt": str(salt or salt_of(shard))})
            assert api.call("PUT", target, told, by=node).status_code == 201
        _let_two_times_pass(api, chain, order, DemandKind.SALT)

    _costs_the_first_contributor_alone(world, api, order, generation.draw, reveal_one_falsely)


def test_a_sample_that_does_not_hold_is_demanded_on_chain_and_costs_its_contributor_and_not_the_broker(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: the phase failed at once, and the broker lost its bond for what a contributor had spoiled."""
    order = api.order(buyer, world.collection)
    generation = committed_to(world, api, order)
    chain.mine(4)
    with world.beside(world.reveal):
        generation.draw()

    def spoil() -> None:
        job = world.job("score")
        query = f"order={order}&node={world.nodes[0].address}&name=sample&kind=sample"
        asked = api.call("POST", f"/v1/tasks?{query}", b"sample", by=api.broker).json()["id"]
        world.task(world.nodes[0])
        assert api.call("PUT", f"/v1/tasks/{asked}/result", b"rows", by=world.nodes[0]).status_code == 201
        said = {"reason": "no valid receipt"}
        assert api.call("POST", f"/v1/tasks/{asked}/reject", said, by=api.broker).status_code == 200
        assert world.fail(job, "a sample does not hold").status_code == 200
        _let_two_times_pass(api, chain, order, DemandKind.RECEIPT)

    _costs_the_first_contributor_alone(world, api, order, generation.score, spoil)


HISTORY = "0x0000F90827F1C53a10cb7A02335B175320002935"


def test_a_missed_draw_is_drawn_again_and_costs_bond(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    # A chain without EIP-2935 keeps 256 hashes.
    chain.reader.rpc.request("anvil_setCode", HISTORY, "0x")
    order, ports = api.order(buyer, world.collection), api.ports
    generation = committed_to(world, api, order)
    bond = ports.chain.order(Digest.parse(order)).bond_left
    missed = ports.chain.commitment(Digest.parse(order)).target_block
    chain.mine(300)

    def mine_for_the_new_draw() -> None:
        until(
            lambda: ports.chain.commitment(Digest.parse(order)).target_block > missed, "another target block"
        )
        chain.mine(4)
        world.reveal()

    with world.beside(mine_for_the_new_draw):
        generation.draw()
    assert generation.seed_draw().draws == 2
    assert ports.chain.order(Digest.parse(order)).bond_left == bond * 9 // 10
    assert Settlement(ports, order, generation).give_back("the test is over")


@dataclass
class ChainNonce:
    """Counts transactions of one account."""

    chain: Chain
    address: Address

    def used_by(self, action: Callable[[], object]) -> int:
        before = self.now()
        action()
        return self.now() - before

    def now(self) -> int:
        return self.chain.reader.rpc.integer("eth_getTransactionCount", str(self.address), "pending")


class Watched:
    """A reader or a writer, and how often each of its methods was called."""

    def __init__(self, watched: BrokerReading | BrokerWriting) -> None:
        self._watched = watched
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._watched, name)
        if not callable(found):
            return found

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return found(*arguments, **options)

        return counted

    def await_looks(self, looks: int) -> None:
        """Waits until whoever polls has looked so often from now on: `order` is asked twice a look, at least."""
        seen = self.calls["order"] + 2 * (looks + 1)
        until(lambda: self.calls["order"] >= seen, "another look at the order")


def path_of(job: Json) -> str:
    """Of the attempt that was leased."""
    return f"/v1/coordination/{job['order']}/{job['phase']}/{job['attempt']}"


def model_of(shard: int, order: str) -> Digest:
    return sha256(f"model {shard} of {order}".encode())


def work(world: World, phase: str, result: Callable[[Json], Json]) -> None:
    job = world.job(phase)
    answer = world.finish(job, result(job))
    assert answer.status_code == 201, answer.text


def matched(world: World, api: Api, order: str) -> Generation:
    """Places the order and matches it; what comes next."""
    matching = Matching(api.ports, order)
    matching.place()
    with world.beside(world.bring_to_match):
        matching.match()
    return Generation(api.ports, order)


def committed_to(world: World, api: Api, order: str) -> Generation:
    """Brings the order to its commitments, step by step."""
    generation = matched(world, api, order)
    with world.beside(lambda: work(world, "train", world.train_result)):
        generation.train()
    with world.beside(world.bind):
        generation.commit()
    return generation


def drawn(world: World, api: Api, chain: Chain, order: str) -> Generation:
    """Brings the order to its seed, step by step."""
    generation = committed_to(world, api, order)
    chain.mine(4)
    with world.beside(world.reveal):
        generation.draw()
    return generation


def _let_two_times_pass(api: Api, chain: Chain, order: str, kind: DemandKind) -> None:
    """Both times in which the first contributor could have answered."""
    terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])
    identifier = Digest.parse(order)
    until(lambda: chain.reader.demand(identifier, 0).is_open, "the demand")
    assert chain.reader.demand(identifier, 0).kind is kind
    chain.skip(terms.answer_seconds + 1)
    until(lambda: chain.reader.is_warned(identifier, 0), "the warning")
    chain.skip(terms.answer_seconds + 1)


def _costs_the_first_contributor_alone(
    world: World, api: Api, order: str, step: Callable[[], None], spoil: Callable[[], None]
) -> None:
    reader = api.ports.chain
    terms = OrderTerms.parse(api.call("GET", f"/v1/orders/{order}").json()["terms"])

    def balances() -> list[int]:
        return [reader.balance(account) for account in (api.ports.broker, terms.buyer)]

    def stakes() -> list[int]:
        found = [reader.stake_of(node.address) for node in world.nodes]
        return [each.free + each.reserved for each in found]

    money, staked = balances(), stakes()
    with world.beside(spoil), pytest.raises(OrderFailedError, match="too few contributors"):
        step()
    assert chain_state(api, order) is OrderState.REFUNDED
    assert [new - old for new, old in zip(balances(), money, strict=True)] == [terms.bond, terms.price]
    assert stakes()[0] < staked[0]
    assert stakes()[1] == staked[1]


def _until_mined(api: Api, chain: Chain, order: str) -> None:
    until(lambda: api.ports.chain.commitment(Digest.parse(order)).commit_block, "the models' commitment")
    chain.mine(4)


def _until_state(api: Api, order: str, state: OrderState) -> None:
    until(lambda: chain_state(api, order) is state, f"order {order} to become {state.name}")
