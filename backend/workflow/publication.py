"""Manifest and chain record of a data set, from the stored results of its order.

Deterministic: the same order gives the same bytes, so a repeated step publishes the same data set. The results were
checked when they were stored; the contract checks them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import OrderFailedError, TermsRefusedError
from backend.orders.terms_policy import require_parents
from backend.ports import Ports
from backend.workflow.generate import Generation
from provenance.chain.ports import DatasetRecord, EvaluationRecord, ShardRecord
from provenance.chain.training import TrainingOnChain
from provenance.crypto.merkle import NO_SHARD
from provenance.exact import SPEC_VERSION
from provenance.record.collection import Generation as Derivation
from provenance.record.manifest import (
    CONTRACT_ROLES,
    Manifest,
    ManifestEvaluation,
    ManifestParticipant,
    ManifestShard,
)
from provenance.record.receipts import median_score, shares_digest
from provenance.units import MICRO, format_fixed, utc_time
from provenance.values import Cid


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published: manifest bytes, the record for the registry, the CIDs the manifest names, and the shards.
    Their keys are asked for afterwards; files of those that were not delivered are taken as late as they come."""

    manifest: bytes
    record: DatasetRecord
    contents: tuple[Cid, ...]
    shards: tuple[ManifestShard, ...]


def assemble(ports: Ports, generation: Generation) -> Publication:
    """Builds the publication of a scored order."""
    manifest = _manifest(ports, generation)
    files = generation.score_result().files()
    return Publication(manifest.encode(), _record(ports, manifest), files, manifest.shards)


def _record(ports: Ports, manifest: Manifest) -> DatasetRecord:
    """One entry a participant; empty but for the model of one that was dropped, empty of one that was excused."""
    models = ports.chain.commitment(manifest.order).models
    shards = {shard.shard: shard for shard in manifest.shards}
    scores = {each.contributor: each for each in manifest.evaluation}
    return DatasetRecord(
        manifest_digest=manifest.digest,
        score_digest=manifest.score.file.plain_sha256,
        parents=manifest.collection.parents,
        shares_bps=manifest.shares_bps,
        shards=tuple(
            _shard_record(shards[number])
            if number in shards
            else ShardRecord(model, NO_SHARD, 0, 0, NO_SHARD, b"")
            for number, model in enumerate(models)
        ),
        evaluations=tuple(
            EvaluationRecord(scores[member.contributor].score_micro, scores[member.contributor].signature)
            if member.contributor in scores
            else EvaluationRecord(0, b"")
            for member in manifest.participants
        ),
    )


def _shard_record(shard: ManifestShard) -> ShardRecord:
    return ShardRecord(
        shard.model_digest,
        shard.shard_root,
        shard.epsilon_micro,
        shard.delta_e12,
        shard.content_digest,
        shard.receipt_signature,
    )


def judge(ports: Ports, generation: Generation) -> None:
    """What the registry will ask, asked before the manifest is made. Raises OrderFailedError for what it would refuse.

    Shapes, roots, shares and signatures were judged when the worker brought them (`backend.coordination.checks`);
    here is what depends on the chain or decides about the money: time, models, parents, score.
    """
    stored, collection = generation.order()
    terms, score = stored.terms, generation.score_result()
    if ports.chain.is_overdue(stored.id):
        raise OrderFailedError(
            f"publish: delivery was due by {utc_time(ports.chain.deadline(stored.id))}, the chain's time is "
            f"{utc_time(ports.chain.chain_time())}"
        )
    committed = ports.chain.commitment(stored.id)
    if any(committed.models[shard.shard] != shard.model_digest for shard in score.shards):
        raise OrderFailedError("publish: the chain holds other models than those that made the rows")
    _require_reused(ports, generation)
    try:
        require_parents(ports.chain, collection)
    except TermsRefusedError as error:
        raise OrderFailedError(f"publish: {error}") from error
    median = median_score([each.score_micro for each in score.evaluations])
    if median < terms.min_score_micro:
        raise OrderFailedError(
            f"publish: the median score is {format_fixed(median, MICRO)}, the order asks for "
            f"{format_fixed(terms.min_score_micro, MICRO)}"
        )


def _require_reused(ports: Ports, generation: Generation) -> None:
    """OrderFailedError unless the rows of an order from stock come from the models that were trained for it."""
    stored, _ = generation.order()
    training = stored.request.training
    if training is None:
        return
    trained = TrainingOnChain.read(ports.chain, training).models
    for shard in generation.score_result().shards:
        if trained.get(shard.contributor) != shard.model_digest:
            raise OrderFailedError(
                f"publish: shard {shard.shard} is made by model {shard.model_digest}, in order {training} "
                f"{shard.contributor} committed to {trained.get(shard.contributor)}"
            )


def _manifest(ports: Ports, generation: Generation) -> Manifest:
    stored, collection = generation.order()
    signatures = generation.commit_signatures()
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
                commit_signature=signatures[shard.contributor],
                shard_root=shard.shard_root,
                epsilon_micro=shard.epsilon_micro,
                delta_e12=shard.delta_e12,
                signed_content=shard.signed_content,
                receipt_signature=shard.receipt_signature,
            )
            for shard in score.shards
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
