"""A contributor that answers on chain alone: its shard is published by its receipt, and its files are taken late."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from backend.database.models import OrderEventRow
from backend.workflow.generate import Generation
from backend.workflow.late_files import LateFiles
from backend.workflow.order_log import OrderLog
from backend.workflow.settle import Settlement
from provenance.chain.disputes import DemandKind
from provenance.chain.ports import OrderState
from provenance.chain.writer import ChainWriter
from provenance.crypto.merkle import dataset_root
from provenance.crypto.signing import Signer
from provenance.record.manifest import Manifest, ManifestShard
from provenance.record.receipts import ContentFile, Evaluation, ShardContent, ShardReceipt, shares_digest
from provenance.store.unixfs import cid_of, cid_of_digest
from provenance.values import Cid, Digest, Signature, sha256
from tests.backend.conftest import Api, Chain, Json
from tests.backend.test_order_workflow import (
    World,
    _let_two_times_pass,
    chain_state,
    committed_to,
    model_of,
    sealed,
    wrapped_key,
)
from tests.backend.test_order_workflow import world as world
from tests.waiting import until

ABSENT = 0
"""The shard of the contributor that delivers nothing off chain."""


class Withheld:
    """What the absent contributor has, and shows or brings."""

    def __init__(self, world: World, generation: Generation) -> None:
        self.world, self.node = world, world.nodes[ABSENT]
        self.terms = generation.order()[0].terms
        self.order = generation.order()[0].id
        self.rows, self.model = (
            f"sealed rows of {self.order}".encode(),
            f"sealed model of {self.order}".encode(),
        )
        files = [sealed(data) for data in (self.rows, self.model)]
        self.key = wrapped_key(ABSENT, self.order)
        self.content = ShardContent(files[0], files[1], None, {}, sha256(b"key"), cid_of(self.key))
        draw = generation.seed_draw()
        self.receipt = ShardReceipt(
            self.order, ABSENT, model_of(ABSENT, str(self.order)), draw.seed,
            generation.order()[0].matched[ABSENT].rows, sha256(b"root 0"), 2_900_000, 10_000_000, self.content.digest,
        )  # fmt: skip

    def show_receipt(self, chain: Chain) -> None:
        signature = self.node.sign_typed(self.world.api.ports.domain, self.receipt)
        ChainWriter(chain.reader, self.node).answer_receipt(self.receipt, signature)

    def bring(self) -> None:
        for data in (self.rows, self.model, self.content.encode()):
            self.world.upload(data, self.node)

    def scored(self, job: Json, shares: list[int]) -> Json:
        """The worker's result: the other contributor's shard with its files, this one's without."""
        whole = self.world.score_result(job)
        shards = [job["plan"]["undelivered"][0], whole["shards"][1]]
        root = dataset_root([Digest.parse(shard["shardRoot"]) for shard in shards])
        score = ContentFile.parse(whole["score"]["file"])
        other, domain = self.world.nodes[1], self.world.api.ports.domain
        message = Evaluation(self.order, root, 900_000, shares_digest(shares), score.plain_sha256)
        evaluation = {
            "contributor": str(other.address), "scoreMicro": 900_000,
            "signature": str(other.sign_typed(domain, message)),
        }  # fmt: skip
        return {
            **whole, "shards": shards, "datasetRoot": str(root), "sharesBps": shares, "evaluations": [evaluation],
        }  # fmt: skip


def withhold(world: World, api: Api, chain: Chain, generation: Generation) -> Withheld:
    """Brings an order to its score: one contributor shows its receipt on chain, refuses the task, is silent then."""
    with world.beside(world.reveal):
        generation.draw()
    absent, order = Withheld(world, generation), str(generation.order()[0].id)
    rows = [each.rows for each in generation.order()[0].matched]
    floor = 10_000 * rows[ABSENT] // (2 * sum(rows))

    def play() -> None:
        world.job("score")
        query = f"order={order}&node={absent.node.address}&name=sample&kind=sample"
        asked = api.call("POST", f"/v1/tasks?{query}", b"sample", by=api.broker).json()["id"]
        world.task(absent.node)
        no = {"code": "busy", "reason": "later, perhaps"}
        assert api.call("POST", f"/v1/tasks/{asked}/refuse", no, by=absent.node).status_code == 200
        until(lambda: chain.reader.demand(absent.order, ABSENT).kind is DemandKind.RECEIPT, "the demand")
        absent.show_receipt(chain)
        until(lambda: chain.reader.demand(absent.order, ABSENT).is_open, "the demand for its evaluation")
        _let_two_times_pass(api, chain, order, DemandKind.EVALUATION)
        job = world.job("score")
        (told,) = job["plan"]["undelivered"]
        assert (told["contentDigest"], job["plan"]["excused"]) == (str(absent.content.digest), [ABSENT])
        result = absent.scored(job, [floor, 10_000 - floor])
        with_files = {**result, "shards": world.score_result(job)["shards"]}
        refused = world.finish(job, with_files)
        assert refused.status_code == 422
        assert world.finish(job, result).status_code == 201

    with world.beside(play):
        generation.score()
    return absent


