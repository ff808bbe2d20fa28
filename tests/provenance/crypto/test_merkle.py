from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.crypto.merkle import (
    chunk_count,
    chunk_of_row,
    dataset_root,
    inclusion_proof,
    leaf_hash,
    proof_path,
    root_of_path,
    rows_per_chunk,
    shard_leaves,
    shard_root,
    tree_root,
    verify_inclusion,
)
from provenance.errors import MerkleError
from tests.work import calls_of

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "merkle.json").read_text(encoding="utf-8"))


def unhex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


@pytest.mark.parametrize(("data", "width"), [(b"", 4), (b"12345", 4), (b"1234", 0)])
def test_refuses_no_rows_and_cut_rows(data: bytes, width: int) -> None:
    with pytest.raises((MerkleError, ZeroDivisionError)):
        shard_root(data, width)


def test_refuses_an_empty_tree_and_an_index_outside() -> None:
    with pytest.raises(MerkleError, match="no leaves"):
        tree_root([])
    with pytest.raises(MerkleError, match="leaf index: found 1, expected 0 to 0"):
        proof_path([bytes(32)], 1)


def test_refuses_a_proof_of_the_wrong_length() -> None:
    leaves = [leaf_hash(i, b"x") for i in range(5)]
    path = proof_path(leaves, 1)
    with pytest.raises(MerkleError, match="expected more"):
        root_of_path(leaves[1], 1, 5, path[:-1])
    with pytest.raises(MerkleError, match="expected 3"):
        root_of_path(leaves[1], 1, 5, [*path, leaves[0]])


@given(st.integers(1, 60), st.integers(200, 900), st.data())
def test_denies_any_change_of_chunk_index_count_or_path(rows: int, width: int, data: st.DataObject) -> None:
    row_bytes = data.draw(st.randoms(use_true_random=False)).randbytes(rows * width)
    root = shard_root(row_bytes, width)
    chunks = chunk_count(rows, width)
    index = data.draw(st.integers(0, chunks - 1))
    chunk, path = inclusion_proof(row_bytes, width, index)
    assert verify_inclusion(root, rows, width, index, chunk, path)
    flip = data.draw(st.integers(0, len(chunk) - 1))
    forged = chunk[:flip] + bytes([chunk[flip] ^ 1]) + chunk[flip + 1 :]
    assert not verify_inclusion(root, rows, width, index, forged, path)
    assert not verify_inclusion(root, rows, width, index, chunk[:-1], path)
    assert not verify_inclusion(bytes(32), rows, width, index, chunk, path)
    assert not verify_inclusion(root, rows, width, index, chunk, [*path, root])
    for other in (index + 1, index - 1, chunks):
        assert not verify_inclusion(root, rows, width, other, chunk, path)
    last, last_path = inclusion_proof(row_bytes, width, chunks - 1)
    for other_rows in {rows + 1, max(rows - 1, 1)} - {rows}:
        assert not verify_inclusion(root, other_rows, width, chunks - 1, last, last_path)


def test_swapped_shards_have_another_root() -> None:
    roots = [shard_root(bytes([i]) * 10, 10) for i in range(3)]
    assert dataset_root(roots) != dataset_root([roots[1], roots[0], roots[2]])
    # bound to the index even alone: the root of one shard is not the shard's root
    assert dataset_root(roots[:1]) != roots[0]


@pytest.mark.parametrize("case", VECTORS["shards"], ids=lambda case: f"{case['rows']}x{case['rowWidth']}")
def test_agrees_with_the_shard_vectors(case: dict[str, Any]) -> None:
    data, width, rows = unhex(case["rowBytes"]), case["rowWidth"], case["rows"]
    assert rows_per_chunk(width) == case["rowsPerChunk"]
    assert [leaf.hex0x for leaf in shard_leaves(data, width)] == case["leaves"]
    assert shard_root(data, width).hex0x == case["root"]
    for proof in case["proofs"]:
        chunk, path = inclusion_proof(data, width, proof["chunk"])
        assert [node.hex0x for node in path] == proof["path"]
        assert verify_inclusion(unhex(case["root"]), rows, width, proof["chunk"], chunk, path)


@pytest.mark.parametrize("case", VECTORS["datasetRoots"], ids=lambda case: str(len(case["shardRoots"])))
def test_agrees_with_the_data_set_vectors(case: dict[str, Any]) -> None:
    assert dataset_root([unhex(root) for root in case["shardRoots"]]).hex0x == case["root"]


def test_pieces_of_whole_chunks_give_the_same_leaves() -> None:
    data = bytes(range(256)) * 200
    size = rows_per_chunk(20) * 20
    pieces = shard_leaves(data[: 3 * size], 20) + shard_leaves(data[3 * size : 51_200], 20, first_chunk=3)
    assert pieces == shard_leaves(data, 20)


def test_finds_the_chunk_of_a_row() -> None:
    assert [chunk_of_row(row, 20) for row in (0, 127, 128, 9_999)] == [0, 0, 1, 78]


def test_ten_thousand_rows_take_a_few_calls_a_chunk_and_none_a_row() -> None:
    data = bytes(200_000)
    assert calls_of(lambda: shard_root(data, 20)) < 15 * len(shard_leaves(data, 20)) < 2_000
