"""The parts of a manifest as values: seed, participants, shards, evaluations, score file, generation.

Normative text: docs/spec/manifest.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from provenance.canonical import JsonValue
from provenance.document import Reader
from provenance.record.receipts import (
    Acceptance,
    ContentFile,
    Evaluation,
    ModelCommitment,
    ShardContent,
    ShardReceipt,
)
from provenance.values import Address, Digest, Signature

T = TypeVar("T")


def each(reader: Reader, name: str, parse: Callable[[object, str], T]) -> tuple[T, ...]:
    """Every item of an array member, parsed with its place for errors."""
    return tuple(parse(item, f"{reader.where(name)}[{i}]") for i, item in enumerate(reader.array(name)))


@dataclass(frozen=True, slots=True)
class SeedDraw:
    """How the chain drew the seed: keccak256(abi.encode(order, modelsDigest, block_hash of target_block))."""

    seed: Digest
    target_block: int
    draws: int
    block_hash: Digest

    def document(self) -> dict[str, JsonValue]:
        return {
            "seed": str(self.seed),
            "targetBlock": self.target_block,
            "draws": self.draws,
            "blockHash": str(self.block_hash),
        }

    @classmethod
    def parse(cls, document: object, where: str) -> SeedDraw:
        reader = Reader(document, where, ("seed", "targetBlock", "draws", "blockHash"))
        return cls(
            reader.digest("seed"),
            reader.integer("targetBlock"),
            reader.integer("draws"),
            reader.digest("blockHash"),
        )


@dataclass(frozen=True, slots=True)
class ManifestParticipant:
    """One contributor with the acceptance it signed (for at most `max_rows` rows)."""

    contributor: Address
    rows: int
    max_rows: int
    acceptance: Signature

    def message(self, order: Digest) -> Acceptance:
        """The message behind `acceptance`."""
        return Acceptance(order, self.contributor, self.max_rows)

    def document(self) -> dict[str, JsonValue]:
        return {
            "contributor": str(self.contributor),
            "rows": self.rows,
            "maxRows": self.max_rows,
            "acceptance": str(self.acceptance),
        }

    @classmethod
    def parse(cls, document: object, where: str) -> ManifestParticipant:
        reader = Reader(document, where, ("contributor", "rows", "maxRows", "acceptance"))
        return cls(
            reader.address("contributor"),
            reader.integer("rows", 1),
            reader.integer("maxRows", 1),
            reader.signature("acceptance"),
        )


@dataclass(frozen=True, slots=True)
class ManifestShard:
    """One contributor's rows: model, root, files, and the two signatures that vouch for them."""

    shard: int
    contributor: Address
    rows: int
    model_digest: Digest
    commit_signature: Signature
    shard_root: Digest
    epsilon_micro: int
    delta_e12: int
    content: ShardContent
    receipt_signature: Signature

    def commitment(self, order: Digest) -> ModelCommitment:
        """The message behind `commit_signature`."""
        return ModelCommitment(order, self.shard, self.model_digest)

    def receipt(self, order: Digest, seed: Digest) -> ShardReceipt:
        """The message behind `receipt_signature`."""
        return ShardReceipt(
            order,
            self.shard,
            self.model_digest,
            seed,
            self.rows,
            self.shard_root,
            self.epsilon_micro,
            self.delta_e12,
            self.content.digest,
        )

    def document(self) -> dict[str, JsonValue]:
        return {
            "shard": self.shard,
            "contributor": str(self.contributor),
            "rows": self.rows,
            "modelDigest": str(self.model_digest),
            "commitSignature": str(self.commit_signature),
            "shardRoot": str(self.shard_root),
            "epsilonMicro": self.epsilon_micro,
            "deltaE12": self.delta_e12,
            "content": self.content.document(),
            "receiptSignature": str(self.receipt_signature),
        }

    @classmethod
    def parse(cls, document: object, where: str) -> ManifestShard:
        names = ("shard", "contributor", "rows", "modelDigest", "commitSignature", "shardRoot")
        reader = Reader(document, where, (*names, "epsilonMicro", "deltaE12", "content", "receiptSignature"))
        return cls(
            reader.integer("shard", 0, 2**32 - 2),
            reader.address("contributor"),
            reader.integer("rows", 1),
            reader.digest("modelDigest"),
            reader.signature("commitSignature"),
            reader.digest("shardRoot"),
            reader.integer("epsilonMicro"),
            reader.integer("deltaE12"),
            ShardContent.parse(reader.member("content"), reader.where("content")),
            reader.signature("receiptSignature"),
        )


