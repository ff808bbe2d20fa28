"""The guides and the README, followed command by command at a running market.

It is the market of `tessera up` with fewer rows and less training, so that the pages' own paths hold: `run/up` of the
reader's folder is the market's. Addresses, numbers of data sets and order ids are those of this market.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from provenance.chain.ports import OrderState
from provenance.crypto.signing import load_key
from provenance.units import ONE_TOKEN
from tessera.client.order_file import OrderFile
from tessera.devnet import chain
from tessera.devnet.adult import adult_collection, read_lines
from tests.docs.guide import ROOT, Reader
from tests.system.conftest import open_market
from tests.system.market import LONG_SECONDS, SMALL_SETTINGS, Market
from tests.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

GUIDES = ROOT / "docs" / "guides"
COLLECTION = dataclasses.replace(
    adult_collection(), min_contributors=2, settings=SMALL_SETTINGS, epsilon_micro=5_000_000
)
VAULT = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
MATCH_SECONDS = 600
UNBONDING_SECONDS = 8 * 24 * 3600


def write_adult(path: Path, rows: int, seed: int) -> None:
    """So many rows of the bundled table, others for every seed."""
    header, lines = read_lines("adult_train.csv.gz")
    path.write_text("\n".join([header, *lines[1_000 * seed :][:rows]]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def adult_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("guides")
    with open_market(folder, COLLECTION, {"maple": 420, "rowan": 380}, write_adult) as running:
        yield running


@pytest.fixture
def reader(adult_market: Market, tmp_path: Path) -> Reader:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "up").symlink_to(adult_market.network.folder)
    network = adult_market.network
    return Reader(
        tmp_path, {"http://127.0.0.1:8545": network.rpc_url, "http://127.0.0.1:8600": network.api_url}
    )


def dataset_texts(number: int) -> dict[str, str]:
    """The pages speak of data set 1."""
    resale = (f"resale {word}" for word in ("offer", "show", "buy", "deliver", "open", "accept"))
    return {f"{words} 1": f"{words} {number}" for words in ("--dataset", *resale)} | {
        "verify(1": f"verify({number}"
    }


def place(market: Market, min_contributors: int = 2) -> OrderFile:
    """An order of the market's buyer that settles soon."""
    quote = market.buyer.quote(
        COLLECTION.name,
        300,
        epsilon=2,
        min_contributors=min_contributors,
        match_within_seconds=LONG_SECONDS,
        deliver_within_seconds=2 * LONG_SECONDS,
        challenge_seconds=6,
    )
    order = market.buyer.sign(quote)
    market.buyer.send(order, market.folder / f"{order.order_id}.json")
    return order


def test_the_buyers_guide(adult_market: Market, reader: Reader) -> None:
    market, folder = adult_market, reader.folder

    def number_the_data_set() -> dict[str, str]:
        order = OrderFile.read(folder / "rows.csv.order.json")
        number = market.chain.dataset_of_order(order.order_id)
        assert number is not None
        return dataset_texts(number)

    def wait_for_escrow(name: str) -> dict[str, str]:
        market.await_on_chain(OrderFile.read(folder / name).order_id, OrderState.OPEN)
        return {}

    def let_it_be_late() -> dict[str, str]:
        """The deadline passes, and no broker is there."""
        wait_for_escrow("late.csv.order.json")
        market.process("backend").kill()
        market.skip(2 * MATCH_SECONDS)
        return {}

    def settle_and_make_a_second_buyer() -> dict[str, str]:
        market.process("backend").restart()
        market.network.await_backend()
        market.skip(2 * LONG_SECONDS)
        market.await_on_chain(OrderFile.read(folder / "rows.csv.order.json").order_id, OrderState.SETTLED)
        market.network.fund("second", 100 * ONE_TOKEN)
        shutil.copy(market.network.key_file("second"), folder / "second.key")
        return {}

    reader.before = {
        "tessera download": number_the_data_set,
        "tessera cancel": lambda: wait_for_escrow("big.csv.order.json"),
        "tessera refund": let_it_be_late,
        "tessera resale offer": settle_and_make_a_second_buyer,
    }
    with reader.follow(GUIDES / "buyer.md"):
        assert (folder / "rows.csv").read_bytes() == (folder / "again.csv").read_bytes()
        assert (folder / "rows.csv").read_bytes() == (folder / "resold.csv").read_bytes()
        for name, state in (("big", OrderState.CANCELLED), ("late", OrderState.REFUNDED)):
            order = OrderFile.read(folder / f"{name}.csv.order.json")
            assert market.chain.order(order.order_id).state is state


@pytest.fixture(scope="module")
def sold(adult_market: Market) -> int:
    """A settled data set of the market's buyer."""
    order = place(adult_market)
    adult_market.await_state(order, "settled")
    number = adult_market.chain.dataset_of_order(order.order_id)
    assert number is not None
    return number


