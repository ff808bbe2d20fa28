"""Values that everybody shares: digests, addresses, signatures, content identifiers.

Each is its own type, so that a digest cannot be passed where an address is meant. They check their form when
they are made; what they stand for is checked elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Self

from provenance.errors import ValueFormatError

RAW_CODEC = 0x55
DAG_PB_CODEC = 0x70
_CID_PREFIX_LENGTH = 4
_SHA2_256 = b"\x12\x20"
_HEX = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")


def parse_hex(text: str, what: str, length_bytes: int | None = None) -> bytes:
    """Bytes of `0x`-prefixed hexadecimal `text`; `what` names it in the error."""
    if not isinstance(text, str) or not _HEX.match(text):
        raise ValueFormatError(f"{what}: found {text!r:.80}, expected 0x and an even number of hex digits")
    data = bytes.fromhex(text[2:])
    if length_bytes is not None and len(data) != length_bytes:
        raise ValueFormatError(f"{what}: found {len(data)} bytes, expected {length_bytes}")
    return data


class _Hex(bytes):
    """Bytes that are written as 0x-hex."""

    @property
    def hex0x(self) -> str:
        """Lower-case hexadecimal with the prefix 0x."""
        return "0x" + self.hex()

    def __str__(self) -> str:
        return self.hex0x

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex0x})"


class _Fixed(_Hex):
    """Bytes of one fixed length, written as 0x-hex."""

    LENGTH = 0

    def __new__(cls, value: bytes) -> Self:
        is_bytes = isinstance(value, bytes | bytearray | memoryview)
        if not is_bytes or len(value) != cls.LENGTH:
            found = f"{len(value)} bytes" if is_bytes else repr(value)
            raise ValueFormatError(f"{cls.__name__}: found {found:.80}, expected {cls.LENGTH} bytes")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The value written as `0x` and hex digits; upper and lower case are both read."""
        return cls(parse_hex(text, cls.__name__, cls.LENGTH))


class Digest(_Fixed):
    """A 32-byte hash: SHA-256 of bytes, or the EIP-712 digest of a message."""

    LENGTH = 32


class Address(_Fixed):
    """A 20-byte account or contract address; `str()` gives the EIP-55 checksum form."""

    LENGTH = 20

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads any case, but refuses mixed case whose EIP-55 checksum is wrong (a typing error)."""
        address = cls(parse_hex(text, "Address", cls.LENGTH))
        letters = text[2:]
        checksum = str(address)
        if letters not in (letters.lower(), letters.upper()) and checksum != text:
            raise ValueFormatError(
                f"Address: found {text}, expected {checksum} by its checksum; check for a typo"
            )
        return address

    def __str__(self) -> str:
        plain = self.hex()
        nibbles = keccak256(plain.encode("ascii")).hex()
        return "0x" + "".join(
            c.upper() if int(n, 16) >= 8 else c for c, n in zip(plain, nibbles[: len(plain)], strict=True)
        )


class Signature(_Hex):
    """Signature bytes: 65 bytes (r, s, v) of a plain account; any length for an ERC-1271 contract account."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The signature written as `0x` and hex digits."""
        return cls(parse_hex(text, "Signature"))


class Cid(str):
    """A CIDv1 in lower-case base32 over SHA-256, codec raw or dag-pb: the only form used here."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        advice = "expected a CIDv1 in base32 (bafk.. or bafy..) over SHA-256; convert with `ipfs cid base32`"
        if not isinstance(text, str) or not text.startswith("b") or not 1 < len(text) <= 80:
            raise ValueFormatError(f"CID: found {text!r:.80}, {advice}")
        try:
            binary = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
        except binascii.Error as error:
            raise ValueFormatError(f"CID: found {text!r:.80} ({error}), {advice}") from error
        if cls._text(binary) != text or not _is_known_cid(binary):
            raise ValueFormatError(f"CID: found {text!r:.80}, {advice}")
        return super().__new__(cls, text)

    @staticmethod
    def _text(binary: bytes) -> str:
        return "b" + base64.b32encode(binary).decode("ascii").lower().rstrip("=")

    @classmethod
    def of_digest(cls, digest: bytes, codec: int = RAW_CODEC) -> Self:
        """The CID of the block whose SHA-256 is `digest`."""
        return cls(cls._text(bytes([1, codec]) + _SHA2_256 + Digest(digest)))

    @classmethod
    def from_binary(cls, binary: bytes) -> Self:
        """The CID with these 36 binary bytes, as they stand in dag-pb links and CAR files."""
        return cls(cls._text(binary))

    @property
    def binary(self) -> bytes:
        """version, codec and multihash: 36 bytes."""
        return base64.b32decode(self[1:].upper() + "=" * (-len(self[1:]) % 8))

    @property
    def codec(self) -> int:
        """RAW_CODEC or DAG_PB_CODEC."""
        return self.binary[1]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the block this CID names."""
        return Digest(self.binary[_CID_PREFIX_LENGTH:])


def _is_known_cid(binary: bytes) -> bool:
    return (
        len(binary) == _CID_PREFIX_LENGTH + Digest.LENGTH
        and binary[0] == 1
        and binary[1] in (RAW_CODEC, DAG_PB_CODEC)
        and binary[2:4] == _SHA2_256
    )


def sha256(data: bytes | bytearray | memoryview) -> Digest:
    """SHA-256 of `data`."""
    return Digest(hashlib.sha256(data).digest())


def keccak256(data: bytes) -> Digest:
    """Keccak-256 as Ethereum uses it (not NIST SHA-3)."""
    # imported here: it costs 50 ms and most users of this module hash with SHA-256 only
    from eth_hash.auto import keccak

    return Digest(keccak(data))
