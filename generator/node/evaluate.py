"""The hold-out score and the signature under the shares: recomputed here, never taken from the task.

The task brings every shard's pair counts, of its delivered rows and of its evidence rows, and every node's
released reference.  This node checks its own part of them against what it sent, recomputes the shares,
compares roots and rows, and only then scores the pooled data set as delivered on rows that never trained -
one Gaussian release on the held-out part, in the ledger before its noise is drawn. An order from stock has the score
that was released with the order that trained: nothing of the table is looked at for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from generator.errors import EvaluationError, NotYet, TaskRefused
from generator.evaluation.contribution import Score
from generator.evaluation.holdout import SCORE_DELTA, SCORE_EPSILON, holdout_score
from generator.families.marginal_release import own_reference
from generator.federation.plan import TrainingPlan
from generator.federation.task import Result, Task, answer, meta_of
from generator.marginals.bins import encode_codes
from generator.market.evidence import (
    DELIVERED,
    EVIDENCE,
    REFERENCES,
    Evidence,
    reference_counts,
    released_exponent,
    score_file,
)
from generator.node.context import Node, shard_of
from generator.node.sample import read_task
from generator.node.untrained import order_model
from generator.privacy.accountant import GaussianEvent, noise_multiplier_for
from generator.privacy.release import Release
from generator.privacy.statement import epsilon_micro
from provenance.api.tasks import EVALUATE, SAMPLE, EvaluateResult, EvaluateTask, SampleResult, evaluation_name
from provenance.chain.ports import Absence
from provenance.crypto.merkle import NO_SHARD, dataset_root
from provenance.errors import ProvenanceError
from provenance.exact.model import decode_model
from provenance.record.receipts import Evaluation, shares_digest
from provenance.values import Address, Digest, sha256

SCORE = "score"


def evaluate_dataset(node: Node, payload: bytes) -> bytes:
    """The answer to an "evaluate" task: `{"scoreMicro", "signature"}`.

    Raises TaskRefused (`shares-differ`, `root-differs`, `counts-differ`, `privacy-cap` ...), NotYet while the chain
    as this node reads it does not show what the task stands on.
    """
    task = Task.decode(payload)
    asked = read_task(EvaluateTask, task, task.name)
    dropped = dropped_shards(node, task, asked)
    expected = evaluation_name(len(dropped) + len(asked.undelivered))
    if task.name != expected:
        raise TaskRefused("bad-task", f"the task is called {task.name!r}, expected {expected!r}")
    folder = node.orders.folder(task.order)
    stored = folder.answer(task.name, payload)
    if stored is not None:
        return stored
    accepted = node.accepted(task.order)
    participants = node.matched_participants(task.order)
    shard = shard_of(participants, node.address)
    plan = node.training(task.order).plan()
    if plan is None:
        raise TaskRefused("not-trained", "this node holds no training of the order")
    training = accepted.request.training
    undelivered = check_undelivered(node, task.order, asked, shard, dropped)
    rows = {k: member.rows for k, member in enumerate(participants) if k not in dropped}
    missing = {k: rows.pop(k) for k in undelivered}
    members = tuple(member.contributor for member in participants)
    shown = Shown(plan, members, rows, missing)
    evidence = read_evidence(task, shown, order_model(node, task.order))
    root = check_roots(asked, own_receipt(node, task.order), shard, dropped)
    check_own_rows(node, task.order, evidence, shard)
    score = check_shares(asked, evidence)
    shares, scored = shares_digest(evidence.shares_bps(score)), sha256(score_file(score))
    held = folder.evaluation()
    release = None if training is not None else score_release(plan, earlier=folder.given(EVALUATE))
    if held is None or held[0] != replace(
        held[0], dataset_root=root, shares_digest=shares, score_digest=scored
    ):
        if release is None:
            score_micro = released_score(node, node.trained_for(task.order))
        else:
            node.state.ledger.require_not_given(task.order, release.name)
            score_micro = score_holdout(node, plan, evidence, release, request=str(accepted.terms.request))
        message = Evaluation(task.order, root, score_micro, shares, scored)
        held = message, node.signer.sign_typed(node.domain, message)
        folder.store_evaluation(*held)
    if release is not None:
        # From here on it may be shown to the chain, whether or not this task is ever answered.
        node.state.ledger.given(task.order, release.name)
    message, signature = held
    told = EvaluateResult(
        score_micro=message.score_micro,
        signature=signature,
        epsilon_micro=0 if release is None else epsilon_micro(_score_budget(plan)[0]),
    )
    return folder.store_answer(task.name, payload, answer(task, told).encode())


def dropped_shards(node: Node, task: Task, asked: EvaluateTask) -> frozenset[int]:
    """The shards that the chain dropped. NotYet while a task that is sound otherwise leaves out more of them, and never
    this node's own, than are seen here."""
    dropped = node.chain.shards(task.order).out
    left_out = {k for k, each in enumerate(asked.shard_roots) if each == NO_SHARD}
    own = {
        k for k, each in enumerate(node.chain.participants(task.order)) if each.contributor == node.address
    }
    is_sound = task.name == evaluation_name(len(left_out) + len(asked.undelivered)) and not own & left_out
    if is_sound and (unseen := sorted(left_out - dropped)):
        raise NotYet(
            f"shards {unseen} of order {task.order} are left out, and not yet dropped on chain as read here"
        )
    return dropped


