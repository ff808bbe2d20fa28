"""Bodies of data sets."""

from __future__ import annotations

from backend.http.wire import Wire


class ShardOut(Wire):
    shard: int
    contributor: str
    model_digest: str
    shard_root: str
    rows: int
    epsilon_micro: int
    delta_e12: int
    content_digest: str


class EvaluationOut(Wire):
    contributor: str
    score_micro: int


class DatasetOut(Wire):
    id: int
    identifier: str
    order: str
    collection: str | None
    manifest_digest: str
    manifest_cid: str
    dataset_root: str
    seed: str
    score_digest: str
    rows: int
    epsilon_micro: int
    delta_e12: int
    depth: int
    spec_version: int
    real_fraction_micro: int
    parents: list[str]
    shares_bps: list[int]
    status: str
    block: int
    transaction: str
    shards: list[ShardOut]
    evaluations: list[EvaluationOut]


class DatasetList(Wire):
    datasets: list[DatasetOut]
