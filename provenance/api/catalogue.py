"""What a market shows to everybody: its network, collections, contributors, contents and data sets.

Documents of collections stay as they were received: whoever relies on one recomputes its digest.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from provenance.api.message import (
    Bps,
    Count,
    JsonObject,
    Message,
    Several,
    WireAddress,
    WireCid,
    WireDigest,
    WireUint256,
    optional,
)
from provenance.canonical import MAX_INTEGER


class Health(Message):
    status: Literal["ok"]
    version: str


class Contracts(Message):
    """Addresses of the market's contracts; `block` is the first block with any of their events."""

    token: WireAddress
    registry: WireAddress
    escrow: WireAddress
    commitment: WireAddress
    datasets: WireAddress
    rewards: WireAddress
    verifier: WireAddress
    challenges: WireAddress
    demands: WireAddress
    sales: WireAddress
    royalties: WireAddress
    model_store: WireAddress | None = optional()
    block: Count


class NetworkView(Message):
    """The chain, the contracts that the market names (to be verified), its broker, its usual stake."""

    chain_id: Count
    deployment: Contracts
    broker: WireAddress
    chain_time: Count
    block_number: Count
    spec_version: Count
    stake_wei: WireUint256
    broker_fee_bps: Bps


class CollectionView(Message):
    """A collection as listed. `id` is the SHA-256 of the canonical document."""

    id: WireDigest
    contributors: Count
    document: JsonObject

    @property
    def name(self) -> str:
        """The name in the document, empty where it has none."""
        return str(self.document.get("name", ""))


class CollectionList(Message):
    collections: Several[CollectionView]


class Announcement(Message):
    """A node says that it holds a table for a collection; the newest figures hold."""

    collection: WireDigest
    declared_rows: int = Field(ge=1, le=MAX_INTEGER)
    metadata: JsonObject = Field(default_factory=dict, max_length=50)


class ContributorView(Message):
    collection: WireDigest
    contributor: WireAddress
    declared_rows: Count
    metadata: JsonObject
    announced_at: Count


class ContributorList(Message):
    contributors: Several[ContributorView]


class ContentStored(Message):
    """The CID as the store computed it, and the bytes' number."""

    cid: WireCid
    size: Count


class ShardView(Message):
    shard: Count
    contributor: WireAddress
    model_digest: WireDigest
    shard_root: WireDigest
    rows: Count
    epsilon_micro: Count
    delta_e12: Count
    content_digest: WireDigest


class EvaluationView(Message):
    contributor: WireAddress
    score_micro: Count


class DatasetView(Message):
    """A published data set, read from chain events; `collection` is the broker's own knowledge."""

    id: Count
    identifier: str
    order: WireDigest
    collection: WireDigest | None
    manifest_digest: WireDigest
    manifest_cid: WireCid
    dataset_root: WireDigest
    seed: WireDigest
    score_digest: WireDigest
    rows: Count
    epsilon_micro: Count
    delta_e12: Count
    depth: Count
    spec_version: Count
    real_fraction_micro: Count
    parents: Several[WireUint256]
    shares_bps: Several[Bps]
    status: str
    block: Count
    transaction: WireDigest
    shards: Several[ShardView]
    evaluations: Several[EvaluationView]


class DatasetList(Message):
    datasets: Several[DatasetView]