def test_the_auditors_guide(adult_market: Market, reader: Reader, sold: int) -> None:
    reader.texts |= dataset_texts(sold)
    shutil.copy(adult_market.network.key_file("delivery"), reader.folder / "delivery.key")
    with reader.follow(GUIDES / "auditor.md") as said:
        assert any("300 of 300 rows recomputed" in words for words in said)
        certificate = json.loads((reader.folder / "certificate.json").read_text(encoding="utf-8"))
        assert (certificate["failed"], certificate["notChecked"]) == ([], [])


def test_the_contributors_guide(adult_market: Market, reader: Reader) -> None:
    market, folder, network = adult_market, reader.folder, adult_market.network
    write_adult(folder / "table.csv", 400, 5)
    placed: list[OrderFile] = []

    def own_address() -> str:
        return str(load_key(folder / "node.key").address)

    def fund_the_node() -> dict[str, str]:
        shutil.copy(folder / "node.key", network.key_file("fir"))
        network.fund("fir", 100 * ONE_TOKEN)
        return {}

    def give_what_the_order_asks() -> dict[str, str]:
        policy = folder / "node" / "policy.toml"
        text = policy.read_text(encoding="utf-8")
        assert 'default = "ask"' in text, "a node asks unless its operator says otherwise"
        assert text.count('maximum_epsilon = "1"') == 1
        policy.write_text(text.replace('maximum_epsilon = "1"', 'maximum_epsilon = "2"'), encoding="utf-8")
        return {}

    def wait_for_the_node() -> dict[str, str]:
        until(lambda: own_address() in announced(market), "the announcement of the new node")
        return {}

    def order_of_three() -> dict[str, str]:
        placed.append(place(market, min_contributors=3))
        order = str(placed[0].order_id)
        until(lambda: order in asked(market, folder / "node"), "the node's question")
        return {"0x12ab": order[:12]}

    def settle() -> dict[str, str]:
        market.await_state(placed[0], "settled")
        return {}

    def make_a_relayer() -> dict[str, str]:
        network.account("relayer")
        shutil.copy(network.key_file("relayer"), folder / "relayer.key")
        return {"0x1234567890123456789012345678901234567890": own_address()}

    def pass_the_unbonding_time() -> dict[str, str]:
        market.skip(UNBONDING_SECONDS)
        return {}

    reader.before = {
        "tessera node init": fund_the_node,
        "--dry-run": give_what_the_order_asks,
        "tessera node budget": wait_for_the_node,
        "tessera node approve": order_of_three,
        "tessera node withdraw rewards": settle,
        "tessera payout sign": make_a_relayer,
        "tessera node withdraw unbonded": pass_the_unbonding_time,
    }
    with reader.follow(GUIDES / "contributor.md") as said:
        account = load_key(folder / "node.key").address
        assert own_address() in {
            str(each.contributor) for each in market.chain.participants(placed[0].order_id)
        }
        assert str(market.chain.payout_of(account)) == VAULT
        assert market.chain.balance(account) > 0, "rewards and stake are back"
        assert any("nothing to claim" in words for words in said)


def announced(market: Market) -> set[str]:
    answer = httpx.get(f"{market.network.api_url}/v1/contributors", timeout=10, trust_env=False)
    return {entry["contributor"] for entry in answer.raise_for_status().json()["contributors"]}


def asked(market: Market, folder: Path) -> str:
    """Which orders the node asks about."""
    return market.run("node", "status", "--folder", str(folder), "--json").stdout


def test_the_operators_guide(adult_market: Market, reader: Reader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    reader.texts["8700"] = port

    def pay_for_gas() -> dict[str, str]:
        deployer = load_key(reader.folder / "market" / "deployer.key")
        chain.give_gas(adult_market.network.rpc_url, str(deployer.address))
        return {}

    def await_backend() -> dict[str, str]:
        until(lambda: answers(f"http://127.0.0.1:{port}/health"), "the second market's backend")
        return {}

    reader.before = {"tessera deploy": pay_for_gas, "sign_request": await_backend}
    with reader.follow(GUIDES / "operator.md"):
        found = httpx.get(f"http://127.0.0.1:{port}/v1/collections", timeout=10, trust_env=False).json()
        assert [entry["document"]["name"] for entry in found["collections"]] == ["adult"]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def test_the_readme(adult_market: Market, reader: Reader) -> None:
    write_adult(reader.folder / "table.csv", 600, 3)
    reader.before = {"tessera request": lambda: dataset_texts(adult_market.chain.dataset_count() + 1)}
    with reader.follow(ROOT / "README.md"):
        assert (reader.folder / "rows.csv").exists()
