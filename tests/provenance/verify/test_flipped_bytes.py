"""Every single byte of manifest, shards, models and score file: flipped, a check fails and is named.

The check that must notice runs at every offset; the whole verification at every tenth or so, for the time it takes.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.store.unixfs import cid_of
from provenance.values import Cid
from provenance.verify.certificate import CheckFailedError
from provenance.verify.dataset import verify_dataset
from provenance.verify.evidence import Evidence, fetch_evidence, fetch_shards
from provenance.verify.file_checks import Effort, FilesPresent
from provenance.verify.record_checks import manifest_digest
from tests.memory import MemoryStore
from tests.provenance.verify.publication import CODEBOOK, DATASET, KEY, ROWS, Builder, Publication, ShardDraft


class FlippedStore(MemoryStore):
    """Returns one file with one byte changed, unverified: digests must catch it, not the store."""

    def __init__(self, honest: MemoryStore, cid: Cid) -> None:
        super().__init__()
        self._honest, self._cid = honest, cid
        self.offset = 0

    def get(self, cid: Cid) -> bytes:
        data = bytearray(self._honest.get(cid))
        if cid == self._cid:
            data[self.offset] ^= 1 + self.offset % 255
        return bytes(data)


def failed_names(publication: Publication, store: MemoryStore) -> list[str]:
    certificate = verify_dataset(publication.chain, store, DATASET, KEY)
    assert certificate.exit_code == (1 if certificate.failed else 0)
    return [check.name for check in certificate.failed]


def evidence_of(publication: Publication, store: MemoryStore) -> Evidence:
    return fetch_evidence(publication.chain, store, DATASET, KEY)


def look_at_every_file(evidence: Evidence, store: MemoryStore) -> None:
    check = FilesPresent(evidence, Effort())
    for shard in fetch_shards(evidence, store):
        check.look(shard)


def test_every_byte_of_the_manifest_counts(honest: Publication) -> None:
    data = honest.manifest.encode()
    store = FlippedStore(honest.store, cid_of(data))
    for store.offset in range(len(data)):
        with pytest.raises(CheckFailedError, match="the chain says"):
            manifest_digest(evidence_of(honest, store))
        if store.offset % 40 == 0:
            assert "manifest digest" in failed_names(honest, store), f"offset {store.offset}"


@pytest.mark.parametrize("place", range(5))
def test_every_byte_of_every_file_counts(honest: Publication, place: int) -> None:
    file = honest.files()[place]
    store = FlippedStore(honest.store, file.cid)
    for store.offset in range(file.size):
        with pytest.raises(CheckFailedError, match=r"signed were"):
            look_at_every_file(evidence_of(honest, store), store)
        if store.offset % 20 == 0:
            assert "files present" in failed_names(honest, store), f"offset {store.offset}"


@pytest.mark.parametrize("shard", [0, 1])
def test_every_byte_of_the_rows_counts_even_if_its_contributor_signs_the_change(shard: int) -> None:
    for offset in range(0, ROWS[shard] * CODEBOOK.row_width, 2):

        def flip(drafts: list[ShardDraft], offset: int = offset) -> None:
            data = bytearray(drafts[shard].rows)
            data[offset] ^= 1
            drafts[shard].rows = bytes(data)

        publication = Builder(is_open=True, edit_drafts=flip).build()
        assert "rows" in failed_names(publication, publication.store), f"offset {offset}"


@pytest.mark.parametrize("shard", [0, 1])
def test_a_byte_of_a_model_counts_even_if_its_contributor_signs_the_change(shard: int) -> None:
    size = Builder(is_open=True).build().manifest.shards[shard].content.model.size
    for offset in range(0, size, 13):

        def flip(drafts: list[ShardDraft], offset: int = offset) -> None:
            data = bytearray(drafts[shard].model)
            data[offset] ^= 0x40
            drafts[shard].model = bytes(data)

        publication = Builder(is_open=True, edit_drafts=flip).build()
        assert "models" in failed_names(publication, publication.store), f"offset {offset}"


def test_manifest_of_another_order_fails(honest: Publication, honest_open: Publication) -> None:
    chain = replace(honest.chain, datasets=honest_open.chain.datasets)
    store = MemoryStore()
    store.put(honest.manifest.encode())
    certificate = verify_dataset(chain, store, DATASET, KEY)
    assert "manifest digest" in [check.name for check in certificate.failed]
