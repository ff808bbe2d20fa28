"""A backend over real SQLite, a folder store and a real chain (one anvil a session); nodes and buyer are keys."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import httpx
import pytest
import uvicorn

from backend.app import create_app
from backend.database.engine import Database, migrate
from backend.indexer.follower import Followed, Follower
from backend.ports import BrokerReading, Ports
from backend.settings import Settings
from provenance.chain.deploy import deploy_all
from provenance.chain.deployment import MarketParameters
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.permit import sign_permit
from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer
from provenance.record.collection import Collection
from provenance.record.terms import OrderTerms
from provenance.store.folder import FolderStore
from provenance.table.schema import Schema
from provenance.values import sha256
from tests import anvil
from tests.backend.memory_chain import Memory, MemoryChain
from tests.waiting import HANG_SECONDS

TOKEN = 10**18
STAKE = TOKEN
DELIVERY_KEY = "0x" + "5a" * 32

Json: TypeAlias = dict[str, Any]
"""A JSON object as a client sends or gets it."""


@dataclass
class Chain:
    """A deployed market, and accounts with gas money and tokens."""

    url: str
    reader: ChainReader
    bank: ChainWriter
    used: int = 1000

    def account(self) -> Signer:
        """A new funded key."""
        self.used += 1
        signer = Signer(self.used.to_bytes(32, "big"))
        self.bank.send_ether(signer.address, TOKEN)
        self.bank.mint(signer.address, 1000 * TOKEN)
        return signer

    def staked_node(self, stake: int = 10 * TOKEN) -> Signer:
        """A new registered contributor."""
        node = self.account()
        writer = ChainWriter(self.reader, node)
        writer.register(sha256(b"node"))
        writer.approve(self.reader.deployment.registry, stake)
        writer.deposit(stake)
        return node

    def skip(self, seconds: int) -> None:
        """Moves chain time on and mines a block."""
        anvil.skip(self.reader.rpc, seconds)

    def skip_with_next_block(self, seconds: int) -> None:
        """Moves chain time on in the block of the next transaction."""
        anvil.skip_with_next_block(self.reader.rpc, seconds)

    def mine(self, blocks: int) -> None:
        anvil.mine(self.reader.rpc, blocks)


@pytest.fixture(scope="session")
def chain() -> Iterator[Chain]:
    bank = Signer(anvil.DEVELOPMENT_KEY)
    with anvil.running_anvil() as url:
        deployment = deploy_all(url, bank, MarketParameters.local(unbonding_seconds=60))
        with ChainReader(url, deployment) as reader:
            yield Chain(url, reader, ChainWriter(reader, bank))


@dataclass
class Started:
    """A runner that only notes which orders were handed to it: tests take the steps themselves."""

    orders: list[str] = field(default_factory=list)

    def start(self, order: str) -> None:
        self.orders.append(order)


@dataclass
class Clock:
    """Wall time that stands still until a test moves it: no lease runs out because the machine is busy."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def broker(chain: Chain) -> Signer:
    return chain.account()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        stake_wei=STAKE,
        poll_seconds=0.02,
        accept_seconds=30,
        least_price_wei=10**12,
        least_challenge_seconds=0,
        least_delivery_seconds={"marginal": 60, "fedgan": 60, "autoregressive": 60},
    )


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with all tables, migrated once and copied for every test."""
    path = tmp_path_factory.mktemp("migrated") / "backend.sqlite"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runner() -> Started:
    return Started()


@pytest.fixture
def ports(
    tmp_path: Path,
    settings: Settings,
    chain: Chain,
    broker: Signer,
    migrated: Path,
    clock: Clock,
    runner: Started,
) -> Iterator[Ports]:
    shutil.copy(migrated, tmp_path / "backend.sqlite")
    database = Database(settings.database)
    yield Ports(
        settings=settings,
        database=database,
        chain=chain.reader,
        writer=ChainWriter(chain.reader, broker),
        store=FolderStore(tmp_path / "store"),
        waiting=FolderStore(tmp_path / "waiting"),
        runner=runner,
        clock=clock,
    )
    database.close()


@pytest.fixture
def memory(ports: Ports) -> Memory:
    """A chain in memory, and ports that lead to it."""
    chain = MemoryChain(replace(ports.chain.deployment, block=1))
    return chain, replace(ports, chain=cast(BrokerReading, chain))


@dataclass
class Api:
    """The application as clients see it; signs for whom it is told to."""

    client: httpx.Client
    ports: Ports
    chain: Chain
    broker: Signer

    def call(
        self,
        method: str,
        target: str,
        body: object = None,
        *,
        by: Signer | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = dict(headers or {})
        if not isinstance(body, bytes) and body is not None:
            sent["Content-Type"] = "application/json"
        if by is not None:
            sent["Authorization"] = sign_request(by, method, target, data, int(self.ports.clock()))
        return self.client.request(method, target, content=data, headers=sent)

    def collection(self, **changes: Any) -> str:
        """Offers a collection and returns its id."""
        collection = replace(make_collection(), **changes)
        answer = self.call("POST", "/v1/collections", collection.document(), by=self.broker)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def announce(self, node: Signer, collection: str, rows: int = 1000) -> httpx.Response:
        body = {"collection": collection, "declaredRows": rows, "metadata": {"software": "test"}}
        return self.call("POST", "/v1/contributors", body, by=node)

    def quote(self, buyer: Signer, collection: str, **changes: object) -> Json:
        body = {
            "collection": collection,
            "buyer": str(buyer.address),
            "rows": 60,
            "deliveryKey": DELIVERY_KEY,
        }
        answer = self.call("POST", "/v1/quotes", body | changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def signed_order(self, buyer: Signer, quote: Json) -> Json:
        """The body of POST /v1/orders for a quote."""
        terms = OrderTerms.parse(quote["terms"])
        reader = self.chain.reader
        nonce = int(quote["permit"]["typedData"]["message"]["nonce"])
        message = reader.permit_message(buyer.address, terms.price, terms.match_by)
        message = replace(message, nonce=nonce)
        return {
            "terms": quote["terms"],
            "signature": str(buyer.sign_typed(reader.domain, terms)),
            "permit": sign_permit(buyer, reader.token_domain(), message).document(),
            "request": quote["request"],
        }

    def order(self, buyer: Signer, collection: str, **changes: object) -> str:
        """A stored order's id."""
        body = self.signed_order(buyer, self.quote(buyer, collection, **changes))
        answer = self.call("POST", "/v1/orders", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["orderId"])


