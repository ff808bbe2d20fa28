"""What a transaction offers for its place in a block (EIP-1559), and how much more its replacement must offer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provenance.chain.errors import ChainUnavailableError
from provenance.units import format_fixed

if TYPE_CHECKING:
    from provenance.chain.rpc import Rpc

GWEI: Final = 9
"""Decimal places of fees for people: wei of the chain's own coin."""
DEFAULT_CEILING_GWEI: Final = 1_000
TRANSACTION_GAS_CAP: Final = 16_777_216
"""The most gas a transaction may be given (EIP-7825)."""
DEFAULT_CEILING_WEI: Final = DEFAULT_CEILING_GWEI * 10**GWEI
_MARK: Final = 100_000
_ROOM: Final = 2  # base fees: six full blocks in a row double it


class FeeCeilingError(ChainUnavailableError):
    """The chain asks for more than the ceiling of fees allows: wait, or raise the ceiling."""


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei for one unit of gas: the most in all, and the part of it that goes to whoever makes the block."""

    most: int
    tip: int

    def raised(self) -> Fees:
        """The least that replaces a transaction with these fees: nodes ask for 12.5 percent more of both."""
        return Fees(self.most + self.most // 8 + 1, self.tip + self.tip // 8 + 1)

    def at_least(self, other: Fees) -> Fees:
        """The higher of each."""
        return Fees(max(self.most, other.most), max(self.tip, other.tip))

    def below(self, ceiling: int) -> Fees:
        """As far as the ceiling goes."""
        return Fees(min(self.most, ceiling), min(self.tip, ceiling))


def going_fees(rpc: Rpc) -> Fees:
    """What is asked now, with room for the base fee to double.

    A few wei of the tip are drawn at random. Two processes that send the same call under the same nonce would sign the
    same transaction, and could not tell whose it is that was mined.
    """
    tip = rpc.integer("eth_maxPriorityFeePerGas") + secrets.randbelow(_MARK)
    return Fees(_ROOM * base_fee(rpc) + tip, tip)


def base_fee(rpc: Rpc) -> int:
    """Wei for one unit of gas that the latest block burnt; 0 on a chain without such a fee."""
    return int(rpc.block("latest").get("baseFeePerGas", "0x0"), 16)


def gwei(wei: int) -> str:
    """A fee for people: "12.5 gwei"."""
    return f"{format_fixed(wei, GWEI)} gwei"
