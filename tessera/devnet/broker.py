"""What the broker says to its own backend at set-up: signed with the broker's key."""

from __future__ import annotations

import json
import time

import httpx

from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer
from provenance.record.collection import Collection
from tessera.errors import ServiceDownError, ServiceRefusedError

TIMEOUT_SECONDS = 120.0


def publish_collection(api_url: str, broker: Signer, collection: Collection) -> None:
    """POST /v1/collections; the same document again changes nothing."""
    target = "/v1/collections"
    body = json.dumps(collection.document()).encode()
    headers = {
        "Content-Type": "application/json",
        "Authorization": sign_request(broker, "POST", target, body, int(time.time())),
    }
    try:
        answer = httpx.post(
            api_url + target, content=body, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        )
    except httpx.TransportError as error:
        raise ServiceDownError(f"the backend at {api_url} did not take the collection: {error}") from error
    if answer.is_error:
        raise ServiceRefusedError(
            f"collection {collection.name}: refused with {answer.status_code}: {answer.text}",
            status=answer.status_code,
        )
