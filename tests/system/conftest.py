"""One small market of real processes for all system tests: chain, backend, coordinator, two contributors.

It is started once; every test places orders of its own and leaves all processes running again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pluggy
import pytest

from provenance.crypto.seal import new_delivery_key
from provenance.record.collection import Collection
from tessera.client.client import Client
from tessera.devnet.children import Supervisor
from tessera.devnet.network import LocalNetwork, NetworkSettings, NodeSpec, Site
from tests.system.market import (
    ANSWER_SECONDS,
    BUYER_TOKENS,
    COLLECTION,
    LONG_SECONDS,
    TABLE_ROWS,
    Market,
    write_table,
)

# Nobody is called silent because the machine is busy: a test that wants it says so.
BACKEND = {
    "TESSERA_ACCEPT_SECONDS": "10",
    "TESSERA_POLL_SECONDS": "0.2",
    "TESSERA_LEAST_CHALLENGE_SECONDS": "0",
    # One market for many tests: a node that an earlier test killed is asked again.
    "TESSERA_NO_SHOW_SECONDS": "0",
    "TESSERA_SPOILER_BLOCKS": "0",
    "TESSERA_RECEIPT_SECONDS": str(LONG_SECONDS),
}


@contextmanager
def open_market(
    folder: Path,
    collection: Collection,
    table_rows: Mapping[str, int],
    write: Callable[[Path, int, int], None] = write_table,
    *,
    finality: str = "",
    site: Site | None = None,
    epsilon_cap: str = "100",
) -> Iterator[Market]:
    """A market of its own in a folder: contributors by name with so many rows each, written by `write` with a seed."""
    with Supervisor() as supervisor:
        settings = NetworkSettings(
            answer_seconds=ANSWER_SECONDS, backend=BACKEND, finality=finality, site=site
        )
        network = LocalNetwork(folder / "state", supervisor, settings)
        network.start_chain()
        network.start_backend()
        network.publish(collection)
        network.start_coordinator()
        specs = []
        for seed, (name, rows) in enumerate(table_rows.items()):
            write(folder / f"{name}.csv", rows, seed)
            specs.append(NodeSpec(name, folder / f"{name}.csv", declared_rows=rows, epsilon_cap=epsilon_cap))
        network.start_nodes(specs, collection)
        network.fund("buyer", BUYER_TOKENS * network.unit.one)
        new_delivery_key(network.key_file("delivery"))
        network.profile()
        network.await_contributors(collection)
        wallet, key = network.key_file("buyer"), network.key_file("delivery")
        with Client(network.folder / "network.json", wallet=wallet, key=key) as buyer:
            yield Market(network, buyer, folder)


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    with open_market(tmp_path_factory.mktemp("market"), COLLECTION, TABLE_ROWS) as running:
        yield running


@pytest.fixture(autouse=True)
def all_processes_run(request: pytest.FixtureRequest) -> None:
    """A process that an earlier test left dead is named here, not by whoever waits for it in vain."""
    if "market" in request.fixturenames:
        for child in request.getfixturevalue("market").processes():
            assert child.exit_status is None, child.death_notice()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pluggy.Result[pytest.TestReport], None]:
    """A failed test shows what each process said last."""
    report = (yield).get_result()
    used = getattr(item, "funcargs", {}).values()
    for market in (each for each in used if report.failed and isinstance(each, Market)):
        for child in market.processes():
            state = "runs" if child.exit_status is None else f"ended with status {child.exit_status}"
            report.sections.append((f"{child.command.name} {state}, its log ends", child.log_tail()))
