"""The buyer's side: nothing is signed that was not asked for, nothing is lost, and the market's words come through."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.api.catalogue import StandingModelView
from provenance.crypto.permit import Permit
from provenance.crypto.signing import Signer
from provenance.crypto.typed_data import Domain
from provenance.record.collection import Collection, Request
from provenance.record.terms import NO_PARENTS, OrderTerms
from provenance.table.conditions import Conditions, Segment
from provenance.table.conditions_bytes import NO_CONDITIONS, conditions_digest
from provenance.units import TOKENS, TokenUnit
from provenance.values import Address, Digest, Signature
from tessera.client.delivery import Delivery
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import OrderRequest, Pinned, Quote, check_terms, parse_decimal
from tessera.errors import TermsDifferError, UsageError
from tessera.local.conditions import ConditionOptions
from tessera.words import parse_tokens
from tests.provenance.verify.publication import SCHEMA, Builder

BUYER, BROKER = Signer(b"\x11" * 32), Signer(b"\x12" * 32)
DELIVERY_KEY = Digest(b"\x31" * 32)
DOMAIN = Domain(31337, Address(b"\x07" * 20))
NOW = 1_800_000_000
COLLECTION = Collection("toy", "Toy", SCHEMA, "marginal", "private", 2, 10**16, 3_000_000)
REQUEST = Request("a study")
ASKED = OrderRequest(
    collection="toy",
    rows=500,
    epsilon=Decimal("2.5"),
    purpose="a study",
    deliver_within_seconds=600,
    challenge_seconds=30,
    max_price_wei=5 * 10**18,
)
TERMS = OrderTerms(
    buyer=BUYER.address,
    broker=BROKER.address,
    collection=COLLECTION.digest,
    request=REQUEST.digest,
    delivery_key=DELIVERY_KEY,
    rows=500,
    epsilon_micro=2_500_000,
    delta_e12=10**7,
    min_score_micro=0,
    min_contributors=2,
    max_contributors=16,
    broker_fee_bps=500,
    match_by=NOW + 100,
    deliver_by=NOW + 600,
    challenge_seconds=30,
    answer_seconds=60,
    price=5 * 10**18,
    stake=20 * 10**18,
    bond=10**17,
    royalty_bps=0,
    conditions=NO_CONDITIONS,
    parents=NO_PARENTS,
    schema_digest=COLLECTION.schema.digest,
    size_class=1,
    spec_version=1,
    own_real_micro=1_000_000,
    indivisible=False,
    salt=Digest(b"\x99" * 32),
)


def check(
    terms: OrderTerms,
    *,
    asked: OrderRequest = ASKED,
    request: Request = REQUEST,
    order_id: Digest | None = None,
) -> None:
    quote = Quote(order_id or terms.order_id(DOMAIN), terms, request, COLLECTION, NOW)
    check_terms(asked, quote, Pinned(BUYER.address, BROKER.address, DELIVERY_KEY, DOMAIN))


@pytest.mark.parametrize("quoted", [(), ("kind=b",), ("kind=a", "age>=10")])
def test_conditions_that_were_not_asked_for_are_named_and_not_signed(quoted: tuple[str, ...]) -> None:
    asked = replace(ASKED, asked=ConditionOptions(where=("kind=a",)))
    request = asked.request(COLLECTION)
    in_bytes = conditions_digest(request.asked(SCHEMA, 500))
    terms = replace(TERMS, request=request.digest, conditions=in_bytes)
    check(terms, asked=asked, request=request)
    other = replace(ASKED, asked=ConditionOptions(where=quoted)).request(COLLECTION)
    with pytest.raises(TermsDifferError, match="conditions: the terms say"):
        check(replace(terms, request=other.digest), asked=asked, request=other)


def test_the_rows_written_are_those_of_the_order_s_conditions() -> None:
    asked = Conditions(SCHEMA, (Segment(10, {1: ((1, 1), (3, 3))}), Segment(13, {0: ((100, 299),)})))
    found = Builder(conditions=asked, is_open=True).build()
    delivery = Delivery(7, found.manifest, found.store, None, None)
    values = np.concatenate(list(delivery.values()))
    places = asked.segment_of(np.arange(23, dtype=np.uint64))
    assert np.isin(values[places == 0, 1], (1, 3)).all()
    assert (values[places == 1, 0] >= 100).all()
    assert len(values) == 23


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"buyer": BROKER.address}, "buyer"),
        ({"broker": BUYER.address}, "broker"),
        ({"collection": Digest(bytes(32))}, "collection"),
        ({"request": Digest(bytes(32))}, "request"),
        ({"delivery_key": Digest(b"\x32" * 32)}, "delivery key"),
        ({"delivery_key": Digest(bytes(32))}, "delivery key"),
        ({"rows": 499}, "rows"),
        ({"epsilon_micro": 2_500_001}, "epsilon"),
        ({"epsilon_micro": 0}, "epsilon"),
        ({"delta_e12": 10**8}, "delta"),
        ({"min_score_micro": 1}, "min score"),
        ({"min_contributors": 1}, "min contributors"),
        ({"price": 5 * 10**18 + 1}, "price"),
        ({"broker_fee_bps": 9_000}, "broker fee"),
        ({"match_by": NOW - 1}, "match by"),
        ({"match_by": NOW + 601}, "match by"),
        ({"deliver_by": NOW + 100_000}, "deliver by"),
        ({"challenge_seconds": 1}, "challenge"),
        ({"royalty_bps": 1}, "royalty"),
        ({"conditions": Digest(b"\x01" * 32)}, "conditions in bytes"),
        ({"parents": Digest(b"\x01" * 32)}, "parents"),
    ],
)
def test_terms_that_say_something_else_are_named_and_not_signed(
    change: dict[str, object], named: str
) -> None:
    with pytest.raises(TermsDifferError, match=named):
        check(replace(TERMS, **change))  # type: ignore[arg-type]


TRAINING = Digest(b"\x44" * 32)
MODEL = StandingModelView(
    training=TRAINING,
    collection=COLLECTION.digest,
    dataset=3,
    epsilon_micro=2_500_000,
    delta_e12=10**7,
    score_micro=900_000,
    lowest_score_micro=800_000,
    contributors=(BUYER.address, BROKER.address),
    trained_at=NOW,
)


@pytest.mark.parametrize(
    ("asked", "named"),
    [(None, TRAINING), (TRAINING, None), (TRAINING, Digest(b"\x45" * 32))],
    ids=["not-asked", "made-to-order", "another"],
)
def test_another_training_than_the_one_asked_for_is_named_and_not_signed(
    asked: Digest | None, named: Digest | None
) -> None:
    request = replace(REQUEST, training=named)
    wanted = replace(ASKED, training=asked, from_stock=asked is not None)
    with pytest.raises(TermsDifferError, match="training: the terms say"):
        check(replace(TERMS, request=request.digest), asked=wanted, request=request)


def test_an_order_from_stock_has_the_epsilon_of_its_training_where_none_was_stated() -> None:
    wanted = replace(ASKED, epsilon=None, from_stock=True)
    assert wanted.is_served_by(MODEL)
    served = wanted.served_from(TRAINING, MODEL.epsilon_micro)
    request = replace(REQUEST, training=TRAINING)
    terms = replace(TERMS, request=request.digest)
    check(terms, asked=served, request=request)
    assert served.request(COLLECTION) == request
    with pytest.raises(TermsDifferError, match=r"epsilon: the terms say 3, asked 2\.5"):
        check(replace(terms, epsilon_micro=3_000_000), asked=served, request=request)


@pytest.mark.parametrize(
    "other",
    [
        {"epsilon": Decimal("2.4")},
        {"delta": Decimal("2e-5")},
        {"min_contributors": 3},
        {"min_score": Decimal("0.81")},
        {"training": Digest(b"\x45" * 32)},
    ],
)
def test_models_that_do_not_fit_are_not_taken(other: dict[str, Any]) -> None:
    assert ASKED.is_served_by(MODEL)
    assert not replace(ASKED, **other).is_served_by(MODEL)


def test_an_order_id_of_other_terms_is_refused() -> None:
    with pytest.raises(TermsDifferError, match="order id"):
        check(TERMS, order_id=Digest(b"\x01" * 32))


def test_a_changed_purpose_is_refused() -> None:
    other = Request("another study")
    with pytest.raises(TermsDifferError, match="purpose"):
        check(replace(TERMS, request=other.digest), request=other)


def test_terms_as_asked_pass() -> None:
    check(TERMS)
    check(TERMS, asked=replace(ASKED, collection=str(COLLECTION.digest)))


@pytest.mark.parametrize("text", ["", "ten", "-1", "nan", "inf", "0.0000000000000000001"])
def test_an_amount_that_cannot_be_paid_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a"):
        parse_tokens(text, TOKENS)


def test_amounts_are_exact() -> None:
    dollar = TokenUnit(6, "USDC")
    assert OrderRequest.of(dollar, "toy", 5, max_price="12.5").max_price_wei == 12_500_000
    with pytest.raises(UsageError, match=r"an amount of USDC: .*expected at most 6 decimal places"):
        OrderRequest.of(dollar, "toy", 5, max_price="0.0000001")
    assert parse_tokens("12.5", TOKENS) == 12_500_000_000_000_000_000
    assert parse_tokens("0.000000000000000001", TOKENS) == 1
    assert parse_decimal("1e-5", "--delta") == Decimal("0.00001")


def test_epsilon_finer_than_terms_can_say_is_refused() -> None:
    with pytest.raises(UsageError, match="epsilon"):
        check(TERMS, asked=replace(ASKED, epsilon=Decimal("2.5000001")))


def an_order() -> OrderFile:
    permit = Permit(NOW, 27, Digest(b"\x01" * 32), Digest(b"\x02" * 32))
    signature = BUYER.sign_typed(DOMAIN, TERMS)
    return OrderFile(TERMS.order_id(DOMAIN), TERMS, Signature(signature), REQUEST, COLLECTION, permit)


def test_an_order_file_comes_back_whole_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = order_path(tmp_path / "rows.csv")
    an_order().write(path)
    assert path.name == "rows.csv.order.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert OrderFile.read(path) == an_order()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "tessera-order/2"}', '{"format": "tessera-order/1"}']
)
def test_another_file_is_no_order(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"x\.json"):
        OrderFile.read(path)
