"""Events of challenges and demands as typed values, as in provenance.chain.events. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.chain.events import ChainEvent
from provenance.values import Address, Digest, Signature


@dataclass(frozen=True, slots=True)
class FalseRow(ChainEvent):
    """A row was shown to be false. `verdict` as in disputes.Verdict."""

    dataset: int
    shard: int
    chunk: int
    row: int
    challenger: Address
    verdict: int


@dataclass(frozen=True, slots=True)
class FalseModel(ChainEvent):
    """The bytes committed to are no model, or none that the terms allow. `verdict` as in disputes.Verdict."""

    dataset: int
    shard: int
    challenger: Address
    verdict: int


@dataclass(frozen=True, slots=True)
class DemandOpened(ChainEvent):
    """`kind` as in disputes.DemandKind; dataset 0 for receipts, row 0 but for chunks."""

    order: Digest
    shard: int
    demander: Address
    kind: int
    dataset: int
    row: int
    answer_by: int
    deposit: int


@dataclass(frozen=True, slots=True)
class DemandedReceipt:
    """What a receipt says beyond what the chain knows."""

    shard_root: Digest
    epsilon_micro: int
    delta_e12: int
    content_digest: Digest


@dataclass(frozen=True, slots=True)
class ReceiptAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    receipt: DemandedReceipt
    signature: Signature


@dataclass(frozen=True, slots=True)
class DemandWarned(ChainEvent):
    """The first time to answer passed; the second ends at chain time `answer_by`."""

    order: Digest
    shard: int
    kind: int
    answer_by: int


@dataclass(frozen=True, slots=True)
class CommitmentAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    model_digest: Digest
    salt_digest: Digest
    signature: Signature


@dataclass(frozen=True, slots=True)
class SaltAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    salt: Digest


@dataclass(frozen=True, slots=True)
class DemandedEvaluation:
    """What an evaluation says beyond the order."""

    dataset_root: Digest
    score_micro: int
    shares_digest: Digest
    score_digest: Digest


@dataclass(frozen=True, slots=True)
class EvaluationAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    evaluation: DemandedEvaluation
    signature: Signature


@dataclass(frozen=True, slots=True)
class ManifestAnswered(ChainEvent):
    order: Digest
    answerer: Address
    manifest: bytes


@dataclass(frozen=True, slots=True)
class ModelAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    model: bytes


@dataclass(frozen=True, slots=True)
class ChunkAnswered(ChainEvent):
    order: Digest
    shard: int
    answerer: Address
    row_width: int
    chunk_index: int
    chunk: bytes
    path: tuple[Digest, ...]
    path_bits: int


@dataclass(frozen=True, slots=True)
class DemandExpired(ChainEvent):
    order: Digest
    shard: int
    kind: int
    punished: bool
