"""Checks of the coordinator worker's results, made before they cost gas. The contracts check the same again.

A result that fails is answered with 422 and the member's name. The job stays with the worker.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.errors import ConflictError, InvalidRequestError
from provenance.api.coordination import JobPlan, ScoreResult, TrainResult
from provenance.crypto.merkle import dataset_root, leaves
from provenance.crypto.signing import require_signer
from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.errors import SignatureError
from provenance.record.receipts import Evaluation, shares_digest
from provenance.record.terms import OrderTerms
from provenance.units import E12, MICRO, WHOLE_BPS, format_fixed
from provenance.values import Address, Signature


def check_train(plan: JobPlan, result: TrainResult) -> None:
    """Every participant of the plan trained one model, in shard order, inside the terms' privacy."""
    terms, participants = plan.terms, plan.participants
    _require(
        len(result.models) == len(participants), "models", f"expected {len(participants)}, one a participant"
    )
    for shard, (model, member) in enumerate(zip(result.models, participants, strict=True)):
        where = f"models[{shard}]"
        _require(model.shard == shard, f"{where}.shard", f"found {model.shard}, expected {shard}")
        _check_contributor(model.contributor, member.contributor, where)
        _check_privacy(terms, model.epsilon_micro, model.delta_e12, where)


def check_score(domain: Domain, plan: JobPlan, result: ScoreResult) -> None:
    """Shards, roots, receipts, shares and evaluations fit the plan, the seed and each other."""
    terms, participants, models, draw = plan.terms, plan.participants, plan.models, plan.seed
    if models is None or draw is None:
        raise ConflictError("this job has no models and no seed: it is not of phase score")
    order, count = terms.order_id(domain), len(participants)
    standing = [shard for shard in range(count) if shard not in plan.out]
    _require(len(result.shards) == len(standing), "shards", f"expected {len(standing)}, one a contributor")
    for index, (shard, number) in enumerate(zip(result.shards, standing, strict=True)):
        where, member, model = f"shards[{index}]", participants[number], models[number]
        _require(shard.shard == number, f"{where}.shard", f"found {shard.shard}, expected {number}")
        _check_contributor(shard.contributor, member.contributor, where)
        _require(shard.rows == member.rows, f"{where}.rows", f"found {shard.rows}, expected {member.rows}")
        committed = model.model_digest
        _require(shard.model_digest == committed, f"{where}.modelDigest", f"expected {committed}")
        _check_privacy(terms, shard.epsilon_micro, shard.delta_e12, where)
        fault = None if shard.content is None else shard.content.sealing_fault(is_open=terms.is_open)
        if fault is not None:
            name, expected = fault
            _require(False, f"{where}.content.{name}", expected)
        receipt = shard.receipt(order, draw.seed)
        _check_signature(
            domain, receipt, shard.receipt_signature, member.contributor, f"{where}.receiptSignature"
        )
        by_receipt = next((each for each in plan.undelivered if each.shard == number), None)
        if shard.content is None or by_receipt is not None:
            _require(
                shard == by_receipt,
                where,
                "expected files, or the very receipt without files that the plan has",
            )
    root = dataset_root(leaves({shard.shard: shard.shard_root for shard in result.shards}, count))
    _require(
        result.dataset_root == root, "datasetRoot", f"found {result.dataset_root}, the roots give {root}"
    )
    _check_shares(result.shares_bps, count)
    is_plain = result.score.wrapped_key is None
    _require(is_plain == terms.is_open, "score.wrappedKey", "expected null if and only if open")
    is_committed = result.score.key_commitment is not None
    _require(is_committed != is_plain, "score.keyCommitment", "expected for a wrapped key")
    shares, score = shares_digest(result.shares_bps), result.score.file.plain_sha256
    asked = [participants[shard] for shard in standing if shard not in plan.excused]
    _require(len(result.evaluations) == len(asked), "evaluations", f"expected {len(asked)}")
    for index, (evaluation, member) in enumerate(zip(result.evaluations, asked, strict=True)):
        where = f"evaluations[{index}]"
        _check_contributor(evaluation.contributor, member.contributor, where)
        message = Evaluation(order, root, evaluation.score_micro, shares, score)
        _check_signature(domain, message, evaluation.signature, member.contributor, f"{where}.signature")


def _check_contributor(found: Address, expected: Address, where: str) -> None:
    _require(found == expected, f"{where}.contributor", f"expected {expected}")


def _check_privacy(terms: OrderTerms, epsilon_micro: int, delta_e12: int, where: str) -> None:
    if terms.epsilon_micro:
        holds = 0 < epsilon_micro <= terms.epsilon_micro and delta_e12 <= terms.delta_e12
        found = f"epsilon {format_fixed(epsilon_micro, MICRO)} and delta {format_fixed(delta_e12, E12)}"
        most = f"epsilon {format_fixed(terms.epsilon_micro, MICRO)} and delta {format_fixed(terms.delta_e12, E12)}"
        _require(holds, f"{where}.epsilonMicro", f"found {found}, expected more than 0 and at most {most}")


def _check_shares(shares: Sequence[int], count: int) -> None:
    _require(len(shares) == count, "sharesBps", f"found {len(shares)}, expected {count}, one a participant")
    _require(sum(shares) == WHOLE_BPS, "sharesBps", f"the sum is {sum(shares)}, expected {WHOLE_BPS}")


def _check_signature(
    domain: Domain, message: TypedMessage, signature: Signature, expected: Address, where: str
) -> None:
    try:
        require_signer(domain, message, signature, expected)
    except SignatureError as error:
        raise InvalidRequestError(f"{where}: {error}", ((where, str(error)),)) from error


def _require(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise InvalidRequestError(f"{where}: {expected}", ((where, expected),))
