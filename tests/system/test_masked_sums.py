"""An open data set of family "marginal" whose tables only their owners saw, over real processes and signatures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generator.families.secure_aggregation import VECTOR
from generator.families.settings import MarginalSettings
from generator.federation.task import Result
from provenance.chain.ports import OrderState
from provenance.crypto.at_rest import RestKey, SealedFolder
from provenance.crypto.signing import load_key
from provenance.record.collection import DISTRIBUTED
from tessera.client import delivery
from tests.system.conftest import open_market
from tests.system.market import COLLECTION, Market

pytestmark = pytest.mark.system

NODES = {"alder": 380, "birch": 300, "cedar": 240}
MASKED = replace(
    COLLECTION,
    name="visits-masked",
    title="Visits, three contributors, sums masked",
    family="marginal",
    visibility="open",
    min_contributors=3,
    epsilon_micro=0,
    settings={MarginalSettings.noise.name: DISTRIBUTED, "steps": 120, "latentBytes": 16, "hiddenWidth": 32},
)


@pytest.fixture(scope="module")
def masked_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder = tmp_path_factory.mktemp("masked")
    with open_market(folder, MASKED, NODES, epsilon_cap="none") as running:
        yield running


def test_an_order_whose_tables_are_seen_in_their_sum_alone_is_delivered_and_verified(
    masked_market: Market,
) -> None:
    market = masked_market
    accounts = {name: str(market.network.account(name).address) for name in NODES}
    for name in NODES:
        trusted = [account for other, account in accounts.items() if other != name]
        with (market.network.node_folder(name) / "policy.toml").open("r+", encoding="utf-8") as policy:
            text = policy.read().replace("trusted_partners = []", f"trusted_partners = {json.dumps(trusted)}")
            policy.seek(0)
            policy.write("allow_without_privacy = true\n" + text)
    before = shutil.copytree(market.network.node_folder("alder"), market.folder / "alder before")
    order = market.place(rows=300, collection=MASKED)
    plain = market.place(rows=60, collection=MASKED, epsilon=Decimal(0))
    market.await_state(order, "settled")
    assert market.chain.order(order.order_id).state is OrderState.SETTLED

    dataset = market.chain.dataset_of_order(order.order_id)
    assert dataset is not None
    # Nobody's key is needed: the data set is open, and so is its proof.
    found = delivery.fetch(market.chain, market.buyer.content, dataset, None)
    certificate = found.verify(market.chain)
    assert certificate.passed, certificate.failed
    assert "spent by its table over all orders until then" in certificate.check("privacy within terms").detail
    assert sum(len(values) for values in found.values()) == 300
    privacy: dict[str, Any] = dict(found.manifest.privacy)
    statements = [node["statement"] for node in privacy["nodes"]]
    assert len(statements) == len(NODES)
    assert all("at least 2 of them keep their part" in each["notCovered"][-1] for each in statements)

    sent = [_tables(market, name, str(order.order_id)) for name in NODES]
    for vector in sent:
        ones = np.unpackbits(np.ascontiguousarray(vector).view(np.uint8)).mean()
        assert abs(ones - 0.5) < 5 * 0.5 / np.sqrt(8 * vector.nbytes), "a masked vector is fair coins"

    market.await_state(plain, "settled")
    dataset = market.chain.dataset_of_order(plain.order_id)
    assert dataset is not None
    found = delivery.fetch(market.chain, market.buyer.content, dataset, None)
    certificate = found.verify(market.chain)
    assert certificate.passed, certificate.failed
    assert any("measured against the sum" in check.detail for check in certificate.checks)
    assert "exact sums of all contributors'" in found.manifest.broker_saw[0]
    assert not list(market.network.folder.rglob("sum.key")), "secrets of sums are gone when the model is made"

    # Node and owner's folder put back together: the market has the manifest, and the chain its digest.
    now = _dry_run(market, market.network.node_folder("alder"))
    assert "no open order of this collection" in now
    assert "would refuse every order (ledger-restored): with data set" in _dry_run(market, before)


def _dry_run(market: Market, folder: Path) -> str:
    done = market.run("node", "run", "--folder", str(folder), "--dry-run")
    assert done.returncode == 0, done.stderr
    return done.stdout


def _tables(market: Market, node: str, order: str) -> np.ndarray:
    (file,) = market.network.node_folder(node).rglob(f"orders/{order[2:]}/results/tables.safetensors")
    private = SealedFolder(
        market.network.node_folder(node) / "table", RestKey.of(load_key(market.network.key_file(node)))
    )
    result = Result.decode(private.read(file)[32:])
    assert set(result.arrays) == {VECTOR}
    return result.arrays[VECTOR]
