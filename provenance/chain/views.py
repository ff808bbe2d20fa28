"""What every reader of the market shares: one node, calls by contract role and function name, logs as events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, NO_FEED, Deployment
from provenance.chain.errors import (
    ChainUnavailableError,
    DeploymentError,
    LogRangeError,
    RevertError,
)
from provenance.chain.events import ChainEvent, ShardRecorded
from provenance.chain.finality import Finality
from provenance.chain.log_decoder import decode_log, event_topic
from provenance.chain.ports import OrderLimits
from provenance.chain.rpc import Rpc
from provenance.crypto.typed_data import Domain
from provenance.values import Address, Digest

E = TypeVar("E", bound=ChainEvent)
_ALL_BLOCKS = 2**62
"""How many blocks logs are asked of at first: all of them. Nodes that give no logs of so many say so."""


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
        self._limits: OrderLimits | None = None
        self._feed: Address | None = None
        self._most_blocks = _ALL_BLOCKS
        self._recorded: dict[Address, tuple[int, tuple[ShardRecorded, ...]]] = {}

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

    def limits(self) -> OrderLimits:
        """What this market asks of every order. Asked once: the contracts cannot change it."""
        if self._limits is None:
            found = self._only("escrow", "limits")
            self._limits = OrderLimits(
                min_answer_seconds=found["minAnswerSeconds"],
                min_challenge_seconds=found["minChallengeSeconds"],
                min_delivery_seconds=found["minDeliverySeconds"],
                max_score_micro=found["maxScoreMicro"],
                min_rows=found["minRows"],
                min_price=found["minPrice"],
                min_stake=found["minStake"],
                min_stake_bps=found["minStakeBps"],
                min_bond=found["minBond"],
            )
        return self._limits

    def end_of(self, deadline: int, length: int) -> int:
        """When a time of `length` seconds ends that ran to chain time `deadline`: later after an outage of the chain,
        in a market with an uptime feed."""
        if self.uptime_feed() is None:
            return deadline
        return int(self._only("escrow", "endOf", deadline, length))

    def uptime_feed(self) -> Address | None:
        """The uptime feed of this market, None without one. Asked once, as the limits are."""
        if self._feed is None:
            try:
                self._feed = self._only("escrow", "uptimeFeed")
            except RevertError:  # a market of an earlier release has none
                self._feed = NO_FEED
        return None if self._feed == NO_FEED else self._feed

    def _view(self, role: str, function: str, *arguments: Any, block: str = "latest") -> dict[str, Any]:
        contract = interface(CONTRACTS[role])
        data = contract.encode_call(function, arguments)
        name = f"{contract.name}.{function}"
        answer = self.rpc.call(self._deployment.address(role), data, action=name, block=block)
        if not answer:
            raise DeploymentError(
                f"{name}: there is no contract at {self._deployment.address(role)} "
                f"on the chain of {self.rpc.url}; "
                "use the RPC URL or deployment file that belong together"
            )
        return contract.decode_result(function, answer)

    def _only(self, role: str, function: str, *arguments: Any, block: str = "latest") -> Any:
        """The one value that a function returns, whatever its name; a struct as a dict by its members' names."""
        (value,) = self._view(role, function, *arguments, block=block).values()
        return value

    def _final(self, role: str, function: str, *arguments: Any) -> Any:
        """As `_only`, in the newest block that is deep enough to act on."""
        return self._only(role, function, *arguments, block=self.finality.at(self.rpc))

    def _logs(self, role: str, event: type[E], first: Digest | int, *, block: int | None = None) -> list[E]:
        """Events of one kind whose first indexed argument is `first`, deep enough to act on; `block`: of it alone."""
        query = self._query(role, event, first)
        found = (
            self._raw_logs(query, self._deployment.block, self.finality.height(self.rpc))
            if block is None
            else self._raw_logs(query, block, block)
        )
        return [each for each in found if isinstance(each, event)]

    def _newest(self, role: str, event: type[E], first: Digest | int, *, since: int = 0) -> E | None:
        """The last of `_logs`, from block `since` on."""
        found = self._newest_log(self._query(role, event, first), since)
        return found if isinstance(found, event) else None

    def _newest_log(self, query: LogQuery, since: int = 0) -> ChainEvent | None:
        """Stops looking where it is found, for what is asked about is mostly recent."""
        start, height = max(since, self._deployment.block), self.finality.height(self.rpc)
        for logs in self._ranges(query, start, height, newest_first=True):
            if logs:
                return decode_log(logs[-1])
        return None

    def _query(self, role: str, event: type[ChainEvent], first: Digest | int) -> LogQuery:
        word = first if isinstance(first, Digest) else Digest(first.to_bytes(32, "big"))
        return LogQuery((self._deployment.address(role),), (event_topic(event.__name__), str(word)))

    def _raw_logs(self, query: LogQuery, start: int, end: int) -> list[ChainEvent]:
        """In chain order, both ends included."""
        return [decode_log(log) for logs in self._ranges(query, start, end) for log in logs]

    def _ranges(
        self, query: LogQuery, start: int, end: int, *, newest_first: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """Logs of as many blocks at once as the node gives: half as many each time that it finds them too many."""
        left = (start, end)
        while left[0] <= left[1]:
            low, high = left
            if high - low >= self._most_blocks:
                low, high = (
                    (high - self._most_blocks + 1, high)
                    if newest_first
                    else (low, low + self._most_blocks - 1)
                )
            try:
                logs = self.rpc.request("eth_getLogs", query.parameters(low, high))
            except LogRangeError as error:
                if high == low:
                    raise ChainUnavailableError(f"{error} (asked for block {low} alone)") from error
                self._most_blocks = (high - low + 1) // 2
                continue
            if not isinstance(logs, list):
                raise ChainUnavailableError(f"the node at {self.rpc.url} answered eth_getLogs with no list")
            yield logs
            left = (start, low - 1) if newest_first else (high + 1, end)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Logs of these contracts with these topics; None stands for any."""

    addresses: tuple[Address, ...]
    topics: tuple[str | None, ...] = ()

    def parameters(self, start: int, end: int) -> dict[str, Any]:
        """What eth_getLogs takes."""
        return {
            "address": [str(address) for address in self.addresses],
            "fromBlock": hex(start),
            "toBlock": hex(end),
            "topics": list(self.topics),
        }
