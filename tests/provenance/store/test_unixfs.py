from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ContentDamagedError, UnixFsError
from provenance.store.unixfs import (
    Link,
    cid_of,
    cid_of_digest,
    encode_node,
    file_blocks,
    file_cid,
    read_file,
    verified_block,
)
from provenance.values import DAG_PB_CODEC, Cid, sha256

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "cid.json").read_text(encoding="utf-8"))


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def test_refuses_a_block_that_does_not_match_its_cid() -> None:
    with pytest.raises(ContentDamagedError, match="fetch it elsewhere"):
        verified_block(cid_of(b"a"), b"b")


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\xff",
        b"\x0a\x02\x08\x01",  # a directory
        b"\x0a\x02\x08\x02\x0a\x02\x08\x02",  # two data fields
        b"\x0a\x05\x08\x02\x18\x07\x20",  # a size is cut off
        b"\x0a\x04\x08\x02\x18\x07",  # the total is not the sum
        b"\x0a\x04\x08\x02\x20\x07",  # a size without a link
        b"\x12\x00\x0a\x02\x08\x02",  # a link without a hash
        b"\x0b\x0a\x02\x08\x02",  # an unknown field kind
    ],
)
def test_refuses_a_node_that_is_no_file(block: bytes) -> None:
    with pytest.raises(UnixFsError):
        read_file(Cid.of_digest(sha256(block), DAG_PB_CODEC), lambda _: block)


def test_refuses_sizes_that_are_not_true() -> None:
    leaf = cid_of(b"abc")
    lying = encode_node([Link(leaf, 4, 4), Link(leaf, 3, 3)])
    blocks = {leaf: b"abc", Cid.of_digest(sha256(lying), DAG_PB_CODEC): lying}
    with pytest.raises(UnixFsError, match="found 3 bytes of content, its parent says 4"):
        read_file(list(blocks)[1], blocks.__getitem__)


def test_refuses_more_than_the_caller_allows_and_endless_depth() -> None:
    blocks = dict(file_blocks(content(1000), chunk_bytes=100))
    root = list(blocks)[-1]
    with pytest.raises(UnixFsError, match="expected at most 999"):
        read_file(root, blocks.__getitem__, max_bytes=999)
    deep = dict(file_blocks(content(1200), chunk_bytes=1, max_links=2))
    with pytest.raises(UnixFsError, match="more than 8 levels"):
        read_file(list(deep)[-1], deep.__getitem__)


@pytest.mark.parametrize("case", VECTORS["files"], ids=lambda case: str(case["size"]))
def test_agrees_with_the_vectors(case: dict[str, Any]) -> None:
    data = content(case["size"])
    assert sha256(data).hex0x == case["sha256"]
    assert cid_of(data) == file_cid(data) == case["cid"]


def test_agrees_with_kubo_on_a_well_known_file() -> None:
    # `ipfs add --cid-version 1` of "hello world\n", as printed in the IPFS documentation
    assert cid_of(b"hello world\n") == "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4"
    assert cid_of(b"") == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


def test_a_digest_alone_gives_the_cid_of_a_small_file() -> None:
    assert cid_of_digest(sha256(b"manifest")) == cid_of(b"manifest")


@given(st.integers(0, 3000), st.integers(20, 500), st.integers(5, 9))
def test_any_tree_reads_back(size: int, chunk_bytes: int, max_links: int) -> None:
    data = content(size)
    made = list(file_blocks(data, chunk_bytes=chunk_bytes, max_links=max_links))
    blocks = {cid: verified_block(cid, block) for cid, block in made}
    assert read_file(made[-1][0], blocks.__getitem__) == data
    assert (len(made) == 1) == (size <= chunk_bytes)


def test_a_new_level_comes_with_one_item_more() -> None:
    counts = [sum(cid.codec == DAG_PB_CODEC for cid, _ in file_blocks(content(n), chunk_bytes=1, max_links=4))
              for n in (1, 4, 5, 16, 17)]  # fmt: skip
    # distinct bytes, so every leaf is a block: 1 root for 4; 2 + 1 for 5; 4 + 1 for 16; 5 + 2 + 1 for 17
    assert counts == [0, 1, 3, 5, 8]
