"""Finding a market's contracts from its data-set registry alone: each names the others as immutables.

The store of model bytes is not found: nobody needs it to judge a record, and no contract names it.
"""

from __future__ import annotations

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, Deployment
from provenance.chain.errors import ChainError, DeploymentError
from provenance.chain.rpc import Rpc
from provenance.values import Address


def discover_deployment(rpc_url: str, datasets: Address) -> Deployment:
    """The deployment around a DatasetRegistry, but for the model store. Its `block` is 0: searches for events
    start at the beginning.

    Raises DeploymentError when there is no such contract.
    """
    rpc = Rpc(rpc_url)
    try:
        chain_id = rpc.integer("eth_chainId")
        escrow = _address(rpc, "datasets", datasets, "escrow")
        rewards = _address(rpc, "escrow", escrow, "rewards")
        challenges = _address(rpc, "escrow", escrow, "challenges")
        return Deployment(
            chain_id=chain_id,
            token=_address(rpc, "escrow", escrow, "token"),
            registry=_address(rpc, "escrow", escrow, "registry"),
            escrow=escrow,
            commitment=_address(rpc, "datasets", datasets, "commitment"),
            datasets=datasets,
            rewards=rewards,
            verifier=_address(rpc, "challenges", challenges, "verifier"),
            challenges=challenges,
            demands=_address(rpc, "escrow", escrow, "demands"),
            sales=_address(rpc, "rewards", rewards, "sales"),
            royalties=_address(rpc, "rewards", rewards, "royalties"),
            model_store=None,
            block=0,
        )
    finally:
        rpc.close()


def _address(rpc: Rpc, role: str, contract: Address, function: str) -> Address:
    known = interface(CONTRACTS[role])
    action = f"{known.name}.{function}"
    answer = rpc.call(contract, known.encode_call(function, ()), action=action)
    try:
        return Address(known.decode_result(function, answer)["0"])
    except ChainError as error:
        raise DeploymentError(
            f"there is no {known.name} at {contract} on the chain of {rpc.url}; check address and RPC URL"
        ) from error
