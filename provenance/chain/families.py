"""Kinds of chains: who makes their blocks, and how long contracts can look up the hash of one.

By chain id where it is known, else by the contracts that only one kind has. See docs/security.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from provenance.values import Address

HISTORY: Final = Address.parse("0x0000F90827F1C53a10cb7A02335B175320002935")
"""Where EIP-2935 keeps the hashes of past blocks."""
ARB_SYS: Final = Address.parse("0x0000000000000000000000000000000000000064")
"""There is code here on Arbitrum and chains of its kind only."""
L1_BLOCK: Final = Address.parse("0x4200000000000000000000000000000000000015")
"""There is code here on chains of the OP stack only."""
OPCODE_BLOCKS: Final = 256
HISTORY_BLOCKS: Final = 8_191


class ChainFamily(StrEnum):
    """Chains with the same kind of block producer."""

    ETHEREUM = "ethereum"
    OP_STACK = "op-stack"
    ARBITRUM = "arbitrum"
    LOCAL = "local"
    UNKNOWN = "unknown"

    def block_maker(self, chain_id: int, block: int) -> str:
        """Who decides what is in `block`, and so its hash."""
        match self:
            case ChainFamily.ETHEREUM:
                return f"the builder or proposer of block {block}"
            case ChainFamily.OP_STACK:
                return f"the one sequencer of chain {chain_id} (OP stack)"
            case ChainFamily.ARBITRUM:
                return f"the one sequencer of chain {chain_id} (Arbitrum)"
            case ChainFamily.LOCAL:
                return f"the operator of the local chain {chain_id}, who often runs the contributors too"
            case ChainFamily.UNKNOWN:
                return f"whoever makes the blocks of chain {chain_id}, which this release does not know"


_IDS: Final[Mapping[ChainFamily, tuple[int, ...]]] = {
    ChainFamily.ETHEREUM: (1, 11155111, 560048),  # mainnet, Sepolia, Hoodi
    ChainFamily.OP_STACK: (10, 8453, 11155420, 84532),  # OP and Base, and the Sepolia of each
    ChainFamily.ARBITRUM: (42161, 42170, 421614),  # One, Nova, Sepolia
    ChainFamily.LOCAL: (1337, 31337),
}
LOCAL_CHAINS: Final = frozenset(_IDS[ChainFamily.LOCAL])
"""Chain ids of development chains, which have one producer and replace nothing."""


class CodeReads(Protocol):
    """Whether there is a contract at an address."""

    def is_contract(self, account: Address) -> bool: ...


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What a seed rests on. hash_blocks: blocks for which a contract can look up a hash, at least."""

    family: ChainFamily
    hash_blocks: int


def chain_rules(chain: CodeReads, chain_id: int) -> ChainRules:
    """The rules of the chain with this id. Asks the node which of the system contracts it has."""
    known = next((family for family, ids in _IDS.items() if chain_id in ids), None)
    family = known or _by_contracts(chain)
    # How far Arbitrum's own history reaches is its own affair: what it always promises are the blocks of ArbSys.
    has_history = family is not ChainFamily.ARBITRUM and chain.is_contract(HISTORY)
    return ChainRules(family, HISTORY_BLOCKS if has_history else OPCODE_BLOCKS)


def _by_contracts(chain: CodeReads) -> ChainFamily:
    if chain.is_contract(ARB_SYS):
        return ChainFamily.ARBITRUM
    return ChainFamily.OP_STACK if chain.is_contract(L1_BLOCK) else ChainFamily.UNKNOWN
