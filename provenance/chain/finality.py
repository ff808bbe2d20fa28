"""How deep a block must lie before anybody acts on it: one setting for reads that decide and for sent transactions.

`latest` is right on a chain with one producer, which replaces nothing: a local one. Elsewhere blocks are replaced
now and then, and a seed or a match with them. `safe` and `finalized` are the chain's own words: on Ethereum about six
and thirteen minutes, on a rollup the time until its batch is on Ethereum. A number counts blocks on top.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provenance.chain.families import LOCAL_CHAINS
from provenance.errors import ValueFormatError

if TYPE_CHECKING:
    from provenance.chain.rpc import Rpc

_WORDS: Final = ("latest", "safe", "finalized")


@dataclass(frozen=True, slots=True)
class Finality:
    """A block word of the node, or how many blocks must lie on top of a block."""

    word: str
    confirmations: int = 0

    @classmethod
    def parse(cls, text: str) -> Finality:
        """ "latest", "safe", "finalized" or a number of blocks. Raises ValueFormatError."""
        if text in _WORDS:
            return cls(text)
        if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII):
            raise ValueFormatError(
                f"finality is {text!r:.40}, expected latest, safe, finalized or a number of blocks"
            )
        return cls("latest", int(text))

    @classmethod
    def chosen(cls, text: str) -> Finality | None:
        """A setting: as `parse`, and "" for what fits the chain (None)."""
        return cls.parse(text) if text else None

    @classmethod
    def of_chain(cls, chain_id: int) -> Finality:
        """What fits a chain that nobody said more about."""
        return LATEST if chain_id in LOCAL_CHAINS else cls("safe")

    def __str__(self) -> str:
        return str(self.confirmations) if self.confirmations else self.word

    def height(self, rpc: Rpc) -> int:
        """Number of the newest block that is deep enough."""
        if self.word == "latest":
            return max(0, rpc.integer("eth_blockNumber") - self.confirmations)
        return int(rpc.block(self.word)["number"], 16)

    def at(self, rpc: Rpc) -> str:
        """The newest block that is deep enough, as a parameter of `eth_call`."""
        return hex(self.height(rpc)) if self.confirmations else self.word


LATEST: Final = Finality("latest")
