"""Evidence about one data set: what chain and store hold of it, fetched once and frozen. Nothing in it is judged.

`fetch_evidence` asks the chain and fetches manifest and score file; `fetch_shards` yields the files of one shard after
another, so that one shard is in memory at a time. What cannot be had is recorded as `Absent`, with the reason. A node
or store that does not answer raises: then nothing is known about the data. `provenance.verify.dataset` judges.

What opens the files is `provenance.verify.opening`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from provenance.chain.deployment import Deployment
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.families import ChainRules, chain_rules
from provenance.chain.ports import (
    ChainReads,
    CommitmentOnChain,
    DatasetOnChain,
    ExcusedEvaluation,
    OrderOnChain,
)
from provenance.chain.training import TrainingOnChain
from provenance.crypto.resold_keys import ContentKeys
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey
from provenance.errors import (
    ContentMissingError,
    IntegrityError,
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
from provenance.verify.opening import (
    Absent,
    SalesReads,
    closed_shards,
    content_keys,
    demand_command,
    fetch_file,
    fetch_key,
    opened,
    published_content,
)


@dataclass(frozen=True, slots=True)
class ReusedTraining:
    """The order whose models a data set from stock reuses: what the chain holds of it, and its manifest, or why that is
    not in hand."""

    on_chain: TrainingOnChain
    manifest: Manifest | ProvenanceError


@dataclass(frozen=True)
class Evidence:
    """One data set as chain and store have it. `block_hash` is that of the seed's block, None when the node no longer
    knows it; `contract_accounts` are the signers that are contracts; `parents` stand in the record's order; files are
    published bytes; `keys` is what opens them, or why the delivery key in hand does not. `rules` are the chain's.
    `closed` says of each standing shard that they cannot open why; `shown_models` has the models that were shown on
    chain, by shard; `excused` says why a recorded shard has no recorded evaluation. `uptime_feed` is the market's.
    `training` is there for a data set from stock.
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
    closed: Mapping[int, str] = field(default_factory=dict)
    shown_models: Mapping[int, bytes] = field(default_factory=dict)
    excused: Mapping[int, ExcusedEvaluation] = field(default_factory=dict)
    uptime_feed: Address | None = None
    training: ReusedTraining | None = None

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
        """(row bytes, model bytes) in clear, or what kept one of them closed. Rows that do not open are made from the
        model, where it was shown on chain."""
        if not self.is_made:
            return self._from_files
        try:
            model = self.evidence.shown_models[self.shard.shard]
            return self._made(model), model
        except ProvenanceError as error:
            return error

    @property
    def is_made(self) -> bool:
        """Whether the files do not open, and the model was shown on chain."""
        return (
            isinstance(self._from_files, ProvenanceError) and self.shard.shard in self.evidence.shown_models
        )

    @property
    def opened(self) -> tuple[bytes, bytes]:
        """(row bytes, model bytes) in clear; NotCheckedError when one of the files is closed."""
        if isinstance(self.opening, ProvenanceError):
            raise NotCheckedError(f"the files could not be opened: {self.opening}") from self.opening
        return self.opening

    @cached_property
    def _from_files(self) -> tuple[bytes, bytes] | ProvenanceError:
        number = self.shard.shard
        closed = self.evidence.closed.get(number)
        if closed is not None:
            command = demand_command(self.evidence.record.id, number)
            return NotCheckedError(
                f"{closed}; {command} has its model shown on chain, or its contributor pay"
            )
        try:
            return self._open("rows", self.rows_file), self._open("model", self.model_file)
        except ProvenanceError as error:
            return error

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
    closed: dict[int, str] = {}
    score_file: bytes | Absent = Absent("the manifest, which names the score file, could not be read")
    if isinstance(manifest, Manifest):
        accounts = frozenset(account for account in _signers(manifest) if chain.is_contract(account))
        score_file = _found(store, manifest.score.file, f"score file of order {manifest.order}")
        standing = (each for each in manifest.shards if each.shard not in record.revoked)
        closed = closed_shards(store, manifest, standing, keys)
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
        shown_models=chain.shown_models(record.order),
        excused=_excused(chain, record),
        uptime_feed=chain.uptime_feed(),
        training=_training(chain, store, manifest),
    )


def fetch_shards(evidence: Evidence, store: ContentStore) -> Iterator[ShardFiles]:
    """The files of one shard after another, of those that stand; nothing when the manifest could not be read. A shard
    is let go when the next one is asked for. Raises StoreUnavailableError.
    """
    if not isinstance(evidence.parsed_manifest, Manifest):
        return
    for shard in evidence.standing:
        content = published_content(store, evidence.manifest, shard)
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


def _training(
    chain: ChainReads, store: ContentStore, manifest: Manifest | ProvenanceError
) -> ReusedTraining | None:
    if not isinstance(manifest, Manifest) or manifest.request.training is None:
        return None
    found = TrainingOnChain.read(chain, manifest.request.training)
    if found.dataset is None:
        return ReusedTraining(found, NotCheckedError("it has no data set"))
    trained = parse_manifest(found.dataset, fetch_manifest(chain, store, found.dataset))
    return ReusedTraining(found, trained)


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
