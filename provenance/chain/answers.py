"""Answers to demands as values. Whoever holds one can send it: the contributor, or somebody that keeps a copy for it.

Each knows the kind of demand that it fits, what of it becomes public, and the transaction that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from provenance.chain.disputes import DemandKind, DemandOnChain, DirectedProof
from provenance.chain.model_parts import CALLDATA_BYTES, PartReading, PartWriting, store_model
from provenance.chain.ports import TxReceipt
from provenance.crypto.merkle import chunk_of_row, directed_proof, rows_per_chunk, shard_leaves
from provenance.record.receipts import Evaluation, ModelCommitment, ShardReceipt
from provenance.values import Address, Digest


class AnswerWriting(PartWriting, Protocol):
    """Answers, each a transaction; anybody's account may send them."""

    def answer_commitment(self, commitment: ModelCommitment, signature: bytes) -> TxReceipt: ...
    def answer_salt(self, order: Digest, shard: int, salt: Digest) -> TxReceipt: ...
    def answer_receipt(self, receipt: ShardReceipt, signature: bytes) -> TxReceipt: ...
    def answer_evaluation(self, shard: int, evaluation: Evaluation, signature: bytes) -> TxReceipt: ...
    def answer_model(self, order: Digest, shard: int, model: bytes) -> TxReceipt: ...
    def answer_model_from_parts(self, order: Digest, shard: int, parts: Sequence[Address]) -> TxReceipt: ...
    def answer_chunk(
        self, order: Digest, shard: int, row_width: int, chunk_index: int, chunk: bytes, proof: DirectedProof
    ) -> TxReceipt: ...


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """What the contributor signed: a commitment to model and salt, the receipt of its shard, or an evaluation, of the
    pooled data set or of nothing."""

    message: ModelCommitment | ShardReceipt | Evaluation
    signature: bytes

    @property
    def kind(self) -> DemandKind:
        """The demand that it answers."""
        match self.message:
            case ModelCommitment():
                return DemandKind.COMMITMENT
            case ShardReceipt():
                return DemandKind.RECEIPT
            case Evaluation():
                return DemandKind.EVALUATION

    def shown(self, _demand: DemandOnChain) -> bytes:
        """What becomes public by the answer."""
        return self.signature

    def send(self, demand: DemandOnChain, _chain: PartReading, writer: AnswerWriting) -> TxReceipt:
        match self.message:
            case ModelCommitment():
                return writer.answer_commitment(self.message, self.signature)
            case ShardReceipt():
                return writer.answer_receipt(self.message, self.signature)
            case Evaluation():
                return writer.answer_evaluation(demand.shard, self.message, self.signature)


@dataclass(frozen=True, slots=True)
class SaltAnswer:
    """A salt of the seed. Not to be held by anybody else before the hash of the seed's block is kept on chain."""

    kind: ClassVar[DemandKind] = DemandKind.SALT

    salt: Digest

    def shown(self, _demand: DemandOnChain) -> bytes:
        return self.salt

    def send(self, demand: DemandOnChain, _chain: PartReading, writer: AnswerWriting) -> TxReceipt:
        return writer.answer_salt(demand.order, demand.shard, self.salt)


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The model of a shard in clear; one too large for a transaction is stored in parts first."""

    kind: ClassVar[DemandKind] = DemandKind.MODEL

    model: bytes

    def shown(self, _demand: DemandOnChain) -> bytes:
        return self.model

    def send(self, demand: DemandOnChain, chain: PartReading, writer: AnswerWriting) -> TxReceipt:
        if len(self.model) <= CALLDATA_BYTES:
            return writer.answer_model(demand.order, demand.shard, self.model)
        parts = [part.address for part in store_model(chain, writer, self.model)]
        return writer.answer_model_from_parts(demand.order, demand.shard, parts)


@dataclass(frozen=True, slots=True)
class RowsAnswer:
    """The rows of a shard in clear, of which a demand names one: its chunk is shown."""

    kind: ClassVar[DemandKind] = DemandKind.CHUNK

    rows: bytes
    row_width: int

    def shown(self, demand: DemandOnChain) -> bytes:
        index, size = self._place(demand)
        return self.rows[index * size : (index + 1) * size]

    def send(self, demand: DemandOnChain, _chain: PartReading, writer: AnswerWriting) -> TxReceipt:
        index, _ = self._place(demand)
        proof = directed_proof(shard_leaves(self.rows, self.row_width), index)
        chunk = self.shown(demand)
        return writer.answer_chunk(demand.order, demand.shard, self.row_width, index, chunk, proof)

    def _place(self, demand: DemandOnChain) -> tuple[int, int]:
        """Index of the chunk that holds the row, and the bytes of a whole chunk."""
        return chunk_of_row(demand.row, self.row_width), rows_per_chunk(self.row_width) * self.row_width


Answer: TypeAlias = SignedAnswer | SaltAnswer | ModelAnswer | RowsAnswer
