"""Drawing an order's seed when its broker does not: fix the hash of the seed's block, gather the salts, draw.

Anyone may. Salts come from whoever tells them: the chain (demanded), the market, or by hand; each is compared with what
its contributor committed to. No salt is asked for before the hash is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from provenance.chain.errors import RevertError
from provenance.chain.ports import CommitmentOnChain, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.record.receipts import salt_digest
from provenance.record.terms import Participant
from provenance.values import Digest
from tessera.errors import TesseraError, UsageError

MISSED: Final = "ModelCommitment_DrawMissed"
_NO_SALT: Final = Digest(bytes(32))

Salts = Mapping[int, Digest]
"""By shard."""


@dataclass(frozen=True, slots=True)
class SeedDraw:
    """The draw of one order by one wallet."""

    chain: ChainReader
    writer: ChainWriter
    order: Digest

    def commitment(self) -> CommitmentOnChain:
        """As the chain has it. Raises TesseraError before the commit, or when the seed is drawn."""
        found = self.chain.commitment(self.order)
        if not found.commit_block:
            raise TesseraError(f"order {self.order} has no models on chain yet: there is no seed to draw")
        if found.seed is not None:
            raise TesseraError(f"the seed of order {self.order} is drawn: {found.seed}")
        return found

    def fix(self) -> TxReceipt | None:
        """Puts the hash of the seed's block on chain for good; None when it is there. Raises TesseraError while the
        block is to come, MissedDrawError when the chain does not know its hash any more."""
        found = self.commitment()
        if self.chain.is_hash_fixed(self.order):
            return None
        height = self.chain.block_number()
        if height <= found.target_block:
            raise TesseraError(
                f"the seed of order {self.order} comes from block {found.target_block}, the newest is {height}: give "
                "the same command again when it has a successor"
            )
        try:
            return self.writer.fix_hash(self.order)
        except RevertError as error:
            if error.name == MISSED:
                raise MissedDrawError(
                    f"the hash of block {found.target_block} is out of the chain's reach, nobody fixed it in time: "
                    "another block can be appointed (again=), which costs the broker part of its bond"
                ) from error
            if self.chain.is_hash_fixed(self.order):
                return None  # somebody else did, just now
            raise

    def again(self) -> TxReceipt:
        """Appoints another block for a draw that was missed."""
        self.commitment()
        return self.writer.redraw(self.order)

    def salts(self, given: Salts, ask_market: Callable[[], Salts]) -> tuple[Digest, ...]:
        """Everybody's, in participant order; zero for a shard that is out. given: by hand. ask_market: asked only for
        what is missing, once the hash is fixed. Raises UsageError for a salt that is not the committed one,
        TesseraError when one is missing: whose, and what can be done."""
        committed = self.commitment().salts
        out = self.chain.shards(self.order).out
        wanted = {shard for shard in range(len(committed)) if shard not in out}
        for shard, salt in given.items():
            if shard not in wanted or salt_digest(self.order, shard, salt) != committed[shard]:
                raise UsageError(
                    f"salt={shard}={salt}: that is not what shard {shard} of order {self.order} committed to"
                )
        found = dict(self._fitting(self._shown(wanted - given.keys()), committed)) | dict(given)
        if wanted - found.keys():
            found = dict(self._fitting(ask_market(), committed)) | found
        missing = sorted(wanted - found.keys())
        if missing:
            raise TesseraError(self._missing(missing, self.chain.participants(self.order)))
        return tuple(
            found.get(shard, _NO_SALT) if shard in wanted else _NO_SALT for shard in range(len(committed))
        )

    def draw(self, salts: tuple[Digest, ...]) -> tuple[Digest, TxReceipt | None]:
        """The seed, and the transaction that drew it; None when somebody else's did."""
        receipt = None
        try:
            receipt = self.writer.draw_seed(self.order, self.chain.commitment(self.order).salts, salts)
        except RevertError:
            if self.chain.commitment(self.order).seed is None:
                raise
        seed = self.chain.commitment(self.order).seed
        if seed is None:
            raise TesseraError("the draw is sent, but not final yet: give the same command again")
        return seed, receipt

    def _shown(self, shards: set[int]) -> Salts:
        """What contributors showed on chain when it was demanded."""
        shown = {shard: self.chain.answered_salt(self.order, shard) for shard in shards}
        return {shard: event.salt for shard, event in shown.items() if event is not None}

    def _fitting(self, told: Salts, committed: tuple[Digest, ...]) -> Salts:
        """Without what nobody committed to: a market may say anything."""
        return {
            shard: salt
            for shard, salt in told.items()
            if shard < len(committed) and salt_digest(self.order, shard, salt) == committed[shard]
        }

    def _missing(self, shards: list[int], participants: tuple[Participant, ...]) -> str:
        whose = ", ".join(f"shard {shard} ({participants[shard].contributor})" for shard in shards)
        return (
            f"the seed of order {self.order} cannot be drawn yet: missing is the salt of {whose}. The hash is fixed, "
            "so the broker can demand it on chain, and a contributor that keeps it loses its stake; who has it from "
            "its contributor can give it as SHARD=0x... (salt=)"
        )


class MissedDrawError(TesseraError):
    """The block of the seed is out of the chain's reach."""
