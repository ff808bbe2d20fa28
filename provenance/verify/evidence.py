"""Evidence about one data set: what chain and store hold of it, fetched once and frozen. Nothing in it is judged.

`fetch_evidence` asks the chain and fetches manifest and score file; `fetch_shards` yields the files of one shard after
another, so that one shard is in memory at a time. What cannot be had is recorded as `Absent`, with the reason. A node
or store that does not answer raises: then nothing is known about the data. `provenance.verify.dataset` judges.

A private order's files are sealed under one fresh content key a shard, wrapped to the buyer's delivery key; an open
order's files are published as they are. The wrapped key is a file of its own, released when the record stands on chain.
Opened bytes are always compared with the digests that were signed. Normative text: docs/spec/sealing.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from provenance.canonical import decode
from provenance.chain.deployment import Deployment
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.families import ChainRules, chain_rules
from provenance.chain.ports import (
    ChainReads,
    CommitmentOnChain,
    DatasetOnChain,
    ExcusedEvaluation,
    OrderOnChain,
    Purchase,
)
from provenance.crypto.resold_keys import (
    ContentKeys,
    ResoldKeys,
    SaleKey,
    SalePlace,
    opened_keys,
    unwrapped_keys,
)
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey, FileKind, file_label, key_commitment, open_file
from provenance.errors import (
    ContentMissingError,
    IntegrityError,
    KeyNotReleasedError,
    MalformedError,
    ProvenanceError,
    SealError,
    WrongKeyError,
)
from provenance.exact.sampler import sampler_for
from provenance.record.manifest import Manifest, ManifestShard
from provenance.record.receipts import ContentFile, SealedKey, ShardContent
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of_digest
from provenance.table.conditions import Conditions
from provenance.values import Address, Digest, sha256
from provenance.verify.certificate import CheckFailedError, NotCheckedError


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that could not be had, or not as it was promised, and why."""

    words: str


@dataclass(frozen=True)
class Evidence:
    """One data set as chain and store have it. `block_hash` is that of the seed's block, None when the node no longer
    knows it; `contract_accounts` are the signers that are contracts; `parents` stand in the record's order; files are
    published bytes; `keys` is what opens them, or why the delivery key in hand does not. `rules` are the chain's.
    `closed` are the standing shards that nothing in the store opens, since their files or their wrapped key never came:
    each with its model, if that was shown on chain. `excused` says, by shard, why a recorded shard has no recorded
    evaluation. `uptime_feed` is the market's, None for a market without.
    """

    deployment: Deployment
    block: int
    record: DatasetOnChain
    order: OrderOnChain
    commitment: CommitmentOnChain
    block_hash: Digest | None
    parents: tuple[DatasetOnChain | Absent, ...]
    contract_accounts: frozenset[Address]
    manifest_file: bytes | Absent
    score_file: bytes | Absent
    keys: ContentKeys | WrongKeyError | SealError | None
    rules: ChainRules
    closed: Mapping[int, bytes | None] = field(default_factory=dict)
    excused: Mapping[int, ExcusedEvaluation] = field(default_factory=dict)
    uptime_feed: Address | None = None

    @cached_property
    def parsed_manifest(self) -> Manifest | ProvenanceError:
        """The manifest, or what is wrong with it. Only the recorded bytes are ever parsed."""
        return parse_manifest(self.record, self.manifest_file)

    @property
    def manifest(self) -> Manifest:
        """The manifest; NotCheckedError unless it is the recorded one and well formed."""
        if isinstance(self.parsed_manifest, Manifest):
            return self.parsed_manifest
        if isinstance(self.parsed_manifest, NotCheckedError):
            raise self.parsed_manifest
        raise NotCheckedError("the manifest is malformed") from self.parsed_manifest

    @property
    def standing(self) -> tuple[ManifestShard, ...]:
        """The manifest's shards that nobody showed to be false or withheld: of the others nothing is claimed."""
        return tuple(each for each in self.manifest.shards if each.shard not in self.record.revoked)

    @property
    def standing_rows(self) -> int:
        """Rows of the shards that stand, by the record."""
        return sum(each.rows for each in self.record.shards if each.shard not in self.record.revoked)

    @cached_property
    def conditions(self) -> Conditions | None:
        """What the request asks of the rows; None for whole tables."""
        return self.manifest.conditions()

    @property
    def right_keys(self) -> ContentKeys | None:
        """`keys`; raises what is wrong with them."""
        if isinstance(self.keys, WrongKeyError | SealError):
            raise self.keys
        return self.keys

    def require_key(self) -> None:
        """Raises NotCheckedError when the files are sealed and the right key is not in hand."""
        if self.manifest.terms.is_open:
            return
        if self.keys is None:
            raise NotCheckedError("the files are sealed to the buyer; needs the delivery key")
        if isinstance(self.keys, WrongKeyError):
            raise NotCheckedError("needs the right delivery key: the one given is another's") from self.keys
        if isinstance(self.keys, SealError):
            raise NotCheckedError("the keys that the seller delivered open nothing") from self.keys

    def opened_score(self) -> bytes:
        """The score document in clear. Raises IntegrityError; NotCheckedError without key or file."""
        self.require_key()
        if isinstance(self.score_file, Absent):
            # "files present" says so; what is inside is another question
            raise NotCheckedError(f"the score file could not be read: {self.score_file.words}")
        score = self.manifest.score
        return opened(
            score.file,
            self.score_file,
            score.sealed_key,
            self.right_keys,
            (self.manifest.order, SCORE_SHARD, "score"),
        )


