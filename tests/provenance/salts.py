"""Salts of the seed as tests know them, and what a contributor commits to with one."""

from __future__ import annotations

from provenance.chain.ports import CommittedModel
from provenance.crypto.signing import Signer
from provenance.crypto.typed_data import Domain
from provenance.record.receipts import ModelCommitment, salt_digest
from provenance.values import Digest, sha256


def salt_of(shard: int) -> Digest:
    return sha256(b"salt %d" % shard)


def salts_of(order: Digest, shards: int) -> tuple[list[Digest], list[Digest]]:
    """Digests as committed, and the salts themselves: what a draw takes."""
    salts = list(map(salt_of, range(shards)))
    return [salt_digest(order, k, salt) for k, salt in enumerate(salts)], salts


def commitment_of(order: Digest, shard: int, model: Digest) -> ModelCommitment:
    return ModelCommitment(order, shard, model, salt_digest(order, shard, salt_of(shard)))


def committed(signer: Signer, domain: Domain, order: Digest, shard: int, model: Digest) -> CommittedModel:
    """As `signer` commits to the model and to `salt_of(shard)`."""
    message = commitment_of(order, shard, model)
    return CommittedModel(model, message.salt_digest, signer.sign_typed(domain, message))