@dataclass(frozen=True, slots=True)
class ManifestEvaluation:
    """A contributor's signed score of the pooled data and its consent to the shares."""

    contributor: Address
    score_micro: int
    shares_digest: Digest
    signature: Signature

    def message(self, order: Digest, dataset_root: Digest) -> Evaluation:
        """The message behind `signature`."""
        return Evaluation(order, dataset_root, self.score_micro, self.shares_digest)

    def document(self) -> dict[str, JsonValue]:
        return {
            "contributor": str(self.contributor),
            "scoreMicro": self.score_micro,
            "sharesDigest": str(self.shares_digest),
            "signature": str(self.signature),
        }

    @classmethod
    def parse(cls, document: object, where: str) -> ManifestEvaluation:
        reader = Reader(document, where, ("contributor", "scoreMicro", "sharesDigest", "signature"))
        return cls(
            reader.address("contributor"),
            reader.integer("scoreMicro", 0, 2**32 - 1),
            reader.digest("sharesDigest"),
            reader.signature("signature"),
        )


@dataclass(frozen=True, slots=True)
class ScoreContent:
    """The score file ("tessera-score/1"); sealed to the buyer under shard index 2^32-1 in a private order.

    `file.plain_sha256` is the `scoreDigest` of the record on chain.
    """

    file: ContentFile
    wrapped_key: bytes | None

    def document(self) -> dict[str, JsonValue]:
        wrapped = None if self.wrapped_key is None else "0x" + self.wrapped_key.hex()
        return {"file": self.file.document(), "wrappedKey": wrapped}

    @classmethod
    def parse(cls, document: object, where: str) -> ScoreContent:
        reader = Reader(document, where, ("file", "wrappedKey"))
        file = ContentFile.parse(reader.member("file"), reader.where("file"))
        return cls(file, reader.optional_hex("wrappedKey"))


class Parent(Protocol):
    """A recorded data set that another derives from."""

    @property
    def id(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def real_fraction_micro(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Generation:
    """How far from real tables: depth 0 = trained on real tables only. Depth and fraction follow from the parents'
    records and from the own part that the collection declares; that part is not proven.
    """

    depth: int
    parents: tuple[int, ...]
    real_fraction_micro: int

    @classmethod
    def derived(cls, own_real_micro: int, parents: Sequence[Parent]) -> Generation:
        """As DatasetRegistry computes it: one deeper than the deepest parent, no more real than the least real of the
        own part and the parents."""
        if not parents:
            return cls(0, (), own_real_micro)
        fraction = min(own_real_micro, *(parent.real_fraction_micro for parent in parents))
        depth = 1 + max(parent.depth for parent in parents)
        return cls(depth, tuple(parent.id for parent in parents), fraction)

    def document(self) -> dict[str, JsonValue]:
        return {
            "depth": self.depth,
            "parents": [str(parent) for parent in self.parents],
            "realFractionMicro": self.real_fraction_micro,
        }

    @classmethod
    def parse(cls, document: object, where: str) -> Generation:
        reader = Reader(document, where, ("depth", "parents", "realFractionMicro"))
        return cls(
            reader.integer("depth", 0, 65535),
            each(reader, "parents", _number),
            reader.integer("realFractionMicro", 0, 1_000_000),
        )


def _number(value: object, where: str) -> int:
    return Reader({"id": value}, where, ("id",)).decimal("id")
