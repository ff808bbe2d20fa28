"""Showing the chain the attempts of a conditioned row in parts, as many as a transaction takes at a time, until the
challenge can make the rest.

The parts are facts about the row that stay on chain, so whoever is interrupted goes on behind the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.chain.disputes import RowAttempts, RowQuestion
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.exact.size_class import ATTEMPTS
from provenance.units import local_time
from provenance.values import Address
from tessera.errors import TesseraError

CONVICTION_GAS: Final = 3_600_000
"""What a challenge costs besides its attempts, at most: evidence, proofs and payments."""
_PART_GAS: Final = TRANSACTION_GAS_CAP - TRANSACTION_GAS_CAP // 8

TellAttempts = Callable[[int], None]
"""Called with how many attempts stand on chain, after each part."""


@dataclass(frozen=True, slots=True)
class AttemptSteps:
    """The attempts of one row, for a claim that was committed to in block `committed`. model: empty when it is stored
    in `parts`."""

    chain: ChainReader
    writer: ChainWriter
    query: RowQuestion
    conditions: bytes
    model: bytes
    parts: Sequence[Address]
    committed: int

    def show(self, tell: TellAttempts | None = None) -> int:
        """Gas spent. Raises TesseraError when somebody else's parts do not count for this claim yet, and its own would
        not fit the challenge."""
        spent = 0
        while True:
            known = self.chain.row_attempts(self.query, self.conditions)
            counted = known.count_for(self.committed, self.chain.chain_time())
            if known.made == ATTEMPTS == counted or self._fits_the_challenge(counted):
                return spent
            if counted < known.made:
                raise self._not_ours(known)
            count = self._most(counted)
            receipt = self.writer.try_attempts(self.query, self.conditions, self.model, self.parts, count)
            spent += receipt.gas_used
            if tell is not None:
                tell(self.chain.row_attempts(self.query, self.conditions).made)

    def _fits_the_challenge(self, first: int) -> bool:
        return self._gas(first, ATTEMPTS - first) + CONVICTION_GAS <= TRANSACTION_GAS_CAP

    def _most(self, first: int) -> int:
        """How many attempts from `first` on one transaction takes."""
        count = ATTEMPTS - first
        while self._gas(first, count) > _PART_GAS:
            if count == 1:
                raise TesseraError(
                    f"attempt {first} of the row alone takes more gas than a transaction may have "
                    f"({TRANSACTION_GAS_CAP:,}): the order promises no size class, so that the chain need not be "
                    "able to judge its rows. Nothing more was sent"
                )
            count = (count + 1) // 2
        return count

    def _gas(self, first: int, count: int) -> int:
        return self.chain.attempts_gas(self.query, self.conditions, self.model, self.parts, first, count)

    def _not_ours(self, known: RowAttempts) -> TesseraError:
        now = self.chain.chain_time()
        return TesseraError(
            f"somebody showed {known.made} attempts of this row before this challenge was committed to: until "
            f"{local_time(known.open_from, now)} they count for earlier challenges only. Give the same command again "
            "then, it goes on from its file"
        )
