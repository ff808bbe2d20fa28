"""Masked keys of a resale: both sides agree, the arithmetic is that of the curve, nothing shows the secret."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.crypto.resold_keys import SaleKey, SalePlace, masked_keys, opened_keys
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey, key_commitment
from provenance.errors import SealError
from provenance.values import Address, Digest, sha256

PRIME = 2**256 - 2**32 - 977
GROUP_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
GENERATOR = (
    0x79BE667E_F9DCBBAC_55A06295_CE870B07_029BFCDB_2DCE28D9_59F2815B_16F81798,
    0x483ADA77_26A3C465_5DA4FBFC_0E1108A8_FD17B448_A6855419_9C47D08F_FB10D4B8,
)
ORDER = sha256(b"order")
KEYS = [(0, b"\x01" * 32), (1, b"\x02" * 32), (SCORE_SHARD, b"\x03" * 32)]
SHARDS = [shard for shard, _ in KEYS]
Point = tuple[int, int]


def times(factor: int, point: Point) -> Point:
    """Multiples by the textbook; `factor` from 1 to the order of the group less 1."""
    found: Point | None = None
    while factor:
        if factor & 1:
            found = point if found is None else plus(found, point)
        point, factor = plus(point, point), factor >> 1
    assert found is not None
    return found


def plus(a: Point, b: Point) -> Point:
    slope = (
        3 * a[0] ** 2 * pow(2 * a[1], -1, PRIME) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, PRIME)
    ) % PRIME
    x = (slope**2 - a[0] - b[0]) % PRIME
    return x, (slope * (a[0] - x) - a[1]) % PRIME


@settings(max_examples=20)
@given(st.integers(1, GROUP_ORDER - 1), st.integers(1, GROUP_ORDER - 1))
def test_both_sides_share_the_product_of_their_secrets_times_the_generator(one: int, other: int) -> None:
    first, second = SaleKey(one), SaleKey(other)
    assert int.from_bytes(first.point, "big") == times(one, GENERATOR)[0]
    expected = times(one * other % GROUP_ORDER, GENERATOR)[0].to_bytes(32, "big")
    assert first.shared_with(second.point) == second.shared_with(first.point) == expected


def test_the_buyer_opens_what_was_masked_for_it_and_nobody_else_does() -> None:
    buyer = SaleKey.fresh()
    bundle = masked_keys(KEYS, ORDER, buyer.point)
    assert opened_keys(buyer, ORDER, bundle, SHARDS) == dict(KEYS)
    assert opened_keys(SaleKey.fresh(), ORDER, bundle, SHARDS) != dict(KEYS)
    assert opened_keys(buyer, sha256(b"another order"), bundle, SHARDS) != dict(KEYS)
    assert masked_keys(KEYS, ORDER, buyer.point) != bundle, "the seller's key is another each time"


def test_a_mask_is_the_hash_that_the_chain_computes() -> None:
    """As docs/spec/sealing.md writes it; tests/contracts/support/SalesMarket.sol masks by the contract's own words."""
    buyer, seller = SaleKey(0xC0B), SaleKey(0xA11CE)
    label = b"tessera/resale-mask/1" + ORDER + (1).to_bytes(4, "big")
    shared = buyer.shared_with(seller.point)
    mask = hashlib.sha256(label + shared + seller.point + buyer.point).digest()
    bundle = (
        seller.point + bytes(32) + bytes(a ^ b for a, b in zip(KEYS[1][1], mask, strict=True)) + bytes(32)
    )
    assert opened_keys(buyer, ORDER, bundle, SHARDS)[1] == KEYS[1][1]
    committed = hashlib.sha256(
        b"tessera/content-key/1" + ORDER + (1).to_bytes(4, "big") + KEYS[1][1]
    ).digest()
    assert key_commitment(KEYS[1][1], ORDER, 1) == committed


@pytest.mark.parametrize("bundle", [b"", bytes(96), bytes(160)])
def test_a_bundle_of_another_length_is_refused(bundle: bytes) -> None:
    with pytest.raises(SealError, match="expected 128 for 3 files"):
        opened_keys(SaleKey(1), ORDER, bundle, SHARDS)


@pytest.mark.parametrize("point", [Digest(bytes(31) + b"\x05"), Digest(b"\xff" * 32)])
def test_what_is_no_point_is_refused(point: Digest) -> None:
    with pytest.raises(SealError, match="no point of secp256k1"):
        masked_keys(KEYS, ORDER, point)
    with pytest.raises(SealError, match="no point of secp256k1"):
        opened_keys(SaleKey(1), ORDER, point + bytes(96), SHARDS)


def test_every_purchase_has_a_key_of_its_own_that_follows_from_the_delivery_key() -> None:
    own, sales = DeliveryKey(b"\x31" * 32), Address(bytes(20))
    place = SalePlace(1, sales, 7, 0)
    others = [
        SalePlace(2, sales, 7, 0), SalePlace(1, Address(b"\x01" * 20), 7, 0), SalePlace(1, sales, 8, 0),
        SalePlace(1, sales, 7, 1),
    ]  # fmt: skip
    points = {each.key(own).point for each in (place, *others)}
    assert len(points) == 5
    assert place.key(DeliveryKey(b"\x31" * 32)).point == place.key(own).point
    assert place.key(DeliveryKey(b"\x32" * 32)).point not in points


def test_no_repr_shows_a_secret() -> None:
    key = SaleKey(0xC0B)
    assert key.reveal() == 0xC0B
    assert repr(key) == f"SaleKey(point={key.point})"
