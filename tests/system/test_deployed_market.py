"""A market on contracts that `tessera deploy` made around somebody else's token: six decimals, permits, no test token.

The chain has Ethereum's rules and limits. The deployment is killed with a transaction on its way, and gone on with.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.chain.abi import interface
from provenance.chain.deployment import Deployment
from provenance.chain.ports import OrderState
from provenance.chain.rpc import Rpc
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.units import TokenUnit
from tessera.devnet.network import CHECKOUT, Site, python_path
from tests import anvil
from tests.provenance.chain.foreign_tokens import deploy_token
from tests.system.conftest import open_market
from tests.system.market import COLLECTION, TABLE_ROWS
from tests.waiting import HANG_SECONDS, until

pytestmark = pytest.mark.system

BANK = Signer(anvil.DEVELOPMENT_KEY)
DOLLAR = TokenUnit(6, "TUSD")
LIMITS = ("--hardfork", "osaka", "--enable-tx-gas-limit")
SHORT = ("--min-challenge-seconds", "6", "--unbonding-seconds", "60")
KILLED_AFTER = 6


def interrupted_deployment(rpc: Rpc, words: list[str]) -> None:
    """Runs until KILLED_AFTER transactions are mined and the next one is sent; then it is killed."""
    rpc.request("evm_setAutomine", False)
    process = subprocess.Popen(words, env=python_path(), cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        for number in range(KILLED_AFTER + 1):
            until(lambda: int(rpc.request("txpool_status")["pending"], 16), f"transaction {number}")
            if number < KILLED_AFTER:
                rpc.request("evm_mine")
    finally:
        process.kill()
        process.wait()
        rpc.request("evm_setAutomine", True)
    rpc.request("evm_mine")


@contextmanager
def blocks_that_come_by_themselves(url: str) -> Iterator[None]:
    """Time goes on where nobody sends anything."""
    over = threading.Event()

    def tick() -> None:
        rpc = Rpc(url)
        while not over.wait(0.5):
            rpc.request("evm_mine")
        rpc.close()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_an_order_is_delivered_and_paid_in_the_token_of_an_interrupted_deployment(tmp_path: Path) -> None:
    key = tmp_path / "payer.key"
    key.write_text(f"0x{anvil.DEVELOPMENT_KEY.hex()}\n", encoding="ascii")
    key.chmod(0o600)
    with anvil.running_anvil(*LIMITS) as url:
        rpc = Rpc(url)
        sender = TransactionSender(rpc, BANK)
        dollar = deploy_token(rpc, sender, "DollarToken")
        mint = interface("TestToken").encode_call("mint", (BANK.address, 20_000 * DOLLAR.one))
        sender.send(dollar, mint, "mint")

        made = tmp_path / "market"
        words = [
            "--rpc",
            url,
            "--token",
            str(dollar),
            "--key",
            str(key),
            "--folder",
            str(made),
            *SHORT,
            "--yes",
        ]
        command = [sys.executable, "-m", "tessera", "deploy", *words]
        interrupted_deployment(rpc, command)
        assert not (made / "deployment.json").exists()
        again = subprocess.run(
            command, env=python_path(), cwd=CHECKOUT, capture_output=True, text=True, timeout=HANG_SECONDS
        )
        assert again.returncode == 0, again.stderr
        assert again.stdout.count("\nstands ") == KILLED_AFTER + 1
        deployment = Deployment.load(made / "deployment.json")
        assert (deployment.token, deployment.unit) == (dollar, DOLLAR)

        dollars = replace(COLLECTION, price_per_row_wei=DOLLAR.one // 100)
        site = Site(url, made / "deployment.json", key)
        with (
            blocks_that_come_by_themselves(url),
            open_market(tmp_path, dollars, TABLE_ROWS, site=site) as market,
        ):
            buyer = market.buyer.wallet.address
            before = market.chain.balance(buyer)
            order = market.place(rows=300, collection=dollars)
            assert order.terms.price == 3 * DOLLAR.one
            market.await_state(order, "settled")
            market.await_on_chain(order.order_id, OrderState.SETTLED)
            assert before - market.chain.balance(buyer) == 3 * DOLLAR.one
            dataset = market.chain.dataset_of_order(order.order_id)
            assert dataset is not None
            found = market.delivered(dataset)
            assert found.verify(market.chain).passed
            people = [market.network.account(name).address for name in ("broker", *TABLE_ROWS)]
            assert sum(map(market.chain.claimable, people)) == order.terms.price + order.terms.bond
            network, wallet = market.network.folder / "network.json", market.network.key_file("broker")
            claimed = market.run("claim", "--network", str(network), "--wallet", str(wallet))
            assert claimed.returncode == 0, claimed.stderr
            assert "TUSD" in claimed.stdout
        rpc.close()
