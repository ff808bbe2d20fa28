"""What contributors sign: acceptance, key of secure sums, model commitment, shard receipt, evaluation, payout.

All are EIP-712 messages under the domain of the terms. `ShardContent` is the JSON document behind a receipt's
`content_digest`, `ScoreContent` the same for the score file. Normative text: docs/spec/terms.md (messages) and
docs/spec/manifest.md (content documents).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from provenance.canonical import JsonValue, encode
from provenance.crypto.seal import sealed_size
from provenance.crypto.typed_data import TypedMessage
from provenance.document import Reader
from provenance.errors import DocumentError
from provenance.values import Address, Cid, Digest, keccak256, sha256


@dataclass(frozen=True, slots=True)
class Acceptance(TypedMessage):
    """A contributor agrees to deliver at most `max_rows` rows for the order."""

    NAME: ClassVar[str] = "Acceptance"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "address", "uint64")

    order: Digest
    contributor: Address
    max_rows: int


@dataclass(frozen=True, slots=True)
class ModelCommitment(TypedMessage):
    """A contributor binds itself to one model, and to a salt of the seed, before the seed exists."""

    NAME: ClassVar[str] = "ModelCommitment"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "uint32", "bytes32", "bytes32")

    order: Digest
    shard: int
    model_digest: Digest
    salt_digest: Digest


@dataclass(frozen=True, slots=True)
class FirstModelCommitment(TypedMessage):
    """A commitment of the time when seeds had no salts."""

    NAME: ClassVar[str] = "ModelCommitment"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "uint32", "bytes32")

    order: Digest
    shard: int
    model_digest: Digest


@dataclass(frozen=True, slots=True)
class AggregationKey(TypedMessage):
    """A contributor shows the X25519 key that its part of an order's secure sums is masked with."""

    NAME: ClassVar[str] = "AggregationKey"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "bytes32")

    order: Digest
    public_key: Digest


@dataclass(frozen=True, slots=True)
class ShardReceipt(TypedMessage):
    """A contributor vouches for its shard: these rows came out of this model and this seed."""

    NAME: ClassVar[str] = "ShardReceipt"
    TYPES: ClassVar[tuple[str, ...]] = (
        *("bytes32", "uint32", "bytes32", "bytes32", "uint64"),
        *("bytes32", "uint64", "uint64", "bytes32"),
    )

    order: Digest
    shard: int
    model_digest: Digest
    seed: Digest
    rows: int
    shard_root: Digest
    epsilon_micro: int
    delta_e12: int
    content_digest: Digest


@dataclass(frozen=True, slots=True)
class Evaluation(TypedMessage):
    """A contributor's differentially private score of the pooled data set on its own hold-out rows; it vouches for the
    division of the price and for the score file, both of which it computed itself."""

    NAME: ClassVar[str] = "Evaluation"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "bytes32", "uint32", "bytes32", "bytes32")

    order: Digest
    dataset_root: Digest
    score_micro: int
    shares_digest: Digest
    score_digest: Digest


@dataclass(frozen=True, slots=True)
class FirstEvaluation(TypedMessage):
    """An evaluation of the time when the score file was the broker's alone."""

    NAME: ClassVar[str] = "Evaluation"
    TYPES: ClassVar[tuple[str, ...]] = ("bytes32", "bytes32", "uint32", "bytes32")

    order: Digest
    dataset_root: Digest
    score_micro: int
    shares_digest: Digest


@dataclass(frozen=True, slots=True)
class Payout(TypedMessage):
    """Rewards of `account` go to `payout` from now on, signed by the address they are paid to until now. `nonce` is
    the account's, from the rewards contract; the signature counts up to chain time `deadline`."""

    NAME: ClassVar[str] = "Payout"
    TYPES: ClassVar[tuple[str, ...]] = ("address", "address", "uint256", "uint256")

    account: Address
    payout: Address
    nonce: int
    deadline: int


def salt_digest(order: Digest, shard: int, salt: Digest) -> Digest:
    """keccak256(abi.encode(order, shard, salt)): what a contributor commits to before the seed's block."""
    return keccak256(order + shard.to_bytes(32, "big") + salt)


def shares_digest(shares_bps: Sequence[int]) -> Digest:
    """keccak256(abi.encode(uint16[])) of the payout shares in basis points."""
    words = [32, len(shares_bps), *shares_bps]
    if any(not 0 <= share <= 0xFFFF for share in shares_bps):
        raise DocumentError(f"shares {list(shares_bps)}: expected basis points from 0 to 65535")
    return keccak256(b"".join(word.to_bytes(32, "big") for word in words))


