"""What a buyer may ask and sign, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.errors import TermsRefusedError
from backend.orders.terms_policy import require_parents
from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderOnChain, OrderState
from provenance.crypto.signing import Signer
from provenance.record.terms import OrderTerms
from provenance.table.schema import Schema
from provenance.values import sha256
from tests.backend.conftest import DELIVERY_KEY, TOKEN, Api, Started, make_collection
from tests.memory import MemoryChain

WORDS = {
    "deliveryKey": "delivery key", "epsilonMicro": "epsilon", "deltaE12": "delta",
    "minContributors": "minimum of contributors", "maxContributors": "maximum of contributors",
    "brokerFeeBps": "broker's fee", "matchBy": "match deadline", "deliverBy": "delivery deadline",
}  # fmt: skip


def test_refuses_an_unknown_member_and_names_it(api: Api, buyer: Signer) -> None:
    body = {"collection": api.collection(), "buyer": str(buyer.address), "rows": 10, "bid": "1"}
    answer = api.call("POST", "/v1/quotes", body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid-request"
    assert problem["type"] == "urn:tessera:problem:invalid-request"
    assert problem["errors"] == [{"field": "bid", "message": "this member is not known"}]


def test_refuses_a_bid_below_the_quote(api: Api, buyer: Signer) -> None:
    quote = api.quote(buyer, api.collection())
    quote["terms"]["price"] = str(int(quote["terms"]["price"]) - 1)
    answer = api.call("POST", "/v1/orders", api.signed_order(buyer, quote))
    assert answer.status_code == 422
    assert answer.json()["code"] == "bid-below-quote"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("broker", "0x" + "11" * 20),
        ("deliveryKey", "0x" + "00" * 32),
        ("epsilonMicro", "3000001"),
        ("epsilonMicro", "0"),
        ("deltaE12", "0"),
        ("minContributors", "1"),
        ("maxContributors", "200"),
        ("brokerFeeBps", "0"),
        ("stake", "0"),
        ("bond", "1000000000000000000000"),
        ("matchBy", "1"),
        ("deliverBy", "5"),
        ("rows", "100000001"),
        ("request", "0x" + "11" * 32),
        ("royaltyBps", "1"),
        ("conditions", "0x" + "11" * 32),
        ("parents", "0x" + "11" * 32),
    ],
)
def test_refuses_terms_outside_the_rules_and_names_the_member(
    api: Api, buyer: Signer, member: str, value: str
) -> None:
    quote = api.quote(buyer, api.collection())
    quote["terms"][member] = value
    if member == "rows":
        quote["terms"]["price"] = str(10**12 * int(value))
    answer = api.call("POST", "/v1/orders", api.signed_order(buyer, quote))
    assert answer.status_code == 422
    assert answer.json()["code"] == "terms-refused"
    assert answer.json()["errors"][0]["field"] == member
    assert WORDS.get(member, member) + ": found " in answer.json()["detail"]


@pytest.mark.parametrize(
    ("limit", "asked", "member"),
    [
        ({"min_challenge_seconds": 100_000}, {}, "challengeSeconds"),
        ({"min_delivery_seconds": 5_000}, {}, "deliverBy"),
        ({"max_score_micro": 600_000}, {"minScore": "0.7"}, "minScoreMicro"),
        ({"min_rows": 61}, {}, "rows"),
        ({"min_price": TOKEN}, {}, "price"),
        ({"min_bond": TOKEN}, {}, "bond"),
    ],
)
def test_a_quote_keeps_to_what_the_market_asks(
    api: Api,
    buyer: Signer,
    monkeypatch: pytest.MonkeyPatch,
    limit: dict[str, Any],
    asked: dict[str, object],
    member: str,
) -> None:
    found = replace(api.chain.reader.limits(), **limit)
    monkeypatch.setattr(api.chain.reader, "limits", lambda: found)
    body = {
        "collection": api.collection(),
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": DELIVERY_KEY,
    }
    answer = api.call("POST", "/v1/quotes", body | asked)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == member


@pytest.mark.parametrize(
    ("limit", "member", "expected"),
    [
        ({"min_answer_seconds": 7 * 86_400}, "answerSeconds", 7 * 86_400),
        ({"min_stake": 2 * TOKEN}, "stake", 2 * TOKEN),
        ({"min_stake_bps": 80_000}, "stake", 8 * 60 * 10**12),
    ],
)
def test_a_quote_gives_the_time_and_the_stake_that_the_market_asks(
    api: Api,
    buyer: Signer,
    monkeypatch: pytest.MonkeyPatch,
    limit: dict[str, Any],
    member: str,
    expected: int,
) -> None:
    found = replace(api.chain.reader.limits(), **limit)
    monkeypatch.setattr(api.chain.reader, "limits", lambda: found)
    assert int(api.quote(buyer, api.collection())["terms"][member]) == expected


def test_a_refusal_speaks_in_decimals_tokens_and_dates(api: Api, buyer: Signer) -> None:
    quote = api.quote(buyer, api.collection())
    for member, value, words in (
        (
            "epsilonMicro",
            "30000000",
            "epsilon: found 30, expected at least 0.1 and at most 3, the collection's ceiling",
        ),
        (
            "stake",
            "2500000000000000000",
            "stake: found 2.5 tokens, expected 0.00024 tokens of all contributors together",
        ),
        ("brokerFeeBps", "125", "broker's fee: found 1.25 %, expected 5 %"),
        ("matchBy", "1700000000", "match deadline: found 2023-11-14 22:13:20 UTC, expected "),
        ("matchBy", str(2**63), f"later than the match deadline {2**63} seconds after 1970 for family"),
        ("challengeSeconds", "7776001", "challenge window: found 7776001 seconds, expected 0 to 7776000"),
    ):
        changed = quote | {"terms": quote["terms"] | {member: value}}
        detail = api.call("POST", "/v1/orders", api.signed_order(buyer, changed)).json()["detail"]
        assert words in detail, detail


def test_an_order_without_privacy_is_quoted_only_where_nodes_send_masked_sums(
    api: Api, buyer: Signer
) -> None:
    body = {"buyer": str(buyer.address), "rows": 60, "epsilon": "0", "deliveryKey": DELIVERY_KEY}
    separate = api.collection(name="separate", epsilon_micro=0)
    answer = api.call("POST", "/v1/quotes", body | {"collection": separate})
    assert answer.status_code == 422
    assert "no node sends exact counts of its own" in answer.json()["detail"]
    alone = api.collection(
        name="alone", epsilon_micro=0, min_contributors=1, settings={"noise": "distributed"}
    )
    assert api.call("POST", "/v1/quotes", body | {"collection": alone}).status_code == 422
    summed = api.collection(name="summed", epsilon_micro=0, settings={"noise": "distributed"})
    assert api.call("POST", "/v1/quotes", body | {"collection": summed}).status_code == 200


def test_a_decimal_finer_than_the_terms_can_say_is_refused(api: Api, buyer: Signer) -> None:
    body = {
        "collection": api.collection(),
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": DELIVERY_KEY,
    }
    answer = api.call("POST", "/v1/quotes", body | {"epsilon": "0.0000005"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "epsilon: found '0.0000005', expected at most 6 decimal places"
    assert answer.json()["errors"][0]["field"] == "epsilon"


def test_refuses_more_rows_than_the_schema_has_keys(api: Api, buyer: Signer) -> None:
    schema = make_collection().schema.document()
    key = {"name": "ticket", "type": "string", "format": "key", "pattern": "T-#"}
    columns = schema["columns"]
    assert isinstance(columns, list)
    keyed = Schema.parse(schema | {"columns": [key, *columns]})
    collection = api.collection(schema=keyed)
    assert api.quote(buyer, collection, rows=10)["terms"]["rows"] == "10"
    body = {"collection": collection, "buyer": str(buyer.address), "rows": 11, "deliveryKey": DELIVERY_KEY}
    answer = api.call("POST", "/v1/quotes", body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("rows: found 11, expected 10 to 10")


def test_refuses_terms_signed_by_another_key(api: Api, buyer: Signer, broker: Signer) -> None:
    quote = api.quote(buyer, api.collection())
    body = api.signed_order(buyer, quote)
    body["signature"] = api.signed_order(broker, quote)["signature"]
    answer = api.call("POST", "/v1/orders", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "signature-invalid")


def test_refuses_a_request_document_that_the_terms_do_not_name(api: Api, buyer: Signer) -> None:
    body = api.signed_order(buyer, api.quote(buyer, api.collection()))
    body["request"] = body["request"] | {"purpose": "something else"}
    answer = api.call("POST", "/v1/orders", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "terms-refused")


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon": "4"},
        {"deliveryKey": None},
        {"maxPriceWei": "1"},
        {"conditions": [{"column": "age"}]},
        {"conditions": [{"rows": 59, "where": [{"column": "age", "ranges": [[0, 0]]}]}]},
        {"conditions": [{"rows": 60, "where": [{"column": "wage", "ranges": [[0, 0]]}]}]},
        {"conditions": [{"rows": 60, "where": [{"column": "age", "ranges": [[0, 10**6]]}]}]},
        {"rows": 1},
        {"minContributors": 17},
    ],
)
def test_quotes_nothing_that_cannot_be_delivered(api: Api, buyer: Signer, changes: dict[str, object]) -> None:
    body = {
        "collection": api.collection(),
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": "0x" + "11" * 32,
    }
    assert api.call("POST", "/v1/quotes", body | changes).status_code == 422


def test_an_order_keeps_the_conditions_that_its_buyer_stated(api: Api, buyer: Signer) -> None:
    segments = [
        {"rows": 40, "where": [{"column": "work", "ranges": [[1, 1]]}]},
        {"rows": 20, "where": [{"column": "age", "ranges": [[0, 12], [20, 20]]}]},
    ]
    quote = api.quote(buyer, api.collection(), conditions=segments)
    assert quote["request"]["conditions"] == segments
    body = api.signed_order(buyer, quote)
    body["request"] = body["request"] | {"conditions": segments[:1]}
    assert api.call("POST", "/v1/orders", body).status_code == 422
    body["request"] = quote["request"]
    assert api.call("POST", "/v1/orders", body).status_code == 202
    assert api.call("GET", f"/v1/orders/{quote['orderId']}").json()["request"]["conditions"] == segments


def test_quotes_nothing_that_derives_from_an_unknown_data_set(api: Api, buyer: Signer) -> None:
    collection = api.collection(name="orphan", parents=(987,), own_real_micro=0)
    body = {"collection": collection, "buyer": str(buyer.address), "rows": 60, "deliveryKey": DELIVERY_KEY}
    answer = api.call("POST", "/v1/quotes", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "terms-refused")
    assert answer.json()["detail"].startswith("parents: data set 987 is not recorded")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (DatasetStatus.REVOKED, OrderState.REVOKED),
        (DatasetStatus.FLAGGED, OrderState.SETTLED),
        (DatasetStatus.VALID, OrderState.PUBLISHED),
        (9, OrderState.SETTLED),
    ],
)
def test_a_parent_that_is_not_valid_and_settled_is_refused(api: Api, status: int, state: OrderState) -> None:
    collection = replace(make_collection("child"), parents=(4,), own_real_micro=0)
    with pytest.raises(TermsRefusedError, match=r"data set 4 is .* expected VALID and SETTLED"):
        require_parents(chain_with_parent(api, status, state), collection)


def test_parents_that_are_valid_and_settled_are_taken(api: Api) -> None:
    collection = replace(make_collection("child"), parents=(4,), own_real_micro=0)
    reader = chain_with_parent(api, DatasetStatus.VALID, OrderState.SETTLED)
    assert [each.id for each in require_parents(reader, collection)] == [4]


def chain_with_parent(api: Api, status: int, state: OrderState) -> MemoryChain:
    """A chain that knows data set 4 only."""
    order = sha256(b"order of the parent")
    record = cast(DatasetOnChain, SimpleNamespace(id=4, order=order, status=status))
    return MemoryChain(
        api.ports.chain.deployment,
        orders={order: OrderOnChain(order, state, 0, order, order, 0)},
        datasets={4: record},
    )


def test_quotes_no_unknown_collection(api: Api, buyer: Signer) -> None:
    body = {"collection": "0x" + "11" * 32, "buyer": str(buyer.address), "rows": 60}
    assert api.call("POST", "/v1/quotes", body).status_code == 404


def test_a_quote_is_what_the_escrow_will_hash(api: Api, buyer: Signer) -> None:
    quote = api.quote(buyer, api.collection(), epsilon="0.5", delta="1e-6", minScore="0.7")
    terms = OrderTerms.parse(quote["terms"])
    assert (terms.epsilon_micro, terms.delta_e12, terms.min_score_micro) == (500_000, 1_000_000, 700_000)
    assert quote["orderId"] == str(api.chain.reader.hash_terms(terms))
    assert quote["priceWei"] == str(60 * 10**12) == str(terms.price)
    assert quote["sizeClass"] == "fraud-provable"
    assert quote["permit"]["spender"] == str(api.chain.reader.deployment.escrow)
    assert quote["typedData"]["primaryType"] == "OrderTerms"
    assert quote["permit"]["typedData"]["primaryType"] == "Permit"


def test_an_order_is_stored_once_and_handed_to_the_runner(api: Api, buyer: Signer, runner: Started) -> None:
    quote = api.quote(buyer, api.collection())
    body = api.signed_order(buyer, quote)
    first, second = (api.call("POST", "/v1/orders", body) for _ in range(2))
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json() == {"orderId": quote["orderId"], "state": "accepted"}
    assert set(runner.orders) == {quote["orderId"]}
    shown = api.call("GET", f"/v1/orders/{quote['orderId']}").json()
    assert (shown["state"], shown["buyer"], shown["terms"]) == (
        "accepted",
        str(buyer.address),
        quote["terms"],
    )
    listed = api.call("GET", f"/v1/orders?buyer={buyer.address}&state=accepted").json()["orders"]
    assert [order["orderId"] for order in listed] == [quote["orderId"]]
    assert api.call("GET", "/v1/orders?state=settled").json()["orders"] == []


def test_an_open_collection_takes_no_delivery_key(api: Api, buyer: Signer) -> None:
    collection = api.collection(name="open-people", visibility="open")
    body = {
        "collection": collection,
        "buyer": str(buyer.address),
        "rows": 60,
        "deliveryKey": "0x" + "11" * 32,
    }
    assert api.call("POST", "/v1/quotes", body).json()["code"] == "terms-refused"
    assert api.call("POST", "/v1/quotes", body | {"deliveryKey": None}).status_code == 200
