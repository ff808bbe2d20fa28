from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import CarError, ContentDamagedError, ContentMissingError, ProvenanceError
from provenance.store.car import export_car, import_car, read_car, write_car
from provenance.store.unixfs import cid_of, file_blocks
from provenance.values import Cid
from tests.memory import MemoryStore

LARGE = bytes(range(256)) * 4096 + b"more"


def archive(*contents: bytes) -> bytes:
    store = MemoryStore()
    stream = io.BytesIO()
    export_car(store, [store.put(data) for data in contents], stream)
    return stream.getvalue()


def test_refuses_to_export_nothing_or_what_is_not_there() -> None:
    with pytest.raises(CarError, match="no roots"):
        export_car(MemoryStore(), [], io.BytesIO())
    with pytest.raises(ContentMissingError):
        export_car(MemoryStore(), [cid_of(b"x")], io.BytesIO())


def test_every_flipped_byte_is_refused_or_changes_the_roots() -> None:
    data = archive(b"first", b"second")
    whole = import_car(MemoryStore(), io.BytesIO(data))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        store = MemoryStore()
        try:
            roots = import_car(store, io.BytesIO(changed))
        except ProvenanceError:
            assert not any(store.has(cid) for cid in whole)
            continue
        assert roots != whole


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x80", b"\xff" * 20, b"\x0a\xa1gversion\x02", b"PK\x03\x04"]
)
def test_refuses_what_is_no_car(data: bytes) -> None:
    with pytest.raises(CarError):
        read_car(data)


def test_refuses_a_cut_archive() -> None:
    data = archive(b"first")
    for length in range(len(data)):
        with pytest.raises((CarError, ContentMissingError)):
            import_car(MemoryStore(), io.BytesIO(data[:length]))


def test_refuses_a_root_whose_blocks_are_not_all_there() -> None:
    blocks = list(file_blocks(LARGE))
    stream = io.BytesIO()
    write_car([blocks[-1][0]], blocks[1:], stream)
    with pytest.raises(ContentMissingError, match="export it again with all blocks"):
        import_car(MemoryStore(), io.BytesIO(stream.getvalue()))


def test_refuses_a_file_chunked_by_another_profile() -> None:
    blocks = list(file_blocks(LARGE, chunk_bytes=2**18))
    stream = io.BytesIO()
    write_car([blocks[-1][0]], blocks, stream)
    with pytest.raises(ContentDamagedError, match="unixfs-v1-2025"):
        import_car(MemoryStore(), io.BytesIO(stream.getvalue()))


def test_keeps_nothing_when_one_of_two_roots_is_damaged() -> None:
    data = bytearray(archive(b"first", b"second"))
    data[-1] ^= 1
    store = MemoryStore()
    with pytest.raises(ContentDamagedError):
        import_car(store, io.BytesIO(bytes(data)))
    assert not store.has(cid_of(b"first"))


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=300, unique=True))
def test_contents_travel_unchanged(contents: list[bytes]) -> None:
    store = MemoryStore()
    roots = import_car(store, io.BytesIO(archive(*contents)))
    assert [store.get(root) for root in roots] == contents


def test_a_large_content_travels_in_blocks_of_which_none_stands_twice() -> None:
    data = archive(LARGE, LARGE, b"small")
    roots, blocks = read_car(data)
    assert roots == [cid_of(LARGE), cid_of(LARGE), cid_of(b"small")]
    assert len(blocks) == 4
    store = MemoryStore()
    assert import_car(store, io.BytesIO(data)) == roots
    assert store.get(Cid(roots[0])) == LARGE
