"""Deploying a market. The contracts name each other as immutables, so addresses are computed from nonces first."""

from __future__ import annotations

from typing import Any

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, Deployment, MarketParameters
from provenance.chain.errors import DeploymentError
from provenance.chain.rpc import Rpc
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.values import Address, keccak256


def create_address(sender: Address, nonce: int) -> Address:
    """Address of the contract that `sender` creates with transaction number `nonce`."""
    if nonce == 0:
        number = b"\x80"
    else:
        digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
        number = digits if nonce < 0x80 else bytes([0x80 + len(digits)]) + digits
    payload = bytes([0x80 + 20]) + sender + number
    return Address(keccak256(bytes([0xC0 + len(payload)]) + payload)[12:])


def deploy_all(rpc_url: str, signer: Signer, parameters: MarketParameters | None = None) -> Deployment:
    """Deploys every contract of a market with `signer`, one transaction each, in the order of CONTRACTS.

    The account must not send anything else meanwhile. Raises DeploymentError when an address is not as computed.
    """
    chosen = parameters or MarketParameters()
    rpc = Rpc(rpc_url)
    try:
        sender = TransactionSender(rpc, signer)
        first = sender.nonce()
        at = {role: create_address(signer.address, first + i) for i, role in enumerate(CONTRACTS)}
        blocks = [_create(sender, rpc, role, at, chosen) for role in CONTRACTS]
        return Deployment.of(rpc.integer("eth_chainId"), min(blocks), at, chosen)
    finally:
        rpc.close()


def _create(
    sender: TransactionSender, rpc: Rpc, role: str, at: dict[str, Address], chosen: MarketParameters
) -> int:
    contract = interface(CONTRACTS[role])
    data = contract.encode_deployment(_arguments(at, chosen)[role])
    receipt = sender.send(None, data, f"deployment of {contract.name}")
    found = rpc.request("eth_getTransactionReceipt", str(receipt.hash))["contractAddress"]
    if Address.parse(found) != at[role]:
        raise DeploymentError(
            f"{contract.name} was created at {found}, expected {at[role]}; "
            "another transaction of the deployer came between, deploy again with an account of its own"
        )
    return receipt.block


def _arguments(at: dict[str, Address], chosen: MarketParameters) -> dict[str, tuple[Any, ...]]:
    """Constructor arguments by role."""

    def places(*roles: str) -> tuple[Address, ...]:
        return tuple(at[role] for role in roles)

    parties = places("token", "registry", "commitment", "datasets", "rewards", "challenges", "demands")
    return {
        "token": (),
        "registry": (*places("token", "escrow"), chosen.unbonding_seconds),
        "escrow": (parties, chosen.limits()),
        "commitment": (at["escrow"], chosen.seed_delay_blocks),
        "datasets": places("escrow", "commitment", "challenges", "demands", "royalties"),
        "rewards": places("token", "escrow", "datasets", "sales", "royalties"),
        "verifier": (),
        "challenges": places("escrow", "commitment", "datasets", "verifier"),
        "demands": places("token", "escrow", "commitment", "datasets"),
        "sales": places("token", "datasets", "rewards"),
        "royalties": places("token", "datasets", "rewards"),
        "modelStore": (),
    }
