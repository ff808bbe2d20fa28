"""What every reader of the market shares: one node, calls by contract role and function name, logs as events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeVar

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, Deployment
from provenance.chain.errors import ChainError, DeploymentError
from provenance.chain.events import ChainEvent
from provenance.chain.finality import Finality
from provenance.chain.log_decoder import decode_log, event_topic
from provenance.chain.rpc import Rpc
from provenance.crypto.typed_data import Domain
from provenance.values import Address, Digest

E = TypeVar("E", bound=ChainEvent)


class MarketViews:
    """One market on one chain, to be asked. Safe to share between threads."""

    def __init__(
        self,
        rpc_url: str,
        deployment: Deployment,
        *,
        timeout_seconds: float = 10.0,
        finality: Finality | None = None,
    ) -> None:
        """Connects lazily: `check()` (or the first read) shows whether the node answers. `finality`: how deep what
        decisions rest on must lie; None for what fits the chain."""
        self.rpc = Rpc(rpc_url, timeout_seconds=timeout_seconds)
        self.finality = finality or Finality.of_chain(deployment.chain_id)
        self._deployment = deployment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections."""
        self.rpc.close()

    @property
    def deployment(self) -> Deployment:
        return self._deployment

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain of this market."""
        return self._deployment.domain

    def _view(self, role: str, function: str, *arguments: Any) -> dict[str, Any]:
        contract = interface(CONTRACTS[role])
        data = contract.encode_call(function, arguments)
        name = f"{contract.name}.{function}"
        answer = self.rpc.call(self._deployment.address(role), data, action=name)
        if not answer:
            raise DeploymentError(
                f"{name}: there is no contract at {self._deployment.address(role)} "
                f"on the chain of {self.rpc.url}; "
                "use the RPC URL or deployment file that belong together"
            )
        return contract.decode_result(function, answer)

    def _only(self, role: str, function: str, *arguments: Any) -> Any:
        """The one value that a function returns, whatever its name; a struct as a dict by its members' names."""
        (value,) = self._view(role, function, *arguments).values()
        return value

    def _logs(self, role: str, event: type[E], first: Digest | int, *, block: int | None = None) -> list[E]:
        """Events of one kind whose first indexed argument is `first`."""
        word = first if isinstance(first, Digest) else Digest(first.to_bytes(32, "big"))
        start = self._deployment.block if block is None else block
        topics = [event_topic(event.__name__), str(word)]
        found = self._raw_logs([self._deployment.address(role)], start, block, topics)
        return [each for each in found if isinstance(each, event)]

    def _raw_logs(
        self, addresses: Sequence[Address], start: int, end: int | None, topics: Sequence[str | None]
    ) -> list[ChainEvent]:
        query = {
            "address": [str(address) for address in addresses],
            "fromBlock": hex(start),
            "toBlock": "latest" if end is None else hex(end),
            "topics": list(topics),
        }
        logs = self.rpc.request("eth_getLogs", query)
        if not isinstance(logs, list):
            raise ChainError(f"the node at {self.rpc.url} answered eth_getLogs with no list")
        return [decode_log(log) for log in logs]