@dataclass(frozen=True)
class ShardFiles:
    """The two files of one shard as the store has them, opened when a check first asks. sealed_key: what they are
    sealed with, as far as it is in hand."""

    evidence: Evidence
    shard: ManifestShard
    rows_file: bytes | Absent
    model_file: bytes | Absent
    sealed_key: SealedKey | None = None

    @cached_property
    def opening(self) -> tuple[bytes, bytes] | ProvenanceError:
        """(row bytes, model bytes) in clear, or what kept one of them closed. Rows that nothing in the store opens are
        made from the model, where it was shown on chain."""
        try:
            shown = self.shown_model
            if shown is not None:
                return self._made(shown), shown
            if isinstance(self.rows_file, Absent) and not self.shard.is_delivered:
                return NotCheckedError(self.rows_file.words)
            return self._open("rows", self.rows_file), self._open("model", self.model_file)
        except KeyNotReleasedError as error:
            number, shard = self.evidence.record.id, self.shard.shard
            command = f"`tessera demand --dataset {number} --shard {shard} --model`"
            return NotCheckedError(f"{error}. {command} has its model shown on chain, or its contributor pay")
        except ProvenanceError as error:
            return error

    @property
    def shown_model(self) -> bytes | None:
        """The model as it was shown on chain, of a shard that nothing in the store opens."""
        return self.evidence.closed.get(self.shard.shard)

    @property
    def opened(self) -> tuple[bytes, bytes]:
        """(row bytes, model bytes) in clear; NotCheckedError when one of the files is closed."""
        if isinstance(self.opening, ProvenanceError):
            raise NotCheckedError(f"the files could not be opened: {self.opening}") from self.opening
        return self.opening

    def _open(self, kind: Literal["rows", "model"], found: bytes | Absent) -> bytes:
        if isinstance(found, Absent):
            raise CheckFailedError(found.words)
        content, order = self.shard.content, self.evidence.record.order
        file = content.rows if kind == "rows" else content.model
        place = (order, self.shard.shard, kind)
        return opened(file, found, self.sealed_key, self.evidence.right_keys, place)

    def _made(self, model: bytes) -> bytes:
        manifest, entry = self.evidence.manifest, self.shard
        conditions = manifest.row_conditions(entry.shard)
        sampler = sampler_for(manifest.spec_version)(
            model, manifest.seed.seed, entry.shard, conditions=conditions
        )
        return sampler.row_bytes(0, entry.rows)


class SalesReads(Protocol):
    """The part of the chain that knows of resale."""

    @property
    def deployment(self) -> Deployment: ...

    def purchases(self, dataset: int) -> Sequence[Purchase]:
        """Every purchase of the data set by resale, the oldest first."""
        ...


class ModelReads(Protocol):
    """The part of the chain that may hold a model in clear."""

    def shown_model(self, order_id: Digest, shard: int) -> bytes | None:
        """The committed model as its contributor showed it on chain; None when nobody demanded it."""
        ...


class ManifestReads(Protocol):
    """The part of the chain that may hold a manifest."""

    def shown_manifest(self, order_id: Digest) -> bytes | None:
        """The manifest as it was shown on chain; None when nobody demanded it."""
        ...


