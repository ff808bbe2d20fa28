"""Sending under threads and under bad luck: nonces, transactions that revert once mined, nodes that do not mine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.deployment import Deployment, MarketParameters
from provenance.chain.errors import ChainUnavailableError, DeploymentError, RevertError
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.reader import ChainReader
from provenance.chain.rpc import Rpc
from provenance.chain.sender import gas_limit
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer
from provenance.values import Address, sha256
from tests.provenance.chain.conftest import Market
from tests.waiting import HANG_SECONDS, until

ACCOUNT = 41


@pytest.mark.parametrize(
    ("estimate", "limit"),
    [
        (40_000, 50_000),
        (14_000_000, TRANSACTION_GAS_CAP),
        (TRANSACTION_GAS_CAP + 1, TRANSACTION_GAS_CAP + 1),
    ],
)
def test_room_above_the_estimate_ends_where_a_transaction_does(estimate: int, limit: int) -> None:
    assert gas_limit(estimate) == limit


@pytest.fixture
def paused(market: Market) -> Iterator[None]:
    """A chain that mines only when told."""
    market.account(ACCOUNT)
    market.chain.rpc.request("evm_setAutomine", False)
    yield
    market.chain.rpc.request("evm_setAutomine", True)
    market.mine(1)


def mine_when_pending(market: Market, count: int) -> None:
    def are_pending() -> bool:
        return int(market.chain.rpc.request("txpool_status")["pending"], 16) >= count

    until(are_pending, "the transactions to become pending")
    market.mine(1)


def estimates_before_either_is_sent(monkeypatch: pytest.MonkeyPatch, transactions: int) -> None:
    """An estimate that sees the other transaction pending refuses: nobody sends before all have theirs."""
    together, request = threading.Barrier(transactions), Rpc.request

    def wait_for_the_others(rpc: Rpc, method: str, *params: Any, action: str = "") -> Any:
        answer = request(rpc, method, *params, action=action)
        if method == "eth_estimateGas":
            together.wait(HANG_SECONDS)
        return answer

    monkeypatch.setattr(Rpc, "request", wait_for_the_others)


def test_transaction_that_reverts_once_mined_is_decoded(
    market: Market, paused: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pass the estimate, the second finds the withdrawal gone."""
    _, writer = market.account(ACCOUNT)
    market.chain.rpc.request("evm_setAutomine", True)
    writer.register(sha256(b"m"))
    writer.approve(market.chain.deployment.registry, 100)
    writer.deposit(10)
    market.chain.rpc.request("evm_setAutomine", False)
    estimates_before_either_is_sent(monkeypatch, 2)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(writer.request_withdrawal, 10) for _ in range(2)]
        mine_when_pending(market, 2)
        errors = [future.exception() for future in futures]
    assert errors.count(None) == 1
    failure = next(error for error in errors if error is not None)
    assert isinstance(failure, RevertError)
    assert failure.name == "ContributorRegistry_InsufficientStake"
    assert failure.arguments["needed"] == 10


def test_transaction_that_is_never_mined_is_unavailable_not_lost(market: Market, paused: None) -> None:
    _, _ = market.account(ACCOUNT)
    writer = ChainWriter(market.chain, Signer(ACCOUNT.to_bytes(32, "big")), wait_seconds=0.3)
    with pytest.raises(ChainUnavailableError, match="look it up before sending again"):
        writer.mint(writer.address, 1)


def test_node_that_is_down_is_unavailable(market: Market) -> None:
    with (
        ChainReader("http://127.0.0.1:9", market.chain.deployment) as chain,
        pytest.raises(ChainUnavailableError, match="check the URL"),
    ):
        chain.block_number()


def test_deployment_of_another_chain_is_refused(market: Market) -> None:
    deployment = Deployment.parse(market.chain.deployment.document() | {"chainId": 1})
    with (
        ChainReader(market.rpc_url, deployment) as chain,
        pytest.raises(DeploymentError, match="serves chain 31337"),
    ):
        chain.check()


def test_deployment_without_contracts_is_refused(market: Market) -> None:
    contracts = {
        role: str(Address(bytes([n]) * 20)) for n, role in enumerate(market.chain.deployment.contracts(), 1)
    }
    deployment = Deployment.parse(market.chain.deployment.document() | {"contracts": contracts})
    with ChainReader(market.rpc_url, deployment) as chain:
        with pytest.raises(DeploymentError, match="there is no contract"):
            chain.check()
        with pytest.raises(DeploymentError, match="there is no contract"):
            chain.order(sha256(b"order"))


def test_a_deployment_file_states_what_was_chosen_and_one_of_before_is_read(market: Market) -> None:
    document = market.chain.deployment.document()
    chosen = MarketParameters.local(unbonding_seconds=60)
    assert Deployment.parse(document).parameters == chosen
    limits = market.chain.limits()
    assert (limits.min_answer_seconds, limits.min_price, limits.max_score_micro) == (1, 0, 1_000_000)

    assert isinstance(document["parameters"], dict)
    assert document["parameters"]["minBond"] == "0"
    del document["parameters"]
    before = Deployment.parse(document)
    assert before.parameters is None
    assert before == market.chain.deployment


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "tessera-deployment/2"}'])
def test_file_that_is_no_deployment_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "deployment.json").write_text(text)
    with pytest.raises(DeploymentError, match="not a deployment file"):
        Deployment.load(tmp_path / "deployment.json")


def test_two_writers_of_one_key_in_many_threads_lose_nothing(market: Market) -> None:
    signer, first = market.account(ACCOUNT)
    second = ChainWriter(market.chain, signer)
    target = Address(sha256(b"fresh")[:20])
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda n: (first, second)[n % 2].mint(target, 1), range(16)))
    assert len({receipt.hash for receipt in receipts}) == 16
    assert market.chain.balance(target) == 16


def test_transaction_that_another_process_replaced_is_sent_again(market: Market, paused: None) -> None:
    """Two processes with one key took the same nonce; the pool keeps the better paid one and forgets the other."""
    signer, writer = market.account(ACCOUNT)
    rpc, target = market.chain.rpc, Address(sha256(b"replaced")[:20])

    def nonce(block: str) -> int:
        return rpc.integer("eth_getTransactionCount", str(signer.address), block)

    taken = nonce("latest")
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(writer.mint, target, 7)
        until(lambda: nonce("pending") > taken, "the transaction to become pending")
        other = signer.sign_transaction(
            {
                "type": 2, "chainId": 31337, "nonce": taken, "to": str(target), "value": 0, "data": "0x",
                "gas": 21_000, "maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**11,
            }
        )  # fmt: skip
        replacement = rpc.request("eth_sendRawTransaction", "0x" + other.hex())
        market.mine(1)
        assert int(rpc.request("eth_getTransactionReceipt", replacement)["status"], 16) == 1
        assert market.chain.balance(target) == 0
        until(lambda: nonce("pending") > taken + 1, "the lost transaction to be sent again")
        market.mine(1)
        receipt = sent.result(HANG_SECONDS)
    assert market.chain.balance(target) == 7
    assert receipt.block == market.chain.block_number()


def test_deployment_file_loads_again(market: Market, tmp_path: Path) -> None:
    market.chain.deployment.save(tmp_path / "run" / "deployment.json")
    assert Deployment.load(tmp_path / "run" / "deployment.json") == market.chain.deployment
    market.chain.check()
