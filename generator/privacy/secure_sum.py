"""Secure aggregation: sums of integer vectors whose terms nobody sees, and the share of the noise in each term.

Every pair of contributors agrees on a stream of random integers (X25519, HKDF-SHA256, AES-256-CTR); one adds it to
its vector, the other subtracts it, so that the masks cancel in the sum of ALL vectors and in no other sum. Method:
Bonawitz et al. 2017 (Practical Secure Aggregation), without its recovery of drop-outs: an order needs every one of
its contributors anyway. A stream is bound to a context, so two contributors who were told different things never
cancel each other.

Noise (distributed DP): each contributor adds its share, rounded to the grid, so that the shares of the honest ones
together are as large as asked. With 256 steps or more to a share's deviation their sum has the law of a Gaussian plus
uniforms of a step, rounded, up to exp(-pi^2 s^2 / 2): the accounting of the Gaussian holds (docs/spec/noise.md).
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from generator.errors import PrivacyError
from generator.privacy import noise

KEY_BYTES = 32
_ROUNDING = 1.0001
_FEWEST_STEPS = 2.0**noise.FEWEST_STEPS_BITS
_LARGEST = 2.0**62
_LABEL = b"tessera/secure-sum/1"

Floats = NDArray[np.float64]
Integers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ring:
    """Integers modulo 2^bits that stand for multiples of 2^-fraction_bits. bits: 32 or 64."""

    bits: int
    fraction_bits: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of vectors in the ring: unsigned, little-endian."""
        return np.dtype(f"<u{self.bits // 8}")

    def encode(self, values: NDArray[np.floating[Any]]) -> Integers:
        """Finite values [K] on the grid, rounded to the nearest; around the ring where they are larger: of
        the sum alone it matters whether it fits.
        """
        steps = np.rint(np.asarray(values, dtype=np.float64) * 2.0**self.fraction_bits)
        return np.clip(steps, -_LARGEST, _LARGEST).astype(np.int64).astype(self.dtype)

    def decode(self, total: Integers) -> Floats:
        """The float64[K] that a sum in the ring stands for."""
        signed = total.astype(self.dtype).view(np.dtype(f"<i{self.bits // 8}"))
        return np.asarray(signed.astype(np.float64) * 2.0**-self.fraction_bits)


def honest_contributors(contributors: int) -> int:
    """How many contributors' shares make up the whole noise: a strict majority, and never all of several.

    Each knows its own share, so against a curious contributor the noise must be whole without it.
    """
    if contributors < 1:
        raise PrivacyError(f"{contributors} contributors: a sum needs at least one")
    return max(1, min(contributors // 2 + 1, contributors - 1))


def noise_share(std: Floats, contributors: int, ring: Ring) -> Integers:
    """One contributor's share [K], in the ring, of noise whose sum over the honest ones has deviations `std` [K].

    Raises PrivacyError where the grid is too coarse for that noise.
    """
    if not std.any():
        return np.zeros(std.shape, dtype=ring.dtype)
    require_fine(float(std.min()), contributors, ring)
    share = std * (_ROUNDING / math.sqrt(honest_contributors(contributors)))
    return noise.gaussian(len(share), share, -ring.fraction_bits).astype(ring.dtype)


def require_fine(std: float, contributors: int, ring: Ring) -> None:
    """PrivacyError unless a share of noise `std` has enough steps of the ring for its rounding not to matter."""
    steps = std / math.sqrt(honest_contributors(contributors)) * 2.0**ring.fraction_bits
    if steps < _FEWEST_STEPS:
        raise PrivacyError(
            f"noise of {std:.3g} in the shares of {contributors} contributors has {steps:.3g} steps of the grid "
            f"2^-{ring.fraction_bits} each, at least {_FEWEST_STEPS:.0f} are needed: ask for a smaller epsilon or "
            "fewer rows a round"
        )


def summed_std(std: float, contributors: int) -> float:
    """Standard deviation of all shares together, when that of the honest ones is `std`."""
    return std * _ROUNDING * math.sqrt(contributors / honest_contributors(contributors))


def new_secret() -> bytes:
    """A fresh X25519 secret, to be kept on disk until the last sum of its order."""
    return secrets.token_bytes(KEY_BYTES)


def public_of(secret: bytes) -> bytes:
    """Its public key."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def mask(secret: bytes, keys: Sequence[bytes], context: bytes, ring: Ring, count: int) -> Integers:
    """What the holder of `secret` adds to its vector [count]; the masks of all `keys` add up to zero.

    keys: public keys of all contributors, in an order that all agree on, the holder's own among them once. context:
    32 bytes of everything that the sum depends on. Raises PrivacyError for keys that cannot be used.
    """
    own = public_of(secret)
    if len(set(keys)) != len(keys) or own not in keys:
        raise PrivacyError("the keys of a secure sum must all differ, this contributor's among them")
    place = keys.index(own)
    total = np.zeros(count, dtype=ring.dtype)
    for other, key in enumerate(keys):
        if other == place:
            continue
        stream = _stream(_agreed(secret, key), context, (place, other), ring, count)
        total = total + stream if place < other else total - stream
    return total


def add(vectors: Mapping[str, Integers], ring: Ring, count: int) -> Floats:
    """The sum float64[count] of all contributors' masked vectors, by name; PrivacyError names a misshapen one."""
    total = np.zeros(count, dtype=ring.dtype)
    for name, vector in vectors.items():
        if vector.shape != (count,) or vector.dtype != ring.dtype:
            raise PrivacyError(
                f"{name} sent {vector.dtype}{list(vector.shape)}, expected {ring.dtype}[{count}]: without it "
                "the masks of the others do not cancel"
            )
        total = total + vector
    return ring.decode(total)


def _agreed(secret: bytes, key: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError as error:  # a point of low order: everybody would know the stream
        raise PrivacyError(f"0x{key.hex()} is not a usable key for a secure sum") from error


def _stream(agreed: bytes, context: bytes, pair: tuple[int, int], ring: Ring, count: int) -> Integers:
    low, high = min(pair), max(pair)
    info = _LABEL + context + low.to_bytes(4, "big") + high.to_bytes(4, "big")
    key = HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(agreed)
    cipher = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
    return np.frombuffer(cipher.update(bytes(count * ring.dtype.itemsize)), dtype=ring.dtype)
