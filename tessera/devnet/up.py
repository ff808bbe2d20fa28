"""`tessera up`: the market of the demo, kept running until it is told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from provenance.crypto.seal import new_delivery_key
from tessera.devnet.adult import BUYER_TOKENS, adult_collection, deal_tables
from tessera.devnet.children import Keeper, Supervisor, stop_on_signals
from tessera.devnet.network import LocalNetwork, NetworkSettings
from tessera.terminal import remark, say

CHECK_SECONDS = 1.0


def run_up(folder: Path, *, rpc_port: int, api_port: int, block_seconds: int) -> None:
    """Start (or continue) the market in `folder` and stay until Ctrl-C or SIGTERM.

    A backend, coordinator or node that dies is started again; a chain that dies ends all: what it had not
    written is gone.
    """
    settings = NetworkSettings(
        rpc_port=rpc_port,
        api_port=api_port,
        block_seconds=block_seconds,
        backend={"TESSERA_CHALLENGE_SECONDS": "60", "TESSERA_ACCEPT_SECONDS": "10"},
    )
    started = time.monotonic()
    with stop_on_signals(), Supervisor() as supervisor:
        try:
            network = LocalNetwork(folder, supervisor, settings)
            start_market(network, lambda text: remark(f"{time.monotonic() - started:6.1f} s  {text}"))
            say(_welcome(network))
            keeper = Keeper(network.replaceable(), remark)
            while True:
                network.check_chain()
                keeper.look()
                time.sleep(CHECK_SECONDS)
        except KeyboardInterrupt:
            remark(f"stopping; `tessera up --folder {folder}` goes on from here")


def start_market(network: LocalNetwork, tell: Callable[[str], None]) -> None:
    """Chain, backend, coordinator, three nodes with their parts of the table, and a funded buyer; `tell`
    says how far."""
    tell("starting the chain")
    network.start_chain()
    collection = adult_collection(network.unit)
    tell(f"chain and contracts are ready at {network.rpc_url}; starting the backend")
    network.start_backend()
    tell(
        f"the backend is ready at {network.api_url}; offering collection {collection.name}, starting the coordinator"
    )
    network.publish(collection)
    network.start_coordinator()
    tables = deal_tables(network.folder / "tables")
    tell(f"setting up {len(tables)} contributor nodes, each with its own table")
    network.start_nodes(tables, collection)
    network.fund("buyer", BUYER_TOKENS * network.unit.one)
    delivery_key = network.key_file("delivery")
    if not delivery_key.exists():
        new_delivery_key(delivery_key)
    network.profile()
    for name in network.nodes:
        network.await_contributors(collection, [name])
        tell(f"node {name} is ready")


def _welcome(network: LocalNetwork) -> str:
    folder, collection = network.folder, adult_collection()
    return f"""
REST interface  {network.api_url}  (catalogue: {network.api_url}/, interface: {network.api_url}/openapi.json)
chain           {network.rpc_url}
files, logs     {folder}

Order rows (another --rows, --epsilon, --out as you like):

  tessera request --network {folder / "network.json"} --wallet {network.key_file("buyer")} \\
    --key {network.key_file("delivery")} --collection {collection.name} --rows 1000 --epsilon 3 \\
    --max-price 100 --out rows.csv

Check what came, with nothing but chain and files:

  tessera verify --dataset 1 --rpc {network.rpc_url} --store {network.store_folder} \\
    --key {network.key_file("delivery")}

Ctrl-C stops everything; the same command goes on from here."""
