"""The digest under which DatasetRegistry stores a record, recomputed from the record's events."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.chain.ports import DatasetOnChain
from provenance.record.receipts import ShardReceipt
from provenance.values import Digest, keccak256


def record_digest(record: DatasetOnChain) -> Digest:
    """keccak256(abi.encode(order, seed, datasetRoot, manifestDigest, scoreDigest, specVersion,
    realFractionMicro, parents, sharesBps, shards)) as documented in IDatasetRegistry.datasetOf.
    """
    shards = [
        keccak256(
            bytes(12)
            + shard.contributor
            + ShardReceipt(
                record.order,
                shard.shard,
                shard.model_digest,
                record.seed,
                shard.rows,
                shard.shard_root,
                shard.epsilon_micro,
                shard.delta_e12,
                shard.content_digest,
            ).struct_hash()
        )
        for shard in record.shards
    ]
    fixed = [
        bytes(record.order),
        bytes(record.seed),
        bytes(record.dataset_root),
        bytes(record.manifest_digest),
        bytes(record.score_digest),
        _word(record.spec_version),
        _word(record.real_fraction_micro),
    ]
    arrays = [
        _array([_word(parent) for parent in record.parents]),
        _array([_word(share) for share in record.shares_bps]),
        _array(shards),
    ]
    position = 32 * (len(fixed) + len(arrays))
    offsets = []
    for array in arrays:
        offsets.append(_word(position))
        position += len(array)
    return keccak256(b"".join(fixed + offsets + arrays))


def _array(words: Sequence[bytes]) -> bytes:
    return _word(len(words)) + b"".join(words)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
