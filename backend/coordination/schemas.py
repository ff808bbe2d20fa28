"""Bodies of coordination jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from backend.http.progress import DEFAULT_LEASE_SECONDS, LeaseSeconds, Progress
from backend.http.wire import AddressText, DigestText, JsonObject, SignatureText, Wire

Phase = Literal["train", "score"]
Micro = Annotated[int, Field(ge=0, le=2**53 - 1)]


class LeasedJob(Wire):
    order: str
    phase: str
    attempt: int
    plan: JsonObject


class JobLease(Wire):
    job: LeasedJob


class JobProgress(Progress):
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class JobFailure(Wire):
    reason: str = Field(min_length=1, max_length=2000)


class ModelResult(Wire):
    contributor: AddressText
    shard: int = Field(ge=0)
    model_digest: DigestText
    commit_signature: SignatureText
    epsilon_micro: Micro
    delta_e12: Micro


class TrainResult(Wire):
    models: list[ModelResult] = Field(min_length=1, max_length=255)


class ShardResult(Wire):
    shard: int = Field(ge=0)
    contributor: AddressText
    rows: int = Field(ge=1)
    model_digest: DigestText
    shard_root: DigestText
    epsilon_micro: Micro
    delta_e12: Micro
    content: JsonObject
    receipt_signature: SignatureText


class EvaluationResult(Wire):
    contributor: AddressText
    score_micro: int = Field(ge=0, le=1_000_000)
    signature: SignatureText


class ScoreResult(Wire):
    dataset_root: DigestText
    shards: list[ShardResult] = Field(min_length=1, max_length=255)
    shares_bps: list[Annotated[int, Field(ge=0, le=10_000)]]
    score: JsonObject
    evaluations: list[EvaluationResult] = Field(min_length=1, max_length=255)
    privacy: JsonObject
    broker_saw: list[Annotated[str, Field(max_length=1000)]] = Field(max_length=100)


class JobStored(Wire):
    digest: str
