"""`tessera.Client` before a market in memory: which order is meant, what can be taken back, what is refused."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provenance.api.catalogue import OfferState
from provenance.api.errors import MarketRefused
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import OrderState
from provenance.crypto.seal import DeliveryKey, new_delivery_key
from provenance.crypto.signing import Signer, create_key
from provenance.errors import KeyNotReleasedError
from provenance.record.terms import OrderTerms
from provenance.store.unixfs import cid_of
from provenance.values import Cid, Digest, sha256
from tessera.cli.orders import IN_PART, _deliver
from tessera.client import delivery
from tessera.client.client import Client
from tessera.client.delivery import KeyPatience
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import OrderRequest
from tessera.client.profile import NetworkProfile
from tessera.errors import FalseDatasetError, OrderFailedError, TesseraError, UsageError
from tests.provenance.verify.publication import (
    BROKER,
    BUYER,
    DATASET,
    KEY,
    MODELS,
    NODES,
    ROWS,
    Builder,
    Publication,
)
from tests.tessera.client.test_buyer import an_order
from tests.tessera.client.test_challenge import CHALLENGER, world

NOW = 1_505


class Api:
    """The market's interface in memory: its orders, its content, and what was sent to it."""

    def __init__(self, published: Publication, ids: tuple[Digest, ...] = ()) -> None:
        self.published = published
        self.ids = ids
        self.placed: list[Any] = []
        self.listening = 3

    def orders(self, **_asked: Any) -> tuple[Any, ...]:
        return tuple(SimpleNamespace(order_id=each) for each in self.ids)

    def content(self, cid: Any) -> bytes:
        return self.published.store.get(cid)

    def place(self, order: Any) -> None:
        self.placed.append(order)

    def events(self, _order: Digest, is_over: Any) -> Any:
        """A broker that says nothing, for as long as anybody listens."""
        while not is_over():
            self.listening -= 1
            assert self.listening, "nobody listens for ever"
        return iter(())

    def close(self) -> None:
        pass


@pytest.fixture
def published() -> Publication:
    return Builder(state=OrderState.PUBLISHED).build()


def a_client(published: Publication, *, key: DeliveryKey | None = None, ids: tuple[Digest, ...] = ()) -> Any:
    deployment = published.chain.deployment
    profile = NetworkProfile("http://127.0.0.1:1", "http://127.0.0.1:1", BROKER.address, deployment)
    client: Any = Client(profile, wallet=BUYER, key=key)
    published.chain.time_seconds = NOW
    client.chain = published.chain
    client.__dict__ |= {"api": Api(published, ids), "writer": published.chain}
    return client


def test_an_order_is_named_by_its_id_the_first_digits_of_it_or_its_file(
    published: Publication, tmp_path: Path
) -> None:
    one, two = Digest(b"\xab" * 32), Digest(b"\xab\xcd" * 16)
    client = a_client(published, ids=(one, two))
    assert client.find(str(one)) == one
    assert client.find("0xABABAB") == one
    file = order_path(tmp_path / "rows.csv")
    an_order().write(file)
    assert client.find(str(file)) == client.find(file) == an_order().order_id
    with pytest.raises(UsageError, match="at least 4 digits"):
        client.find("0xab")
    with pytest.raises(UsageError, match="0 orders begin with 0x1234"):
        client.find("0x1234")
    client.api.ids = (one, replace_last(one))
    with pytest.raises(UsageError, match="2 orders begin with 0xabab, expected one") as refused:
        client.find("0xabab")
    assert str(one) in str(refused.value)


