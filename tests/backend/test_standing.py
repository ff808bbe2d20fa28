"""What is in stock, who may retire it, which terms it serves, and who is asked for rows of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import delete

from backend.database.models import DatasetRow, EvaluationRow, JobRow, OrderRow, ShardRow
from backend.orders.documents import encode_matched
from backend.orders.standing import StandingModels
from backend.ports import Ports
from provenance.api.coordination import JobPlan, MatchedContributor
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.canonical import encode
from provenance.crypto.signing import Signer
from provenance.record.terms import OrderTerms
from provenance.values import Digest, Signature, sha256
from tests.backend.conftest import TOKEN, Api, Chain, Json
from tests.backend.test_order_workflow import World, model_of
from tests.waiting import until

SCORES = (900_000, 800_000)
DIGEST = str(sha256(b"any"))


def train(api: Api, buyer: Signer, collection: str, nodes: list[Signer], number: int = 1) -> str:
    """An order that `nodes` trained for, as it stands when its data set is recorded."""
    order = api.order(buyer, collection, purpose=f"training {number}")
    matched = tuple(
        MatchedContributor(
            contributor=node.address,
            rows=30,
            max_rows=60,
            declared_rows=1000,
            acceptance=Signature(b"\x01" * 65),
        )
        for node in nodes
    )
    with api.ports.database.write() as session:
        row = session.get_one(OrderRow, order)
        row.state, row.participants = OrderState.SETTLED, encode_matched(matched)
        session.add(
            JobRow(order=order, phase="train", state=WorkState.DONE, plan=b"{}", attempt=1, leased_until=0.0,
                   created_at=1_700_000_000 + number)
        )  # fmt: skip
        session.add(
            DatasetRow(id=number, order=order, manifest_digest=DIGEST, dataset_root=DIGEST, seed=DIGEST,
                       score_digest=DIGEST, rows=60, epsilon_micro=3, delta_e12=4, depth=0, spec_version=1,
                       real_fraction_micro=10**6, parents=encode([]), shares_bps=encode([7000, 3000]),
                       status="valid", block=1, transaction=DIGEST)
        )  # fmt: skip
        for k, (node, score) in enumerate(zip(nodes, SCORES, strict=True)):
            session.add(
                ShardRow(dataset=number, shard=k, contributor=str(node.address), model_digest=DIGEST,
                         shard_root=DIGEST, rows=30, epsilon_micro=3, delta_e12=4, content_digest=DIGEST)
            )  # fmt: skip
            session.add(
                EvaluationRow(dataset=number, position=k, contributor=str(node.address), score_micro=score)
            )
    return order


@pytest.fixture
def collection(api: Api) -> str:
    return api.collection(standing=True)


@pytest.fixture
def training(api: Api, buyer: Signer, collection: str, two_nodes: list[Signer]) -> str:
    return train(api, buyer, collection, two_nodes)


def listed(api: Api, collection: str) -> list[Json]:
    answer = api.call("GET", f"/v1/models?collection={collection}")
    assert answer.status_code == 200, answer.text
    models: list[Json] = answer.json()["models"]
    return models


def refusal(api: Api, buyer: Signer, collection: str, **asked: object) -> str:
    body = {
        "collection": collection,
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": "0x" + "5a" * 32,
    }
    answer = api.call("POST", "/v1/quotes", body | asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "terms-refused"), answer.text
    return str(answer.json()["detail"])


def set_status(ports: Ports, status: str) -> None:
    with ports.database.write() as session:
        session.get_one(DatasetRow, 1).status = status


def test_models_of_recorded_orders_are_listed_the_newest_first(
    api: Api, buyer: Signer, collection: str, two_nodes: list[Signer], training: str
) -> None:
    newer = train(api, buyer, collection, two_nodes, 2)
    found = listed(api, collection)
    assert [each["training"] for each in found] == [newer, training]
    assert found[1] == {
        "training": training, "collection": collection, "dataset": 1, "epsilonMicro": 3_000_000,
        "deltaE12": 10_000_000, "scoreMicro": 800_000, "lowestScoreMicro": 800_000,
        "contributors": [str(node.address) for node in two_nodes], "trainedAt": 1_700_000_001,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["reduced", "revoked", "flagged"])
def test_a_training_whose_data_set_fell_is_not_in_stock(
    api: Api, buyer: Signer, collection: str, training: str, status: str
) -> None:
    set_status(api.ports, status)
    assert listed(api, collection) == []
    assert "no models in stock" in refusal(api, buyer, collection, training=training)


def test_an_order_that_was_refunded_or_sold_from_stock_is_no_training(
    api: Api, buyer: Signer, collection: str, training: str
) -> None:
    sold = api.order(buyer, collection, training=training)
    assert "no models in stock" in refusal(api, buyer, collection, training=sold)
    with api.ports.database.write() as session:
        session.get_one(OrderRow, training).state = OrderState.REFUNDED
    assert listed(api, collection) == []
    assert "no models in stock" in refusal(api, buyer, collection, training=training)


@pytest.mark.parametrize(
    ("asked", "member"),
    [
        ({"epsilon": "2.9"}, "epsilon and delta"),
        ({"delta": "0.00002"}, "epsilon and delta"),
        ({"minContributors": 3}, "minimum contributors"),
        ({"minScore": "0.81"}, "minimum score"),
        ({"training": DIGEST}, "training"),
    ],
)
def test_terms_that_the_models_do_not_serve_are_refused(
    api: Api, buyer: Signer, collection: str, training: str, asked: dict[str, object], member: str
) -> None:
    assert refusal(api, buyer, collection, **({"training": training} | asked)).startswith(f"{member}: found ")


def test_a_collection_without_standing_models_has_no_stock(
    api: Api, buyer: Signer, two_nodes: list[Signer]
) -> None:
    plain = api.collection(name="plain")
    order = train(api, buyer, plain, two_nodes)
    assert listed(api, plain) == []
    assert "without standing models" in refusal(api, buyer, plain, training=order)
    assert "inStock" not in api.quote(buyer, plain)


def test_models_of_another_collection_are_refused(
    api: Api, buyer: Signer, training: str, collection: str
) -> None:
    other = api.collection(name="other", standing=True)
    assert f"training: found an order of collection {collection}" in refusal(
        api, buyer, other, training=training
    )


def test_a_signed_order_is_held_to_the_same_rules(
    api: Api, buyer: Signer, collection: str, training: str
) -> None:
    quote = api.quote(buyer, collection, training=training)
    terms = replace(OrderTerms.parse(quote["terms"]), epsilon_micro=2_000_000)
    answer = api.call("POST", "/v1/orders", api.signed_order(buyer, quote | {"terms": terms.document()}))
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("epsilon and delta: found 2 at")


def test_a_quote_says_where_the_rows_come_from(
    api: Api, buyer: Signer, collection: str, training: str
) -> None:
    stock = api.quote(buyer, collection, training=training)
    assert (stock["supply"], stock["request"]["training"]) == ("from-stock", training)
    assert "inStock" not in stock
    anew = api.quote(buyer, collection)
    assert (anew["supply"], anew["inStock"]) == ("made-to-order", training)
    assert "training" not in anew["request"]
    assert "inStock" not in api.quote(buyer, collection, epsilon="2")


def test_a_retired_model_leaves_the_stock(
    api: Api, buyer: Signer, collection: str, training: str, two_nodes: list[Signer], chain: Chain
) -> None:
    where = f"/v1/models/{training}/retire"
    assert api.call("POST", where).status_code == 401
    assert api.call("POST", where, by=chain.account()).status_code == 403, "not one of the training"
    assert api.call("POST", f"/v1/models/{DIGEST}/retire", by=two_nodes[0]).status_code == 404
    assert len(listed(api, collection)) == 1
    first, again = (api.call("POST", where, by=two_nodes[0]) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"training": training, "contributor": str(two_nodes[0].address)}
    assert listed(api, collection) == [], "the collection asks for two"
    assert "at most 1, who go on selling" in refusal(api, buyer, collection, training=training)


def test_only_those_that_trained_are_asked_and_the_worker_is_shown_the_training(
    api: Api, buyer: Signer, collection: str, training: str, two_nodes: list[Signer], chain: Chain
) -> None:
    """What comes back is of models that the chain never saw committed for it: nothing of that is recorded."""
    stranger = chain.staked_node(500 * TOKEN)
    for node in (stranger, *two_nodes):
        assert api.announce(node, collection, 2000).status_code == 201
    world, order = World(api, two_nodes, collection), api.order(buyer, collection, training=training)
    with world.in_work(order):
        world.bring_to_match()
        job = world.job("train")
        plan = JobPlan.of(job["plan"], "plan")
        assert world.finish(job, world.train_result(job)).status_code == 201
        world.bind()
        until(lambda: chain.reader.commitment(Digest.parse(order)).commit_block, "the commitment")
        chain.mine(5)
        world.reveal()
        score = world.job("score")
        assert world.finish(score, world.score_result(score)).status_code == 201
    assert {each.contributor for each in plan.participants} == {node.address for node in two_nodes}
    assert plan.training is not None
    assert plan.training.terms.order_id(api.ports.domain) == Digest.parse(training)
    assert [each.contributor for each in plan.training.participants] == [node.address for node in two_nodes]
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert shown["state"] == "refunded"
    assert shown["reason"].startswith(
        f"publish: shard 0 is made by model {model_of(0, order)}, in order {training} "
    )
    asked = api.call("GET", f"/v1/tasks?order={order}&name=accept", by=api.broker).json()["tasks"]
    assert {each["node"] for each in asked} == {str(node.address) for node in two_nodes}


def test_an_order_from_stock_ends_at_once_when_too_few_accept(
    api: Api, buyer: Signer, collection: str, training: str, two_nodes: list[Signer]
) -> None:
    """Nobody else can come: the money need not wait for the deadline of the match."""
    for node in two_nodes:
        assert api.announce(node, collection, 2000).status_code == 201
    world, order = World(api, two_nodes, collection), api.order(buyer, collection, training=training)
    with world.in_work(order):
        world.refuse(two_nodes[0])
        world.accept(two_nodes[1])
    shown = api.call("GET", f"/v1/orders/{order}").json()
    assert (shown["state"], shown["reason"].split(",")[0]) == ("refunded", "1 contributors accepted")


def test_what_nodes_sent_in_a_training_is_kept_while_its_models_are_sold_or_an_order_from_them_goes_on(
    api: Api, buyer: Signer, collection: str, two_nodes: list[Signer], training: str
) -> None:
    def is_needed() -> bool:
        with api.ports.database.read() as session:
            return StandingModels(session).is_needed(training)

    assert is_needed()
    sold = api.order(buyer, collection, purpose="as if from stock")
    with api.ports.database.write() as session:
        session.get_one(OrderRow, sold).training = training
    assert api.call("POST", f"/v1/models/{training}/retire", by=two_nodes[0]).status_code == 201
    assert is_needed(), "an order that was sold before goes on"
    with api.ports.database.write() as session:
        session.get_one(OrderRow, sold).state = OrderState.REFUNDED
    assert not is_needed()


def test_a_training_beyond_the_list_is_sold_by_name_and_its_results_are_kept(
    api: Api,
    buyer: Signer,
    collection: str,
    two_nodes: list[Signer],
    training: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newer = train(api, buyer, collection, two_nodes, 2)
    monkeypatch.setattr("backend.orders.standing.LIST_LIMIT", 1)
    assert [each["training"] for each in listed(api, collection)] == [newer]
    assert api.quote(buyer, collection, training=training)["supply"] == "from-stock"
    with api.ports.database.read() as session:
        assert StandingModels(session).is_needed(training)


def test_results_of_a_training_are_kept_while_the_catalogue_is_made_anew(
    api: Api, training: str, collection: str
) -> None:
    with api.ports.database.write() as session:
        for part in (ShardRow, EvaluationRow, DatasetRow):
            session.execute(delete(part))
    assert listed(api, collection) == []
    with api.ports.database.read() as session:
        assert StandingModels(session).is_needed(training), "what is deleted does not come back"
