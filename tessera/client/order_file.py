"""What a buyer keeps about an order: enough to go on after a kill, to cancel, and to take the money
back without us.

It is written before the order is sent. It holds no key, but a permit for the price until the order is
placed: mode 600.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from provenance.api.orders import OrderRequest as SignedOrder
from provenance.crypto.permit import Permit
from provenance.errors import MalformedError
from provenance.files import write_whole
from provenance.record.collection import Collection, Request
from provenance.record.terms import OrderTerms
from provenance.values import Digest, Signature
from tessera.errors import UsageError

FORMAT = "tessera-order/1"


@dataclass(frozen=True, slots=True)
class OrderFile:
    """A signed order with everything that its digests bind."""

    order_id: Digest
    terms: OrderTerms
    signature: Signature
    request: Request
    collection: Collection
    permit: Permit

    def signed(self) -> SignedOrder:
        """The body of POST /v1/orders."""
        return SignedOrder.of(self._signed_document(), "order")

    def _signed_document(self) -> dict[str, object]:
        return {
            "terms": self.terms.document(),
            "signature": str(self.signature),
            "permit": self.permit.document(),
            "request": self.request.document(),
        }

    def write(self, path: Path) -> None:
        """Atomically: a kill leaves the old file or the new one."""
        document = {
            "format": FORMAT,
            "orderId": str(self.order_id),
            "collection": self.collection.document(),
            **self._signed_document(),
        }
        write_private(path, document)

    @classmethod
    def read(cls, path: Path) -> OrderFile:
        """Read strictly; `UsageError` when it is not such a file."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document.get("format") != FORMAT:
                raise UsageError(f"{path}: found format {document.get('format')!r}, expected {FORMAT}")
            return cls(
                Digest.parse(document["orderId"]),
                OrderTerms.read(document["terms"]),
                Signature.parse(document["signature"]),
                Request.parse(document["request"]),
                Collection.parse(document["collection"]),
                Permit.parse(document["permit"]),
            )
        except (MalformedError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not an order that `tessera request` wrote: {error}") from error


def order_path(out: Path) -> Path:
    """Where the order of an output file is kept: beside it."""
    return out.with_name(out.name + ".order.json")


def write_private(path: Path, document: Mapping[str, object]) -> None:
    """JSON, mode 600, atomically: a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(document, indent=2).encode())
