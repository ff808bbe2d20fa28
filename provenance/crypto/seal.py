"""Sealed files: AES-256-GCM in 64 KiB frames (STREAM), content key wrapped to the buyer by HPKE.

One random content key seals both files of a shard; each file has a fresh random nonce prefix and its own label as
associated data, so files cannot be swapped, cut or extended unnoticed. AEADs are not key-committing: `open_file`, the
one way into files of others, always compares what it opened with the digest in the shard's receipt. Normative text:
docs/spec/sealing.md.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance.crypto.key_files import KeyKind, read_secret, write_secret
from provenance.errors import SealError
from provenance.values import Digest, sha256

MAGIC: Final = b"TSE1"
FRAME_BYTES: Final = 64 * 1024
TAG_BYTES: Final = 16
PREFIX_BYTES: Final = 7
KEY_BYTES: Final = 32
WRAPPED_KEY_BYTES: Final = 80
SCORE_SHARD: Final = 2**32 - 1
"""The shard index under which the score file of an order is sealed."""

FileKind = Literal["rows", "model", "score"]

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class DeliveryKey:
    """The buyer's X25519 key. Whoever holds it opens the buyer's data sets; lost, they stay closed for ever."""

    __slots__ = ("__private", "public")

    def __init__(self, secret: bytes) -> None:
        self.__private = X25519PrivateKey.from_private_bytes(secret)
        self.public = Digest(self.__private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"DeliveryKey(public={self.public})"

    def unwrap(self, wrapped: bytes, order: Digest, shard: int) -> bytes:
        """The 32-byte content key of a shard. Raises SealError when it was not wrapped to this key."""
        try:
            key = bytes(_SUITE.decrypt(wrapped, self.__private, _wrap_info(order, shard)))
        except (InvalidTag, ValueError) as error:
            raise SealError(
                f"the key of shard {shard} was not wrapped to delivery key {self.public}; "
                "use the key file that the order was placed with"
            ) from error
        if len(key) != KEY_BYTES:
            raise SealError(f"the key of shard {shard} has {len(key)} bytes, expected {KEY_BYTES}")
        return key

    def derived(self, info: bytes, length: int) -> bytes:
        """Secret bytes that only the holder of this key can make (HKDF-SHA256); others for every `info`."""
        return HKDF(SHA256(), length, salt=None, info=info).derive(self.__private.private_bytes_raw())


def new_delivery_key(path: Path | str) -> DeliveryKey:
    """Writes a new random delivery key (mode 600). Raises KeyFileError; a file that is there already stays."""
    secret = secrets.token_bytes(32)
    write_secret(Path(path), secret, KeyKind.DELIVERY)
    return DeliveryKey(secret)


def load_delivery_key(path: Path | str) -> DeliveryKey:
    """Reads a delivery key file. Raises KeyFileError, also for a wallet key and when others may read the file."""
    return DeliveryKey(read_secret(Path(path), KeyKind.DELIVERY))


def new_content_key() -> bytes:
    """A fresh random key for the files of one shard."""
    return secrets.token_bytes(KEY_BYTES)


def key_commitment(key: bytes, order: Digest, shard: int) -> Digest:
    """What a shard's contributor publishes of its content key: tells nothing of it, and fits no other."""
    return sha256(b"tessera/content-key/1" + order + shard.to_bytes(4, "big") + key)


def wrap_key(key: bytes, delivery_key: bytes, order: Digest, shard: int) -> bytes:
    """HPKE base mode to the buyer's public key; 80 bytes (32 encapsulated + 32 + 16 tag). Raises SealError."""
    try:
        public = X25519PublicKey.from_public_bytes(bytes(delivery_key))
        return bytes(_SUITE.encrypt(key, public, _wrap_info(order, shard)))
    except ValueError as error:
        # A point of low order: what is wrapped to it, everybody could open.
        raise SealError(
            f"nothing can be sealed to 0x{bytes(delivery_key).hex()}: not a usable key"
        ) from error


def require_usable(delivery_key: Digest) -> None:
    """Raises SealError for a key that nothing can be sealed to."""
    wrap_key(bytes(KEY_BYTES), delivery_key, Digest(bytes(32)), 0)


def file_label(order: Digest, shard: int, kind: FileKind) -> bytes:
    """Associated data of every frame: which file of which shard of which order this is."""
    return b"tessera/sealed-file/1" + order + shard.to_bytes(4, "big") + kind.encode("ascii")


def sealed_size(plain_size: int) -> int:
    """Bytes of a sealed file with `plain_size` bytes inside."""
    frames = max(1, -(-plain_size // FRAME_BYTES))
    return len(MAGIC) + PREFIX_BYTES + plain_size + frames * TAG_BYTES


def seal_file(key: bytes, data: bytes, label: bytes) -> bytes:
    """Seals `data`. Two calls never give the same bytes: the nonce prefix is random."""
    cipher, prefix = AESGCM(key), secrets.token_bytes(PREFIX_BYTES)
    frames = max(1, -(-len(data) // FRAME_BYTES))
    parts = [MAGIC, prefix]
    for frame in range(frames):
        chunk = data[frame * FRAME_BYTES : (frame + 1) * FRAME_BYTES]
        parts.append(cipher.encrypt(_nonce(prefix, frame, frame == frames - 1), chunk, label))
    return b"".join(parts)


def open_file(key: bytes, sealed: bytes, label: bytes, plain_sha256: Digest) -> bytes:
    """The bytes inside a sealed file. The one way into another's: what comes out has the digest that was signed.

    Raises SealError on any change: flipped, cut, extended, reordered, wrong key or label, other bytes than were signed.
    """
    plain = open_own(key, sealed, label)
    found = sha256(plain)
    if found != plain_sha256:
        raise SealError(
            f"what is inside has SHA-256 {found}, the receipt says {plain_sha256}; "
            "its contributor signed other bytes than it sealed"
        )
    return plain


def open_own(key: bytes, sealed: bytes, label: bytes) -> bytes:
    """As `open_file`, of a file that this very machine sealed: no digest of it was signed. Raises SealError."""
    head = len(MAGIC) + PREFIX_BYTES
    if sealed[: len(MAGIC)] != MAGIC or len(sealed) < head + TAG_BYTES:
        raise SealError("these bytes are not a Tessera sealed file of version 1")
    cipher, prefix = AESGCM(key), sealed[len(MAGIC) : head]
    body, step = memoryview(sealed)[head:], FRAME_BYTES + TAG_BYTES
    frames = -(-len(body) // step)
    parts = []
    for frame in range(frames):
        chunk = body[frame * step : (frame + 1) * step]
        try:
            parts.append(cipher.decrypt(_nonce(prefix, frame, frame == frames - 1), chunk, label))
        except (InvalidTag, ValueError) as error:
            raise SealError(
                f"frame {frame} of {frames} does not open: the bytes changed or the key is another's"
            ) from error
    return b"".join(parts)


def _nonce(prefix: bytes, frame: int, last: bool) -> bytes:
    return prefix + frame.to_bytes(4, "big") + bytes([last])


def _wrap_info(order: Digest, shard: int) -> bytes:
    return b"tessera/wrapped-key/1" + order + shard.to_bytes(4, "big")
