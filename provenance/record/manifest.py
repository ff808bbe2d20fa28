"""The manifest: everything public about one data set in one canonical JSON file, its SHA-256 on chain.

`Manifest.parse` takes bytes and gives a value that encodes to exactly these bytes, or raises. It checks form
only; whether the content is true is decided by provenance.verify. Normative text: docs/spec/manifest.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from provenance.canonical import JsonValue, decode, encode
from provenance.crypto.typed_data import Domain
from provenance.document import Reader
from provenance.errors import DocumentError
from provenance.record.collection import Collection, Request
from provenance.record.manifest_parts import (
    Generation,
    ManifestEvaluation,
    ManifestParticipant,
    ManifestShard,
    ScoreContent,
    SeedDraw,
    each,
)
from provenance.record.terms import OrderTerms, Participant
from provenance.table.conditions import Conditions, RowConditions
from provenance.values import Address, Digest, Signature, sha256

__all__ = [
    "Generation",
    "Manifest",
    "ManifestEvaluation",
    "ManifestParticipant",
    "ManifestShard",
    "ScoreContent",
    "SeedDraw",
]

FORMAT: Final = "tessera-manifest/1"
CONTRACT_ROLES: Final = (
    *("token", "registry", "escrow", "commitment", "datasets", "rewards"),
    *("verifier", "challenges", "demands", "sales", "royalties"),
)
"""Contracts that hold, judge or divide something of the order; where model bytes are stored matters to nobody."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The public record of one data set. Shard k belongs to participant k."""

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

    def conditions(self) -> Conditions | None:
        """What the request asks of the rows; None for whole tables."""
        return self.request.asked(self.collection.schema, self.terms.rows)

    def row_conditions(self, shard: int) -> RowConditions | None:
        """The conditions as one shard has them: from the order's row that it begins at."""
        asked = self.conditions()
        if asked is None:
            return None
        return RowConditions(asked, sum(each.rows for each in self.shards if each.shard < shard))

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
        terms = OrderTerms.parse(reader.member("terms"))
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
            participants=each(reader, "participants", ManifestParticipant.parse),
            seed=SeedDraw.parse(reader.member("seed"), "manifest.seed"),
            shards=each(reader, "shards", ManifestShard.parse),
            dataset_root=reader.digest("datasetRoot"),
            evaluation=each(reader, "evaluation", ManifestEvaluation.parse),
            score=ScoreContent.parse(reader.member("score"), "manifest.score"),
            shares_bps=each(reader, "sharesBps", _share),
            privacy=reader.mapping("privacy"),
            broker_saw=each(reader, "brokerSaw", _line),
            generation=Generation.parse(reader.member("generation"), "manifest.generation"),
        )


def _share(value: object, where: str) -> int:
    return Reader({"bps": value}, where, ("bps",)).integer("bps", 0, 10_000)


def _line(value: object, where: str) -> str:
    return Reader({"text": value}, where, ("text",)).text("text")
