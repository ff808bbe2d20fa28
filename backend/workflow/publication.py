"""Manifest and chain record of a data set, from the stored results of its order. Deterministic: same order,
same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.coordination.schemas import ScoreResult
from backend.ports import Ports
from backend.workflow.generate import Producing
from provenance.canonical import JsonValue
from provenance.chain.ports import DatasetRecord, EvaluationRecord, ShardRecord
from provenance.document import Reader
from provenance.exact import SPEC_VERSION
from provenance.record.collection import Collection, Generation, Request
from provenance.record.manifest import (
    CONTRACT_ROLES,
    Manifest,
    ManifestEvaluation,
    ManifestParticipant,
    ManifestShard,
)
from provenance.record.receipts import ScoreContent, ShardContent, shares_digest
from provenance.record.terms import OrderTerms
from provenance.values import Address, Cid, Digest, Signature


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published: manifest bytes, the record for the registry, and the CIDs the manifest names."""

    manifest: bytes
    record: DatasetRecord
    contents: tuple[Cid, ...]


def assemble(ports: Ports, producing: Producing) -> Publication:
    """Builds the publication. The results were checked when they were stored, the contract checks them
    again.
    """
    train = producing.train_result()
    score = ScoreResult.model_validate(producing.result("score"))
    plan = producing.plan(train, producing.seed_draw())
    manifest = _manifest(ports, producing, plan, score)
    collection = manifest.collection
    record = DatasetRecord(
        manifest_digest=manifest.digest,
        score_digest=manifest.score.file.plain_sha256,
        spec_version=SPEC_VERSION,
        own_real_micro=collection.own_real_micro,
        parents=collection.parents,
        shares_bps=tuple(score.shares_bps),
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
        evaluations=tuple(EvaluationRecord(each.score_micro, each.signature) for each in manifest.evaluation),
    )
    files = [file.cid for shard in manifest.shards for file in (shard.content.rows, shard.content.model)]
    return Publication(manifest.encode(), record, (*files, manifest.score.file.cid))


def _manifest(ports: Ports, producing: Producing, plan: dict[str, JsonValue], score: ScoreResult) -> Manifest:
    terms = OrderTerms.parse(plan["terms"])
    signatures = [Signature.parse(model.commit_signature) for model in producing.train_result().models]
    deployment = ports.ledger.deployment
    shares = shares_digest(score.shares_bps)
    collection = Collection.parse(plan["collection"])
    parents = [ports.ledger.dataset(parent) for parent in collection.parents]
    return Manifest(
        spec_version=SPEC_VERSION,
        chain_id=deployment.chain_id,
        contracts={role: deployment.address(role) for role in CONTRACT_ROLES},
        order=terms.order_id(ports.domain),
        terms=terms,
        terms_signature=Signature.parse(str(plan["termsSignature"])),
        collection=collection,
        request=Request.parse(plan["request"]),
        participants=_participants(plan),
        seed=producing.seed_draw(),
        shards=tuple(
            ManifestShard(
                shard=shard.shard,
                contributor=Address.parse(shard.contributor),
                rows=shard.rows,
                model_digest=Digest.parse(shard.model_digest),
                commit_signature=signature,
                shard_root=Digest.parse(shard.shard_root),
                epsilon_micro=shard.epsilon_micro,
                delta_e12=shard.delta_e12,
                content=ShardContent.parse(shard.content),
                receipt_signature=Signature.parse(shard.receipt_signature),
            )
            for shard, signature in zip(score.shards, signatures, strict=True)
        ),
        dataset_root=Digest.parse(score.dataset_root),
        evaluation=tuple(
            ManifestEvaluation(
                Address.parse(each.contributor), each.score_micro, shares, Signature.parse(each.signature)
            )
            for each in score.evaluations
        ),
        score=ScoreContent.parse(score.score, "score"),
        shares_bps=tuple(score.shares_bps),
        privacy=score.privacy,
        broker_saw=tuple(score.broker_saw),
        generation=Generation.derived(collection.own_real_micro, parents),
    )


def _participants(plan: dict[str, JsonValue]) -> tuple[ManifestParticipant, ...]:
    entries = plan["participants"]
    assert isinstance(entries, list)
    found = []
    for entry in entries:
        reader = Reader(
            entry, "participant", ("contributor", "rows", "maxRows", "declaredRows", "acceptance")
        )
        found.append(
            ManifestParticipant(
                reader.address("contributor"),
                reader.integer("rows"),
                reader.integer("maxRows"),
                reader.signature("acceptance"),
            )
        )
    return tuple(found)
