"""Whether this node's privacy ledger goes on from every head of it that is on chain.

With each shard a node signs where the ledger of its table stood: the head is in the content document, whose digest is
in the receipt and in the record on chain. A ledger without such a line was put back to an older copy, or is one of two
copies that were both used: what it says was spent is not what was spent. That is looked at before an order is accepted
and before its first task.

The documents of this node's own receipts are taken from its folder, which is trusted for nothing: their digest is
compared with the chain's. Those of an older folder are fetched from the market, by manifest or by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from generator.errors import LedgerRestored, NotYet
from generator.node.context import Node
from generator.privacy.ledger import Trail
from provenance import canonical
from provenance.api.errors import MarketRefused
from provenance.chain.ports import ShardOnChain
from provenance.errors import MalformedError
from provenance.record.manifest import Manifest
from provenance.record.receipts import LedgerHead, ShardContent
from provenance.store.unixfs import cid_of, cid_of_digest
from provenance.values import Digest, sha256

_HEADS: dict[Digest, LedgerHead | None] = {}
"""Heads by the digest of their content document; None in documents of before there were any."""


def require_newest_ledger(node: Node, *, asks_market: bool = True) -> None:
    """LedgerRestored unless for every recorded shard of this node's a ledger of its table's owner has the signed line.

    NotYet while a document cannot be had; asks_market: of those that are not in this node's folder. Passes where
    nothing is recorded.
    """
    recorded = node.chain.recorded_shards(node.address)
    heads = _heads(node, recorded, asks_market=asks_market)
    trails: dict[Digest, Trail] = {}
    for ledger in node.state.ledgers() if any(heads.values()) else ():
        trail = ledger.trail()
        if trail.name is not None:
            trails[trail.name] = trail
    for dataset, head in heads.items():
        if head is not None:
            _require(dataset, head, trails.get(head.table))


def _require(dataset: int, head: LedgerHead, trail: Trail | None) -> None:
    if trail is not None and trail.goes_on_from(head):
        return
    found = (
        "no ledger of that name in the owner's folder"
        if trail is None
        else f"a ledger of {len(trail.digests)} lines that does not have this one"
    )
    raise LedgerRestored(
        f"with data set {dataset} this node signed line {head.entries} of the privacy ledger {str(head.table)[:12]}, "
        f"{str(head.head)[:12]}; found was {found}. It was restored from an older copy, or another copy of it was used "
        "meanwhile: bring back the newest of the owner's folder. Without it nothing more may be released from this "
        "table, for what was spent is not known"
    )


def _heads(
    node: Node, recorded: Mapping[int, ShardOnChain], *, asks_market: bool
) -> dict[int, LedgerHead | None]:
    """The head that was signed with each recorded shard, by data set."""
    if any(shard.content_digest not in _HEADS for shard in recorded.values()):
        for content in _own_contents(node):
            _HEADS[content.digest] = content.ledger
    for dataset, shard in recorded.items():
        if shard.content_digest not in _HEADS:
            if not asks_market:
                raise NotYet(f"what was signed with data set {dataset} is not in this node's folder")
            _HEADS[shard.content_digest] = _fetched(node, dataset, shard).ledger
    return {dataset: _HEADS[shard.content_digest] for dataset, shard in recorded.items()}


def _own_contents(node: Node) -> Iterator[ShardContent]:
    for order, _ in node.orders.accepted():
        signed = node.orders.folder(order).receipt()
        if signed is not None:
            yield signed.content


def _fetched(node: Node, dataset: int, shard: ShardOnChain) -> ShardContent:
    """The content document of a recorded shard; NotYet unless it is there with the digest that the chain has."""
    record = node.chain.dataset(dataset)
    found = _bytes(node, record.manifest_digest) or node.chain.shown_manifest(record.order)
    if found is not None and sha256(found) == record.manifest_digest:
        try:
            content = Manifest.parse(found).shard(shard.shard).signed_content
        except MalformedError:
            content = None
        if isinstance(content, ShardContent) and content.digest == shard.content_digest:
            return content
    alone = _bytes(node, shard.content_digest)
    if alone is not None:
        return ShardContent.parse(canonical.decode(alone))
    raise NotYet(
        f"where the privacy ledger stood that this node signed with data set {dataset} is not known: its manifest is "
        "not to be had at the market. It is asked for again; or put the order's folder back"
    )


def _bytes(node: Node, digest: Digest) -> bytes | None:
    """What the market has under a digest, if it is that; None if it has it not."""
    cid = cid_of_digest(digest)
    try:
        data = node.fetch(cid)
    except MarketRefused:
        return None
    return data if cid_of(data) == cid else None
