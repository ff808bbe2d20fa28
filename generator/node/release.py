"""The wrapped key of this node's shard: it leaves when the record of the order stands on chain, and never before.

Until then nobody pays for the shard: with the wrapped key in hand, buyer and broker together could read the rows and
let the order lapse. The node looks at the chain itself, as deep as its own `finality` asks (docs/spec/sealing.md).
"""

from __future__ import annotations

import logging
from pathlib import Path

from generator.errors import KeyMissing, NotRecorded, TaskRefused
from generator.node.context import Node
from provenance.api.tasks import ReleaseTask, SampleResult
from provenance.chain.ports import DatasetOnChain, OrderState
from provenance.errors import ProvenanceError
from provenance.store.unixfs import cid_of
from provenance.values import Address, Digest

log = logging.getLogger(__name__)

_BEFORE = (OrderState.NONE, OrderState.OPEN, OrderState.MATCHED)
_DELIVERED = (OrderState.PUBLISHED, OrderState.SETTLED)
_TOLD: set[tuple[Path, Digest]] = set()
"""Orders, by node, whose lost key the operator was told of: the task comes again with every lease."""


def release_key(node: Node, payload: bytes) -> bytes:
    """The answer to a "release" task: the wrapped key, 80 bytes, the same as often as it is asked for.

    Raises NotRecorded before the record with this node's own receipt is on chain, KeyMissing for a key that was lost
    until it is restored, TaskRefused where there will never be one.
    """
    try:
        asked = ReleaseTask.read(payload, "release task")
    except ProvenanceError as error:
        raise TaskRefused("bad-task", str(error)) from error
    node.accepted(asked.order)
    folder = node.orders.folder(asked.order)
    signed = folder.receipt()
    if signed is None or signed.content.wrapped_key_cid is None:
        raise TaskRefused("nothing-sealed", f"this node keeps no key of order {asked.order} back")
    _require_recorded(node, signed)
    wrapped = folder.key_to_release(signed.receipt.shard)
    if asked.wrapped_key_cid != signed.content.wrapped_key_cid:
        raise TaskRefused(
            "other-key",
            f"asked was for key {asked.wrapped_key_cid}, signed was {signed.content.wrapped_key_cid}",
        )
    kept = None if wrapped is None else cid_of(wrapped)
    place = node.folder, asked.order
    if wrapped is None or kept != signed.content.wrapped_key_cid:
        missing = KeyMissing(
            f"order {asked.order}: its key to release is {signed.content.wrapped_key_cid}, kept is {kept}: restore the "
            "folder `wrapped` of the order from a copy; until then the buyer cannot open the shard, and its model can "
            "be demanded on chain"
        )
        if place not in _TOLD:
            _TOLD.add(place)
            log.error("%s", missing)
        raise missing
    _TOLD.discard(place)
    return wrapped


def _require_recorded(node: Node, signed: SampleResult) -> None:
    """The chain holds, as deep as `finality` asks, the record of the order with this very shard, and it stands. Another
    record may yet be replaced by a reorganisation while the order is published, but not once it is settled."""
    order, shard = signed.receipt.order, signed.receipt.shard
    state = node.chain.order(order).state
    if state in _BEFORE:
        raise NotRecorded(f"order {order} is {state.name} on chain: its data set is not recorded yet")
    if state not in _DELIVERED:
        raise TaskRefused("order-ended", f"order {order} is {state.name} on chain: no key of it is released")
    number = node.chain.dataset_of_order(order)
    if number is None:
        raise NotRecorded(f"the chain's events do not yet give the data set of order {order}")
    record = node.chain.dataset(number)
    if shard in record.revoked:
        raise TaskRefused(
            "revoked", f"shard {shard} of data set {number} was revoked: its buyer has the money back"
        )
    found, own = _recorded(record, shard), _own(node.address, signed)
    if found == own:
        return
    words = f"data set {number} holds shard {shard} as {found}, this node signed {own}: its key stays here"
    if state is OrderState.SETTLED:
        raise TaskRefused("other-shard", words)
    raise NotRecorded(words)


def _own(address: Address, signed: SampleResult) -> tuple[str, ...]:
    receipt = signed.receipt
    parts = (address, receipt.seed, receipt.model_digest, receipt.shard_root, receipt.content_digest)
    return tuple(map(str, parts))


def _recorded(record: DatasetOnChain, shard: int) -> tuple[str, ...]:
    """Empty for a shard that was dropped."""
    for each in record.shards:
        if each.shard == shard:
            parts = (each.contributor, record.seed, each.model_digest, each.shard_root, each.content_digest)
            return tuple(map(str, parts))
    return ()