def check_undelivered(
    node: Node, order: Digest, asked: EvaluateTask, shard: int, dropped: frozenset[int]
) -> list[int]:
    """The shards that the task calls undelivered: each has its receipt on chain, with the root that is shown, and the
    chain asked its contributor for an evaluation too. That nobody brought its files only the market can know; who did
    bring them has half of its part by rows all the same, whatever the others sign.

    Raises TaskRefused for what contradicts the chain, NotYet for what is not seen there yet.
    """
    undelivered, shards = list(asked.undelivered), len(asked.shard_roots)
    if undelivered != sorted(set(undelivered)) or any(k >= shards for k in undelivered):
        raise TaskRefused(
            "bad-task", f"undelivered shards {undelivered}; expected ascending numbers below {shards}"
        )
    for k in undelivered:
        if k == shard or k in dropped:
            what = "this node's own" if k == shard else "dropped on chain"
            raise TaskRefused("not-undelivered", f"shard {k} is called undelivered, and it is {what}")
        receipt = node.chain.answered_receipt(order, k)
        if receipt is None or node.chain.excuse(order, k) is Absence.NONE:
            lacks = "receipt" if receipt is None else "ended demand for an evaluation"
            raise NotYet(
                f"shard {k} is called undelivered, and no {lacks} of it is on chain as read here yet"
            )
        if receipt.receipt.shard_root != asked.shard_roots[k]:
            raise TaskRefused(
                "not-undelivered",
                f"shard {k} is called undelivered with root {asked.shard_roots[k]}, the receipt on chain says "
                f"{receipt.receipt.shard_root}",
            )
    return undelivered


@dataclass(frozen=True, slots=True)
class Shown:
    """What evidence is about: the training, the order's contributors by shard, and rows by shard, of those that were
    delivered and of those that were not."""

    plan: TrainingPlan
    contributors: tuple[Address, ...]
    rows: Mapping[int, int]
    undelivered: Mapping[int, int]


def read_evidence(task: Task, shown: Shown, model: bytes) -> Evidence:
    """The task's arrays; TaskRefused when they have another shape than plan and model give."""
    codebook, rows = decode_model(model).codebook, shown.rows
    empty = np.empty((0, 0), dtype=np.int64)
    arrays = [task.arrays.get(name, empty) for name in (DELIVERED, EVIDENCE, REFERENCES)]
    delivered, streams, references = arrays
    evidence = Evidence(
        *(shown.plan, codebook, shown.contributors, tuple(rows), tuple(rows.values())),
        *(delivered, streams, references, shown.undelivered),
    )
    expected = (len(rows), evidence.tables().cells)
    shapes = [array.shape for array in arrays]
    if any(shape != expected for shape in shapes) or {array.dtype.str for array in arrays} != {"<i8"}:
        raise TaskRefused("bad-task", f"evidence of shapes {shapes}; expected {expected} of each")
    return evidence