def test_an_order_behind_others_that_wait_signs_its_permit_for_the_nonce_after_theirs(
    published: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, signed = a_client(published), []

    def sign(_quote: Any, orders_before: int) -> OrderFile:
        signed.append(orders_before)
        return an_order()

    def place(_order: Any) -> None:
        if signed[-1] < 2:
            raise MarketRefused("POST /v1/orders", 422, "permit-nonce", "permit: found nonce 0, expected 2")

    monkeypatch.setattr(client, "sign", sign)
    monkeypatch.setattr(client.api, "place", place)
    client.order(None, tmp_path / "order.json")
    assert signed == [0, 1, 2]

    def refuse(_order: Any) -> None:
        raise MarketRefused("POST /v1/orders", 422, "terms-refused", "rows: found 3")

    monkeypatch.setattr(client.api, "place", refuse)
    with pytest.raises(MarketRefused, match="terms-refused"):
        client.order(None, tmp_path / "other.json")
    assert signed == [0, 1, 2, 0], "what is refused for another reason is not tried again"


def replace_last(digest: Digest) -> Digest:
    return Digest(bytes(digest)[:31] + b"\x00")


def test_offers_are_those_that_can_be_bought_or_all_of_a_party(published: Publication) -> None:
    client = a_client(published)
    asked: list[tuple[object, ...]] = []

    def offers(**wanted: object) -> tuple[()]:
        asked.append(tuple(wanted.values()))
        return ()

    client.api.offers = offers
    with pytest.raises(UsageError, match=r"found 'open', expected one of listed, sold, .* unlisted, all"):
        client.offers(state="open")
    me = BUYER.address
    client.offers()
    client.offers(buyer=me)
    client.offers(seller=me, state="sold")
    client.offers(state="all")
    assert asked == [
        (None, None, OfferState.LISTED),
        (me, None, None),
        (None, me, OfferState.SOLD),
        (None, None, None),
    ]


def kept_order(published: Publication, file: Path, **changes: Any) -> tuple[OrderFile, OrderTerms]:
    """An order file of the buyer's for a market in memory."""
    terms = replace(published.manifest.terms, **changes)
    order = replace(
        an_order(),
        order_id=terms.order_id(published.chain.deployment.domain),
        terms=terms,
        collection=published.manifest.collection,
        request=published.manifest.request,
    )
    order.write(file)
    return order, terms


def on_chain(published: Publication, order: OrderFile, state: OrderState) -> None:
    memory = published.chain
    known = memory.orders[published.manifest.order]
    memory.orders[order.order_id] = replace(known, state=state)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (OrderState.CANCELLED, "was cancelled already, its price is back"),
        (OrderState.REFUNDED, "was refunded already, its price is back"),
    ],
)
def test_a_request_for_an_order_that_ended_says_how_to_order_again(
    published: Publication, tmp_path: Path, state: OrderState, words: str
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file)
    on_chain(published, order, state)
    with pytest.raises(OrderFailedError, match=words) as ended:
        client.resume(file)
    assert f"To order again, delete {file}, or choose another file for it" in str(ended.value)
    assert client.api.placed == []


def test_an_order_that_never_reached_the_chain_in_time_is_over_too(
    published: Publication, tmp_path: Path
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file, match_by=NOW - 90, salt=Digest(b"\x77" * 32))
    published.chain.orders.pop(order.order_id, None)
    with pytest.raises(OrderFailedError, match=r"ended at .* \(90 seconds ago\): nothing was paid"):
        client.resume(file)


def asked_again(order: OrderFile) -> OrderRequest:
    """What led to the order."""
    terms = order.terms
    return OrderRequest(
        order.collection.name,
        terms.rows,
        epsilon=Decimal(terms.epsilon_micro).scaleb(-6),
        delta=Decimal(terms.delta_e12).scaleb(-12),
        min_contributors=terms.min_contributors,
        min_score=Decimal(terms.min_score_micro).scaleb(-6),
        purpose=order.request.purpose,
    )


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"rows": 24}, "rows"),
        ({"epsilon": Decimal("0.5")}, "epsilon"),
        ({"min_score": Decimal("0.95")}, "min score"),
        ({"purpose": "another"}, "purpose"),
        ({"max_price_wei": 1}, "price"),
        ({"challenge_seconds": 1}, "challenge seconds"),
    ],
)
def test_a_request_that_asks_for_something_else_does_not_go_on_with_the_order(
    published: Publication, tmp_path: Path, other: dict[str, Any], named: str
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file)
    on_chain(published, order, OrderState.OPEN)
    with pytest.raises(UsageError, match=f"holds another order .*: {named}: the terms say"):
        client.resume(file, replace(asked_again(order), **other))
    assert client.api.placed == []


