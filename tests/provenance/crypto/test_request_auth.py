"""Signed requests: anything changed is refused."""

from __future__ import annotations

import pytest

from provenance.crypto.request_auth import TOLERANCE_SECONDS, RequestAuthError, sign_request, verify_request
from provenance.crypto.signing import Signer

SIGNER = Signer(b"\x05" * 32)
NOW = 1_800_000_000


def header(now: int = NOW) -> str:
    return sign_request(SIGNER, "POST", "/v1/orders?x=1", b"body", now)


@pytest.mark.parametrize("text", [None, "", "Bearer abc", "Tessera 0x12:1:2:3", "Tessera "])
def test_malformed_header_is_refused(text: str | None) -> None:
    with pytest.raises(RequestAuthError, match="missing or malformed"):
        verify_request(text, "POST", "/", b"", NOW)


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", "/v1/orders?x=1", b"body"),
        ("POST", "/v1/orders?x=2", b"body"),
        ("POST", "/v1/orders?x=1", b""),
    ],
)
def test_changed_request_is_refused(method: str, target: str, body: bytes) -> None:
    with pytest.raises(RequestAuthError, match="method, target or body changed"):
        verify_request(header(), method, target, body, NOW)


@pytest.mark.parametrize("age", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1])
def test_stale_or_future_request_is_refused(age: int) -> None:
    with pytest.raises(RequestAuthError, match="check both clocks"):
        verify_request(header(), "POST", "/v1/orders?x=1", b"body", NOW + age)


def test_header_that_names_another_account_is_refused() -> None:
    other = str(Signer(b"\x06" * 32).address)
    with pytest.raises(RequestAuthError, match=f"names {other}"):
        verify_request(header().replace(str(SIGNER.address), other), "POST", "/v1/orders?x=1", b"body", NOW)


def test_signed_request_names_its_sender_and_a_fresh_nonce() -> None:
    first = verify_request(header(), "post", "/v1/orders?x=1", b"body", NOW + TOLERANCE_SECONDS)
    second = verify_request(header(), "POST", "/v1/orders?x=1", b"body", NOW)
    assert first.address == SIGNER.address
    assert first.nonce != second.nonce
