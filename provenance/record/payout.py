"""Naming another address for one's rewards, signed by the address they are paid to now.

Normative text: docs/spec/terms.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provenance.crypto.typed_data import TypedMessage
from provenance.values import Address


@dataclass(frozen=True, slots=True)
class Payout(TypedMessage):
    """Rewards of `account` go to `payout` from now on. `nonce` is the account's, from the rewards contract; the
    signature counts up to chain time `deadline`."""

    NAME: ClassVar[str] = "Payout"
    TYPES: ClassVar[tuple[str, ...]] = ("address", "address", "uint256", "uint256")

    account: Address
    payout: Address
    nonce: int
    deadline: int