def fetch_evidence(
    chain: ChainReads, store: ContentStore, dataset_id: int, delivery_key: DeliveryKey | None = None
) -> Evidence:
    """Everything about a data set but the files of its shards.

    Raises ChainError (node down, unknown data set) and StoreUnavailableError (store down).
    """
    block = chain.block_number()
    record = chain.dataset(dataset_id)
    commitment = chain.commitment(record.order)
    manifest_file = fetch_manifest(chain, store, record)
    manifest = parse_manifest(record, manifest_file)
    keys = _keys(chain, record, manifest, delivery_key)
    accounts: frozenset[Address] = frozenset()
    closed: dict[int, bytes | None] = {}
    score_file: bytes | Absent = Absent("the manifest, which names the score file, could not be read")
    if isinstance(manifest, Manifest):
        accounts = frozenset(account for account in _signers(manifest) if chain.is_contract(account))
        score_file = _found(store, manifest.score.file, f"score file of order {manifest.order}")
        closed = closed_shards(chain, store, record, manifest, keys)
    return Evidence(
        deployment=chain.deployment,
        block=block,
        record=record,
        order=chain.order(record.order),
        commitment=commitment,
        block_hash=chain.block_hash(commitment.target_block),
        parents=tuple(_parent(chain, parent) for parent in record.parents),
        contract_accounts=accounts,
        manifest_file=manifest_file,
        score_file=score_file,
        keys=keys,
        rules=chain_rules(chain, chain.deployment.chain_id),
        closed=closed,
        excused=_excused(chain, record),
        uptime_feed=chain.limits().uptime_feed,
    )


def fetch_shards(evidence: Evidence, store: ContentStore) -> Iterator[ShardFiles]:
    """The files of one shard after another, of those that stand; nothing when the manifest could not be read. A shard
    is let go when the next one is asked for. Raises StoreUnavailableError.
    """
    if not isinstance(evidence.parsed_manifest, Manifest):
        return
    for shard in evidence.standing:
        content = published_content(store, shard, f"--dataset {evidence.record.id} ")
        if isinstance(content, Absent):
            yield ShardFiles(evidence, shard, content, content)
            continue
        yield ShardFiles(
            evidence,
            replace(shard, signed_content=content),
            _found(store, content.rows, f"rows of shard {shard.shard}"),
            _found(store, content.model, f"model of shard {shard.shard}"),
            _key_in_hand(evidence, store, shard.shard, content),
        )


def published_content(store: ContentStore, shard: ManifestShard, dataset: str = "") -> ShardContent | Absent:
    """Where the files of a shard are: as the manifest says, or, for one that was published by its receipt alone, as the
    document says that its contributor brought later. dataset: for the command that is named where nobody did."""
    if isinstance(shard.signed_content, ShardContent):
        return shard.signed_content
    try:
        found = ShardContent.parse(decode(store.get(cid_of_digest(shard.content_digest))))
    except (ContentMissingError, IntegrityError, MalformedError):
        found = None
    if found is None or found.digest != shard.content_digest:
        return Absent(
            f"shard {shard.shard} of {shard.contributor} was published by its receipt alone: nobody brought its "
            f"files; `tessera demand {dataset}--shard {shard.shard} --model` has its model shown on chain"
        )
    return found


def closed_shards(
    chain: ModelReads,
    store: ContentStore,
    record: DatasetOnChain,
    manifest: Manifest,
    keys: ContentKeys | ProvenanceError | None,
) -> dict[int, bytes | None]:
    """The standing shards that nothing in the store opens, since their files or their wrapped key never came: each with
    its model, if that was shown on chain when somebody demanded it. Raises StoreUnavailableError."""
    closed = [
        each.shard
        for each in manifest.shards
        if each.shard not in record.revoked and not _has_means(store, each, keys)
    ]
    return {shard: chain.shown_model(record.order, shard) for shard in closed}


def _has_means(store: ContentStore, shard: ManifestShard, keys: ContentKeys | ProvenanceError | None) -> bool:
    content = published_content(store, shard)
    if isinstance(content, Absent):
        return False
    cid = content.wrapped_key_cid
    if cid is None or not isinstance(keys, DeliveryKey | ResoldKeys):
        return True
    return store.has(cid) if isinstance(keys, DeliveryKey) else shard.is_delivered


def fetch_manifest(chain: ManifestReads, store: ContentStore, record: DatasetOnChain) -> bytes | Absent:
    """The bytes in the store under the recorded digest, as found; where it has none, those that were shown on chain
    when somebody demanded them. Raises StoreUnavailableError."""
    try:
        return store.get(cid_of_digest(record.manifest_digest))
    except (ContentMissingError, IntegrityError) as error:
        shown = chain.shown_manifest(record.order)
        return Absent(str(error)) if shown is None else shown


