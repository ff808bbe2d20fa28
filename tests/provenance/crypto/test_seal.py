"""Sealed files and wrapped keys: every change is noticed; vectors made frame by frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.crypto.seal import (
    FRAME_BYTES,
    WRAPPED_KEY_BYTES,
    DeliveryKey,
    file_label,
    new_content_key,
    open_file,
    seal_file,
    sealed_size,
    wrap_key,
)
from provenance.errors import SealError
from provenance.values import Digest, sha256

VECTOR = json.loads((Path(__file__).parents[2] / "vectors" / "sealing.json").read_text())
ORDER = sha256(b"order")
KEY = bytes(range(32))
UNOPENED = "does not open|not a Tessera sealed file"


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def test_every_flipped_byte_is_noticed() -> None:
    plain = b"forty bytes of rows, more or less, here."
    sealed = seal_file(KEY, plain, b"label")
    for offset in range(len(sealed)):
        changed = bytearray(sealed)
        changed[offset] ^= 1
        with pytest.raises(SealError, match=UNOPENED):
            open_file(KEY, bytes(changed), b"label", sha256(plain))


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s + b"\0",
        lambda s: s[: 11 + FRAME_BYTES + 16],
        lambda s: s[:11] + s[11 + FRAME_BYTES + 16 :],
        lambda s: s[:11],
        lambda s: b"",
        lambda s: s[:11] + s[11 + FRAME_BYTES + 16 :] + s[11 : 11 + FRAME_BYTES + 16],
    ],
)
def test_cut_extended_or_reordered_file_is_noticed(change: Callable[[bytes], bytes]) -> None:
    sealed = seal_file(KEY, bytes(FRAME_BYTES + 5), b"label")
    with pytest.raises(SealError, match=UNOPENED):
        open_file(KEY, change(sealed), b"label", sha256(bytes(FRAME_BYTES + 5)))


@pytest.mark.parametrize(
    "label",
    [file_label(ORDER, 1, "model"), file_label(ORDER, 2, "rows"), file_label(sha256(b"other"), 1, "rows")],
)
def test_file_of_another_shard_kind_or_order_does_not_open(label: bytes) -> None:
    sealed = seal_file(KEY, b"rows", file_label(ORDER, 1, "rows"))
    with pytest.raises(SealError, match="frame 0 of 1"):
        open_file(KEY, sealed, label, sha256(b"rows"))


def test_a_file_that_opens_to_other_bytes_than_were_signed_is_refused() -> None:
    sealed = seal_file(KEY, b"rows", b"label")
    with pytest.raises(SealError, match="signed other bytes than it sealed"):
        open_file(KEY, sealed, b"label", sha256(b"other rows"))


def test_key_wrapped_for_another_shard_order_or_buyer_does_not_unwrap() -> None:
    buyer, stranger = DeliveryKey(b"\x01" * 32), DeliveryKey(b"\x02" * 32)
    wrapped = wrap_key(KEY, buyer.public, ORDER, 1)
    for key, order, shard in (
        (stranger, ORDER, 1), (buyer, ORDER, 2), (buyer, sha256(b"other"), 1),
    ):  # fmt: skip
        with pytest.raises(SealError, match="was not wrapped to delivery key"):
            key.unwrap(wrapped, order, shard)
    with pytest.raises(SealError):
        buyer.unwrap(wrapped[:-1], ORDER, 1)


@pytest.mark.parametrize("point", [b"\x01" + bytes(31), bytes(32)])
def test_nothing_is_wrapped_to_a_point_of_low_order(point: bytes) -> None:
    with pytest.raises(SealError, match="not a usable key"):
        wrap_key(KEY, Digest(point), ORDER, 1)


@settings(max_examples=20)
@given(st.integers(0, 3 * FRAME_BYTES))
def test_any_size_opens_again_and_has_the_stated_size(size: int) -> None:
    data = bytes(size)
    sealed = seal_file(KEY, data, b"label")
    assert len(sealed) == sealed_size(size)
    assert open_file(KEY, sealed, b"label", sha256(data)) == data


def test_sealing_twice_never_gives_the_same_bytes() -> None:
    assert seal_file(KEY, b"x", b"l") != seal_file(KEY, b"x", b"l")
    assert new_content_key() != new_content_key()


def test_vectors() -> None:
    key = DeliveryKey(unhex(VECTOR["deliverySecret"]))
    order, shard = Digest.parse(VECTOR["order"]), VECTOR["shard"]
    assert str(key.public) == VECTOR["deliveryKey"]
    assert len(unhex(VECTOR["wrappedKey"])) == WRAPPED_KEY_BYTES
    assert key.unwrap(unhex(VECTOR["wrappedKey"]), order, shard) == unhex(VECTOR["contentKey"])
    assert [unhex(file["label"]) for file in VECTOR["files"]] == [
        file_label(order, shard, file["kind"]) for file in VECTOR["files"]
    ]


def test_sealed_vectors_are_reproduced_with_their_nonce_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = unhex(VECTOR["noncePrefix"])
    monkeypatch.setattr("provenance.crypto.seal.secrets.token_bytes", lambda size: prefix[:size])
    for file, plain in zip(VECTOR["files"], (bytes(FRAME_BYTES) + b"end", b"", b"{}"), strict=True):
        sealed = seal_file(unhex(VECTOR["contentKey"]), plain, unhex(file["label"]))
        assert str(sha256(sealed)) == file["sealedSha256"]
        assert sealed[-32:] == unhex(file["sealedTail"])
        opened = open_file(unhex(VECTOR["contentKey"]), sealed, unhex(file["label"]), sha256(plain))
        assert opened == plain
