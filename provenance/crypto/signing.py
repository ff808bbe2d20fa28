"""Keys and signatures: secp256k1 over EIP-712 digests and EIP-191 texts.

Recovery is for keys (externally owned accounts). Contract wallets sign by ERC-1271, which only the chain can
answer, so it is checked there and nowhere else. High-s signatures are refused as OpenZeppelin's ECDSA does.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import provenance.crypto.recursion_limit  # noqa: F401
from provenance.crypto.key_files import AskPassword, KeyKind, read_secret, write_keystore, write_secret
from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.errors import KeyFileError, SignatureError
from provenance.values import Address, Digest, Signature, keccak256

_CURVE_ORDER: Final = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


class Signer:
    """Holds one secp256k1 key. The key never leaves the object and is not part of its repr."""

    __slots__ = ("__key", "address")

    def __init__(self, secret: bytes) -> None:
        from eth_keys.main import KeyAPI

        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < _CURVE_ORDER:
            raise KeyFileError("a signing key must be 32 bytes, not zero and below the order of secp256k1")
        self.__key = KeyAPI.PrivateKey(secret)
        self.address = Address(self.__key.public_key.to_canonical_address())

    def __repr__(self) -> str:
        return f"Signer({self.address})"

    def sign_digest(self, digest: Digest) -> Signature:
        """65 bytes r || s || v with v in {27, 28}, deterministic (RFC 6979)."""
        signed = self.__key.sign_msg_hash(bytes(digest))
        return Signature(signed.r.to_bytes(32, "big") + signed.s.to_bytes(32, "big") + bytes([27 + signed.v]))

    def sign_typed(self, domain: Domain, message: TypedMessage) -> Signature:
        """Signs any EIP-712 message of terms.py and receipts.py."""
        return self.sign_digest(message.digest(domain))

    def sign_text(self, text: str) -> Signature:
        """EIP-191 version 0x45 (`personal_sign`)."""
        return self.sign_digest(text_digest(text))

    def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """Raw bytes for eth_sendRawTransaction; `transaction` as eth_account takes it."""
        from eth_account import Account

        signed = Account.sign_transaction(dict(transaction), self.__key.to_bytes())
        return bytes(signed.raw_transaction)

    def derived(self, info: bytes, length: int) -> bytes:
        """Secret bytes that only the holder of this key can make (HKDF-SHA256); others for every `info`."""
        return HKDF(SHA256(), length, salt=None, info=info).derive(self.__key.to_bytes())


def text_digest(text: str) -> Digest:
    """The hash that `personal_sign` signs for `text`."""
    data = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def recover_digest(digest: Digest, signature: bytes) -> Address:
    """The address whose key signed `digest`. Raises SignatureError when the signature is malformed."""
    from eth_keys.exceptions import BadSignature
    from eth_keys.main import KeyAPI
    from eth_utils.exceptions import ValidationError

    if len(signature) != 65:
        raise SignatureError(f"signature has {len(signature)} bytes, expected 65 (r, s, v)")
    s, v = int.from_bytes(signature[32:64], "big"), signature[64]
    if v not in (27, 28):
        raise SignatureError(f"signature ends in v={v}, expected 27 or 28")
    if s > _CURVE_ORDER // 2:
        raise SignatureError("signature has a high s value, which the contracts refuse; sign again")
    try:
        parsed = KeyAPI.Signature(bytes(signature[:64]) + bytes([v - 27]))
        public = parsed.recover_public_key_from_msg_hash(bytes(digest))
    except (BadSignature, ValidationError, ValueError) as error:
        raise SignatureError(f"signature does not recover to any key: {error}") from error
    return Address(public.to_canonical_address())


def recover(domain: Domain, message: TypedMessage, signature: bytes) -> Address:
    """The address that signed the typed message."""
    return recover_digest(message.digest(domain), signature)


def recover_text(text: str, signature: bytes) -> Address:
    """The address that signed the text by `personal_sign`."""
    return recover_digest(text_digest(text), signature)


def require_signer(domain: Domain, message: TypedMessage, signature: bytes, expected: Address) -> None:
    """Raises SignatureError unless `expected` signed `message`."""
    found = recover(domain, message, signature)
    if found != expected:
        raise SignatureError(f"{message.NAME}: signed by {found}, expected {expected}")


def create_key(path: Path | str, *, password: str | None = None) -> Signer:
    """Makes a new random wallet key (mode 600) and returns its signer: a raw file, or with a password an Ethereum
    keystore. Raises KeyFileError; a file that is there already stays.
    """
    secret = (1 + secrets.randbelow(_CURVE_ORDER - 1)).to_bytes(32, "big")
    if password is None:
        write_secret(Path(path), secret, KeyKind.WALLET)
    else:
        write_keystore(Path(path), secret, password)
    return Signer(secret)


def load_key(path: Path | str, ask: AskPassword | None = None) -> Signer:
    """The wallet key in a raw file or in an Ethereum keystore, whose password `ask` gives.

    Raises KeyFileError, also for a delivery key and when others may read the file.
    """
    secret = read_secret(Path(path), KeyKind.WALLET, ask)
    try:
        return Signer(secret)
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from error
