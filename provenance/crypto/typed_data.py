"""EIP-712 typed messages: hashing only, no keys.

A message is a frozen dataclass whose fields stand in the order of its Solidity struct. Only static value
types occur (address, bytes32, uintN, bool), so the encoding is one 32-byte word a field and no dynamic part.
Normative text: docs/spec/terms.md. Vectors: tests/vectors/terms.json and receipts.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, Self

from provenance.errors import DocumentError
from provenance.values import Address, Digest, keccak256

DOMAIN_NAME = "Tessera"
DOMAIN_VERSION = "1"
_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)\Z")


@dataclass(frozen=True, slots=True)
class Domain:
    """An EIP-712 domain. Every Tessera message has the default name and version and the OrderEscrow's address."""

    chain_id: int
    verifying_contract: Address
    name: str = DOMAIN_NAME
    version: str = DOMAIN_VERSION

    def separator(self) -> Digest:
        """The hash that binds a signature to this chain and this escrow contract."""
        return _separator(self)


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """Base of all signed messages. `TYPES` names the Solidity type of each dataclass field, in order.

    `LATER` names fields that an earlier form of the message lacks. Construction checks ranges and lengths, so that an
    instance can always be hashed.
    """

    NAME: ClassVar[str]
    TYPES: ClassVar[tuple[str, ...]]
    LATER: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for (name, kind), value in zip(self.type_fields(), self.values(), strict=True):
            _check(f"{self.NAME}.{name}", kind, value)

    @classmethod
    def type_fields(cls) -> tuple[tuple[str, str], ...]:
        """(Solidity field name, Solidity type) in the order of the struct."""
        return tuple(zip(map(_camel, cls.members()), cls.TYPES, strict=True))

    @classmethod
    def members(cls) -> tuple[str, ...]:
        """Names of the fields that are signed, in the order of the struct."""
        return tuple(field.name for field in fields(cls) if field.name not in cls.LATER)

    @classmethod
    def type_string(cls) -> str:
        """EIP-712 `encodeType`: `Acceptance(bytes32 order,address contributor,uint64 maxRows)`."""
        return f"{cls.NAME}({','.join(f'{kind} {name}' for name, kind in cls.type_fields())})"

    def values(self) -> tuple[int | bytes, ...]:
        """Field values in the order of the struct; also what an ABI encoder takes for the tuple."""
        return tuple(getattr(self, name) for name in self.members())

    def struct_hash(self) -> Digest:
        """EIP-712 `hashStruct`."""
        words = [_word(value) for value in self.values()]
        return keccak256(_type_hash(self.type_string()) + b"".join(words))

    def digest(self, domain: Domain) -> Digest:
        """The 32 bytes that are signed: keccak256(0x1901 || domain separator || struct hash)."""
        return keccak256(b"\x19\x01" + domain.separator() + self.struct_hash())

    def document(self) -> dict[str, str]:
        """Canonical JSON form: integers as decimal strings, bytes as 0x-hex, "true" or "false"; Solidity's names."""
        pairs = zip(self.type_fields(), self.values(), strict=True)
        return {name: _text(kind, value) for (name, kind), value in pairs}

    @classmethod
    def parse(cls, document: object) -> Self:
        """Reads `document()` back. Raises DocumentError on a missing, unknown or malformed field."""
        if not isinstance(document, Mapping):
            raise DocumentError(f"{cls.NAME}: found {type(document).__name__}, expected a JSON object")
        expected = [name for name, _ in cls.type_fields()]
        if set(document) != set(expected):
            odd = sorted(set(map(str, document)) ^ set(expected))
            raise DocumentError(f"{cls.NAME}: missing or unknown fields {odd}; expected exactly {expected}")
        found = (_from_text(cls.NAME, name, kind, document[name]) for name, kind in cls.type_fields())
        return cls(**dict(zip(cls.members(), found, strict=True)))

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that wallets take for eth_signTypedData_v4."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                self.NAME: [{"name": name, "type": kind} for name, kind in self.type_fields()],
            },
            "primaryType": self.NAME,
            "domain": {
                "name": domain.name,
                "version": domain.version,
                "chainId": domain.chain_id,
                "verifyingContract": str(domain.verifying_contract),
            },
            # Wallets take a bool as JSON's own.
            "message": {
                name: value if isinstance(value, bool) else text
                for (name, text), value in zip(self.document().items(), self.values(), strict=True)
            },
        }


@lru_cache(maxsize=64)
def _separator(domain: Domain) -> Digest:
    return keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(domain.name.encode())
        + keccak256(domain.version.encode())
        + domain.chain_id.to_bytes(32, "big")
        + bytes(12)
        + domain.verifying_contract
    )


@lru_cache(maxsize=64)
def _type_hash(type_string: str) -> Digest:
    return keccak256(type_string.encode())


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    # `delta_e12` is deltaE12, `broker_fee_bps` is brokerFeeBps.
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _check(where: str, kind: str, value: object) -> None:
    if kind == "bool":
        if not isinstance(value, bool):
            raise DocumentError(f"{where}: found {value!r}, expected true or false")
        return
    if kind.startswith("uint"):
        bits = int(kind[4:])
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
            raise DocumentError(f"{where}: found {value!r}, expected an integer from 0 to 2^{bits}-1")
        return
    size = 20 if kind == "address" else 32
    if not isinstance(value, bytes) or len(value) != size:
        raise DocumentError(f"{where}: found {value!r}, expected {size} bytes")


def _word(value: int | bytes) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else value.rjust(32, b"\0")


def _text(kind: str, value: int | bytes) -> str:
    if isinstance(value, int):
        return str(value).lower()
    return str(Address(value)) if kind == "address" else "0x" + bytes(value).hex()


def _from_text(message: str, name: str, kind: str, text: object) -> int | bytes:
    where = f"{message}.{name}"
    if not isinstance(text, str):
        raise DocumentError(f"{where}: found {text!r}, expected a string (decimal, 0x-hex, true or false)")
    if kind == "bool":
        if text not in ("true", "false"):
            raise DocumentError(f"{where}: found {text!r}, expected true or false")
        return text == "true"
    if kind.startswith("uint"):
        if len(text) > 78 or not _DECIMAL.match(text):
            raise DocumentError(f"{where}: found {text!r}, expected a decimal integer")
        return int(text)
    return Address.parse(text) if kind == "address" else Digest.parse(text)
