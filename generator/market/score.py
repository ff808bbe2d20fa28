"""The score phase: samples and evaluations gathered from the nodes, every signature and digest checked here first.

Each node samples its shard and signs for it; the shares follow from everybody's evidence; each node
recomputes them, scores the pool on its hold-out and signs.  The score file - evidence and utilities, which
reveal marginals worth money - is sealed to the buyer, or plain for an open data set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generator.errors import InvalidAnswer, JobRefused, TaskFormatError
from generator.evaluation.contribution import Score
from generator.evaluation.holdout import SCORE_DELTA, SCORE_EPSILON
from generator.families.codebook_message import codebook_of
from generator.families.secure_aggregation import uses_secure_aggregation
from generator.federation.coordinator import TrainingOutcome
from generator.federation.plan import TrainingPlan
from generator.federation.task import Array, Json, Result, Task, judging, meta_of
from generator.federation.transport import Transport
from generator.market.evidence import DELIVERED, EVIDENCE, Evidence, references_of, score_file, stacked
from generator.market.jobs import OrderJob
from provenance.api.coordination import EvaluationResult, ScoreResult, ShardResult
from provenance.api.errors import MarketNotFound
from provenance.api.tasks import (
    SAMPLE,
    EvaluateResult,
    EvaluateTask,
    SampleResult,
    SampleTask,
    evaluation_name,
)
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import CommitmentOnChain, DatasetOnChain
from provenance.crypto.merkle import dataset_root, leaves
from provenance.crypto.seal import (
    SCORE_SHARD,
    file_label,
    key_commitment,
    new_content_key,
    seal_file,
    wrap_key,
)
from provenance.crypto.signing import require_signer
from provenance.crypto.typed_data import Domain
from provenance.errors import ProvenanceError
from provenance.record.receipts import (
    ContentFile,
    Evaluation,
    ScoreContent,
    ShardContent,
    ShardReceipt,
    shares_digest,
)
from provenance.store.unixfs import cid_of
from provenance.units import E12, format_fixed, round_down
from provenance.values import Cid, Digest, Signature, sha256

_SEPARATE = (
    "each contributor's noisy univariate, pair or triple counts of the order (private by epsilon, worth money)",
    "updates of averaged discriminators or sums of gradients, where the family has them (private by epsilon)",
)
_SEPARATE_EXACT = (
    "each contributor's exact univariate, pair or triple counts of the order (no privacy was asked for: rows of its "
    "table can be read out of them)",
    "exact updates of averaged discriminators or sums of gradients, where the family has them (no privacy asked for)",
)
_SUMMED = (
    "each contributor's noisy univariate counts of the columns that need bins (private by epsilon)",
    "the noisy sums of all contributors' tables, and of their gradients where the family has them; no contributor's "
    "own (private by epsilon while the named number of contributors is honest)",
)
_SUMMED_EXACT = (
    "the exact sums of all contributors' univariate, pair or triple counts, and of their gradients where the family "
    "has them; no contributor's own (no privacy was asked for: rows of the tables may be read out of the sums, though "
    "not whose they are)",
)
_SCORE = f"epsilon {SCORE_EPSILON:g} and delta {format_fixed(round_down(SCORE_DELTA, E12), E12)}"
_ALWAYS = (
    "exact pair counts of each shard's synthetic rows (under conditions: of as many rows without them), and of "
    "the first 16,384 rows of its stream",
    "ciphertext of rows, models and the score file; no key that opens them",
)


def broker_saw(plan: TrainingPlan, training: Digest | None = None) -> tuple[str, ...]:
    """What passed the coordinator in the clear, for the manifest. training: of an order from stock, the order that its
    models were trained for."""
    summed, separate = (_SUMMED, _SEPARATE) if plan.epsilon is not None else (_SUMMED_EXACT, _SEPARATE_EXACT)
    trained: tuple[str, ...] = summed if uses_secure_aggregation(plan) else separate
    if training is not None:
        trained = tuple(f"when order {training} was trained: {line}" for line in trained)
    return (*trained, *_ALWAYS)


@dataclass(frozen=True, slots=True)
class Shard:
    """A delivered shard whose receipt holds."""

    receipt: ShardReceipt
    signature: Signature
    content: ShardContent


@dataclass(frozen=True, slots=True)
class ScorePhase:
    """Ports of the phase. fetch, upload: content of the market; say: progress for the buyer. training: of an order from
    stock, what the chain recorded of the order that trained."""

    domain: Domain
    transport: Transport
    fetch: Callable[[Cid], bytes]
    upload: Callable[[bytes], Cid]
    say: Callable[[str], None]
    training: DatasetOnChain | None = None

    def run(self, job: OrderJob, outcome: TrainingOutcome, committed: CommitmentOnChain) -> ScoreResult:
        """The phase's result for the backend.  Raises JobRefused, NodeRefused, InvalidAnswer, MarketError;
        ChainUnavailableError while the chain does not show the seed here.
        """
        standing = job.standing
        trained = {shard: outcome.models[shard].model_digest for shard in standing}
        if committed.seed is None:
            raise ChainUnavailableError(
                f"order {job.order} has no seed on chain as read here; looking again later"
            )
        if trained != {shard: committed.models[shard] for shard in standing}:
            raise JobRefused("the chain holds other models than those that were trained; nothing is sampled")
        self.say("nodes sample, seal and sign their shards")
        samples = self.transport.gather(_sample_tasks(job, committed.seed, committed.draws))
        shards: dict[int, ShardResult] = {}
        for shard, result in zip(job.delivered, samples, strict=True):
            with judging(result):
                shards[shard] = _shard_result(
                    job, shard, self._shard(job, committed, committed.seed, shard, result)
                )
        for by_receipt in job.undelivered:
            self.say(f"shard {by_receipt.shard} was not delivered: it is published by its receipt on chain")
            shards[by_receipt.shard] = by_receipt
        evidence = self._evidence(job, outcome, samples)
        score = evidence.score()
        roots = {shard: each.shard_root for shard, each in shards.items()}
        root = dataset_root(leaves(roots, len(job.participants)))
        self.say("nodes recompute the shares and score the pooled data set on their hold-outs")
        evaluations = self._evaluations(job, roots, evidence, score)
        content = self._publish_score(job, score)
        return ScoreResult(
            dataset_root=root,
            shards=tuple(shards[shard] for shard in standing),
            shares_bps=evidence.shares_bps(score),
            score=content,
            evaluations=evaluations,
            privacy=privacy_of(job, outcome),
            broker_saw=broker_saw(outcome.plan, None if job.stock is None else job.stock.order),
        )

    def _shard(
        self, job: OrderJob, committed: CommitmentOnChain, seed: Digest, index: int, result: Result
    ) -> Shard:
        participant = job.participants[index]
        told = meta_of(SampleResult, result)
        receipt, content, signature = told.receipt, told.content, told.signature
        try:
            require_signer(self.domain, receipt, signature, participant.contributor)
        except ProvenanceError as error:
            raise TaskFormatError(f"no valid receipt: {error}") from error
        found = (
            receipt.order,
            receipt.shard,
            receipt.model_digest,
            receipt.seed,
            receipt.rows,
            receipt.content_digest,
        )
        true = (job.order, index, committed.models[index], seed, participant.rows, content.digest)
        if found != true:
            raise TaskFormatError(f"signed was {found}, expected {true}")
        fault = content.sealing_fault(is_open=job.terms.is_open)
        if fault is not None:
            raise TaskFormatError(f"content document, {fault[0]}: {fault[1]}")
        if job.terms.epsilon_micro and receipt.epsilon_micro > job.terms.epsilon_micro:
            raise TaskFormatError("more epsilon was spent than the terms allow")
        if self.training is not None:
            spent = (receipt.epsilon_micro, receipt.delta_e12)
            recorded = {
                each.contributor: (each.epsilon_micro, each.delta_e12) for each in self.training.shards
            }
            if spent != recorded.get(participant.contributor):
                raise TaskFormatError(
                    f"signed were epsilon and delta {spent} (millionths, 10^-12), recorded with the training "
                    f"{recorded.get(participant.contributor)}"
                )
        for name, file in (("rows", content.rows), ("model", content.model)):
            try:
                stored = self.fetch(file.cid)
            except MarketNotFound as error:
                raise TaskFormatError(f"the {name} file was not uploaded") from error
            if not file.matches(stored):
                raise TaskFormatError(f"the stored {name} file is not the signed one")
        return Shard(receipt, signature, content)

    def _evidence(self, job: OrderJob, outcome: TrainingOutcome, samples: Sequence[Result]) -> Evidence:
        codebook = codebook_of(outcome.shared, job.collection.schema)
        members = [job.participants[shard] for shard in job.delivered]
        contributors = [each.contributor for each in members]
        references = references_of(outcome.plan, codebook, outcome.references, contributors)
        none = np.empty(0, dtype=np.int64)
        counts: dict[str, list[Array]] = {DELIVERED: [], EVIDENCE: []}
        for result in samples:
            for name, of_all in counts.items():
                own = result.arrays.get(name, none)
                with judging(result):
                    if own.shape != references[0].shape or own.dtype != np.int64:
                        raise TaskFormatError(
                            f"{name} is {own.dtype}{own.shape}, not int64{references[0].shape}"
                        )
                of_all.append(own)
        return Evidence(
            outcome.plan, codebook, job.contributors, job.delivered, tuple(each.rows for each in members),
            stacked(counts[DELIVERED]), stacked(counts[EVIDENCE]), references,
            {each.shard: each.rows for each in job.undelivered},
        )  # fmt: skip

    def _evaluations(
        self, job: OrderJob, roots: Mapping[int, Digest], evidence: Evidence, score: Score
    ) -> tuple[EvaluationResult, ...]:
        """Without those of the excused; of a data set without one contributor's rows everybody is asked anew."""
        whole = leaves(roots, len(job.participants))
        root, shares = dataset_root(whole), evidence.shares_bps(score)
        asked = EvaluateTask(
            dataset_root=root,
            shard_roots=whole,
            shares_bps=shares,
            undelivered=tuple(each.shard for each in job.undelivered),
        ).to_document()
        name = evaluation_name(len(job.out) + len(job.undelivered))
        tasks = [
            Task(job.order, name, job.participants[shard].contributor, asked, evidence.arrays())
            for shard in job.standing
            if shard not in job.excused
        ]
        found: list[EvaluationResult] = []
        digest = sha256(score_file(score))
        for result in self.transport.gather(tasks):
            told = meta_of(EvaluateResult, result)
            message = Evaluation(job.order, root, told.score_micro, shares_digest(shares), digest)
            try:
                require_signer(self.domain, message, told.signature, result.node)
            except ProvenanceError as error:
                reason = f"it did not sign its score of these shares: {error}"
                raise InvalidAnswer(str(result.node), result.name, reason) from error
            if self.training is not None:
                self._require_released(self.training, result, told.score_micro)
            found.append(
                EvaluationResult(
                    contributor=result.node, score_micro=told.score_micro, signature=told.signature
                )
            )
        return tuple(found)

    def _require_released(self, training: DatasetOnChain, result: Result, score_micro: int) -> None:
        """InvalidAnswer for another score than the one that the training's record has of the node."""
        released = {each.contributor: each.score_micro for each in training.evaluations}.get(result.node)
        if score_micro != released:
            reason = f"it signed score {score_micro}, released with the training was {released} (millionths)"
            raise InvalidAnswer(str(result.node), result.name, reason)

    def _publish_score(self, job: OrderJob, score: Score) -> ScoreContent:
        plain = score_file(score)
        data, wrapped, committed = plain, None, None
        if not job.terms.is_open:
            key = new_content_key()
            data = seal_file(key, plain, file_label(job.order, SCORE_SHARD, "score"))
            wrapped = wrap_key(key, job.terms.delivery_key, job.order, SCORE_SHARD)
            committed = key_commitment(key, job.order, SCORE_SHARD)
        cid = cid_of(data)
        if (claimed := self.upload(data)) != cid:
            raise JobRefused(f"the market stored the score file under {claimed}, its CID is {cid}")
        file = ContentFile(cid, len(data), sha256(data), sha256(plain), len(plain))
        return ScoreContent(file, wrapped, committed)