@pytest.fixture
def api(ports: Ports, chain: Chain, broker: Signer) -> Iterator[Api]:
    """Served by the real server in a thread: timeouts, streams and limits are those of a process."""
    config = uvicorn.Config(create_app(ports), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=HANG_SECONDS, trust_env=False) as client:
        yield Api(client, ports, chain, broker)
    ports.stopping.set()
    server.should_exit = True
    thread.join(HANG_SECONDS)
    assert not thread.is_alive(), "the server did not stop"
    listener.close()


def catch_up(follower: Follower) -> None:
    """Follows to the head of a chain that reorganises nothing meanwhile."""
    while True:
        outcome = follower.step()
        assert isinstance(outcome, Followed), outcome
        if outcome.is_head:
            return


def make_collection(name: str = "people") -> Collection:
    schema = Schema.parse(
        {
            "format": "tessera-schema/1",
            "name": "people",
            "target": None,
            "columns": [
                {"name": "age", "type": "integer", "minimum": 17, "maximum": 90, "multipleOf": 1, "nullable": False,
                 "missing": ""},
                {"name": "work", "type": "string", "enum": ["private", "state"], "nullable": True, "missing": "?"},
            ],
        }
    )  # fmt: skip
    return Collection(name, "People & <work>", schema, "marginal", "private", 2, 10**12, 3_000_000, {})


@pytest.fixture(scope="session")
def buyer(chain: Chain) -> Signer:
    return chain.account()


@pytest.fixture(scope="module")
def two_nodes(chain: Chain) -> list[Signer]:
    """Registered contributors with stake for many orders."""
    return [chain.staked_node(500 * TOKEN) for _ in range(2)]