def test_a_request_from_stock_goes_on_with_the_training_that_was_found(tmp_path: Path) -> None:
    published = Builder(state=OrderState.PUBLISHED, training=sha256(b"trained")).build()
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file)
    on_chain(published, order, OrderState.OPEN)
    asked = replace(asked_again(order), from_stock=True, epsilon=None)
    assert client.resume(file, asked).request.training == sha256(b"trained")
    with pytest.raises(UsageError, match=r"training: the terms say .*, asked made to order"):
        client.resume(file, replace(asked, from_stock=False))


def test_an_order_under_way_is_sent_again(published: Publication, tmp_path: Path) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, terms = kept_order(published, file)
    on_chain(published, order, OrderState.OPEN)
    assert client.resume(file, asked_again(order)).order_id == order.order_id
    (sent,) = client.api.placed
    assert sent.terms == terms


@pytest.mark.parametrize("state", [OrderState.REFUNDED, OrderState.SETTLED, OrderState.CANCELLED])
@pytest.mark.parametrize("what", ["cancel", "refund"])
def test_what_cannot_be_taken_back_is_said_in_words_before_anything_is_sent(
    published: Publication, tmp_path: Path, state: OrderState, what: str
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file)
    on_chain(published, order, state)
    with pytest.raises(TesseraError, match="there is nothing to take back") as refused:
        getattr(client, what)(file)
    assert state.name.lower() in str(refused.value)


def test_an_order_that_was_signed_and_not_placed_is_taken_back_on_chain(
    published: Publication, tmp_path: Path
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, terms = kept_order(published, file)
    on_chain(published, order, OrderState.NONE)
    sent: list[OrderTerms] = []
    client.__dict__["writer"] = SimpleNamespace(cancel=sent.append)
    client.cancel(file)
    assert sent == [terms]


def test_a_refund_before_its_time_says_when_that_is(published: Publication, tmp_path: Path) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file, deliver_by=NOW + 5 * 86_400)
    on_chain(published, order, OrderState.MATCHED)
    published.chain.deadlines[order.order_id] = NOW + 6 * 86_400  # moved by a demand
    with pytest.raises(
        TesseraError, match=r"contributors work on it: it can be refunded after .* \(in 6 days\)"
    ):
        client.refund(file)
    on_chain(published, order, OrderState.OPEN)
    published.chain.time_seconds = 1
    with pytest.raises(TesseraError, match="`tessera cancel` takes it back at once"):
        client.refund(file)


def test_a_matched_order_is_not_cancelled_but_can_be_refunded_later(
    published: Publication, tmp_path: Path
) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    order, _ = kept_order(published, file, deliver_by=NOW + 7_200)
    on_chain(published, order, OrderState.MATCHED)
    published.chain.deadlines[order.order_id] = order.terms.deliver_by
    with pytest.raises(
        TesseraError, match=r"too late to cancel; .*`tessera refund`.* after .* \(in 2 hours\)"
    ):
        client.cancel(file)


def test_a_stranger_cannot_cancel(published: Publication, tmp_path: Path) -> None:
    client, file = a_client(published), tmp_path / "rows.csv.order.json"
    kept_order(published, file)
    client._signer = Signer(b"\x77" * 32)
    with pytest.raises(TesseraError, match="the order was signed by"):
        client.cancel(file)


def test_rows_are_written_only_with_the_right_key(published: Publication, tmp_path: Path) -> None:
    to, order = tmp_path / "rows.csv", published.manifest.order
    for key, words in (
        (None, "is sealed: name the delivery key"),
        (DeliveryKey(b"\x99" * 32), "is not the one of data set"),
    ):
        client = a_client(published, key=key)
        client.chain.dataset_of_order = lambda _order: DATASET
        with pytest.raises(UsageError, match=words):
            client.download(order, to)
        assert not to.exists()
    client = a_client(published, key=KEY)
    client.chain.dataset_of_order = lambda _order: DATASET
    found = client.download(order, to)
    assert (found.rows, found.path) == (23, to)
    assert len(to.read_text(encoding="utf-8").splitlines()) == 24


