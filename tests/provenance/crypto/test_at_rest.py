"""Files sealed at rest: what one key of a folder is used for."""

from __future__ import annotations

import pytest

from provenance.crypto import seal
from provenance.crypto.at_rest import RestKey
from provenance.crypto.seal import MAGIC, PREFIX_BYTES
from provenance.errors import SealError


def test_files_whose_nonces_are_the_same_have_different_key_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix has 56 bits: of the files that a node writes in years some would meet, and give both away."""
    monkeypatch.setattr(seal, "_nonce", lambda _prefix, _frame, _last: bytes(12))
    key, start = RestKey(b"\x07" * 32), len(MAGIC) + PREFIX_BYTES
    streams = {
        key.seal(bytes(64), name)[start : start + 64]
        for name in ("state/round", "state/round", "results/bins")
    }
    assert len(streams) == 3


@pytest.mark.parametrize("change", [0, 5, 30, -1, -17])
def test_a_changed_byte_opens_nothing_the_salt_among_them(change: int) -> None:
    key = RestKey(b"\x07" * 32)
    sealed = bytearray(key.seal(b"rows of somebody", "table"))
    assert key.open(bytes(sealed), "table") == b"rows of somebody"
    sealed[change] ^= 1
    with pytest.raises(SealError):
        key.open(bytes(sealed), "table")


@pytest.mark.parametrize("size", [0, 15, 16, 40])
def test_what_is_too_short_to_be_sealed_is_refused(size: int) -> None:
    with pytest.raises(SealError):
        RestKey(b"\x07" * 32).open(bytes(size), "table")
