"""Who could have influenced the seed of a data set: a statement of the certificate, made where the seed was checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from provenance.canonical import JsonValue
from provenance.chain.families import OPCODE_BLOCKS, ChainFamily, ChainRules
from provenance.record.manifest import Manifest
from provenance.values import Address, Digest

_NONE: Final = Digest(bytes(32))
"""Stands for what a contributor that was dropped did not give."""


@dataclass(frozen=True, slots=True)
class SeedOrigin:
    """What the seed was made of.

    revealed: contributors whose salts are in it; none in a data set of before salts. withheld: those that committed
    to a salt and did not tell it, dropped for that: they knew the seed with it and without. dropped: those that were
    left out before they committed to anything. draws: blocks appointed to decide it, one if none was missed.
    hash_blocks: for how many blocks, at least, the block's hash could be fixed on chain.
    """

    chain_id: int
    family: ChainFamily
    target_block: int
    is_salted: bool
    revealed: tuple[Address, ...]
    withheld: tuple[Address, ...]
    dropped: tuple[Address, ...]
    draws: int
    hash_blocks: int

    @classmethod
    def of(cls, manifest: Manifest, models: Sequence[Digest], rules: ChainRules) -> SeedOrigin:
        """From a manifest that was found to agree with the chain. models: digests as committed, zero for a contributor
        that was dropped before."""
        draw, is_salted = manifest.seed, bool(manifest.seed.salts)
        members = [each.contributor for each in manifest.participants]
        recorded = {each.contributor for each in manifest.shards}  # who revealed zeros revealed them
        told = [
            is_salted and (salt != _NONE or member in recorded)
            for member, salt in zip(members, draw.salts or [_NONE] * len(members), strict=True)
        ]
        states = list(zip(members, [model != _NONE for model in models], told, strict=True))
        return cls(
            chain_id=manifest.chain_id,
            family=rules.family,
            target_block=draw.target_block,
            is_salted=is_salted,
            revealed=tuple(member for member, _, has_told in states if has_told),
            withheld=tuple(member for member, has, has_told in states if is_salted and has and not has_told),
            dropped=tuple(member for member, has, _ in states if not has),
            draws=draw.draws,
            # Contracts of before salts asked the opcode.
            hash_blocks=rules.hash_blocks if is_salted else OPCODE_BLOCKS,
        )

    @property
    def made_of(self) -> str:
        """Block, salts and draws, in words."""
        asked = len(self.revealed) + len(self.withheld) + len(self.dropped)
        salts = f"salts of {len(self.revealed)} of {asked} contributors" if self.is_salted else "no salts"
        drawn = "no draw missed" if self.draws == 1 else f"{self.draws - 1} draw(s) missed before"
        kept = f"which could be fixed for {self.hash_blocks:,} blocks or more"
        return f"hash of block {self.target_block}, {kept}; {salts}; {drawn}"

    @property
    def sentence(self) -> str:
        """Who could have chosen the seed."""
        maker = self.family.block_maker(self.chain_id, self.target_block)
        number = len(self.revealed)
        if number == 0:
            return f"It rests on the block alone, and could have been chosen by {maker}."
        members = (
            "the one contributor whose salt is"
            if number == 1
            else f"all {number} contributors whose salts are"
        )
        words = f"It could have been chosen only by {members} in it, together with {maker}."
        if self.withheld:
            words += (
                f" {' and '.join(map(str, self.withheld))} kept a salt back, at the price of a stake: who did that had "
                "the choice between the seed with it and the one without."
            )
        return words

    def document(self) -> dict[str, JsonValue]:
        """The JSON form."""
        return {
            "chainId": self.chain_id,
            "family": self.family.value,
            "targetBlock": self.target_block,
            "salted": self.is_salted,
            "revealed": [str(each) for each in self.revealed],
            "withheld": [str(each) for each in self.withheld],
            "dropped": [str(each) for each in self.dropped],
            "draws": self.draws,
            "hashBlocks": self.hash_blocks,
            "madeOf": self.made_of,
            "couldChoose": self.sentence,
        }
