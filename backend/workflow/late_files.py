"""Files of shards published by their receipts alone, taken as late as they come while the order is published.

A shard without files does not fail a data set, one with false files does: nothing is released that does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backend.content import release
from backend.ports import Ports
from backend.tasks.keys import ask_for_keys
from backend.workflow.order_log import OrderLog
from provenance.canonical import decode
from provenance.errors import MalformedError
from provenance.record.manifest import ManifestShard
from provenance.record.receipts import ShardContent
from provenance.store.unixfs import cid_of_digest
from provenance.values import Cid, Digest


class FalseFilesError(Exception):
    """What came late does not hold; the message says what."""


class LateFiles:
    """Those of one order."""

    def __init__(self, ports: Ports, order: Digest, log: OrderLog) -> None:
        self._ports = ports
        self._order = order
        self._log = log
        self._told: set[int] = set()
        """Shards of which this process has told that their files were taken, or why they are not."""

    def take(self, shards: Sequence[ManifestShard]) -> None:
        """Releases the files of undelivered shards, once all of a shard's are there and hold. Again does nothing."""
        for shard in shards:
            if shard.is_delivered or shard.shard in self._told:
                continue
            document = cid_of_digest(shard.content_digest)
            try:
                content = self._released(document)
            except FalseFilesError as error:
                self._ports.waiting.drop(document)
                self._tell(
                    shard.shard, f"the files of shard {shard.shard} came late and are not taken: {error}"
                )
                continue
            if content is not None:
                ask_for_keys(self._ports, self._order, [replace(shard, signed_content=content)])
                self._tell(shard.shard, f"shard {shard.shard} was delivered late: its files can be had now")

    def _tell(self, shard: int, text: str) -> None:
        self._log.message(text)
        self._told.add(shard)

    def _released(self, document: Cid) -> ShardContent | None:
        """The content document, once it is released together with the files that it names; None until all are there.
        Raises FalseFilesError for a document that cannot be taken, or whose files are not as it says."""
        if not self._is_here(document):
            return None
        try:
            content = ShardContent.parse(decode(self._bytes(document)))
        except MalformedError as error:
            raise FalseFilesError(f"the content document cannot be read: {error}") from error
        fault = content.sealing_fault(is_open=self._log.load().terms.is_open)
        if fault is not None:
            raise FalseFilesError(f"content document, {fault[0]}: {fault[1]}")
        files = (content.rows, content.model)
        if not all(self._is_here(file.cid) for file in files):
            return None
        for file in files:
            if not file.matches(self._bytes(file.cid)):
                raise FalseFilesError(
                    f"{file.cid} has another size or SHA-256 than its content document says"
                )
        for cid in (content.rows.cid, content.model.cid, document):
            release(self._ports, cid)
        return content

    def _is_here(self, cid: Cid) -> bool:
        return self._ports.waiting.has(cid) or self._ports.store.has(cid)

    def _bytes(self, cid: Cid) -> bytes:
        ports = self._ports
        return (ports.waiting if ports.waiting.has(cid) else ports.store).get(cid)