def median_score(scores_micro: Sequence[int]) -> int:
    """The score that the registry compares with the terms: the lower one of the middle, in millionths."""
    return sorted(scores_micro)[(len(scores_micro) - 1) // 2]


@dataclass(frozen=True, slots=True)
class ContentFile:
    """One published file. `sha256` and `size` are of the bytes under the CID, `plain_*` of the opened bytes."""

    cid: Cid
    size: int
    sha256: Digest
    plain_sha256: Digest
    plain_size: int

    def document(self) -> dict[str, JsonValue]:
        return {
            "cid": str(self.cid),
            "size": self.size,
            "sha256": str(self.sha256),
            "plainSha256": str(self.plain_sha256),
            "plainSize": self.plain_size,
        }

    @classmethod
    def parse(cls, document: object, where: str = "content file") -> ContentFile:
        reader = Reader(document, where, ("cid", "size", "sha256", "plainSha256", "plainSize"))
        return cls(
            reader.cid("cid"),
            reader.integer("size"),
            reader.digest("sha256"),
            reader.digest("plainSha256"),
            reader.integer("plainSize"),
        )

    def matches(self, data: bytes) -> bool:
        """True when `data` are the published (possibly sealed) bytes."""
        return len(data) == self.size and sha256(data) == self.sha256

    def matches_plain(self, data: bytes) -> bool:
        """True when `data` are the opened bytes."""
        return len(data) == self.plain_size and sha256(data) == self.plain_sha256

    def has_form(self, *, is_open: bool) -> bool:
        """True when an open file is described as its own plain bytes, a sealed one with the size that sealing gives."""
        if is_open:
            return (self.size, self.sha256) == (self.plain_size, self.plain_sha256)
        return self.size == sealed_size(self.plain_size)


class SealedKey(NamedTuple):
    """What is published of a content key. wrapped: for the first buyer, None while it lies in a file of its own, whose
    name is `cid`. commitment: what the key and a later sale are judged by (None in data sets that were made before
    there was one)."""

    wrapped: bytes | None
    commitment: Digest | None
    cid: Cid | None = None


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """Where the privacy ledger of a contributor's table stood when it signed for a shard (docs/spec/privacy-ledger.md).

    table: the same for all heads of one ledger, and tells nothing of the table. entries, head: number and digest of the
    ledger's last line. epsilon_micro, delta_e12: what everything that was charged to the table until then costs one of
    its rows, this order's training and score with it; epsilon None where nothing bounds it.
    """

    table: Digest
    entries: int
    head: Digest
    epsilon_micro: int | None
    delta_e12: int

    def document(self) -> dict[str, JsonValue]:
        return {
            "table": str(self.table),
            "entries": self.entries,
            "head": str(self.head),
            "spentEpsilonMicro": self.epsilon_micro,
            "spentDeltaE12": self.delta_e12,
        }

    @classmethod
    def parse(cls, document: object, where: str) -> LedgerHead:
        reader = Reader(document, where, ("table", "entries", "head", "spentEpsilonMicro", "spentDeltaE12"))
        return cls(
            reader.digest("table"),
            reader.integer("entries", 1),
            reader.digest("head"),
            None if reader.member("spentEpsilonMicro") is None else reader.integer("spentEpsilonMicro"),
            reader.integer("spentDeltaE12"),
        )


@dataclass(frozen=True, slots=True)
class ShardContent:
    """Where a shard's rows and model are, the privacy statement, and what is known of the key before it is released.

    key_commitment: what the contributor commits the key by (None: open, or made before there was one).
    wrapped_key_cid: the file that will hold the key wrapped to the buyer, which leaves its node when the record stands
    on chain. wrapped_key: the wrapped key itself in documents of before, None in an open order and in those of now.
    ledger: of the contributor's table, None in documents of before.
    """

    rows: ContentFile
    model: ContentFile
    wrapped_key: bytes | None
    statement: Mapping[str, JsonValue]
    key_commitment: Digest | None = None
    wrapped_key_cid: Cid | None = None
    ledger: LedgerHead | None = None

    @property
    def sealed_key(self) -> SealedKey | None:
        if self.wrapped_key is None and self.wrapped_key_cid is None:
            return None
        return SealedKey(self.wrapped_key, self.key_commitment, self.wrapped_key_cid)

    def document(self) -> dict[str, JsonValue]:
        key = _key_document(self.wrapped_key, self.key_commitment)
        if self.wrapped_key_cid is not None:
            key = {"keyCommitment": str(self.key_commitment), "wrappedKeyCid": str(self.wrapped_key_cid)}
        ledger: dict[str, JsonValue] = {} if self.ledger is None else {"ledger": self.ledger.document()}
        return {
            "rows": self.rows.document(),
            "model": self.model.document(),
            **key,
            "statement": dict(self.statement),
            **ledger,
        }

    def encode(self) -> bytes:
        """The canonical bytes, which are kept as a file of their own where the manifest has only their digest."""
        return encode(self.document())

    def sealing_fault(self, *, is_open: bool) -> tuple[str, str] | None:
        """What cannot be taken of a shard whose data set is made now: the member and what was expected of it. With the
        wrapped key in the document, broker and buyer could read the rows before anybody has to pay for them."""
        if self.wrapped_key is not None:
            return "wrappedKey", "expected no wrapped key before the data set is recorded"
        if (self.wrapped_key_cid is None) != is_open:
            return "wrappedKeyCid", "expected if and only if the order is private"
        for member, file in (("rows", self.rows), ("model", self.model)):
            if not file.has_form(is_open=is_open):
                found = f"found {file.size:,} bytes for {file.plain_size:,} plain ones"
                form = "the plain bytes themselves" if is_open else f"{sealed_size(file.plain_size):,}"
                return f"{member}.size", f"{found}, expected {form}"
        return None

    @property
    def digest(self) -> Digest:
        """The receipt's `contentDigest`: SHA-256 of the canonical document."""
        return sha256(self.encode())

    @classmethod
    def parse(cls, document: object, where: str = "content") -> ShardContent:
        is_released_later = isinstance(document, Mapping) and "wrappedKeyCid" in document
        key = ("keyCommitment", "wrappedKeyCid") if is_released_later else _key_members(document)
        has_ledger = isinstance(document, Mapping) and "ledger" in document
        members = ("rows", "model", "statement", *key, *(("ledger",) if has_ledger else ()))
        reader = Reader(document, where, members)
        return cls(
            rows=ContentFile.parse(reader.member("rows"), f"{where}.rows"),
            model=ContentFile.parse(reader.member("model"), f"{where}.model"),
            wrapped_key=None if is_released_later else reader.optional_hex("wrappedKey"),
            statement=reader.mapping("statement"),
            key_commitment=reader.digest("keyCommitment")
            if is_released_later
            else _commitment(reader, document),
            wrapped_key_cid=reader.cid("wrappedKeyCid") if is_released_later else None,
            ledger=LedgerHead.parse(reader.member("ledger"), f"{where}.ledger") if has_ledger else None,
        )


@dataclass(frozen=True, slots=True)
class ScoreContent:
    """The score file ("tessera-score/2"); sealed to the buyer under shard index 2^32-1 in a private order, its key
    committed to by the coordinator.

    `file.plain_sha256` is the `scoreDigest` of the record on chain.
    """

    file: ContentFile
    wrapped_key: bytes | None
    key_commitment: Digest | None = None

    @property
    def sealed_key(self) -> SealedKey | None:
        return None if self.wrapped_key is None else SealedKey(self.wrapped_key, self.key_commitment)

    def document(self) -> dict[str, JsonValue]:
        return {"file": self.file.document(), **_key_document(self.wrapped_key, self.key_commitment)}

    @classmethod
    def parse(cls, document: object, where: str) -> ScoreContent:
        reader = Reader(document, where, ("file", *_key_members(document)))
        file = ContentFile.parse(reader.member("file"), reader.where("file"))
        return cls(file, reader.optional_hex("wrappedKey"), _commitment(reader, document))


def _key_document(wrapped_key: bytes | None, commitment: Digest | None) -> dict[str, JsonValue]:
    members: dict[str, JsonValue] = {"wrappedKey": None if wrapped_key is None else "0x" + wrapped_key.hex()}
    if commitment is not None:
        members["keyCommitment"] = str(commitment)
    return members


def _key_members(document: object) -> tuple[str, ...]:
    """Only a key that is there can be committed to."""
    committed = isinstance(document, Mapping) and "keyCommitment" in document
    is_sealed = isinstance(document, Mapping) and document.get("wrappedKey") is not None
    return ("wrappedKey", "keyCommitment") if committed and is_sealed else ("wrappedKey",)


def _commitment(reader: Reader, document: object) -> Digest | None:
    return reader.digest("keyCommitment") if "keyCommitment" in _key_members(document) else None
