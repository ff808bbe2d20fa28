"""Answers to demands, sealed to a watchtower: who holds the files reads nothing, who holds the tower's key
can send them.

A file: magic "TSW1" | content key, HPKE-wrapped to the tower's X25519 key (80) | SHA-256 of the plain bytes
(32) | the plain bytes sealed under the content key. The plain bytes are the canonical document
`tessera-watch-copy/1`. Normative text: docs/spec/watchtower.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from provenance.canonical import JsonValue, decode, encode
from provenance.chain.answers import Answer, ModelAnswer, RowsAnswer, SaltAnswer, SignedAnswer
from provenance.chain.disputes import DemandKind
from provenance.crypto.seal import (
    WRAPPED_KEY_BYTES,
    DeliveryKey,
    new_content_key,
    open_file,
    seal_file,
    wrap_key,
)
from provenance.document import Reader
from provenance.errors import DocumentError, SealError
from provenance.record.receipts import Evaluation, ModelCommitment, ShardReceipt
from provenance.values import Digest, sha256

MAGIC: Final = b"TSW1"
FORMAT: Final = "tessera-watch-copy/1"
_HEAD: Final = len(MAGIC) + WRAPPED_KEY_BYTES


def seal_answer(answer: Answer, order: Digest, shard: int, tower: Digest) -> bytes:
    """The answer for a demand about a shard, readable with the tower's key only. Raises SealError for a key that
    nothing can be sealed to."""
    key, plain = new_content_key(), encode(_document(answer))
    wrapped = wrap_key(key, tower, order, shard)
    return MAGIC + wrapped + sha256(plain) + seal_file(key, plain, _label(order, shard, answer.kind))


def open_answer(data: bytes, order: Digest, shard: int, kind: DemandKind, key: DeliveryKey) -> Answer:
    """What was sealed for a demand of that kind. Raises SealError for a file of another tower, shard or kind, or a
    changed one; DocumentError for one that holds something else."""
    if data[: len(MAGIC)] != MAGIC or len(data) < _HEAD + 32:
        raise SealError("these bytes are no sealed answer of version 1")
    content_key = key.unwrap(data[len(MAGIC) : _HEAD], order, shard)
    digest = Digest(data[_HEAD : _HEAD + 32])
    plain = open_file(content_key, data[_HEAD + 32 :], _label(order, shard, kind), digest)
    return _READERS[kind](decode(plain), order, shard)


def _label(order: Digest, shard: int, kind: DemandKind) -> bytes:
    return b"tessera/watch-copy/1" + order + shard.to_bytes(4, "big") + kind.name.encode("ascii")


def _document(answer: Answer) -> dict[str, JsonValue]:
    document: dict[str, JsonValue] = {"format": FORMAT, "kind": answer.kind.name.lower()}
    match answer:
        case SignedAnswer(ModelCommitment() as message, signature):
            document |= {"modelDigest": str(message.model_digest), "saltDigest": str(message.salt_digest)}
            document |= {"signature": "0x" + signature.hex()}
        case SaltAnswer(salt):
            document |= {"salt": str(salt)}
        case SignedAnswer(ShardReceipt() as receipt, signature):
            document |= {"receipt": dict(receipt.document()), "signature": "0x" + signature.hex()}
        case SignedAnswer(Evaluation() as evaluation, signature):
            document |= {"evaluation": dict(evaluation.document()), "signature": "0x" + signature.hex()}
        case ModelAnswer(model):
            document |= {"model": "0x" + model.hex()}
        case RowsAnswer(rows, row_width):
            document |= {"rows": "0x" + rows.hex(), "rowWidth": row_width}
    return document


def _reader(document: object, kind: DemandKind, *members: str) -> Reader:
    reader = Reader(document, "watch copy", ("format", "kind", *members))
    reader.constant("format", FORMAT)
    reader.constant("kind", kind.name.lower())
    return reader


def _commitment(document: object, order: Digest, shard: int) -> SignedAnswer:
    reader = _reader(document, DemandKind.COMMITMENT, "modelDigest", "saltDigest", "signature")
    message = ModelCommitment(order, shard, reader.digest("modelDigest"), reader.digest("saltDigest"))
    return SignedAnswer(message, reader.signature("signature"))


def _salt(document: object, _order: Digest, _shard: int) -> SaltAnswer:
    return SaltAnswer(_reader(document, DemandKind.SALT, "salt").digest("salt"))


def _receipt(document: object, order: Digest, shard: int) -> SignedAnswer:
    reader = _reader(document, DemandKind.RECEIPT, "receipt", "signature")
    receipt = ShardReceipt.parse(reader.member("receipt"))
    if (receipt.order, receipt.shard) != (order, shard):
        raise DocumentError(f"watch copy: a receipt of shard {receipt.shard} of order {receipt.order}")
    return SignedAnswer(receipt, reader.signature("signature"))


def _evaluation(document: object, order: Digest, _shard: int) -> SignedAnswer:
    reader = _reader(document, DemandKind.EVALUATION, "evaluation", "signature")
    evaluation = Evaluation.parse(reader.member("evaluation"))
    if evaluation.order != order:
        raise DocumentError(f"watch copy: an evaluation of order {evaluation.order}")
    return SignedAnswer(evaluation, reader.signature("signature"))


def _model(document: object, _order: Digest, _shard: int) -> ModelAnswer:
    return ModelAnswer(_reader(document, DemandKind.MODEL, "model").hex("model"))


def _rows(document: object, _order: Digest, _shard: int) -> RowsAnswer:
    reader = _reader(document, DemandKind.CHUNK, "rows", "rowWidth")
    return RowsAnswer(reader.hex("rows"), reader.integer("rowWidth", 1))


_READERS: Final[Mapping[DemandKind, Callable[[object, Digest, int], Answer]]] = {
    DemandKind.COMMITMENT: _commitment,
    DemandKind.SALT: _salt,
    DemandKind.RECEIPT: _receipt,
    DemandKind.EVALUATION: _evaluation,
    DemandKind.MODEL: _model,
    DemandKind.CHUNK: _rows,
}
