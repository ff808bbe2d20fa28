"""The small market that the system tests run: its collection, its tables, and what a test does with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from provenance.api.market import Event
from provenance.api.orders import StateEvent
from provenance.chain.ports import OrderState
from provenance.chain.reader import ChainReader
from provenance.record.collection import Collection
from provenance.table.schema import Schema
from provenance.units import ONE_TOKEN
from provenance.values import Digest
from tessera.client.client import Client
from tessera.client.delivery import Delivery, KeyPatience, fetch
from tessera.client.order_file import OrderFile
from tessera.devnet.children import Child
from tessera.devnet.network import LocalNetwork, python_path
from tests.waiting import HANG_SECONDS, until

CHALLENGE_SECONDS = 6
"""For orders of which nobody needs the window to be open."""
LONG_SECONDS = 24 * 3600
"""A time that no test lives through: it ends when a test skips it."""
ANSWER_SECONDS = LONG_SECONDS // 4
"""For answers to demands. A receipt can be demanded only if this time ends before the order's deadline."""
TABLE_ROWS = {"maple": 420, "rowan": 260}
BUYER_TOKENS = 1_000
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "visits",
        "target": "returned",
        "columns": [
            {"name": "age", "type": "integer", "minimum": 0, "maximum": 99, "multipleOf": 1, "nullable": False,
             "missing": ""},
            {"name": "ward", "type": "string", "enum": ["north", "south", "east"], "nullable": True, "missing": "?"},
            {"name": "stay", "type": "number", "minimum": "0", "maximum": "20", "multipleOf": "0.5",
             "nullable": False, "missing": ""},
            {"name": "returned", "type": "string", "enum": ["no", "yes"], "nullable": False, "missing": ""},
        ],
    }
)  # fmt: skip
SMALL_SETTINGS: dict[str, str | int | bool] = {
    "rounds": 3,
    "discriminatorSteps": 4,
    "discriminatorBatch": 32,
    "discriminatorWidth": 16,
    "steps": 120,
    "latentBytes": 16,
    "hiddenWidth": 32,
}
"""A FedGAN that trains in seconds."""
COLLECTION = Collection(
    name="visits",
    title="Visits, two contributors",
    schema=SCHEMA,
    family="fedgan",
    visibility="private",
    min_contributors=2,
    price_per_row_wei=ONE_TOKEN // 100,
    epsilon_micro=5_000_000,
    settings=SMALL_SETTINGS,
    standing=True,
)


@dataclass(frozen=True, slots=True)
class Market:
    """The running processes, and a buyer with both keys."""

    network: LocalNetwork
    buyer: Client
    folder: Path

    @property
    def chain(self) -> ChainReader:
        return self.buyer.chain

    def process(self, name: str) -> Child:
        """The child called `backend`, `coordinator` or as a contributor is."""
        (child,) = (each for each in self.processes() if each.command.name == name)
        return child

    def processes(self) -> list[Child]:
        """Ours, whether they run or not."""
        named = (self.network.backend, self.network.coordinator, *self.network.nodes.values())
        return [child for child in named if child is not None]

    def place(
        self,
        *,
        rows: int,
        deliver_within_seconds: int = LONG_SECONDS,
        challenge_seconds: int = CHALLENGE_SECONDS,
        collection: Collection = COLLECTION,
        epsilon: Decimal = Decimal(2),
        training: Digest | None = None,
    ) -> OrderFile:
        """Ask, check, sign, send. training: the order from whose stock it is to be."""
        quote = self.buyer.quote(
            collection.name,
            rows,
            epsilon=epsilon,
            deliver_within_seconds=deliver_within_seconds,
            match_within_seconds=deliver_within_seconds // 2,
            challenge_seconds=challenge_seconds,
            training=None if training is None else str(training),
        )
        return self.buyer.order(quote, self.folder / f"{quote.order_id}.json")

    def events_until(self, order: OrderFile, wanted: Callable[[Event], bool]) -> list[Event]:
        """The order's events up to the first wanted one; fails when it ends before."""
        seen: list[Event] = []
        for event in self.buyer.events(order):
            seen.append(event)
            if wanted(event):
                return seen
        view = self.buyer.status(order)
        raise AssertionError(f"the order ended {view.state}: {view.reason}")

    def ledger_text(self, node: str) -> str:
        """The node's own privacy ledger, empty before its first release."""
        return "".join(
            file.read_text(encoding="utf-8") for file in self.network.node_folder(node).rglob("ledger.jsonl")
        )

    def await_in_stock(self, training: OrderFile) -> None:
        """Wait until the market lists the order's models: it follows the chain a little behind."""
        name = training.collection.name
        until(
            lambda: training.order_id in [each.training for each in self.buyer.models(name)],
            "the models in stock",
        )

    def seconds_to_record(self, order: Digest) -> int:
        """Chain seconds from the block that placed the order to the one that recorded its data set."""
        blocks = {each.step: each.block for each in self.buyer.status(str(order)).transactions}
        times = [
            int(self.chain.rpc.request("eth_getBlockByNumber", hex(blocks[step]), False)["timestamp"], 16)
            for step in ("place", "publish")
        ]
        return times[1] - times[0]

    def await_first_release(self, node: str, order: OrderFile) -> None:
        """Wait until the node has written its first release for the order: most of its training is ahead."""
        until(lambda: str(order.order_id) in self.ledger_text(node), f"{node}'s first release")

    def await_state(self, order: OrderFile, state: str) -> list[Event]:
        return self.events_until(
            order, lambda event: isinstance(event.data, StateEvent) and event.data.state == state
        )

    def await_on_chain(self, order_id: Digest, state: OrderState) -> None:
        """Wait for the escrow's own word."""
        until(lambda: self.chain.order(order_id).state is state, f"the escrow to say {state.name}")

    def delivered(self, dataset: int) -> Delivery:
        """The data set as its buyer fetches it, once its keys are released."""
        found = fetch(
            self.chain, self.buyer.content, dataset, self.buyer.delivery_key, KeyPatience(HANG_SECONDS)
        )
        assert not found.withheld
        return found

    def skip(self, seconds: int) -> None:
        """Moves chain time on: what had to happen within a window has happened, now it shall be over."""
        self.chain.rpc.request("evm_increaseTime", seconds)
        self.chain.rpc.request("anvil_mine", hex(1))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command line of ours in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "tessera", *words],
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            env=python_path(),
            cwd=self.folder,
        )

    def buyer_options(self) -> tuple[str, ...]:
        """Network and wallet as a command line names them."""
        wallet = self.network.key_file("buyer")
        return ("--network", str(self.network.folder / "network.json"), "--wallet", str(wallet))


def write_table(path: Path, rows: int, seed: int) -> None:
    """A small table with structure: stay grows with age, and whoever stays long returns."""
    random = np.random.default_rng(seed)
    age = random.integers(0, 100, rows)
    stay = np.clip(np.round(age / 8 + random.normal(0, 2, rows)), 0, 20)
    ward = random.choice(["north", "south", "east", "?"], rows, p=[0.4, 0.3, 0.25, 0.05])
    returned = np.where(stay + random.normal(0, 2, rows) > 7, "yes", "no")
    lines = [f"{a},{w},{s:g},{r}" for a, w, s, r in zip(age, ward, stay, returned, strict=True)]
    path.write_text("\n".join(["age,ward,stay,returned", *lines]) + "\n", encoding="utf-8")
