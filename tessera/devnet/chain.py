"""A local chain: where `anvil` is found, how it is started, and gas money for fresh keys.

The operator of a local chain produces its blocks and could choose among seeds; only a public chain
takes that away.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from provenance.chain.errors import ChainError
from provenance.chain.rpc import Rpc
from tessera.devnet.children import LOOPBACK, Command
from tessera.errors import ServiceDownError

CHAIN_ID = 31337
WEI_PER_ETHER = 10**18
_TIMEOUT_SECONDS = 60.0


def find_anvil(checkout: Path) -> Path:
    """The anvil of this checkout's node_modules, else the one on PATH."""
    for found in sorted((checkout / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil")):
        return found
    on_path = shutil.which("anvil")
    if on_path is None:
        raise ServiceDownError(
            f"no anvil in {checkout / 'node_modules'} and none on PATH: run `make setup`, or install Foundry"
        )
    return Path(on_path)


def anvil_command(anvil: Path, *, folder: Path, port: int, block_seconds: int = 1) -> Command:
    """anvil on loopback with its state kept in `folder` over restarts (also written every two seconds)."""
    state = folder / "chain.json"
    return Command(
        name="chain (anvil)",
        argv=[
            str(anvil),
            *("--host", LOOPBACK, "--port", str(port)),
            # A block a second, and one at once for every transaction: nobody waits on an empty local chain.
            *("--chain-id", str(CHAIN_ID), "--block-time", str(block_seconds), "--mixed-mining"),
            *("--state", str(state), "--state-interval", "2"),
            "--quiet",
        ],
        log=folder / "logs" / "chain.log",
    )


def rpc(url: str, method: str, *params: object) -> object:
    """One JSON-RPC call; `ServiceDownError` when nobody answers or the answer is an error."""
    node = Rpc(url, timeout_seconds=_TIMEOUT_SECONDS)
    try:
        return node.request(method, *params)
    except ChainError as error:
        raise ServiceDownError(f"the chain at {url} did not answer {method}: {error}") from error
    finally:
        node.close()


def answers(url: str) -> bool:
    """True once a chain listens at `url`."""
    try:
        rpc(url, "eth_chainId")
    except ServiceDownError:
        return False
    return True


def has_code(url: str, address: str) -> bool:
    return rpc(url, "eth_getCode", address, "latest") not in ("0x", None)


def give_gas(url: str, address: str, *, ether: int = 100) -> None:
    """A plain transfer from the chain's first development account; waits until it is in a block."""
    accounts = rpc(url, "eth_accounts")
    if not isinstance(accounts, list) or not accounts:
        raise ServiceDownError(f"the chain at {url} has no development account: is it a local anvil?")
    transfer = {"from": accounts[0], "to": address, "value": hex(ether * WEI_PER_ETHER)}
    rpc(url, "eth_sendTransaction", transfer)


def gas_balance(url: str, address: str) -> int:
    """Balance in wei of the chain's own coin."""
    return int(str(rpc(url, "eth_getBalance", address, "latest")), 16)
