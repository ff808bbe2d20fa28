"""Content keys of a resold data set: what the seller delivers, and what the new owner opens with.

Buyer and seller each make a one-time key on secp256k1; what the two share masks the content keys. The chain can open
such a delivery once the buyer shows its one-time secret, and compare each key with its commitment: a wrong key is
proven there (`contracts/types/KeyDelivery.sol`). A buyer's one-time keys follow from its delivery key, so that it has
one file to keep. Normative text: docs/spec/sealing.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from provenance.crypto.seal import KEY_BYTES, WRAPPED_KEY_BYTES, DeliveryKey
from provenance.errors import SealError
from provenance.values import Address, Digest, sha256

_CURVE: Final = ec.SECP256K1()
_COORDINATE_BYTES: Final = 32
_DERIVED_BYTES: Final = 48
"""16 more than the order of the group has: what is left of them modulo the order is as good as uniform."""


class ContentKeys(Protocol):
    """What opens the content keys of a data set: a delivery key, or the keys that a seller delivered for one."""

    @property
    def public(self) -> Digest:
        """The delivery key of the order, which the files are sealed for."""
        ...

    def unwrap(self, wrapped: bytes, order: Digest, shard: int) -> bytes:
        """The 32-byte content key of a shard (or of the score). Raises SealError."""
        ...


class SaleKey:
    """A key for one sale, of its buyer or of its seller. `point` is the x coordinate of its public point."""

    __slots__ = ("__private", "point")

    def __init__(self, secret: int) -> None:
        self.__private = ec.derive_private_key(secret, _CURVE)
        self.point = Digest(self.__private.public_key().public_numbers().x.to_bytes(_COORDINATE_BYTES, "big"))

    def __repr__(self) -> str:
        return f"SaleKey(point={self.point})"

    @classmethod
    def fresh(cls) -> SaleKey:
        """A random one."""
        return cls(1 + secrets.randbelow(_CURVE.group_order - 1))

    def shared_with(self, point: Digest) -> Digest:
        """The x coordinate that both sides of a sale can compute. Raises SealError when `point` is none."""
        try:
            # Either of the two points with this x gives the same.
            other = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x02" + point)
        except ValueError as error:
            raise SealError(f"{point} is no point of secp256k1: nothing can be masked for it") from error
        return Digest(self.__private.exchange(ec.ECDH(), other))

    def reveal(self) -> int:
        """The secret itself, for a proof on chain: whoever has it opens what was delivered for this key."""
        return self.__private.private_numbers().private_value


@dataclass(frozen=True, slots=True)
class SalePlace:
    """What a buyer's one-time key is for: purchase `number` (from zero) of a data set, by the sales contract."""

    chain_id: int
    sales: Address
    dataset: int
    number: int

    def key(self, own: DeliveryKey) -> SaleKey:
        """The one-time key of the holder of `own`."""
        numbers = (self.chain_id.to_bytes(8, "big"), self.sales, self.dataset.to_bytes(8, "big"))
        info = b"".join((b"tessera/resale-key/1", *numbers, self.number.to_bytes(4, "big")))
        drawn = int.from_bytes(own.derived(info, _DERIVED_BYTES), "big")
        return SaleKey(1 + drawn % (_CURVE.group_order - 1))


@dataclass(frozen=True, slots=True)
class ResoldKeys:
    """The delivered keys in the hands of who bought: in place of the wrapped keys of the manifest."""

    sealed_for: Digest
    keys: Mapping[int, bytes] = field(repr=False)

    @property
    def public(self) -> Digest:
        """The delivery key that the order names: these keys stand for it."""
        return self.sealed_for

    def unwrap(self, wrapped: bytes, order: Digest, shard: int) -> bytes:  # noqa: ARG002
        """The content key from the delivery; `wrapped`, which is the first owner's, is passed over."""
        if shard not in self.keys:
            raise SealError(f"the seller delivered no key of shard {shard}")
        return self.keys[shard]


def masked_keys(keys: Sequence[tuple[int, bytes]], order: Digest, buyer_point: Digest) -> bytes:
    """The bundle for a buyer from (shard, content key): a fresh point of the seller's, then every key masked."""
    own = SaleKey.fresh()
    shared = own.shared_with(buyer_point)
    masks = [_mask(order, shard, shared, own.point, buyer_point) for shard, _ in keys]
    return own.point + b"".join(_xor(key, mask) for (_, key), mask in zip(keys, masks, strict=True))


def opened_keys(own: SaleKey, order: Digest, bundle: bytes, shards: Sequence[int]) -> dict[int, bytes]:
    """The content keys in a bundle that was masked for `own`, by shard. They may be wrong; the files tell.

    Raises SealError for a bundle that the sales contract would not have taken.
    """
    expected = KEY_BYTES * (1 + len(shards))
    if len(bundle) != expected:
        raise SealError(
            f"the seller delivered {len(bundle)} bytes, expected {expected} for {len(shards)} files: the offer was of "
            "other keys than this data set has"
        )
    words = [Digest(bundle[at : at + KEY_BYTES]) for at in range(0, expected, KEY_BYTES)]
    shared = own.shared_with(words[0])
    return {
        shard: _xor(word, _mask(order, shard, shared, words[0], own.point))
        for shard, word in zip(shards, words[1:], strict=True)
    }


def unwrapped_keys(own: DeliveryKey, order: Digest, bundle: bytes, shards: Sequence[int]) -> dict[int, bytes]:
    """The content keys in a bundle of a market whose sales were judged by nobody: each key is wrapped for the buyer's
    delivery key, as a contributor wraps it. Raises SealError."""
    if len(bundle) != WRAPPED_KEY_BYTES * len(shards):
        raise SealError(f"the seller delivered {len(bundle)} bytes of keys for {len(shards)} files")
    wrapped = (bundle[at : at + WRAPPED_KEY_BYTES] for at in range(0, len(bundle), WRAPPED_KEY_BYTES))
    return {shard: own.unwrap(each, order, shard) for shard, each in zip(shards, wrapped, strict=True)}


def _mask(order: Digest, shard: int, shared: Digest, seller_point: Digest, buyer_point: Digest) -> Digest:
    label = b"tessera/resale-mask/1"
    return sha256(label + order + shard.to_bytes(4, "big") + shared + seller_point + buyer_point)


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