def _sample_tasks(job: OrderJob, seed: Digest, draws: int) -> list[Task]:
    tasks = []
    for shard in job.delivered:
        each = job.participants[shard]
        asked = SampleTask(seed=seed, draws=draws, shard=shard, rows=each.rows)
        tasks.append(Task(job.order, SAMPLE, each.contributor, asked.to_document()))
    return tasks


def privacy_of(job: OrderJob, outcome: TrainingOutcome) -> dict[str, Json]:
    """The data set's statement: the largest epsilon over its nodes, and each node's own statement. Of an order from
    stock also which order's training they are about, and that nothing was spent anew."""
    scores = (
        "one Gaussian release a node on held-out rows, which no training release touches, "
        "with the order's epsilon and delta"
        if job.terms.epsilon_micro
        else f"one Gaussian release a node on held-out rows, which no training release touches, with {_SCORE}: the "
        "order asked for no privacy, and scores are public"
    )
    reused: dict[str, Json] = {}
    if job.stock is not None:
        scores = f"released with order {job.stock.order}, on its data set: {scores}; signed again, not released anew"
        reused = {"trainingOrder": str(job.stock.order), "newEpsilonMicro": 0}
    return {
        "format": "tessera-dataset-privacy/1",
        "epsilonMicro": max(model.epsilon_micro for model in outcome.models),
        "deltaE12": max(model.delta_e12 for model in outcome.models),
        "rule": "the maximum over the nodes; a person with rows at several nodes is not covered",
        "scores": scores,
        "nodes": [
            {"contributor": str(model.contributor), "statement": dict(model.statement)}
            for model in outcome.models
        ],
        **reused,
    }


def _shard_result(job: OrderJob, index: int, shard: Shard) -> ShardResult:
    receipt = shard.receipt
    return ShardResult(
        shard=index,
        contributor=job.participants[index].contributor,
        rows=receipt.rows,
        model_digest=receipt.model_digest,
        shard_root=receipt.shard_root,
        epsilon_micro=receipt.epsilon_micro,
        delta_e12=receipt.delta_e12,
        content=shard.content,
        receipt_signature=shard.signature,
    )
