"""Chainlink's L2 sequencer uptime feed, as a deployment looks at it before a market is tied to it for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_abi.abi import decode

from provenance.chain.errors import DeploymentError, RevertError
from provenance.chain.rpc import Rpc
from provenance.values import Address, keccak256

_READ: Final = bytes(keccak256(b"latestRoundData()")[:4])
_WORDS: Final = ("uint256", "int256", "uint256", "uint256", "uint256")
_UP, _DOWN = 0, 1
MAX_OUTAGE_SECONDS: Final = 2 * 86_400
"""`Outages.MAX_OUTAGE_SECONDS`: an outage moves no time by more, and a feed that says "down" for longer is not
believed."""


@dataclass(frozen=True, slots=True)
class UptimeFeed:
    """What the feed says now. since: chain time at which that began; 0 for a feed that has heard of nothing yet."""

    address: Address
    is_up: bool
    since: int


def inspect_feed(rpc: Rpc, address: Address) -> UptimeFeed:
    """Reads the feed as the contracts do. Raises DeploymentError for what they would not understand."""
    if rpc.request("eth_getCode", str(address), "latest") in ("0x", None):
        raise DeploymentError(
            f"there is no contract at {address} on the chain of {rpc.url}; expected the chain's L2 sequencer uptime "
            "feed (docs.chain.link/data-feeds/l2-sequencer-feeds), or leave the feed out"
        )
    try:
        answer = rpc.call(address, _READ, action="the uptime feed")
    except RevertError as error:
        raise DeploymentError(
            f"the contract at {address} has no latestRoundData that can be read ({error}); expected the chain's L2 "
            "sequencer uptime feed"
        ) from error
    if len(answer) < 32 * len(_WORDS):
        raise DeploymentError(
            f"latestRoundData of {address} gives {len(answer)} bytes, expected 160: it is no uptime feed"
        )
    _, status, since, _, _ = decode(_WORDS, answer)
    if status not in (_UP, _DOWN):
        raise DeploymentError(
            f"latestRoundData of {address} answers {status}, expected 0 (up) or 1 (down): it is another kind of feed, "
            "maybe of a price"
        )
    return UptimeFeed(address, status == _UP, since)
