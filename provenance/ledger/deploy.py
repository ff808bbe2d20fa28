"""Deploying a market. The contracts name each other as immutables, so addresses are computed from nonces
first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from provenance.ledger.abi import interface
from provenance.ledger.deployment import CONTRACTS, Deployment
from provenance.ledger.errors import DeploymentError
from provenance.ledger.rpc import Rpc
from provenance.ledger.sender import TransactionSender
from provenance.signing import Signer
from provenance.values import Address, keccak256

_ORDER: Final = ("token", "registry", "escrow", "commitment", "datasets", "rewards")


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """What is fixed for the life of a market."""

    unbonding_seconds: int = 7 * 24 * 3600
    seed_delay_blocks: int = 2


def create_address(sender: Address, nonce: int) -> Address:
    """Address of the contract that `sender` creates with transaction number `nonce`."""
    if nonce == 0:
        number = b"\x80"
    else:
        digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        number = digits if nonce < 0x80 else bytes([0x80 + len(digits)]) + digits
    payload = bytes([0x80 + 20]) + sender + number
    return Address(keccak256(bytes([0xC0 + len(payload)]) + payload)[12:])


def deploy_all(
    rpc_url: str, signer: Signer, parameters: MarketParameters | None = None, *, wait_seconds: float = 60.0
) -> Deployment:
    """Deploys token, registry, escrow, commitment, data sets and rewards with `signer`, six transactions.

    The account must not send anything else meanwhile. Raises DeploymentError when an address is not as
    computed.
    """
    chosen = parameters or MarketParameters()
    rpc = Rpc(rpc_url)
    try:
        sender = TransactionSender(rpc, signer, wait_seconds=wait_seconds)
        first = sender.nonce()
        at = {role: create_address(signer.address, first + i) for i, role in enumerate(_ORDER)}
        blocks = [_create(sender, rpc, role, at, chosen) for role in _ORDER]
        return Deployment(chain_id=rpc.integer("eth_chainId"), block=min(blocks), **at)
    finally:
        rpc.close()


def _create(
    sender: TransactionSender, rpc: Rpc, role: str, at: dict[str, Address], chosen: MarketParameters
) -> int:
    arguments: dict[str, tuple[Any, ...]] = {
        "token": (),
        "registry": (at["token"], at["escrow"], chosen.unbonding_seconds),
        "escrow": (at["token"], at["registry"], at["commitment"], at["datasets"], at["rewards"]),
        "commitment": (at["escrow"], chosen.seed_delay_blocks),
        "datasets": (at["escrow"], at["commitment"]),
        "rewards": (at["token"], at["escrow"]),
    }
    contract = interface(CONTRACTS[role])
    data = contract.encode_deployment(arguments[role])
    receipt = sender.send(None, data, f"deployment of {contract.name}")
    found = rpc.request("eth_getTransactionReceipt", str(receipt.hash))["contractAddress"]
    if Address.parse(found) != at[role]:
        raise DeploymentError(
            f"{contract.name} was created at {found}, expected {at[role]}; "
            "another transaction of the deployer came between, deploy again with an account of its own"
        )
    return receipt.block
