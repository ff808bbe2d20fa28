"""A demand for an order's manifest, which is the broker's to answer: silence costs its bond and its fee."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from provenance.chain.disputes import MANIFEST_SHARD, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.model_parts import CALLDATA_BYTES
from provenance.chain.ports import TxReceipt
from provenance.values import Digest

_LOG = logging.getLogger("backend.workflow")
MOST_BYTES: Final = CALLDATA_BYTES
"""Of a manifest that one transaction can show; one that is larger must never be published."""


class DemandReading(Protocol):
    """What is demanded."""

    def demand(self, order: Digest, shard: int) -> DemandOnChain: ...


class ManifestAnswering(Protocol):
    """The one transaction."""

    def answer_manifest(self, order: Digest, manifest: bytes) -> TxReceipt: ...


def answer_manifest_demand(
    chain: DemandReading, writer: ManifestAnswering, order: Digest, manifest: bytes
) -> TxReceipt | None:
    """Shows the manifest of a published order on chain if somebody demands it; the transaction, None where nothing is
    demanded. May be called at any time and again: the chain knows what is open.

    Raises UnavailableError, and RevertError while the demand stays open.
    """
    if not chain.demand(order, MANIFEST_SHARD).is_open:
        return None
    _LOG.warning(
        "order %s: its manifest is demanded on chain; showing %d bytes", str(order)[:12], len(manifest)
    )
    try:
        return writer.answer_manifest(order, manifest)
    except RevertError:
        if chain.demand(order, MANIFEST_SHARD).is_open:
            raise
        return None  # somebody else showed it just now, or the order ended
