"""One small market of real processes for all system tests: chain, backend, coordinator, two contributors.

It is started once; every test places orders of its own and leaves all processes running again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pluggy
import pytest

from provenance.seal import new_delivery_key
from scripts.buyer.session import open_buyer
from scripts.supervisor.children import Supervisor
from scripts.supervisor.network import TOKEN, LocalNetwork, NetworkSettings, NodeSpec
from tests.system.market import BUYER_TOKENS, COLLECTION, TABLE_ROWS, Market, write_table

PROCESSES = ("backend", "coordinator", *TABLE_ROWS)
BACKEND = {"TESSERA_ACCEPT_SECONDS": "10", "TESSERA_POLL_SECONDS": "0.2", "TESSERA_RECEIPT_SECONDS": "15"}


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("market")
    settings = NetworkSettings(backend=BACKEND)
    with Supervisor() as supervisor:
        network = LocalNetwork(folder / "state", supervisor, settings)
        network.start_chain()
        network.start_backend()
        network.publish(COLLECTION)
        network.start_coordinator()
        specs = []
        for seed, (name, rows) in enumerate(TABLE_ROWS.items()):
            write_table(folder / f"{name}.csv", rows, seed)
            specs.append(NodeSpec(name, folder / f"{name}.csv", declared_rows=rows, epsilon_cap="100"))
        network.start_nodes(specs, COLLECTION)
        network.fund("buyer", BUYER_TOKENS * TOKEN)
        new_delivery_key(network.key_file("delivery"))
        network.profile()
        network.await_contributors(COLLECTION)
        with open_buyer(
            network.folder / "network.json", network.key_file("buyer"), network.key_file("delivery")
        ) as buyer:
            yield Market(network, buyer, folder)


@pytest.fixture(autouse=True)
def all_processes_run(market: Market) -> None:
    """A process that an earlier test left dead is named here, not by whoever waits for it in vain."""
    for name in PROCESSES:
        child = market.process(name)
        assert child.exit_status is None, child.death_notice()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """A failed test shows what each process said last."""
    report = (yield).get_result()
    market = getattr(item, "funcargs", {}).get("market")
    if report.failed and isinstance(market, Market):
        for name in PROCESSES:
            child = market.process(name)
            state = "runs" if child.exit_status is None else f"ended with status {child.exit_status}"
            report.sections.append((f"{name} {state}, its log ends", child.log_tail()))
