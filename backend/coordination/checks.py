"""Judging what the coordinator worker brings, before it costs gas: the contracts check the same things again.

A result that fails is a 422 with the member's name; the job stays with the worker.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.coordination.schemas import ModelResult, ScoreResult, ShardResult, TrainResult
from backend.errors import InvalidRequestError
from provenance.canonical import JsonValue
from provenance.crypto.merkle import dataset_root
from provenance.crypto.signing import require_signer
from provenance.crypto.typed_data import Domain, TypedMessage
from provenance.document import Reader
from provenance.errors import SignatureError
from provenance.record.receipts import (
    Evaluation,
    ModelCommitment,
    ScoreContent,
    ShardContent,
    ShardReceipt,
    shares_digest,
)
from provenance.record.terms import OrderTerms
from provenance.values import Address, Digest, Signature

WHOLE_BPS = 10_000


def check_train(domain: Domain, plan: dict[str, JsonValue], result: TrainResult) -> None:
    """Every participant of the plan committed one model, in shard order, by its own signature."""
    terms = OrderTerms.parse(plan["terms"])
    order = terms.order_id(domain)
    participants = _participants(plan)
    _require(
        len(result.models) == len(participants), "models", f"expected {len(participants)}, one a participant"
    )
    for shard, (model, (contributor, _)) in enumerate(zip(result.models, participants, strict=True)):
        where = f"models[{shard}]"
        _require(model.shard == shard, f"{where}.shard", f"found {model.shard}, expected {shard}")
        _require(model.contributor == str(contributor), f"{where}.contributor", f"expected {contributor}")
        _check_privacy(terms, model.epsilon_micro, model.delta_e12, where)
        message = ModelCommitment(order, shard, Digest.parse(model.model_digest))
        _check_signature(domain, message, model.commit_signature, contributor, f"{where}.commitSignature")


def check_score(domain: Domain, plan: dict[str, JsonValue], result: ScoreResult) -> None:
    """Shards, roots, receipts, shares and evaluations fit the plan, the seed and each other."""
    terms = OrderTerms.parse(plan["terms"])
    order = terms.order_id(domain)
    participants = _participants(plan)
    count = len(participants)
    seed = Reader(plan["seed"], "plan.seed", ("seed", "targetBlock", "draws", "blockHash")).digest("seed")
    models = [Digest.parse(text) for text in model_digests(plan)]
    _require(len(result.shards) == count, "shards", f"expected {count}, one a participant")
    _require(len(result.evaluations) == count, "evaluations", f"expected {count}, one a participant")
    for index, (shard, (contributor, rows)) in enumerate(zip(result.shards, participants, strict=True)):
        where = f"shards[{index}]"
        _require(shard.shard == index, f"{where}.shard", f"found {shard.shard}, expected {index}")
        _require(shard.contributor == str(contributor), f"{where}.contributor", f"expected {contributor}")
        _require(shard.rows == rows, f"{where}.rows", f"found {shard.rows}, expected {rows}")
        _require(
            shard.model_digest == str(models[index]), f"{where}.modelDigest", f"expected {models[index]}"
        )
        _check_privacy(terms, shard.epsilon_micro, shard.delta_e12, where)
        content = ShardContent.parse(shard.content, f"{where}.content")
        _require(
            (content.wrapped_key is None) == terms.is_open, f"{where}.content.wrappedKey", "null if open"
        )
        receipt = shard_receipt(order, seed, shard, content)
        _check_signature(domain, receipt, shard.receipt_signature, contributor, f"{where}.receiptSignature")
    root = dataset_root([Digest.parse(shard.shard_root) for shard in result.shards])
    _require(
        result.dataset_root == str(root), "datasetRoot", f"found {result.dataset_root}, the roots give {root}"
    )
    _check_shares(result.shares_bps, count)
    score = ScoreContent.parse(result.score, "score")
    _require(
        (score.wrapped_key is None) == terms.is_open, "score.wrappedKey", "expected null if and only if open"
    )
    shares = shares_digest(result.shares_bps)
    for index, (evaluation, (contributor, _)) in enumerate(
        zip(result.evaluations, participants, strict=True)
    ):
        where = f"evaluations[{index}]"
        _require(
            evaluation.contributor == str(contributor), f"{where}.contributor", f"expected {contributor}"
        )
        message = Evaluation(order, root, evaluation.score_micro, shares)
        _check_signature(domain, message, evaluation.signature, contributor, f"{where}.signature")


def shard_receipt(order: Digest, seed: Digest, shard: ShardResult, content: ShardContent) -> ShardReceipt:
    """The message behind a shard's receipt signature."""
    return ShardReceipt(
        order,
        shard.shard,
        Digest.parse(shard.model_digest),
        seed,
        shard.rows,
        Digest.parse(shard.shard_root),
        shard.epsilon_micro,
        shard.delta_e12,
        content.digest,
    )


def model_digests(plan: dict[str, JsonValue]) -> list[str]:
    """The committed models' digests of a score plan, in shard order."""
    models = plan["models"]
    assert isinstance(models, list)
    return [ModelResult.model_validate(model).model_digest for model in models]


def _participants(plan: dict[str, JsonValue]) -> list[tuple[Address, int]]:
    names = ("contributor", "rows", "maxRows", "declaredRows", "acceptance")
    entries = plan["participants"]
    assert isinstance(entries, list)
    readers = [Reader(entry, "plan.participants", names) for entry in entries]
    return [(reader.address("contributor"), reader.integer("rows")) for reader in readers]


def _check_privacy(terms: OrderTerms, epsilon_micro: int, delta_e12: int, where: str) -> None:
    if terms.epsilon_micro:
        ceiling = (
            f"found epsilon {epsilon_micro} and delta {delta_e12}, expected 1 to {terms.epsilon_micro} and "
        )
        holds = 0 < epsilon_micro <= terms.epsilon_micro and delta_e12 <= terms.delta_e12
        _require(holds, f"{where}.epsilonMicro", f"{ceiling}at most {terms.delta_e12}")


def _check_shares(shares: Sequence[int], count: int) -> None:
    _require(len(shares) == count, "sharesBps", f"found {len(shares)}, expected {count}, one a participant")
    _require(sum(shares) == WHOLE_BPS, "sharesBps", f"the sum is {sum(shares)}, expected {WHOLE_BPS}")


def _check_signature(domain: Domain, message: TypedMessage, text: str, expected: Address, where: str) -> None:
    try:
        require_signer(domain, message, Signature.parse(text), expected)
    except SignatureError as error:
        raise InvalidRequestError(f"{where}: {error}", ((where, str(error)),)) from error


def _require(holds: bool, where: str, expected: str) -> None:
    if not holds:
        raise InvalidRequestError(f"{where}: {expected}", ((where, expected),))
