"""What collection and request say of standing models, and when one order may be sold from another's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provenance.errors import DocumentError
from provenance.record.collection import Collection, Request, stock_faults
from provenance.values import sha256
from tests.provenance.verify.publication import SCHEMA, Builder

PLAIN = Collection("toy", "Toy", SCHEMA, "marginal", "private", 2, 10, 3_000_000)
STANDING = replace(PLAIN, standing=True)
TRAINING = sha256(b"training")


def test_what_is_not_used_is_not_in_the_documents() -> None:
    """So digests of before stay."""
    assert "standing" not in PLAIN.document()
    assert Request("a test").document() == {
        "format": "tessera-request/1", "conditions": [], "purpose": "a test"
    }  # fmt: skip


def test_what_is_used_comes_back_under_another_digest() -> None:
    assert Collection.parse(STANDING.document()) == STANDING
    assert Collection.parse(PLAIN.document()) == PLAIN
    assert STANDING.digest != PLAIN.digest
    request = Request("a test", (), TRAINING)
    assert Request.parse(request.document()) == request
    assert request.digest != Request("a test").digest


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_a_collection_says_standing_true_or_nothing(value: object) -> None:
    """Two spellings of one offer would be two collections."""
    with pytest.raises(
        DocumentError, match=r"collection\.standing: found .*, expected true, or no such member"
    ):
        Collection.parse(PLAIN.document() | {"standing": value})


@pytest.mark.parametrize("value", [None, "", "0x12", 5])
def test_a_request_names_a_training_by_its_id(value: object) -> None:
    with pytest.raises(DocumentError, match=r"request\.training"):
        Request.parse(Request("a test").document() | {"training": value})


@pytest.mark.parametrize(
    ("collection", "change", "made_to_order", "member"),
    [
        (PLAIN, {}, True, "standing"),
        (STANDING, {"collection": sha256(b"other")}, True, "training"),
        (STANDING, {}, False, "training"),
        (STANDING, {"epsilon_micro": 2_999_999}, True, "epsilon and delta"),
        (STANDING, {"delta_e12": 9_999_999}, True, "epsilon and delta"),
    ],
)
def test_every_rule_of_stock_is_named(
    collection: Collection, change: dict[str, Any], made_to_order: bool, member: str
) -> None:
    terms = Builder().terms()
    assert stock_faults(terms, STANDING, terms, made_to_order=True) == ()
    faults = stock_faults(terms, collection, replace(terms, **change), made_to_order=made_to_order)
    assert [fault[0] for fault in faults] == [member]