def withheld(*shards: int) -> tuple[Any, Publication]:
    """A client whose data set lacks the keys of some shards; what was never released is returned by none."""

    def withhold(drafts: list[Any]) -> None:
        for shard in shards:
            drafts[shard].releases_key = False

    published = Builder(state=OrderState.PUBLISHED, edit_drafts=withhold).build()
    client = a_client(published, key=KEY)
    client.chain.dataset_of_order = lambda _order: DATASET
    return client, published


def test_a_key_that_is_not_released_is_named_with_what_to_do_and_the_other_rows_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, published = withheld(1)
    to, order = tmp_path / "rows.csv", published.manifest.order
    found = client.download(order, to, patience=KeyPatience())
    assert found.rows == ROWS[0]
    assert len(to.read_text(encoding="utf-8").splitlines()) == ROWS[0] + 1
    (words,) = found.withheld
    assert f"contributor {NODES[1].address} has not released the key of shard 1: its {ROWS[1]} rows" in words
    assert f"`tessera demand --dataset {DATASET} --shard 1 --model --wallet WALLET`" in words
    assert _deliver(client, str(order), to, 0, send_challenge=False) == IN_PART
    told = " ".join(capsys.readouterr().err.split())
    assert f"has not released the key of shard 1: its {ROWS[1]} rows are not there" in told


def test_nothing_is_written_while_no_key_is_released(tmp_path: Path) -> None:
    client, published = withheld(0, 1)
    with pytest.raises(
        KeyNotReleasedError, match=r"can be opened yet: contributor .* shard 0: .*; .* shard 1: "
    ):
        client.download(published.manifest.order, tmp_path / "rows.csv", patience=KeyPatience())
    assert not (tmp_path / "rows.csv").exists()


def test_a_key_that_is_released_while_the_buyer_waits_opens_its_rows(tmp_path: Path) -> None:
    published = Builder(state=OrderState.PUBLISHED).build()
    client = a_client(published, key=KEY)
    client.chain.dataset_of_order = lambda _order: DATASET
    cid = published.released_keys()[1]
    key, told = published.store.get(cid), []
    published.store.drop(cid)

    def release(waiting: delivery.Delivery) -> None:
        told.append([each.shard for each in waiting.withheld])
        published.store.put(key)

    found = client.download(
        published.manifest.order, tmp_path / "rows.csv", patience=KeyPatience(60, release)
    )
    assert told == [[1]]
    assert (found.rows, found.withheld) == (sum(ROWS), ())


def test_rows_of_a_model_that_was_demanded_are_written_without_its_key(tmp_path: Path) -> None:
    client, published = withheld(1)
    published.chain.models[published.manifest.order, 1] = MODELS[1]
    found = client.download(published.manifest.order, tmp_path / "rows.csv", patience=KeyPatience())
    assert (found.rows, found.withheld) == (sum(ROWS), ())


def test_a_false_data_set_is_not_written_and_its_checks_are_named(tmp_path: Path) -> None:
    def flip(drafts: list[Any]) -> None:
        drafts[0].rows = bytes([drafts[0].rows[0] ^ 1]) + drafts[0].rows[1:]

    published = Builder(state=OrderState.PUBLISHED, edit_drafts=flip).build()
    client = a_client(published, key=KEY)
    client.chain.dataset_of_order = lambda _order: DATASET
    with pytest.raises(FalseDatasetError, match="nothing was written") as false:
        client.download(published.manifest.order, tmp_path / "rows.csv")
    assert false.value.exit_code == 4
    assert [check.name for check in false.value.certificate.failed] == ["rows"]
    assert not (tmp_path / "rows.csv").exists()


