"""Signed HTTP requests: who sent exactly these bytes to exactly this target, and when.

Header `Authorization: Tessera <address>:<unix seconds>:<nonce hex>:<signature hex>`; the signature is
EIP-191 over the text of `_text`. The receiver keeps nonces for the tolerance (this module only hands the
nonce out) and decides what the address may do.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from provenance.crypto.signing import Signer, recover_text
from provenance.errors import SignatureError
from provenance.values import Address, sha256

SCHEME = "Tessera"
TOLERANCE_SECONDS = 120
_HEADER = re.compile(r"Tessera (0x[0-9a-fA-F]{40}):([0-9]{1,12}):([0-9a-f]{32}):(0x)?([0-9a-f]{130})\Z")


class RequestAuthError(SignatureError):
    """The Authorization header is absent, malformed, stale or not signed by the address that it names."""


@dataclass(frozen=True, slots=True)
class AuthenticatedRequest:
    """A verified header. The receiver must refuse a `nonce` it has seen from `address` within the tolerance."""

    address: Address
    unix_seconds: int
    nonce: str


def sign_request(signer: Signer, method: str, target: str, body: bytes, now: int) -> str:
    """The Authorization header's value. `target` is path and query as sent, `now` Unix seconds (wall clock)."""
    nonce = secrets.token_hex(16)
    signature = signer.sign_text(_text(method, target, now, nonce, body))
    return f"{SCHEME} {signer.address}:{now}:{nonce}:0x{bytes(signature).hex()}"


def verify_request(
    header: str | None, method: str, target: str, body: bytes, now: int
) -> AuthenticatedRequest:
    """Checks form, age and signature. Raises RequestAuthError; its message may be shown to the client."""
    match = _HEADER.match(header or "")
    if match is None:
        raise RequestAuthError(
            "the Authorization header is missing or malformed; "
            "expected `Tessera <address>:<unix seconds>:<nonce>:<signature>`"
        )
    address, unix_seconds, nonce = Address.parse(match[1]), int(match[2]), match[3]
    if abs(now - unix_seconds) > TOLERANCE_SECONDS:
        raise RequestAuthError(
            f"the request was signed at {unix_seconds}, the server's clock says {now}; "
            f"sign it again within {TOLERANCE_SECONDS} seconds and check both clocks"
        )
    text = _text(method, target, unix_seconds, nonce, body)
    try:
        signed_by = recover_text(text, bytes.fromhex(match[5]))
    except SignatureError as error:
        raise RequestAuthError(f"the request's signature is not valid: {error}") from error
    if signed_by != address:
        raise RequestAuthError(
            f"the request names {address} but {signed_by} signed it, or its method, target or body changed"
        )
    return AuthenticatedRequest(address, unix_seconds, nonce)


def _text(method: str, target: str, unix_seconds: int, nonce: str, body: bytes) -> str:
    digest = bytes(sha256(body)).hex()
    return f"tessera-http/1\n{method.upper()}\n{target}\n{unix_seconds}\n{nonce}\n{digest}"
