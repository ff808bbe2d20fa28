"""What a market shows to everybody: its network, collections, contributors, contents, data sets and offers.

Documents of collections stay as they were received: whoever relies on one recomputes its digest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, Strict

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
from provenance.units import TOKEN


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


class TokenView(Message):
    """How amounts of the market's token are written."""

    symbol: str = Field(max_length=16)
    decimals: Annotated[int, Field(ge=0, le=TOKEN)]


class NetworkView(Message):
    """The chain, the contracts that the market names (to be verified), its broker, its usual stake.

    `token` stands there only when the token has other than 18 decimals: who does not know it must not go on.
    """

    chain_id: Count
    deployment: Contracts
    token: TokenView | None = optional()
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


class StandingModelView(Message):
    """Models that later orders can be sold from, in seconds: those of one order that trained.

    score_micro: the median of the contributors' recorded scores, lowest_score_micro the least of them. contributors:
    who goes on selling.
    """

    training: WireDigest
    collection: WireDigest
    dataset: Count
    epsilon_micro: Count
    delta_e12: Count
    score_micro: Count
    lowest_score_micro: Count
    contributors: Several[WireAddress]
    trained_at: Count


class StandingModelList(Message):
    models: Several[StandingModelView]


class Retirement(Message):
    """A contributor does not sell its model of a training any more."""

    training: WireDigest
    contributor: WireAddress


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
    revoked: bool = False
    """Shown to be false, or withheld; its rows are not part of the data set any more."""


class EvaluationView(Message):
    contributor: WireAddress
    score_micro: Count


class OfferState(StrEnum):
    """Where an offer stands. The first three are the sales contract's own states, the others say how it ended."""

    LISTED = "listed"
    """Can be bought."""
    SOLD = "sold"
    """Paid; the seller has to deliver the keys."""
    DELIVERED = "delivered"
    """The buyer may reject."""
    ACCEPTED = "accepted"
    """The seller is paid, the data set is the buyer's."""
    REJECTED = "rejected"
    """By the buyer, in time; the price is back."""
    EXPIRED = "expired"
    """Nothing was delivered in time; the price is back."""
    UNLISTED = "unlisted"
    """Taken back, or replaced by the offer of a later holder."""


RUNNING_OFFERS: Final = (OfferState.LISTED, OfferState.SOLD, OfferState.DELIVERED)


class SaleView(Message):
    """The sale of one data set, read from chain events. deadline: last chain time to deliver (sold) or to reject
    (delivered). block, transaction: of the newest event."""

    state: Annotated[OfferState, Strict(False)]
    seller: WireAddress
    price_wei: WireUint256
    buyer: WireAddress | None
    deadline: Count | None
    block: Count
    transaction: WireDigest


class OfferView(SaleView):
    """A data set offered for resale, now or once. dataset_status: as in `DatasetView.status`."""

    dataset: Count
    dataset_status: str
    collection: WireDigest | None
    rows: Count


class OfferList(Message):
    offers: Several[OfferView]


class DatasetView(Message):
    """A published data set, read from chain events; `collection` is the broker's own knowledge. sale: of the offer
    that is listed, sold or delivered; None when there is none."""

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
    sale: SaleView | None


class DatasetList(Message):
    datasets: Several[DatasetView]