def test_one_file_as_wallet_and_delivery_key_is_refused(published: Publication, tmp_path: Path) -> None:
    create_key(tmp_path / "wallet.key")
    new_delivery_key(tmp_path / "delivery.key")
    profile = NetworkProfile("http://x", "http://x", BROKER.address, published.chain.deployment)
    with pytest.raises(UsageError, match="named as wallet and as delivery key"):
        Client(profile, wallet=tmp_path / "wallet.key", key=tmp_path / "wallet.key")
    client = Client(profile, key=tmp_path / "delivery.key")
    with pytest.raises(UsageError, match="needs a wallet"):
        _ = client.wallet


def test_a_true_data_set_is_recomputed_and_left_alone(published: Publication, tmp_path: Path) -> None:
    found = a_client(published, key=KEY).challenge(DATASET, file=tmp_path / "challenge.json")
    assert (found.refutation, found.conviction, found.standing) == (None, None, "")
    assert found.searched.rows == 23


def test_what_a_challenge_discloses_is_said_and_nothing_is_sent_without_agreement(tmp_path: Path) -> None:
    false = world(tmp_path)
    client = a_client(false.chain.published, key=KEY)
    client.chain, client._signer = false.chain, CHALLENGER
    client.__dict__["writer"] = false.chain
    found = client.challenge(DATASET, file=false.file)
    assert found.refutation.finding.row == 5
    assert "in clear into the public chain" in found.disclosure
    assert "disclose=True" in found.standing
    assert false.chain.calls == []
    done = client.challenge(DATASET, file=false.file, disclose=True)
    assert sum(done.conviction.after.values()) == sum(done.conviction.before.values())
    assert false.chain.calls == ["commit", "reveal"]
    assert client.challenge(DATASET, file=false.file).standing == "the data set is not valid any more"


@pytest.mark.parametrize("state", [OrderState.NONE, OrderState.OPEN, OrderState.MATCHED])
def test_a_broker_that_says_nothing_is_not_watched_beyond_the_delivery_date(
    published: Publication, state: OrderState
) -> None:
    client, order = a_client(published), an_order()
    record = replace(client.chain.order(order.order_id), state=state)
    client.chain.order = lambda _order: record
    client.chain.deadlines[order.order_id] = order.terms.deliver_by
    client.chain.time_seconds = order.terms.deliver_by
    with pytest.raises(AssertionError, match="nobody listens for ever"):
        client.watch(order)
    client.chain.time_seconds += 1
    with pytest.raises(OrderFailedError, match=r"delivery was due at .*`tessera refund` brings back"):
        client.watch(order)


@pytest.mark.parametrize(("open_demands", "moved"), [(1, 0), (0, 3_600)])
def test_an_order_whose_deadline_was_moved_or_waits_for_a_demand_is_watched_on(
    published: Publication, open_demands: int, moved: int
) -> None:
    client, order = a_client(published), an_order()
    chain = client.chain
    record = replace(chain.order(order.order_id), state=OrderState.MATCHED, open_demands=open_demands)
    chain.order = lambda _order: record
    chain.deadlines[order.order_id] = order.terms.deliver_by + moved
    chain.time_seconds = order.terms.deliver_by + 1
    with pytest.raises(AssertionError, match="nobody listens for ever"):
        client.watch(order)


def test_a_chain_that_does_not_answer_makes_no_order_late(published: Publication) -> None:
    client = a_client(published)

    def down(_order: Digest) -> None:
        raise ChainUnavailableError("down")

    client.chain.order = down
    with pytest.raises(AssertionError, match="nobody listens for ever"):
        client.watch(an_order())


def test_the_market_s_content_is_kept_up_to_a_limit(
    published: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {cid_of(bytes([i]) * 100): bytes([i]) * 100 for i in range(5)}
    asked: list[Cid] = []

    def content(cid: Cid) -> bytes:
        asked.append(cid)
        return contents[cid]

    api: Any = SimpleNamespace(content=content)
    monkeypatch.setattr(delivery, "MOST_KEPT_BYTES", 250)
    store = delivery.MarketStore(api)
    for cid in [*contents, *contents]:
        assert store.get(cid) == contents[cid]
    assert store.get(asked[-1]) == contents[asked[-1]]
    assert asked == [*contents, *contents], "the last is kept, the first are not"