def test_a5_answering_on_chain_alone_costs_the_contributor_and_not_the_broker(
    world: World, api: Api, buyer: Signer, chain: Chain
) -> None:
    """Before: nothing could be published, the order lapsed, and the broker's bond was burned."""
    order = api.order(buyer, world.collection, challengeSeconds=30)
    generation = committed_to(world, api, order)
    chain.mine(4)
    reader, ports = chain.reader, api.ports
    absent = withhold(world, api, chain, generation)
    accounts = [ports.broker, *(node.address for node in world.nodes)]
    paid = [reader.claimable(account) for account in accounts]
    settlement = Settlement(ports, order, generation)
    # The rows came in time, and nobody asked for them: what the publication sweeps is not what may still be completed.
    world.upload(absent.rows, absent.node)
    swept = world.upload(b"of an order that ended", world.nodes[1]).cid
    settlement.publish()
    assert ports.waiting.has(cid_of(absent.rows))
    assert not ports.waiting.has(swept)
    assert chain_state(api, order) is OrderState.PUBLISHED
    cid = Cid(api.call("GET", f"/v1/orders/{order}").json()["manifestCid"])
    manifest = Manifest.parse(ports.store.get(cid))
    entry = manifest.shard(ABSENT)
    assert not entry.is_delivered
    assert entry.content_digest == absent.content.digest
    assert reader.dataset(_dataset(chain, absent)).shard(ABSENT).content_digest == entry.content_digest

    document = cid_of_digest(absent.content.digest)
    assert not ports.store.has(document)
    with world.beside(settlement.settle):
        absent.bring()
        until(lambda: ports.store.has(document) or None, "the files that came late")
        assert ports.store.get(cid_of(absent.rows)) == absent.rows
        tasks = f"/v1/tasks?order={order}&node={absent.node.address}&name=release"
        until(
            lambda: api.call("GET", tasks, by=api.broker).json()["tasks"] or None,
            "the task to release its key",
        )
        assert world.release(absent.node).status_code == 201
        assert ports.store.get(cid_of(absent.key)) == absent.key
        left = world.upload(b"named by nothing", absent.node).cid
        chain.skip(60)
    assert not ports.waiting.has(left), "the order is over, and so is the waiting"
    assert chain_state(api, order) is OrderState.SETTLED
    terms, rows = absent.terms, [each.rows for each in manifest.participants]
    fee = terms.price * terms.broker_fee_bps // 10_000
    bond, *earned = [reader.claimable(account) - old for account, old in zip(accounts, paid, strict=True)]
    assert bond == terms.bond + fee, "the bond is whole"
    floor = 10_000 * rows[ABSENT] // (2 * sum(rows))
    assert earned[ABSENT] == (terms.price - fee) * floor // 10_000
    assert sum(earned) == terms.price - fee
    assert 2 * earned[ABSENT] <= terms.price * rows[ABSENT] // terms.rows, (
        "at most half of what its rows cost"
    )


def _dataset(chain: Chain, absent: Withheld) -> int:
    found = chain.reader.dataset_of_order(absent.order)
    assert found is not None
    return found


LATE_ROWS, LATE_MODEL = b"sealed rows that come late" * 3, b"sealed model that comes late" * 3
TRUE = ShardContent(sealed(LATE_ROWS), sealed(LATE_MODEL), None, {}, sha256(b"key"), cid_of(b"k" * 80))


def of_rows(**changes: Any) -> ShardContent:
    return replace(TRUE, rows=replace(TRUE.rows, **changes))


def take_late(world: World, order: str, document: bytes) -> None:
    """What the broker does with the files and this document of a shard that was published without."""
    ports, node = world.api.ports, world.nodes[ABSENT]
    shard = ManifestShard(
        ABSENT, node.address, 10, sha256(b"model"), Signature(bytes(65)), sha256(b"root"), 1, 1, sha256(document),
        Signature(bytes(65)),
    )  # fmt: skip
    late = LateFiles(ports, Digest.parse(order), OrderLog(ports, order))
    late.take([shard])
    for data in (LATE_ROWS, LATE_MODEL, document):
        world.upload(data, node)
    for _ in range(2):
        late.take([shard])
    world.upload(document, node)
    late.take([shard])


def told(api: Api, order: str) -> list[str]:
    with api.ports.database.read() as session:
        rows = session.scalars(select(OrderEventRow).where(OrderEventRow.order == order)).all()
        return [json.loads(row.data)["text"] for row in rows if row.kind == "message"]


def test_true_files_are_taken_late_and_told_of_once(world: World, api: Api, buyer: Signer) -> None:
    order = api.order(buyer, world.collection)
    take_late(world, order, TRUE.encode())
    assert all(api.ports.store.has(cid_of(data)) for data in (LATE_ROWS, LATE_MODEL, TRUE.encode()))
    assert told(api, order) == ["shard 0 was delivered late: its files can be had now"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (of_rows(sha256=sha256(b"other")), "has another size or SHA-256"),
        (of_rows(size=92, plain_size=65), "has another size or SHA-256"),
        (of_rows(plain_size=5), "rows.size: found 78 bytes for 5 plain ones, expected 32"),
        (replace(TRUE, wrapped_key=b"k" * 80, wrapped_key_cid=None), "wrappedKey: expected no wrapped key"),
        (ShardContent(TRUE.rows, TRUE.model, None, {}), "wrappedKeyCid: expected if and only if"),
        (None, "the content document cannot be read"),
    ],
)
def test_files_that_do_not_hold_are_not_taken_late(
    world: World, api: Api, buyer: Signer, content: ShardContent | None, why: str
) -> None:
    """Before: they were released, and turned a certificate that passed without them into one that fails."""
    order = api.order(buyer, world.collection)
    document = b"{}" if content is None else content.encode()
    take_late(world, order, document)
    assert not any(api.ports.store.has(cid_of(data)) for data in (LATE_ROWS, LATE_MODEL, document))
    (text,) = told(api, order)
    assert text.startswith("the files of shard 0 came late and are not taken: ")
    assert why in text
