"""Content keys of a resold data set: what the seller delivers, and what the new owner opens with.

The bundle is one wrapped key (80 bytes) a shard, in the order of the shards, wrapped for the buyer as a contributor
wraps it for the first one. Nobody but the buyer can tell a bundle that opens from one that does not: it looks before
it accepts. Normative text: docs/spec/sealing.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from provenance.crypto.seal import WRAPPED_KEY_BYTES, DeliveryKey, wrap_key
from provenance.errors import SealError
from provenance.values import Digest


class ContentKeys(Protocol):
    """What opens the content keys of a data set: a delivery key, or the keys that a seller delivered for one."""

    @property
    def public(self) -> Digest:
        """The delivery key of the order, which the files are sealed for."""
        ...

    def unwrap(self, wrapped: bytes, order: Digest, shard: int) -> bytes:
        """The 32-byte content key of a shard (or of the score). Raises SealError."""
        ...


@dataclass(frozen=True, slots=True)
class ResoldKeys:
    """The delivered bundle in the hands of who bought: in place of the wrapped keys of the manifest."""

    own: DeliveryKey
    sealed_for: Digest
    wrapped: Mapping[int, bytes]

    @property
    def public(self) -> Digest:
        """The delivery key that the order names: these keys stand for it."""
        return self.sealed_for

    def unwrap(self, wrapped: bytes, order: Digest, shard: int) -> bytes:  # noqa: ARG002
        """The content key from the bundle; `wrapped`, which is the first owner's, is passed over."""
        if shard not in self.wrapped:
            raise SealError(
                f"the seller delivered no key of shard {shard}: reject the sale while there is time"
            )
        return self.own.unwrap(self.wrapped[shard], order, shard)


def bundle_keys(
    keys: ContentKeys, wrapped: Sequence[tuple[int, bytes]], order: Digest, buyer_key: Digest
) -> bytes:
    """The bundle for `buyer_key` from the manifest's (shard, wrapped key), which `keys` must open.

    Raises SealError when they do not: who cannot open a data set cannot sell it.
    """
    return b"".join(
        wrap_key(keys.unwrap(wrapped_key, order, shard), buyer_key, order, shard)
        for shard, wrapped_key in wrapped
    )


def resold_keys(own: DeliveryKey, sealed_for: Digest, bundle: bytes, shards: Sequence[int]) -> ResoldKeys:
    """A delivered bundle, cut into its keys. Raises SealError unless it has one for each shard."""
    expected = WRAPPED_KEY_BYTES * len(shards)
    if len(bundle) != expected:
        raise SealError(
            f"the seller delivered {len(bundle)} bytes of keys, expected {expected} for {len(shards)} files: reject "
            "the sale while there is time"
        )
    cut = {
        shard: bundle[WRAPPED_KEY_BYTES * place : WRAPPED_KEY_BYTES * (place + 1)]
        for place, shard in enumerate(shards)
    }
    return ResoldKeys(own, sealed_for, cut)
