"""The buyer's side: nothing is signed that was not asked for, nothing is lost, and the market's words come through."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from provenance.chain.errors import RevertError
from provenance.chain.memory import MemoryChain
from provenance.chain.ports import OrderOnChain, OrderState
from provenance.crypto.permit import Permit
from provenance.crypto.signing import Signer
from provenance.crypto.typed_data import Domain
from provenance.record.collection import Collection, Request
from provenance.record.terms import NO_PARENTS, OrderTerms
from provenance.table.conditions import Conditions, Segment
from provenance.table.conditions_bytes import NO_CONDITIONS, conditions_digest
from provenance.values import Address, Digest, Signature
from tessera.client.api import BuyerApi, parse_events
from tessera.client.client import Client
from tessera.client.delivery import Delivery
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import OrderRequest, Quote, check_terms, parse_decimal
from tessera.devnet.children import LOOPBACK
from tessera.errors import ServiceDownError, ServiceRefusedError, TermsDifferError, TesseraError, UsageError
from tessera.local.conditions import ConditionOptions
from tessera.words import parse_tokens, tokens
from tests.provenance.verify.publication import SCHEMA, Builder
from tests.waiting import HANG_SECONDS

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
    price=5 * 10**18,
    stake=10**18,
    bond=10**17,
    royalty_bps=0,
    conditions=NO_CONDITIONS,
    parents=NO_PARENTS,
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
    check_terms(
        asked,
        quote,
        buyer=BUYER.address,
        broker=BROKER.address,
        delivery_key=DELIVERY_KEY,
        domain=DOMAIN,
    )


@pytest.mark.parametrize("quoted", [(), ("kind=b",), ("kind=a", "age>=10")])
def test_conditions_that_were_not_asked_for_are_named_and_not_signed(quoted: tuple[str, ...]) -> None:
    asked = replace(ASKED, asked=ConditionOptions(where=("kind=a",)))
    request = asked.request(COLLECTION)
    in_bytes = conditions_digest(request.asked(SCHEMA, 500))
    terms = replace(TERMS, request=request.digest, conditions=in_bytes)
    check(terms, asked=asked, request=request)
    other = replace(ASKED, asked=ConditionOptions(where=quoted)).request(COLLECTION)
    with pytest.raises(TermsDifferError, match="conditions: quoted"):
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
        parse_tokens(text)


def test_amounts_are_exact() -> None:
    assert parse_tokens("12.5") == 12_500_000_000_000_000_000
    assert parse_tokens("0.000000000000000001") == 1
    assert tokens(12_500_000_000_000_000_000) == "12.5"
    assert tokens(10**22 + 1) == "10,000.000000000000000001"
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


def test_events_are_read_over_comments_and_several_data_lines() -> None:
    lines = [": keep-alive", "", "id: 4", "event: state", 'data: {"state":', 'data: "open"}', "", "id: 5",
             "event: message", 'data: {"text": "hello"}', ""]  # fmt: skip
    events = list(parse_events(iter(lines), "order"))
    assert [(event.id, event.kind) for event in events] == [(4, "state"), (5, "message")]
    assert events[0].data.text("state") == "open"


@pytest.mark.parametrize("state", [OrderState.REFUNDED, OrderState.MATCHED])
def test_money_that_the_broker_gave_back_first_is_said_to_be_back(state: OrderState) -> None:
    ledger = MemoryChain(SimpleNamespace(domain=DOMAIN), time_seconds=TERMS.deliver_by + 1)  # type: ignore[arg-type]
    order = TERMS.order_id(DOMAIN)
    ledger.orders[order] = OrderOnChain(order, OrderState.MATCHED, 0, order, order, 0)

    def refused(*_arguments: object) -> None:
        ledger.orders[order] = OrderOnChain(order, state, 0, order, order, 0)
        raise RevertError("refund: refused", name="OrderEscrow_WrongState")

    client: Any = Client.__new__(Client)
    client.chain, client.profile = ledger, SimpleNamespace(deployment=ledger.deployment)
    client.__dict__["writer"] = SimpleNamespace(refund=refused)
    expected = TesseraError if state is OrderState.REFUNDED else RevertError
    with pytest.raises(expected, match="nothing to take back" if expected is TesseraError else "refused"):
        client.refund(an_order())


def test_a_backend_that_is_down_is_said_so_with_its_address(dead_port: int) -> None:
    url = f"http://{LOOPBACK}:{dead_port}"
    with BuyerApi(url) as api, pytest.raises(ServiceDownError, match=f"{url}.*is the backend running"):
        api.network()


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A tiny market: `answer` writes the whole response."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_arguments: object) -> None:
            return

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_refusal_keeps_the_market_s_words_and_names_the_field() -> None:
    problem = {"title": "Malformed", "detail": "the body is malformed", "code": "invalid-request",
               "errors": [{"field": "colour", "message": "unknown member"}]}  # fmt: skip
    with (
        serving(
            lambda handler: send(handler, 422, json.dumps(problem).encode(), "application/problem+json")
        ) as url,
        BuyerApi(url) as api,
        pytest.raises(
            ServiceRefusedError, match=r"422 \(invalid-request\).*colour: unknown member"
        ) as refused,
    ):
        api.network()
    assert refused.value.status == 422


def test_an_event_stream_that_breaks_off_continues_after_the_last_id() -> None:
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if not handler.path.endswith("/events"):
            send(handler, 200, b'{"state": "settled"}')
            return
        after = handler.headers["Last-Event-ID"]
        asked.append(after)
        state = "open" if after == "0" else "settled"
        body = f'id: {int(after) + 1}\nevent: state\ndata: {{"state": "{state}"}}\n\n'.encode()
        if after == "0":  # cut off: fewer bytes than announced
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body) + 10))
            handler.end_headers()
            handler.wfile.write(body)
            handler.close_connection = True
        else:
            send(handler, 200, body, "text/event-stream")

    with serving(answer) as url, BuyerApi(url, patience_seconds=HANG_SECONDS) as api:
        states = [event.data.text("state") for event in api.events("0x01")]
    assert states == ["open", "settled"]
    assert asked == ["0", "1"]


def test_a_backend_that_restarts_is_waited_for() -> None:
    answers = iter([503, 503, 200])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, next(answers), b'{"chainId": 1}')

    with serving(answer) as url, BuyerApi(url, patience_seconds=HANG_SECONDS) as api:
        assert api.network().integer("chainId") == 1
