"""The manifest: everything public about one data set in one canonical JSON file, its SHA-256 on chain.

`Manifest.parse` takes bytes and gives a value that encodes to exactly these bytes, or raises. It checks form
only; whether the content is true is decided by provenance.verify. Normative text: docs/spec/manifest.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provenance.canonical import JsonValue, decode, encode
from provenance.crypto.typed_data import Domain
from provenance.document import Reader
from provenance.errors import ContentMissingError, DocumentError
from provenance.record.collection import Collection, Generation, Request
from provenance.record.receipts import (
    Acceptance,
    Evaluation,
    FirstEvaluation,
    FirstModelCommitment,
    ModelCommitment,
    ScoreContent,
    ShardContent,
    ShardReceipt,
    salt_digest,
)
from provenance.record.terms import OrderTerms, Participant
from provenance.table.conditions import Conditions, RowConditions
from provenance.units import WHOLE_BPS
from provenance.values import Address, Digest, Signature, keccak256, sha256

FORMAT: Final = "tessera-manifest/1"
CONTRACT_ROLES: Final = (
    *("token", "registry", "escrow", "commitment", "datasets", "rewards"),
    *("verifier", "challenges", "demands", "sales", "royalties"),
)
"""Contracts that hold, judge or divide something of the order; where model bytes are stored matters to nobody."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The public record of one data set. Shard k belongs to participant k; a participant that was dropped before the
    publication has none."""

    spec_version: int
    chain_id: int
    contracts: Mapping[str, Address]
    order: Digest
    terms: OrderTerms
    terms_signature: Signature
    collection: Collection
    request: Request
    participants: tuple[ManifestParticipant, ...]
    seed: SeedDraw
    shards: tuple[ManifestShard, ...]
    dataset_root: Digest
    evaluation: tuple[ManifestEvaluation, ...]
    score: ScoreContent
    shares_bps: tuple[int, ...]
    privacy: Mapping[str, JsonValue]
    broker_saw: tuple[str, ...]
    generation: Generation

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain that the manifest claims; compare with the deployment before trusting it."""
        return Domain(self.chain_id, self.contracts["escrow"])

    def shard(self, number: int) -> ManifestShard:
        """Raises DocumentError for one that was not published."""
        for each in self.shards:
            if each.shard == number:
                return each
        raise DocumentError(f"manifest: found no shard {number}")

    def conditions(self) -> Conditions | None:
        """What the request asks of the rows; None for whole tables."""
        return self.request.asked(self.collection.schema, self.terms.rows)

    def row_conditions(self, shard: int) -> RowConditions | None:
        """The conditions as one shard has them: from the order's row that it begins at."""
        asked = self.conditions()
        if asked is None:
            return None
        return RowConditions(asked, sum(each.rows for each in self.participants[:shard]))

    def participant_list(self) -> tuple[Participant, ...]:
        """Participants as the escrow contract hashes them."""
        return tuple(Participant(member.contributor, member.rows) for member in self.participants)

    def document(self) -> dict[str, JsonValue]:
        return {
            "format": FORMAT,
            "specVersion": self.spec_version,
            "chainId": self.chain_id,
            "contracts": {role: str(self.contracts[role]) for role in CONTRACT_ROLES},
            "order": str(self.order),
            "terms": dict(self.terms.document()),
            "termsSignature": str(self.terms_signature),
            "collection": self.collection.document(),
            "request": self.request.document(),
            "participants": [part.document() for part in self.participants],
            "seed": self.seed.document(),
            "shards": [part.document() for part in self.shards],
            "datasetRoot": str(self.dataset_root),
            "evaluation": [part.document() for part in self.evaluation],
            "score": self.score.document(),
            "sharesBps": list(self.shares_bps),
            "privacy": dict(self.privacy),
            "brokerSaw": list(self.broker_saw),
            "generation": self.generation.document(),
        }

    def encode(self) -> bytes:
        """The canonical bytes that are published and hashed."""
        return encode(self.document())

    @property
    def digest(self) -> Digest:
        """SHA-256 of `encode()`: the `manifestDigest` on chain."""
        return sha256(self.encode())

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Reads manifest bytes. Raises MalformedError (DocumentError, CanonicalError, SchemaError ...)."""
        manifest = cls._from_document(decode(data))
        if manifest.encode() != data:
            raise DocumentError(
                "manifest: a value is not in its canonical form (address without checksum, 'inferred' order)"
            )
        return manifest

    @classmethod
    def _from_document(cls, document: object) -> Manifest:
        names = ("format", "specVersion", "chainId", "contracts", "order", "terms", "termsSignature")
        more = ("collection", "request", "participants", "seed", "shards", "datasetRoot", "evaluation")
        last = ("score", "sharesBps", "privacy", "brokerSaw", "generation")
        reader = Reader(document, "manifest", (*names, *more, *last))
        reader.constant("format", FORMAT)
        contracts = Reader(reader.member("contracts"), "manifest.contracts", CONTRACT_ROLES)
        terms = OrderTerms.read(reader.member("terms"))
        collection = Collection.parse(reader.member("collection"), "manifest.collection")
        request = Request.parse(reader.member("request"), "manifest.request")
        request.asked(collection.schema, terms.rows)
        return cls(
            spec_version=reader.integer("specVersion", 0, 65535),
            chain_id=reader.integer("chainId", 1),
            contracts={role: contracts.address(role) for role in CONTRACT_ROLES},
            order=reader.digest("order"),
            terms=terms,
            terms_signature=reader.signature("termsSignature"),
            collection=collection,
            request=request,
            participants=reader.items("participants", ManifestParticipant.parse),
            seed=SeedDraw.parse(reader.member("seed"), "manifest.seed"),
            shards=reader.items("shards", ManifestShard.parse),
            dataset_root=reader.digest("datasetRoot"),
            evaluation=reader.items("evaluation", ManifestEvaluation.parse),
            score=ScoreContent.parse(reader.member("score"), "manifest.score"),
            shares_bps=reader.items("sharesBps", _share),
            privacy=reader.mapping("privacy"),
            broker_saw=reader.items("brokerSaw", _line),
            generation=Generation.parse(reader.member("generation"), "manifest.generation"),
        )


@dataclass(frozen=True, slots=True)
class SeedDraw:
    """How the chain drew the seed: keccak256(abi.encode(order, modelsDigest, block_hash of target_block, keccak256 of
    the salts one after another)). salts: one a participant, zero for one that was dropped; none in a data set of the
    time when seeds had none, where the last word is missing.
    """

    seed: Digest
    target_block: int
    draws: int
    block_hash: Digest
    salts: tuple[Digest, ...] = ()

    def computed(self, order: Digest, models_digest: Digest) -> Digest:
        """The seed that block and salts give."""
        words = order + models_digest + self.block_hash
        return keccak256(words + keccak256(b"".join(self.salts))) if self.salts else keccak256(words)

    def document(self) -> dict[str, JsonValue]:
        document: dict[str, JsonValue] = {
            "seed": str(self.seed),
            "targetBlock": self.target_block,
            "draws": self.draws,
            "blockHash": str(self.block_hash),
        }
        return {**document, "salts": [str(salt) for salt in self.salts]} if self.salts else document

    @classmethod
    def parse(cls, document: object, where: str) -> SeedDraw:
        salted = isinstance(document, Mapping) and "salts" in document
        names = ("seed", "targetBlock", "draws", "blockHash")
        reader = Reader(document, where, (*names, "salts") if salted else names)
        return cls(
            reader.digest("seed"),
            reader.integer("targetBlock"),
            reader.integer("draws"),
            reader.digest("blockHash"),
            reader.items("salts", _digest) if salted else (),
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
    """One contributor's rows: model, root, files, and the two signatures that vouch for them. signed_content: the
    document that names the files; its digest alone for a shard that was published by its receipt, never delivered."""

    shard: int
    contributor: Address
    rows: int
    model_digest: Digest
    commit_signature: Signature
    shard_root: Digest
    epsilon_micro: int
    delta_e12: int
    signed_content: ShardContent | Digest
    receipt_signature: Signature

    @property
    def is_delivered(self) -> bool:
        """Whether the manifest names its files."""
        return isinstance(self.signed_content, ShardContent)

    @property
    def content(self) -> ShardContent:
        """The content document. Raises ContentMissingError for a shard that was never delivered."""
        if isinstance(self.signed_content, ShardContent):
            return self.signed_content
        raise ContentMissingError(
            f"shard {self.shard} was published by its receipt alone: the manifest names no files of it"
        )

    @property
    def content_digest(self) -> Digest:
        """The receipt's."""
        found = self.signed_content
        return found.digest if isinstance(found, ShardContent) else found

    def commitment(self, order: Digest, salts: Sequence[Digest]) -> ModelCommitment | FirstModelCommitment:
        """The message behind `commit_signature`. salts: those of the seed, by shard; none where it has none."""
        if not salts:
            return FirstModelCommitment(order, self.shard, self.model_digest)
        salt = salt_digest(order, self.shard, salts[self.shard])
        return ModelCommitment(order, self.shard, self.model_digest, salt)

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
            self.content_digest,
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
            **self._content_document(),
            "receiptSignature": str(self.receipt_signature),
        }

    def _content_document(self) -> dict[str, JsonValue]:
        found = self.signed_content
        return (
            {"content": found.document()}
            if isinstance(found, ShardContent)
            else {"contentDigest": str(found)}
        )

    @classmethod
    def parse(cls, document: object, where: str) -> ManifestShard:
        names = ("shard", "contributor", "rows", "modelDigest", "commitSignature", "shardRoot")
        named = (
            "contentDigest" if isinstance(document, Mapping) and "contentDigest" in document else "content"
        )
        reader = Reader(document, where, (*names, "epsilonMicro", "deltaE12", named, "receiptSignature"))
        return cls(
            reader.integer("shard", 0, 2**32 - 2),
            reader.address("contributor"),
            reader.integer("rows", 1),
            reader.digest("modelDigest"),
            reader.signature("commitSignature"),
            reader.digest("shardRoot"),
            reader.integer("epsilonMicro"),
            reader.integer("deltaE12"),
            reader.digest(named)
            if named == "contentDigest"
            else ShardContent.parse(reader.member(named), reader.where(named)),
            reader.signature("receiptSignature"),
        )


@dataclass(frozen=True, slots=True)
class ManifestEvaluation:
    """A contributor's signed score of the pooled data and its consent to the shares."""

    contributor: Address
    score_micro: int
    shares_digest: Digest
    signature: Signature

    def message(
        self, order: Digest, dataset_root: Digest, score: Digest | None
    ) -> Evaluation | FirstEvaluation:
        """The message behind `signature`. score: SHA-256 of the plain score file; None where it was not signed."""
        if score is None:
            return FirstEvaluation(order, dataset_root, self.score_micro, self.shares_digest)
        return Evaluation(order, dataset_root, self.score_micro, self.shares_digest, score)

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


def _share(value: object, where: str) -> int:
    return Reader({"bps": value}, where, ("bps",)).integer("bps", 0, WHOLE_BPS)


def _digest(value: object, where: str) -> Digest:
    return Reader({"digest": value}, where, ("digest",)).digest("digest")


def _line(value: object, where: str) -> str:
    return Reader({"text": value}, where, ("text",)).text("text")