def parse_manifest(record: DatasetOnChain, found: bytes | Absent) -> Manifest | ProvenanceError:
    """The recorded manifest, or what is wrong with it: NotCheckedError when it is not in hand, else MalformedError."""
    if isinstance(found, Absent):
        return NotCheckedError("the store does not have the recorded manifest")
    if sha256(found) != record.manifest_digest:
        return NotCheckedError("the manifest in the store is not the recorded one")
    try:
        return Manifest.parse(found)
    except MalformedError as error:
        return error


def fetch_file(store: ContentStore, file: ContentFile, what: str) -> bytes:
    """The published bytes of a file; `what` names it in errors. Raises ContentMissingError, StoreUnavailableError, or
    IntegrityError when they are not those that were signed.
    """
    data = store.get(file.cid)
    if not file.matches(data):
        raise IntegrityError(
            f"{what}: found {len(data)} bytes with SHA-256 {sha256(data)}, signed were {file.size} "
            f"bytes with {file.sha256}; fetch it from another store"
        )
    return data


def fetch_opened(
    store: ContentStore,
    manifest: Manifest,
    shard: int,
    kind: Literal["rows", "model"],
    keys: ContentKeys | None,
) -> bytes:
    """One file of a shard, fetched and in clear, with the digest that its contributor signed. Raises as `fetch_file`
    and `opened` do.
    """
    content = published_content(store, manifest.shard(shard))
    if isinstance(content, Absent):
        raise ContentMissingError(content.words)
    file = content.rows if kind == "rows" else content.model
    published = fetch_file(store, file, f"{kind} of shard {shard}")
    sealed_key = content.sealed_key
    if sealed_key is not None and isinstance(keys, DeliveryKey):
        sealed_key = fetch_key(store, sealed_key)
    return opened(file, published, sealed_key, keys, (manifest.order, shard, kind))


def fetch_key(store: ContentStore, key: SealedKey) -> SealedKey:
    """The key with its wrapped bytes, where they lie in a file of their own; as it is while that is not to be had.
    Raises StoreUnavailableError."""
    if key.cid is None:
        return key
    try:
        return key._replace(wrapped=store.get(key.cid))
    except (ContentMissingError, IntegrityError):
        return key


def opened(
    file: ContentFile,
    published: bytes,
    sealed_key: SealedKey | None,
    keys: ContentKeys | None,
    place: tuple[Digest, int, FileKind],
) -> bytes:
    """The bytes of a published file in clear; `place` is (order, shard, kind), which the sealing binds.

    Raises KeyNotReleasedError without the wrapped key, SealError when it does not open, IntegrityError unless what is
    inside has the signed digest and its key is the committed one.
    """
    order, shard, kind = place
    if sealed_key is None:
        plain = published
    elif keys is None:
        raise SealError("the files are sealed to the buyer; give the delivery key file of the order")
    else:
        key, label = content_key(keys, sealed_key, order, shard), file_label(order, shard, kind)
        committed = key_commitment(key, order, shard)
        if sealed_key.commitment not in (None, committed):
            raise IntegrityError(
                f"the key of shard {shard} has commitment {committed}, the content document says "
                f"{sealed_key.commitment}: it is not the key that was committed to, and nobody could sell it on"
            )
        try:
            plain = open_file(key, published, label, file.plain_sha256)
        except SealError as error:
            raise SealError(f"the {kind} file of shard {shard}: {error}") from error
    if not file.matches_plain(plain):
        raise IntegrityError(
            f"the opened {kind} file of shard {shard} has {len(plain)} bytes with SHA-256 {sha256(plain)}, the receipt "
            f"says {file.plain_size} bytes with {file.plain_sha256}; its contributor signed other bytes than it sealed"
        )
    return plain


def content_key(keys: ContentKeys, key: SealedKey, order: Digest, shard: int) -> bytes:
    """The 32-byte content key of a shard, or of the score. Raises SealError, and KeyNotReleasedError when the wrapped
    key is needed and not in hand."""
    if key.wrapped is None and isinstance(keys, DeliveryKey):
        raise KeyNotReleasedError(
            f"shard {shard} cannot be opened: its contributor has not released the wrapped key ({key.cid}), or the "
            "store does not have it; try again later"
        )
    return keys.unwrap(key.wrapped or b"", order, shard)


