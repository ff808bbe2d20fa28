"""Makes the fixture of test_older_dataset.py with the code of this checkout: three real orders on a real chain.

    python -m tests.system.make_older_dataset FOLDER

FOLDER must not exist. tests/fixtures/before_move/README.md says what is in it and when another is needed.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from provenance.chain.ports import OrderState
from provenance.record.collection import Collection
from tessera.client import delivery
from tessera.devnet.network import NodeSpec
from tests.system.conftest import open_market
from tests.system.market import CHALLENGE_SECONDS, COLLECTION, Market, write_table

ROWS = 240
NET = {"latentBytes": 8, "hiddenWidth": 12, "hiddenLayers": 1}
SEALED = replace(
    COLLECTION,
    royalty_bps=500,
    settings={
        "rounds": 2,
        "discriminatorSteps": 2,
        "discriminatorBatch": 32,
        "discriminatorWidth": 8,
        "steps": 60,
    }
    | NET,
)
DERIVED = replace(
    COLLECTION,
    name="visits-derived",
    title="Visits, half of them drawn from data set 1",
    family="marginal",
    visibility="open",
    parents=(1,),
    own_real_micro=500_000,
    settings={"steps": 60} | NET,
)
ORDERED = replace(
    COLLECTION,
    name="visits-ordered",
    title="Visits, column after column",
    family="autoregressive",
    settings={"privateSteps": 20, "privateRows": 128, "width": 16, "neurons": 8},
)
ORDERS = (
    (SEALED, {"maple": 420, "rowan": 260}, ("age>=20", "ward=north|south|east")),
    (DERIVED, {"hazel": 380, "linden": 300}, ()),
    (ORDERED, {"aspen": 400, "willow": 280}, ()),
)


def make(folder: Path) -> None:
    """Runs the orders one after the other, stops the market and keeps what an auditor needs."""
    (first, tables, _), *_ = ORDERS
    with tempfile.TemporaryDirectory() as scratch, open_market(Path(scratch), first, tables) as market:
        for place, (collection, rows_of, where) in enumerate(ORDERS):
            if place:
                _serve(market, collection, rows_of, seed=10 * place)
            _order(market, collection, where)
        expected = {str(number): _expected(market, number) for number in range(1, len(ORDERS) + 1)}
        for child in (*market.processes(), market.network.chain):
            assert child is not None
            child.stop()
        _keep(market, folder)
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


def _serve(market: Market, collection: Collection, rows_of: Mapping[str, int], seed: int) -> None:
    """Two other contributors in place of those that have delivered."""
    network = market.network
    for child in network.nodes.values():
        child.stop()
    network.nodes.clear()
    network.publish(collection)
    specs: list[NodeSpec] = []
    for name, rows in rows_of.items():
        table = market.folder / f"{name}.csv"
        write_table(table, rows, seed + len(specs))
        specs.append(NodeSpec(name, table, declared_rows=rows, epsilon_cap="100"))
    network.start_nodes(specs, collection)
    network.await_contributors(collection)


def _order(market: Market, collection: Collection, where: tuple[str, ...]) -> None:
    """Bought, delivered and settled."""
    quote = market.buyer.quote(
        collection.name,
        ROWS,
        epsilon=Decimal(2),
        deliver_within_seconds=300,
        match_within_seconds=60,
        challenge_seconds=CHALLENGE_SECONDS,
        where=where,
    )
    order = market.buyer.order(quote, market.folder / f"{quote.order_id}.json")
    market.await_state(order, "settled")
    market.await_on_chain(order.order_id, OrderState.SETTLED)


def _expected(market: Market, number: int) -> dict[str, object]:
    """What the verifier says of the data set, and the digest of each shard's rows."""
    network = market.network
    where = ("--rpc", network.rpc_url, "--store", str(network.store_folder))
    key = ("--key", str(network.key_file("delivery")))
    said = market.run("verify", "--dataset", str(number), *where, *key, "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    found = delivery.fetch(market.ledger, market.buyer.content, number, market.buyer.delivery_key)
    return {
        "certificate": json.loads(said.stdout),
        "manifestSha256": str(market.ledger.dataset(number).manifest_digest),
        "datasetRoot": str(found.manifest.dataset_root),
        "rowsSha256": [str(shard.content.rows.plain_sha256) for shard in found.manifest.shards],
    }


def _keep(market: Market, folder: Path) -> None:
    """The chain's state, every published file with the deployment beside them, the delivery key."""
    network = market.network
    folder.mkdir(parents=True)
    state = gzip.compress((network.folder / "chain.json").read_bytes(), 9, mtime=0)
    (folder / "chain.json.gz").write_bytes(state)
    shutil.make_archive(str(folder / "content"), "zip", network.store_folder)
    shutil.copyfile(network.key_file("delivery"), folder / "throwaway-delivery.key")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
