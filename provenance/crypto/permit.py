"""ERC-2612 permits: the buyer signs an allowance for exactly the price, so that paying needs no own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from provenance.crypto.signing import Signer, recover
from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.document import Reader
from provenance.errors import SignatureError
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class PermitMessage(TypedMessage):
    """What is signed, under the token's own domain. `deadline` is in chain seconds, `value` in token wei."""

    NAME: ClassVar[str] = "Permit"
    TYPES: ClassVar[tuple[str, ...]] = ("address", "address", "uint256", "uint256", "uint256")

    owner: Address
    spender: Address
    value: int
    nonce: int
    deadline: int


@dataclass(frozen=True, slots=True)
class Permit:
    """A signed permit as the escrow contract takes it. All zero when the allowance is there already."""

    deadline: int
    v: int
    r: Digest
    s: Digest

    def document(self) -> dict[str, str | int]:
        return {"deadline": str(self.deadline), "v": self.v, "r": str(self.r), "s": str(self.s)}

    @classmethod
    def parse(cls, document: object) -> Permit:
        """Reads `document()` back. Raises DocumentError."""
        reader = Reader(document, "permit", ("deadline", "v", "r", "s"))
        return cls(
            reader.decimal("deadline"), reader.integer("v", 0, 255), reader.digest("r"), reader.digest("s")
        )


NO_PERMIT = Permit(0, 0, Digest(bytes(32)), Digest(bytes(32)))
"""For a buyer that approved the escrow before."""


def sign_permit(signer: Signer, token_domain: Domain, message: PermitMessage) -> Permit:
    """Signs `message` under the token's domain (ChainReader.token_domain)."""
    signature = bytes(signer.sign_typed(token_domain, message))
    return Permit(message.deadline, signature[64], Digest(signature[:32]), Digest(signature[32:64]))


def is_permit_of(token_domain: Domain, message: PermitMessage, permit: Permit) -> bool:
    """Whether the owner's key signed `message`. False for contract wallets: only the chain can ask those."""
    signature = bytes(permit.r) + bytes(permit.s) + bytes([permit.v])
    try:
        return recover(token_domain, message, signature) == message.owner
    except SignatureError:
        return False
