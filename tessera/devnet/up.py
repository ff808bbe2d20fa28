"""`tessera up`: the market of the demo, kept running until it is told to stop."""

from __future__ import annotations

import time
from pathlib import Path

from provenance.crypto.seal import new_delivery_key
from tessera.devnet.adult import BUYER_TOKENS_WEI, adult_collection, deal_tables
from tessera.devnet.children import Supervisor, stop_on_signals
from tessera.devnet.network import LocalNetwork, NetworkSettings
from tessera.terminal import remark, say

CHECK_SECONDS = 1.0


def run_up(state: Path, *, rpc_port: int, api_port: int, block_seconds: int) -> None:
    """Start (or continue) the market in `state` and stay until Ctrl-C or SIGTERM; a child that dies ends
    it.
    """
    settings = NetworkSettings(
        rpc_port=rpc_port,
        api_port=api_port,
        block_seconds=block_seconds,
        backend={"TESSERA_CHALLENGE_SECONDS": "60", "TESSERA_ACCEPT_SECONDS": "10"},
    )
    with stop_on_signals(), Supervisor() as supervisor:
        network = LocalNetwork(state, supervisor, settings)
        start_market(network)
        say(_welcome(network))
        try:
            while True:
                supervisor.check()
                time.sleep(CHECK_SECONDS)
        except KeyboardInterrupt:
            remark(f"stopping; `tessera up --state {state}` goes on from here")


def start_market(network: LocalNetwork) -> None:
    """Chain, backend, coordinator, three nodes with their parts of the table, and a funded buyer."""
    collection = adult_collection()
    network.start_chain()
    network.start_backend()
    network.publish(collection)
    network.start_coordinator()
    network.start_nodes(deal_tables(network.folder / "tables"), collection)
    network.fund("buyer", BUYER_TOKENS_WEI)
    delivery_key = network.key_file("delivery")
    if not delivery_key.exists():
        new_delivery_key(delivery_key)
    network.profile()
    network.await_contributors(collection)


def _welcome(network: LocalNetwork) -> str:
    folder, collection = network.folder, adult_collection()
    return f"""
REST interface  {network.api_url}  (catalogue: {network.api_url}/, interface: {network.api_url}/openapi.json)
chain           {network.rpc_url}
state, logs     {folder}

Order rows (another --rows, --epsilon, --out as you like):

  tessera request --network {folder / "network.json"} --wallet {network.key_file("buyer")} \\
    --key {network.key_file("delivery")} --collection {collection.name} --rows 1000 --epsilon 3 \\
    --max-price 100 --out rows.csv

Check what came, with nothing but chain and files:

  tessera verify --dataset 1 --rpc {network.rpc_url} --store {network.store_folder} \\
    --key {network.key_file("delivery")}

Ctrl-C stops everything; the same command goes on from here."""
