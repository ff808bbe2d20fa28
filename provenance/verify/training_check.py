"""The check of a data set from stock: its models are those that its contributors committed to when they were trained.

Pure. What chain and store hold of the order that trained is in the evidence, as `ReusedTraining`.
"""

from __future__ import annotations

from provenance.chain.ports import DatasetOnChain
from provenance.record.collection import stock_faults
from provenance.record.manifest import Manifest
from provenance.record.terms import participants_digest
from provenance.units import utc_time
from provenance.values import Digest, keccak256
from provenance.verify.certificate import CheckFailedError, NotCheckedError, require
from provenance.verify.evidence import Evidence, ReusedTraining

NAME = "training reused"


def reused_training(evidence: Evidence) -> str:
    """Models, epsilon and scores of every shard are those of the training that the buyer's request names; so nothing
    was trained, and no epsilon spent, for this data set. Raises NotCheckedError where the training's own manifest,
    which names its collection, is not to be had."""
    manifest, reused = evidence.manifest, evidence.training
    training = manifest.request.training
    if training is None or reused is None:
        raise NotCheckedError("the data set was made to order")
    record = _recorded(reused, training)
    _models(manifest, reused, training)
    _figures(manifest, record, training)
    told = manifest.privacy.get("trainingOrder")
    require(
        told == str(training), f"its privacy statement names training {told}, the request names {training}"
    )
    _documents(manifest, reused, training)
    return (
        f"models of order {training} (data set {record.id}, recorded {utc_time(record.published_at)}), the digests "
        "that these contributors committed to then; nothing was trained and no epsilon spent anew; the scores are "
        f"those of that data set, which {len(record.shards)} contributors made, this one {len(manifest.shards)}"
    )


def _recorded(reused: ReusedTraining, training: Digest) -> DatasetOnChain:
    chain = reused.on_chain
    if chain.dataset is None:
        raise CheckFailedError(f"order {training}, whose training it names, has no data set on chain")
    found = participants_digest(chain.participants)
    require(
        found == chain.order.participants_digest,
        f"order {training}: the event's participants have digest {found}, the escrow says "
        f"{chain.order.participants_digest}",
    )
    committed = keccak256(b"".join(chain.commitment.models))
    require(
        committed == chain.commitment.models_digest,
        f"order {training}: the event's models have digest {committed}, the chain committed to "
        f"{chain.commitment.models_digest}",
    )
    return chain.dataset


def _models(manifest: Manifest, reused: ReusedTraining, training: Digest) -> None:
    models = reused.on_chain.models
    for shard in manifest.shards:
        expected = models.get(shard.contributor)
        require(
            shard.model_digest == expected,
            f"shard {shard.shard} is made by model {shard.model_digest}; in order {training} {shard.contributor} "
            f"committed to {expected or 'none'}",
        )


def _figures(manifest: Manifest, record: DatasetOnChain, training: Digest) -> None:
    """Privacy and scores, which another training would have to release anew."""
    spent = {each.contributor: (each.epsilon_micro, each.delta_e12) for each in record.shards}
    scores = {each.contributor: each.score_micro for each in record.evaluations}
    for shard in manifest.shards:
        found = (shard.epsilon_micro, shard.delta_e12)
        require(
            found == spent.get(shard.contributor),
            f"shard {shard.shard}: epsilon and delta are {found}, those of order {training} are "
            f"{spent.get(shard.contributor)}",
        )
    for each in manifest.evaluation:
        require(
            each.score_micro == scores.get(each.contributor),
            f"{each.contributor} signed score {each.score_micro}, released with order {training} was "
            f"{scores.get(each.contributor)}",
        )


def _documents(manifest: Manifest, reused: ReusedTraining, training: Digest) -> None:
    trained = reused.manifest
    if not isinstance(trained, Manifest):
        raise NotCheckedError(
            f"models, epsilon and scores are those of order {training}; of what collection it was cannot be seen: "
            f"{trained}"
        ) from trained
    require(
        trained.order == training, f"the training's manifest is of order {trained.order}, not of {training}"
    )
    to_order = trained.request.training is None
    for member, found, expected in stock_faults(
        manifest.terms, manifest.collection, trained.terms, made_to_order=to_order
    ):
        raise CheckFailedError(f"{member}: found {found}, expected {expected}")
