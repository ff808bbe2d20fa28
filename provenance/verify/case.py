"""What the checks look at: chain records, manifest and files of one data set, fetched once and on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from provenance.chain.deployment import Deployment
from provenance.chain.ports import ChainReads, CommitmentOnChain, DatasetOnChain, OrderOnChain
from provenance.crypto.resold_keys import ContentKeys
from provenance.crypto.seal import DeliveryKey
from provenance.crypto.signing import recover
from provenance.crypto.typed_data import TypedMessage
from provenance.errors import (
    ContentMissingError,
    IntegrityError,
    MalformedError,
    ProvenanceError,
    SealError,
    WrongKeyError,
)
from provenance.record.manifest import Manifest, ManifestShard
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of_digest
from provenance.table.conditions import Conditions
from provenance.values import Address, sha256
from provenance.verify.shard_files import content_key, content_keys, fetch, unseal

Progress = Callable[[int, int], None]
"""Called with (rows recomputed so far, rows in all)."""


class CheckFailedError(ProvenanceError):
    """The claim is false; the message says how."""


class NotCheckedError(ProvenanceError):
    """The claim could not be looked at; the message says why."""


def require(condition: bool, message: str) -> None:
    """Raises CheckFailedError unless `condition`."""
    if not condition:
        raise CheckFailedError(message)


@dataclass
class Case:
    """One data set under verification. Attributes are fetched when a check first asks."""

    ledger: ChainReads
    store: ContentStore
    record: DatasetOnChain
    delivery_key: DeliveryKey | None = None
    threads: int = 1
    progress: Progress | None = None
    _rows_done: int = field(default=0, init=False)

    @property
    def deployment(self) -> Deployment:
        """Where the market's contracts are; the domain of every signature."""
        return self.ledger.deployment

    @cached_property
    def order(self) -> OrderOnChain:
        """The escrow's record."""
        return self.ledger.order(self.record.order)

    @cached_property
    def commitment(self) -> CommitmentOnChain:
        """Committed models and seed."""
        return self.ledger.commitment(self.record.order)

    @cached_property
    def manifest_bytes(self) -> bytes:
        """The bytes in the store under the recorded digest, as found."""
        return self.store.get(cid_of_digest(self.record.manifest_digest))

    @cached_property
    def parsed_manifest(self) -> Manifest | ProvenanceError:
        """The manifest, or what is wrong with it. Only the recorded bytes are ever parsed."""
        try:
            if sha256(self.manifest_bytes) != self.record.manifest_digest:
                return NotCheckedError("the manifest in the store is not the recorded one")
            return Manifest.parse(self.manifest_bytes)
        except (ContentMissingError, IntegrityError):
            return NotCheckedError("the store does not have the recorded manifest")
        except MalformedError as error:
            return error

    @property
    def manifest(self) -> Manifest:
        """The manifest; NotCheckedError unless it is the recorded one and well formed."""
        parsed = self.parsed_manifest
        if isinstance(parsed, Manifest):
            return parsed
        if isinstance(parsed, NotCheckedError):
            raise parsed
        raise NotCheckedError("the manifest is malformed") from parsed

    @cached_property
    def conditions(self) -> Conditions | None:
        """What the request asks of the rows; None for whole tables."""
        return self.manifest.conditions()

    @cached_property
    def keys(self) -> ContentKeys | WrongKeyError | SealError | None:
        """What opens the files; None without a key and for an open data set. A wrong key is no word about the data,
        a SealError is: a seller delivered keys that are none.
        """
        if self.delivery_key is None or self.manifest.terms.is_open:
            return None
        try:
            return content_keys(self.ledger, self.record.id, self.manifest, self.delivery_key)
        except (WrongKeyError, SealError) as error:
            return error

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
            raise NotCheckedError("the files are sealed to the buyer; needs the delivery key (--key)")
        if isinstance(self.keys, WrongKeyError):
            raise NotCheckedError("needs the right delivery key: the one given is another's") from self.keys
        if isinstance(self.keys, SealError):
            raise NotCheckedError("the keys that the seller delivered open nothing") from self.keys

    @cached_property
    def opening(self) -> dict[int, tuple[bytes, bytes]] | ProvenanceError:
        """(row bytes, model bytes) by shard, or what kept one of them closed."""
        try:
            return {shard.shard: self.open_shard(shard) for shard in self.manifest.shards}
        except (ContentMissingError, IntegrityError, MalformedError) as error:
            return error

    @property
    def opened(self) -> dict[int, tuple[bytes, bytes]]:
        """(row bytes, model bytes) by shard; NotCheckedError without the key or the files."""
        self.require_key()
        opening = self.opening
        if isinstance(opening, ProvenanceError):
            raise NotCheckedError(f"the files could not be opened: {opening}") from opening
        return opening

    def open_shard(self, shard: ManifestShard) -> tuple[bytes, bytes]:
        """Fetches and opens rows and model of one shard; raises what is wrong with it."""
        return self.open_file(shard, "rows"), self.open_file(shard, "model")

    def open_file(self, shard: ManifestShard, kind: Literal["rows", "model"]) -> bytes:
        """Fetches and opens one file of a shard; raises what is wrong with it."""
        order, number, content = self.record.order, shard.shard, shard.content
        key = content_key(order, number, content.wrapped_key, self.right_keys)
        file = content.rows if kind == "rows" else content.model
        data = fetch(self.store, file, f"{kind} of shard {number}")
        return unseal(key, data, file, order, number, kind)

    def require_signed(self, message: TypedMessage, signature: bytes, signer: Address, what: str) -> None:
        """Raises CheckFailedError unless `signer`, a key, signed. Contract accounts were checked on chain."""
        found = recover(self.deployment.domain, message, signature)
        require(found == signer, f"{what} is signed by {found}, expected {signer}")

    def rows_recomputed(self, rows: int) -> None:
        """Reports progress."""
        self._rows_done += rows
        if self.progress is not None:
            self.progress(self._rows_done, self.record.rows)
