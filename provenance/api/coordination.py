"""Coordination jobs: the phases of an order that the coordinator worker leases, and the results it brings.

Phases: `train`, then `score`. Shard k belongs to participant k.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from provenance.api.message import (
    Bps,
    Count,
    JsonObject,
    Message,
    Several,
    WireAddress,
    WireCollection,
    WireDigest,
    WireRequest,
    WireScoreContent,
    WireSeedDraw,
    WireShardContent,
    WireSignature,
    WireTerms,
    optional,
)
from provenance.api.queue import DEFAULT_LEASE_SECONDS, LeaseSeconds, Progress
from provenance.canonical import MAX_INTEGER
from provenance.record.receipts import ShardContent, ShardReceipt
from provenance.record.terms import MAX_CONTRIBUTORS, Participant
from provenance.units import WHOLE_MICRO
from provenance.values import Cid, Digest

Phase = Literal["train", "score"]
JOB_FORMAT: Final = "tessera-job/1"
MOST_SHARDS: Final = MAX_CONTRIBUTORS


class MatchedContributor(Message):
    """One contributor of the match: what it declared, what it accepted, what it delivers."""

    contributor: WireAddress
    rows: int = Field(ge=1, le=MAX_INTEGER)
    max_rows: int = Field(ge=1, le=MAX_INTEGER)
    declared_rows: int = Field(ge=1, le=MAX_INTEGER)
    acceptance: WireSignature

    @property
    def participant(self) -> Participant:
        """As the escrow contract hashes it."""
        return Participant(self.contributor, self.rows)


class ModelResult(Message):
    """A finished model: its digest and what its training spent."""

    contributor: WireAddress
    shard: Count
    model_digest: WireDigest
    epsilon_micro: Count
    delta_e12: Count


class TrainResult(Message):
    models: Annotated[Several[ModelResult], Field(min_length=1, max_length=MOST_SHARDS)]


class ShardResult(Message):
    """A shard with the receipt that its contributor signed. content: where its files are; of one that was never
    delivered, whose receipt stands on chain alone, there is only the document's digest."""

    shard: Count
    contributor: WireAddress
    rows: int = Field(ge=1, le=MAX_INTEGER)
    model_digest: WireDigest
    shard_root: WireDigest
    epsilon_micro: Count
    delta_e12: Count
    content: WireShardContent | None = optional()
    content_digest: WireDigest | None = optional()
    receipt_signature: WireSignature

    @model_validator(mode="after")
    def _is_described_once(self) -> ShardResult:
        if (self.content is None) == (self.content_digest is None):
            raise ValueError("expected either content or contentDigest")
        return self

    @property
    def signed_content(self) -> ShardContent | Digest:
        """As the manifest has it."""
        found = self.content if self.content is not None else self.content_digest
        assert found is not None, "checked when it was read"
        return found

    def receipt(self, order: Digest, seed: Digest) -> ShardReceipt:
        """The message behind `receipt_signature`."""
        content = self.signed_content
        return ShardReceipt(
            order,
            self.shard,
            self.model_digest,
            seed,
            self.rows,
            self.shard_root,
            self.epsilon_micro,
            self.delta_e12,
            content.digest if isinstance(content, ShardContent) else content,
        )


class ReusedTraining(Message):
    """The order whose stored training serves an order from stock, bound by its own digest and the match on chain."""

    terms: WireTerms
    request: WireRequest
    participants: Annotated[Several[MatchedContributor], Field(min_length=1, max_length=MOST_SHARDS)]


class JobPlan(Message):
    """What a phase works under, bound to the chain by the terms. models, seed: there in phase `score`. training: there
    for an order from stock.

    out: shards of contributors that were dropped on chain; the phase goes on without them. excused: shards whose
    contributors need not evaluate any more, because it was demanded on chain. undelivered: shards, among the excused,
    whose receipts stand on chain and whose files nobody brought: they are published without.
    """

    format: Literal["tessera-job/1"] = JOB_FORMAT
    chain_id: Count
    escrow: WireAddress
    terms: WireTerms
    terms_signature: WireSignature
    collection: WireCollection
    request: WireRequest
    participants: Annotated[Several[MatchedContributor], Field(min_length=1, max_length=MOST_SHARDS)]
    models: Several[ModelResult] | None
    seed: WireSeedDraw | None
    out: Several[Count] = ()
    excused: Several[Count] = ()
    undelivered: Several[ShardResult] = ()
    training: ReusedTraining | None = optional()


class LeasedJob(Message):
    """The plan stays as received: the worker that cannot read it fails this order and not itself."""

    order: WireDigest
    phase: Phase
    attempt: Count
    plan: JsonObject


class JobLease(Message):
    job: LeasedJob


class JobProgress(Progress):
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class JobFailure(Message):
    reason: str = Field(min_length=1, max_length=2000)


class EvaluationResult(Message):
    contributor: WireAddress
    score_micro: int = Field(ge=0, le=WHOLE_MICRO)
    signature: WireSignature


class ScoreResult(Message):
    """What the data set is published from."""

    dataset_root: WireDigest
    shards: Annotated[Several[ShardResult], Field(min_length=1, max_length=MOST_SHARDS)]
    shares_bps: Several[Bps]
    score: WireScoreContent
    evaluations: Annotated[Several[EvaluationResult], Field(min_length=1, max_length=MOST_SHARDS)]
    privacy: JsonObject
    broker_saw: Annotated[Several[Annotated[str, Field(max_length=1000)]], Field(max_length=100)]

    def files(self) -> tuple[Cid, ...]:
        """All that was uploaded for the data set: rows and model of each delivered shard, the score file."""
        contents = [shard.content for shard in self.shards if shard.content is not None]
        return (*(file.cid for each in contents for file in (each.rows, each.model)), self.score.file.cid)


class JobStored(Message):
    digest: WireDigest