def sealed_keys(manifest: Manifest, revoked: frozenset[int] = frozenset()) -> list[tuple[int, SealedKey]]:
    """(shard, key) of all that is sealed, shards first, the score last; empty for an open data set. Left out are shards
    that were published by their receipts alone, and a `revoked` one whose key lies in a file of its own: that may never
    have been released."""
    found = [(shard.shard, shard.content.sealed_key) for shard in manifest.shards if shard.is_delivered]
    found.append((SCORE_SHARD, manifest.score.sealed_key))
    return [
        (shard, key)
        for shard, key in found
        if key is not None and not (shard in revoked and key.cid is not None)
    ]


def content_keys(
    chain: SalesReads, record: DatasetOnChain, manifest: Manifest, own: DeliveryKey
) -> ContentKeys:
    """What opens a data set for the holder of `own`: the key itself, or what a seller delivered for it.

    Raises WrongKeyError when the data set was neither ordered with this key nor bought with it, SealError when a
    seller delivered keys that are none.
    """
    sealed_for = manifest.terms.delivery_key
    if own.public == sealed_for:
        return own
    order, dataset = manifest.order, record.id
    shards = [shard for shard, _ in sealed_keys(manifest, record.revoked)]
    for bought, key in purchases_with(chain, dataset, own):
        if bought.wrapped_keys is not None:
            return ResoldKeys(sealed_for, opened_keys(key, order, bought.wrapped_keys, shards))
    for bought in reversed(chain.purchases(dataset)):
        if bought.point == own.public and bought.wrapped_keys is not None:
            return ResoldKeys(sealed_for, unwrapped_keys(own, order, bought.wrapped_keys, shards))
    raise WrongKeyError(
        f"delivery key {own.public} is not the one of data set {dataset}: it was ordered with {sealed_for}, and no "
        "seller delivered keys for yours; name the key file that you ordered or bought it with"
    )


def purchases_with(chain: SalesReads, dataset: int, own: DeliveryKey) -> Iterator[tuple[Purchase, SaleKey]]:
    """Purchases that the holder of `own` made, with the one-time key of each; the newest first."""
    purchases = chain.purchases(dataset)
    keys = [sale_key(chain, dataset, number, own) for number in range(len(purchases))]
    for number in reversed(range(len(purchases))):
        # Somebody else may have bought between the look at the chain and the purchase: then the key is an earlier one.
        for key in keys[number::-1]:
            if key.point == purchases[number].point:
                yield purchases[number], key


def sale_key(chain: SalesReads, dataset: int, number: int, own: DeliveryKey) -> SaleKey:
    """The one-time key of the holder of `own` for purchase `number` of a data set."""
    deployment = chain.deployment
    return SalePlace(deployment.chain_id, deployment.sales, dataset, number).key(own)


def _keys(
    chain: SalesReads, record: DatasetOnChain, manifest: Manifest | ProvenanceError, own: DeliveryKey | None
) -> ContentKeys | WrongKeyError | SealError | None:
    if own is None or not isinstance(manifest, Manifest) or manifest.terms.is_open:
        return None
    try:
        return content_keys(chain, record, manifest, own)
    except (WrongKeyError, SealError) as error:
        return error


def _found(store: ContentStore, file: ContentFile, what: str) -> bytes | Absent:
    try:
        return fetch_file(store, file, what)
    except (ContentMissingError, IntegrityError) as error:
        return Absent(str(error))


def _key_in_hand(
    evidence: Evidence, store: ContentStore, shard: int, content: ShardContent
) -> SealedKey | None:
    """Only who opens with a delivery key needs the wrapped one, and what is known to be missing is not asked for."""
    key = content.sealed_key
    if key is None or not isinstance(evidence.keys, DeliveryKey) or shard in evidence.closed:
        return key
    return fetch_key(store, key)


def _parent(chain: ChainReads, dataset_id: int) -> DatasetOnChain | Absent:
    try:
        return chain.dataset(dataset_id)
    except UnknownDatasetError as error:
        return Absent(f"parent {dataset_id} is not recorded: {error}")


def _excused(chain: ChainReads, record: DatasetOnChain) -> dict[int, ExcusedEvaluation]:
    """Of every recorded shard whose contributor's evaluation is not in the record."""
    signed = {each.contributor for each in record.evaluations}
    missing = [each.shard for each in record.shards if each.contributor not in signed]
    return {shard: chain.excused_evaluation(record.order, shard) for shard in missing}


def _signers(manifest: Manifest) -> set[Address]:
    """Every account whose signature the manifest shows."""
    members = {member.contributor for member in manifest.participants}
    return {manifest.terms.buyer, *members, *(shard.contributor for shard in manifest.shards)}
