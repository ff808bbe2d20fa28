"""Manifest, collection and request documents: strict in, canonical out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from provenance.canonical import decode, encode
from provenance.errors import MalformedError
from provenance.record.collection import Collection, Generation, Request
from provenance.record.manifest import Manifest
from provenance.table.conditions import Conditions, Segment
from provenance.values import sha256
from tests.provenance.verify.publication import Builder


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Builder().build().manifest


def changed(manifest: Manifest, path: str, value: object) -> bytes:
    """The manifest's bytes with one member replaced; `path` as in `shards.0.rows`."""
    document = decode(manifest.encode())
    place: Any = document
    *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    for step in parents:
        place = place[step]
    place[last] = value
    return encode(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "tessera-manifest/2"),
        ("specVersion", -1),
        ("chainId", "31337"),
        ("order", "0x12"),
        ("terms.rows", 23),
        ("terms", {}),
        ("contracts.escrow", "0x" + "a" * 39),
        ("participants.0.rows", 0),
        ("shards.0.shard", 2**32 - 1),
        ("shards.0.content.rows.cid", "Qmabc"),
        ("shards.0.content.wrappedKey", "0xabcd"),
        ("shards.0.content.wrappedKeyCid", "Qmabc"),
        ("score.wrappedKey", "0xABCD"),
        ("shards.1.epsilonMicro", True),
        ("score", None),
        ("sharesBps.0", 10_001),
        ("privacy", []),
        ("brokerSaw", ["a", 1]),
        ("generation.parents", [1]),
        ("generation.realFractionMicro", 1_000_001),
        ("collection.family", "gan"),
        ("collection.name", "../x"),
        ("collection.settings", {"a": None}),
        ("request.conditions", [{}]),
        ("unknown", 1),
    ],
)
def test_malformed_manifest_is_refused(manifest: Manifest, path: str, value: object) -> None:
    with pytest.raises(MalformedError):
        Manifest.parse(changed(manifest, path, value))


def test_address_without_checksum_is_refused(manifest: Manifest) -> None:
    plain = str(manifest.terms.buyer).lower()
    with pytest.raises(MalformedError, match="canonical form"):
        Manifest.parse(changed(manifest, "terms.buyer", plain))


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"\xff", b"[" * 100])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Manifest.parse(data)


def test_white_space_is_refused(manifest: Manifest) -> None:
    with pytest.raises(MalformedError, match="canonical"):
        Manifest.parse(manifest.encode() + b"\n")


def test_manifest_survives_its_bytes(manifest: Manifest) -> None:
    again = Manifest.parse(manifest.encode())
    assert again == manifest
    assert again.digest == sha256(manifest.encode())


def test_request_s_conditions_must_be_about_the_order_s_rows(manifest: Manifest) -> None:
    schema = manifest.collection.schema
    asked = Conditions(schema, (Segment(20, {1: ((0, 0),)}), Segment(3)))
    request = Request.of("study", asked)
    assert Request.parse(request.document()) == request
    assert request.asked(schema, 23) == asked
    assert Request.of("study", Conditions(schema, (Segment(23),))).asked(schema, 23) is None
    with pytest.raises(MalformedError, match="segments have 23 rows, the order has 24"):
        request.asked(schema, 24)
    with pytest.raises(MalformedError, match="no segment restricts anything"):
        Request("study", ({"rows": 23, "where": []},)).asked(schema, 23)
    with pytest.raises(MalformedError, match="JSON object"):
        Request.parse(request.document() | {"conditions": ["income=>50K"]})


def test_collection_of_an_unknown_size_class_is_refused(manifest: Manifest) -> None:
    document = manifest.collection.document() | {"sizeClass": "huge"}
    with pytest.raises(MalformedError, match="sizeClass"):
        Collection.parse(document)


def test_collection_digest_depends_on_every_member(manifest: Manifest) -> None:
    collection = manifest.collection
    others = (
        replace(collection, title="x"), replace(collection, price_per_row_wei=11),
        replace(collection, visibility="open"), replace(collection, settings={}),
        replace(collection, size_class="recomputed"), replace(collection, royalty_bps=1),
        replace(collection, parents=(3,)), replace(collection, parents=(3,), own_real_micro=0),
        replace(collection, parents=(3, 17), own_real_micro=0),
    )  # fmt: skip
    assert len({collection.digest, *(other.digest for other in others)}) == 10
    for each in (collection, *others):
        assert Collection.parse(each.document()) == each


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parents": ["0"]}, "expected at most 8 data-set ids from 1 on, ascending"),
        ({"parents": ["2", "1"]}, "ascending"),
        ({"parents": ["2", "2"]}, "ascending"),
        ({"parents": [str(n) for n in range(1, 10)]}, "at most 8"),
        ({"parents": [1]}, "a decimal integer in a string"),
        ({"parents": ["01"]}, "a decimal integer in a string"),
        ({"royaltyBps": 1_001}, "an integer from 0 to 1000"),
        ({"ownRealMicro": 1_000_001, "parents": ["1"]}, "an integer from 0 to 1000000"),
        ({"ownRealMicro": 999_999}, "found ownRealMicro 999999 and no parents"),
    ],
)
def test_collection_of_impossible_descent_is_refused(
    manifest: Manifest, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(MalformedError, match=message):
        Collection.parse(manifest.collection.document() | changes)


@dataclass
class Record:
    id: int
    depth: int
    real_fraction_micro: int


def test_generation_is_one_deeper_than_the_deepest_and_as_real_as_the_least_real_of_the_lineage() -> None:
    assert Generation.derived(1_000_000, ()) == Generation(0, (), 1_000_000)
    parents = (Record(3, 0, 1_000_000), Record(8, 4, 333_333))
    assert Generation.derived(250_001, parents) == Generation(5, (3, 8), 250_001)
    assert Generation.derived(0, parents).real_fraction_micro == 0
    assert Generation.derived(1_000_000, parents).real_fraction_micro == 333_333


def test_shard_that_was_never_delivered_has_the_digest_in_place_of_the_document(manifest: Manifest) -> None:
    whole = manifest.shards[1]
    shards = (manifest.shards[0], replace(whole, signed_content=whole.content.digest))
    alone = replace(manifest, shards=shards)
    document: Any = decode(alone.encode())
    assert "content" not in document["shards"][1]
    assert document["shards"][1]["contentDigest"] == str(whole.content_digest)
    assert Manifest.parse(alone.encode()) == alone
    seed = manifest.seed.seed
    assert alone.shards[1].receipt(manifest.order, seed) == whole.receipt(manifest.order, seed)
    with pytest.raises(MalformedError, match="content"):
        Manifest.parse(changed(manifest, "shards.1.contentDigest", str(whole.content_digest)))
