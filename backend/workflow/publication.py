"""Manifest and chain record of a data set, from the stored results of its order.

Deterministic: the same order gives the same bytes, so a repeated step publishes the same data set. The results were
checked when they were stored; the contract checks them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.ports import Ports
from backend.workflow.generate import Generation
from provenance.chain.ports import DatasetRecord, EvaluationRecord, ShardRecord
from provenance.exact import SPEC_VERSION
from provenance.record.collection import Generation as Derivation
from provenance.record.manifest import (
    CONTRACT_ROLES,
    Manifest,
    ManifestEvaluation,
    ManifestParticipant,
    ManifestShard,
)
from provenance.record.receipts import shares_digest
from provenance.values import Cid


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published: manifest bytes, the record for the registry, and the CIDs the manifest names."""

    manifest: bytes
    record: DatasetRecord
    contents: tuple[Cid, ...]


def assemble(ports: Ports, generation: Generation) -> Publication:
    """Builds the publication of a scored order."""
    manifest = _manifest(ports, generation)
    dataset = DatasetRecord(
        manifest_digest=manifest.digest,
        score_digest=manifest.score.file.plain_sha256,
        spec_version=SPEC_VERSION,
        own_real_micro=manifest.collection.own_real_micro,
        parents=manifest.collection.parents,
        shares_bps=manifest.shares_bps,
        shards=tuple(
            ShardRecord(
                shard.model_digest,
                shard.shard_root,
                shard.epsilon_micro,
                shard.delta_e12,
                shard.content.digest,
                shard.receipt_signature,
            )
            for shard in manifest.shards
        ),
        evaluations=tuple(
            EvaluationRecord(evaluation.score_micro, evaluation.signature)
            for evaluation in manifest.evaluation
        ),
    )
    files = [file.cid for shard in manifest.shards for file in (shard.content.rows, shard.content.model)]
    return Publication(manifest.encode(), dataset, (*files, manifest.score.file.cid))


def _manifest(ports: Ports, generation: Generation) -> Manifest:
    stored, collection = generation.order()
    models = generation.train_result().models
    score = generation.score_result()
    deployment = ports.chain.deployment
    shares = shares_digest(score.shares_bps)
    parents = [ports.chain.dataset(parent) for parent in collection.parents]
    return Manifest(
        spec_version=SPEC_VERSION,
        chain_id=deployment.chain_id,
        contracts={role: deployment.address(role) for role in CONTRACT_ROLES},
        order=stored.id,
        terms=stored.terms,
        terms_signature=stored.signature,
        collection=collection,
        request=stored.request,
        participants=tuple(
            ManifestParticipant(member.contributor, member.rows, member.max_rows, member.acceptance)
            for member in stored.matched
        ),
        seed=generation.seed_draw(),
        shards=tuple(
            ManifestShard(
                shard=shard.shard,
                contributor=shard.contributor,
                rows=shard.rows,
                model_digest=shard.model_digest,
                commit_signature=model.commit_signature,
                shard_root=shard.shard_root,
                epsilon_micro=shard.epsilon_micro,
                delta_e12=shard.delta_e12,
                content=shard.content,
                receipt_signature=shard.receipt_signature,
            )
            for shard, model in zip(score.shards, models, strict=True)
        ),
        dataset_root=score.dataset_root,
        evaluation=tuple(
            ManifestEvaluation(evaluation.contributor, evaluation.score_micro, shares, evaluation.signature)
            for evaluation in score.evaluations
        ),
        score=score.score,
        shares_bps=score.shares_bps,
        privacy=score.privacy,
        broker_saw=score.broker_saw,
        generation=Derivation.derived(collection.own_real_micro, parents),
    )
