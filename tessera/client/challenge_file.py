"""What a challenger keeps between commit and reveal: the claim and its salt, so that a killed
process goes on.

Written before the commitment is sent, mode 600: whoever reads the salt before the reveal knows what is
claimed. It holds no model, no row and no key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from provenance.document import Reader
from provenance.errors import MalformedError
from provenance.values import Address, Digest
from provenance.verify.refutation import Claim, Fault
from tessera.client.order_file import write_private
from tessera.errors import UsageError

FORMAT: Final = "tessera-challenge/1"
_MEMBERS = ("format", "chainId", "challenges", "challenger", "fault", "dataset", "shard", "chunk", "row", "salt",
            "modelParts")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Market:
    """Which market a challenge is at, and who makes it."""

    chain_id: int
    challenges: Address
    challenger: Address


@dataclass(frozen=True, slots=True)
class Intent:
    """One challenge under way. `model_parts`: where parts of the model were stored so far, in order."""

    market: Market
    fault: Fault
    claim: Claim
    salt: Digest
    model_parts: tuple[Address, ...] = ()

    @property
    def commitment(self) -> Digest:
        """What is sent first."""
        return self.claim.commitment(self.market.challenger, self.salt)

    def with_parts(self, parts: tuple[Address, ...]) -> Intent:
        return replace(self, model_parts=parts)

    def write(self, path: Path) -> None:
        """Whole or not at all, and on the disk when this returns."""
        claim = self.claim
        document = {
            "format": FORMAT,
            "chainId": self.market.chain_id,
            "challenges": str(self.market.challenges),
            "challenger": str(self.market.challenger),
            "fault": self.fault.value,
            "dataset": claim.dataset,
            "shard": claim.shard,
            "chunk": str(claim.chunk),
            "row": claim.row,
            "salt": str(self.salt),
            "modelParts": [str(part) for part in self.model_parts],
        }
        write_private(path, document)

    @classmethod
    def read(cls, path: Path) -> Intent:
        """Raises UsageError when `path` is no such file."""
        try:
            reader = Reader(json.loads(path.read_text(encoding="utf-8")), path.name, _MEMBERS)
            reader.constant("format", FORMAT)
            parts = cast(list[object], reader.array("modelParts"))
            return cls(
                Market(
                    reader.integer("chainId", 1), reader.address("challenges"), reader.address("challenger")
                ),
                Fault(reader.text("fault")),
                Claim(
                    reader.integer("dataset", 1),
                    reader.integer("shard"),
                    int(reader.text("chunk")),
                    reader.integer("row"),
                ),
                reader.digest("salt"),
                tuple(Address.parse(str(part)) for part in parts),
            )
        except (MalformedError, ValueError, TypeError) as error:
            raise UsageError(
                f"{path} is no challenge that `tessera challenge` wrote ({error}): name another (file=)"
            ) from error


def intent_of(
    path: Path,
    market: Market,
    fault: Fault,
    claim: Claim,
    new_salt: Callable[[], Digest],
    *,
    dataset: int | None = None,
) -> Intent:
    """The challenge kept in `path` if there is one, else a new one, on the disk before anything is sent.

    Raises UsageError when the file holds another challenge.
    """
    if not path.exists():
        fresh = Intent(market, fault, claim, new_salt())
        fresh.write(path)
        return fresh
    kept = Intent.read(path)
    if kept.market != market or kept.claim != claim or kept.claim.dataset != (dataset or claim.dataset):
        raise UsageError(
            f"{path} holds another challenge (data set {kept.claim.dataset}, shard {kept.claim.shard}, by "
            f"{kept.market.challenger} on chain {kept.market.chain_id}): continue that one, or name another "
            "(file=)"
        )
    return kept