def own_receipt(node: Node, order: Digest) -> Result:
    """What this node answered to "sample"."""
    stored = node.orders.folder(order).stored(SAMPLE)
    if stored is None:
        raise TaskRefused("not-sampled", "this node has not delivered its shard of the order")
    return Result.decode(stored)


def check_roots(asked: EvaluateTask, sampled: Result, shard: int, dropped: frozenset[int]) -> Digest:
    """The data set's root, recomputed from the shard roots, this node's own among them; those of dropped shards,
    which the chain names, are zero."""
    roots, own = asked.shard_roots, meta_of(SampleResult, sampled).receipt.shard_root
    try:
        root = dataset_root(roots)
    except ProvenanceError as error:
        raise TaskRefused("bad-task", f"shard roots cannot be used: {error}") from error
    empty = {k for k, each in enumerate(roots) if each == NO_SHARD}
    if shard >= len(roots) or roots[shard] != own or root != asked.dataset_root or empty != dropped:
        raise TaskRefused(
            "root-differs", "the data set's root does not contain the shard that this node signed"
        )
    return root


def check_own_rows(node: Node, order: Digest, evidence: Evidence, shard: int) -> None:
    """TaskRefused unless the evidence about this node is what it sent itself."""
    sent = own_receipt(node, order).arrays
    exponent = released_exponent(evidence.codebook, evidence.plan)
    released = own_reference(evidence.plan, node.training(order), exponent)
    if released is None:
        raise TaskRefused("not-trained", "this node has released no tables for the order")
    reference = reference_counts(released, evidence.codebook, evidence.plan)
    place = evidence.shards.index(shard)
    pairs = (
        (evidence.delivered[place], sent[DELIVERED]),
        (evidence.streams[place], sent[EVIDENCE]),
        (evidence.references[place], reference),
    )
    if not all(np.array_equal(shown, own) for shown, own in pairs):
        raise TaskRefused("counts-differ", "the counts shown for this node are not those that it sent")


def check_shares(asked: EvaluateTask, evidence: Evidence) -> Score:
    """Shares and score file as this node computes them; TaskRefused when the task says other shares."""
    try:
        score = evidence.score()
    except EvaluationError as error:
        raise TaskRefused("bad-evidence", str(error)) from error
    shares = evidence.shares_bps(score)
    if asked.shares_bps != shares:
        raise TaskRefused(
            "shares-differ", f"the task says shares {asked.shares_bps}, the evidence gives {shares}"
        )
    return score


def score_release(plan: TrainingPlan, *, earlier: int = 0) -> Release:
    """What the score will cost: all of the plan's budget, on the held-out rows; without epsilon one of its own.

    earlier: scores that were told before a reorganisation of the chain replaced the seed. Scoring other rows is
    another release and counts beside them, under a name of its own.
    """
    name = f"{SCORE}/{earlier + 1}" if earlier else SCORE
    return Release(name, GaussianEvent(noise_multiplier_for(*_score_budget(plan))), "holdout")


def _score_budget(plan: TrainingPlan) -> tuple[float, float]:
    """(epsilon, delta) of the score."""
    return (SCORE_EPSILON, SCORE_DELTA) if plan.epsilon is None else (plan.epsilon, plan.delta)


def released_score(node: Node, training: Digest) -> int:
    """The score that this node released with an order, in millionths. TaskRefused where it holds none."""
    held = node.orders.folder(training).evaluation()
    if held is None:
        raise TaskRefused(
            "training-lost", f"this node holds no score of order {training}: its models are not sold again"
        )
    return held[0].score_micro


def score_holdout(
    node: Node, plan: TrainingPlan, evidence: Evidence, release: Release, *, request: str
) -> int:
    """The noisy score in millionths; counted on the held-out rows, which no training release touches."""
    event, (_, delta) = release.event, _score_budget(plan)
    assert event is not None, "a score is never released exactly"
    with node.state.exclusive():
        node.state.ledger.record(release, order=plan.order, delta=delta, request=request)
        score = holdout_score(
            evidence.pooled(),
            encode_codes(node.state.holdout, evidence.codebook),
            evidence.tables(),
            declared_rows=plan.participant(node.address).holdout_rows,
            noise_multiplier=event.noise_multiplier,
        )
    return score.score_micro
