"""Deploying a market, one transaction a contract. Interrupted anywhere, the next run goes on: every step looks at the
chain first, and `provenance.chain.market_plan` says where each contract is to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.chain.abi import interface
from provenance.chain.deployment import Deployment, MarketParameters
from provenance.chain.errors import DeploymentError, RevertError
from provenance.chain.families import LOCAL_CHAINS
from provenance.chain.fees import DEFAULT_CEILING_WEI
from provenance.chain.finality import LATEST
from provenance.chain.market_plan import (
    CREATE2_DEPLOYER,
    MARKET_DEPLOYER,
    Creation,
    MarketPlan,
    mintable_token,
)
from provenance.chain.ports import TxReceipt
from provenance.chain.rpc import Rpc, unhex
from provenance.chain.sender import TransactionSender
from provenance.chain.token import Token, inspect_token
from provenance.chain.uptime import inspect_feed
from provenance.crypto.signing import Signer
from provenance.units import TOKEN, TokenUnit
from provenance.values import Address

_CREATE2_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd"
    "5b8082525050506014600cf3"
)
_CREATE2_SIGNER: Final = Address.parse("0x3fAB184622Dc19b6109349B94811493BF2a45362")
# Signed with nobody's key, and for every chain: the signature was chosen, and the sender follows from it.
_CREATE2_TRANSACTION: Final = (
    f"0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe{_CREATE2_CODE.hex()}"
    f"1ba0{'22' * 32}a0{'22' * 32}"
)
_CREATE2_COST_WEI: Final = 10**16
_LAG_SECONDS: Final = 30.0  # the nodes behind one URL may be some blocks apart
_POLL_SECONDS: Final = 0.5
_WAIT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Made:
    """A contract of the market stands. receipt None: it stood there before."""

    contract: str
    address: Address
    receipt: TxReceipt | None


Tell = Callable[[Made], None]


def _say_nothing(_: Made) -> None:
    """For callers to whom the steps do not matter."""


def deployer_sender(
    rpc: Rpc,
    signer: Signer,
    *,
    outbox: Path | None = None,
    max_fee_wei: int = DEFAULT_CEILING_WEI,
) -> TransactionSender:
    """What sends the transactions of a deployment; as TransactionSender.

    A step counts as done in the latest block: addresses follow from the plan, so a block that is replaced can take a
    contract away, and the next run puts it back, but nothing else can come in its place.
    """
    return TransactionSender(
        rpc, signer, wait_seconds=_WAIT_SECONDS, outbox=outbox, max_fee_wei=max_fee_wei, finality=LATEST
    )


def deploy_market(
    rpc: Rpc, sender: TransactionSender, plan: MarketPlan, *, tell: Tell = _say_nothing
) -> Deployment:
    """Deploys the contracts that do not stand yet; `tell` hears of each that stands.

    Raises DeploymentError for a token or an uptime feed that no market can use, a chain without the deterministic
    deployer, and an address that holds other code; ChainError as transactions do.
    """
    token = inspect_token(rpc, plan.token)
    if plan.parameters.uptime_feed is not None:
        inspect_feed(rpc, plan.parameters.uptime_feed)
    chain_id = ensure_create2(rpc, sender)
    for number, creation in enumerate(plan.creations):
        tell(_ensure(rpc, sender, creation, after=number - 1))
    block = _first_block_at(rpc, _view(rpc, plan.deployer.address, "createdAt"))
    return Deployment.of(chain_id, block, plan.addresses, unit_of(token), plan.parameters)


def deploy_test_token(
    rpc: Rpc, sender: TransactionSender, decimals: int = TOKEN, *, tell: Tell = _say_nothing
) -> Address:
    """The mintable token, unless it stands already. Anybody can mint it: its amounts are worth nothing."""
    ensure_create2(rpc, sender)
    tell(_ensure(rpc, sender, mintable_token(decimals)))
    return mintable_token(decimals).address


def deploy_all(
    rpc_url: str,
    signer: Signer,
    parameters: MarketParameters | None = None,
    *,
    decimals: int = TOKEN,
    tell: Tell = _say_nothing,
) -> Deployment:
    """A market for trying: the test token, and the contracts around it."""
    rpc = Rpc(rpc_url)
    try:
        sender = deployer_sender(rpc, signer)
        token = deploy_test_token(rpc, sender, decimals, tell=tell)
        return deploy_market(rpc, sender, MarketPlan(token, parameters or MarketParameters()), tell=tell)
    finally:
        rpc.close()


def unit_of(token: Token) -> TokenUnit:
    """How amounts of the token are written; those of the test token are just "tokens"."""
    is_test = token.address == mintable_token(token.unit.decimals).address
    return TokenUnit(token.unit.decimals) if is_test else token.unit


def stands(rpc: Rpc, creation: Creation) -> bool:
    """Whether the contract is there. Raises DeploymentError when something else is."""
    code = _code(rpc, creation.address)
    if code and not interface(creation.contract).is_runtime(code):
        raise DeploymentError(
            f"the code at {creation.address} is not {creation.contract} of this release; use the release that the "
            "market was deployed with, and an RPC node that you trust"
        )
    return bool(code)


def ensure_create2(rpc: Rpc, sender: TransactionSender) -> int:
    """The chain's id. Raises DeploymentError when the chain lacks the deterministic deployer; on a local chain that
    is mended by the transaction that everybody may send."""
    chain_id, code = rpc.integer("eth_chainId"), _code(rpc, CREATE2_DEPLOYER)
    if code == _CREATE2_CODE:
        return chain_id
    if code:
        raise DeploymentError(
            f"chain {chain_id} has other code than the deterministic deployer's at {CREATE2_DEPLOYER}: addresses "
            "would differ from those of other chains; choose another chain"
        )
    if chain_id not in LOCAL_CHAINS:
        raise DeploymentError(
            f"chain {chain_id} has no deterministic deployer at {CREATE2_DEPLOYER}. Whoever wants it there sends 0.01 "
            f"coin to {_CREATE2_SIGNER}, and then its presigned transaction "
            "(github.com/Arachnid/deterministic-deployment-proxy); on a chain that refuses transactions without a "
            "chain id, its operators have to set it up"
        )
    missing = _CREATE2_COST_WEI - rpc.integer("eth_getBalance", str(_CREATE2_SIGNER), "latest")
    if missing > 0:
        sender.send(_CREATE2_SIGNER, b"", "gas for the deterministic deployer", value_wei=missing)
    rpc.request("eth_sendRawTransaction", _CREATE2_TRANSACTION, action="the deterministic deployer")
    _await(
        lambda: bool(_code(rpc, CREATE2_DEPLOYER)),
        f"the deterministic deployer did not appear at {CREATE2_DEPLOYER} although its transaction was sent",
    )
    return chain_id


def _ensure(rpc: Rpc, sender: TransactionSender, creation: Creation, after: int = -1) -> Made:
    """Creates the contract unless it stands. after: number of siblings that have to be there first; -1 for none."""
    if stands(rpc, creation):
        return Made(creation.contract, creation.address, None)
    if after >= 0:
        _await(
            lambda: _view(rpc, creation.to, "created") == after,
            f"{rpc.url} does not show the contracts that were created before {creation.contract}",
        )
    receipt: TxReceipt | None = None
    try:
        receipt = sender.send(creation.to, creation.data, f"deployment of {creation.contract}")
    except RevertError:
        # Somebody took the step at the same time, or a transaction of an earlier run was still on its way.
        if not stands(rpc, creation):
            raise
    _await(
        lambda: stands(rpc, creation),
        f"{creation.contract} did not appear at {creation.address} although its transaction was mined",
    )
    return Made(creation.contract, creation.address, receipt)


def _await(holds: Callable[[], bool], otherwise: str) -> None:
    begun = time.monotonic()
    while not holds():
        if time.monotonic() - begun > _LAG_SECONDS:
            raise DeploymentError(f"{otherwise}; run the same command again")
        time.sleep(_POLL_SECONDS)


def _first_block_at(rpc: Rpc, timestamp: int) -> int:
    """Number of the first block at or after that chain time, by headers alone: a node that forgot old states has
    them."""
    low, high = 0, rpc.integer("eth_blockNumber")
    while low < high:
        middle = (low + high) // 2
        found = int(rpc.request("eth_getBlockByNumber", hex(middle), False)["timestamp"], 16)
        low, high = (middle + 1, high) if found < timestamp else (low, middle)
    return low


def _code(rpc: Rpc, address: Address) -> bytes:
    return unhex(rpc.request("eth_getCode", str(address), "latest") or "0x")


def _view(rpc: Rpc, deployer: Address, function: str) -> int:
    """A number that MarketDeployer tells; -1 where a node that lags behind does not know it yet."""
    contract = interface(MARKET_DEPLOYER)
    answer = rpc.call(deployer, contract.encode_call(function, ()), action=f"{MARKET_DEPLOYER}.{function}")
    return int.from_bytes(answer, "big") if answer else -1
