"""What is found of a tampered shard, and that the evidence leads to the committed root: against the plain
reference of the row rule, not the fast one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.chain.ports import ShownChunk
from provenance.crypto.merkle import (
    Proof,
    dataset_root,
    directed_proof,
    leaf_hash,
    root_of_path,
    rows_per_chunk,
    tree_root,
)
from provenance.errors import ConditionError, ConditionUnmetError
from provenance.exact.codebook import Codebook
from provenance.exact.model import AutoregressiveModel, ColumnStep, MlpModel, decode_model, encode_model
from provenance.exact.reference import reference_row_bytes
from provenance.exact.sampler import Sampler
from provenance.table.conditions import Conditions, RowConditions, Segment
from provenance.values import Address, Digest, keccak256, sha256
from provenance.verify.published_shard import NotProvableError, PublishedShard
from provenance.verify.refutation import (
    MODEL_CHUNK,
    Claim,
    Fault,
    RowUnknownError,
    build_evidence,
    find_invalid_row,
    query_of,
)
from tests.provenance.verify.publication import CODEBOOK, MODELS, SCHEMA, tiny_model

MODEL, SEED, SHARD = MODELS[0], sha256(b"seed"), 3
WIDTH = CODEBOOK.row_width
PER_CHUNK = rows_per_chunk(WIDTH)
ROWS = 2 * PER_CHUNK + 37
ASKED = Conditions(SCHEMA, (Segment(1500, {1: ((0, 1),)}), Segment(4 * PER_CHUNK, {0: ((100, 299),)})))
CONDITIONS = RowConditions(ASKED, 100)
TRUE = Sampler(MODEL, SEED, SHARD).row_bytes(0, ROWS)
CONDITIONED = Sampler(MODEL, SEED, SHARD, conditions=CONDITIONS).row_bytes(0, ROWS)


def publish(data: bytes, *, model: bytes = MODEL, conditions: RowConditions | None = None) -> PublishedShard:
    """A shard whose contributor committed to these very bytes, true or not."""
    size = PER_CHUNK * WIDTH
    leaves = [leaf_hash(i, data[at : at + size]) for i, at in enumerate(range(0, len(data), size))]
    root = tree_root(leaves)
    return PublishedShard(SHARD, ROWS, sha256(model), root, SEED, 1, model, data, conditions)


def tampered(data: bytes, row: int, place: int = 0, by: int = 1) -> bytes:
    at = row * WIDTH + place
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def climb(leaf: bytes, siblings: tuple[Digest, ...], path: int) -> bytes:
    """The root as the chain computes it, told only where each sibling stands."""
    for k, sibling in enumerate(siblings):
        pair = sibling + leaf if path >> k & 1 else leaf + sibling
        leaf = hashlib.sha256(b"\x01" + pair).digest()
    return leaf


@pytest.mark.parametrize(("data", "conditions"), [(TRUE, None), (CONDITIONED, CONDITIONS)])
def test_nothing_is_found_in_true_rows(data: bytes, conditions: RowConditions | None) -> None:
    counted: list[int] = []
    shard = publish(data, conditions=conditions)
    assert find_invalid_row(shard, done=counted.append) is None
    assert sum(counted) == ROWS
    assert all(find_invalid_row(shard, row) is None for row in (0, PER_CHUNK, ROWS - 1))


@given(st.integers(0, ROWS - 1), st.integers(0, WIDTH - 1), st.integers(1, 255))
def test_any_changed_byte_is_found_at_its_row_and_proven(row: int, place: int, by: int) -> None:
    shard = publish(tampered(TRUE, row, place, by))
    finding = find_invalid_row(shard)
    assert finding is not None
    assert (finding.fault, finding.chunk, finding.row) == (Fault.ROW, *divmod(row, PER_CHUNK))
    assert find_invalid_row(shard, row) == finding
    if row:
        assert find_invalid_row(shard, row - 1) is None
    roots = [sha256(bytes([k])) for k in range(5)]
    roots[SHARD] = shard.shard_root
    evidence = build_evidence(shard, finding, [shard.model_digest] * 5, roots, b"")
    leaf = leaf_hash(finding.chunk, evidence.chunk)
    assert climb(leaf, evidence.chunk_proof.siblings, evidence.chunk_proof.path) == shard.shard_root
    assert root_of_path(leaf_hash(SHARD, shard.shard_root), SHARD, 5, evidence.shard_proof) == dataset_root(
        roots
    )
    shown = evidence.chunk[finding.row * WIDTH : (finding.row + 1) * WIDTH]
    assert shown != reference_row_bytes(MODEL, SEED, SHARD, row)


@given(st.integers(0, ROWS - 1), st.integers(0, WIDTH - 1))
def test_a_changed_byte_is_found_under_conditions(row: int, place: int) -> None:
    finding = find_invalid_row(publish(tampered(CONDITIONED, row, place), conditions=CONDITIONS))
    assert finding is not None
    assert (finding.chunk, finding.row) == divmod(row, PER_CHUNK)


def test_the_first_of_several_false_rows_is_named() -> None:
    finding = find_invalid_row(publish(tampered(tampered(TRUE, ROWS - 1), 40)))
    assert finding is not None
    assert (finding.chunk, finding.row) == (0, 40)
    assert "published 0x" in finding.words


def test_rows_of_another_shard_number_are_false_from_the_first_on() -> None:
    finding = find_invalid_row(publish(Sampler(MODEL, SEED, SHARD + 1).row_bytes(0, ROWS)))
    assert finding is not None
    assert finding.chunk == 0


def test_a_conditioned_order_delivered_without_conditions_is_false() -> None:
    finding = find_invalid_row(publish(TRUE, conditions=CONDITIONS))
    assert finding is not None
    first = next(i for i in range(ROWS) if TRUE[i * WIDTH :][:WIDTH] != CONDITIONED[i * WIDTH :][:WIDTH])
    assert (finding.chunk, finding.row) == divmod(first, PER_CHUNK)


@given(st.integers(1, 2 * PER_CHUNK * WIDTH))
def test_a_shard_that_is_too_long_has_a_chunk_of_a_wrong_length(more: int) -> None:
    shard = publish(TRUE + bytes(more))
    finding = find_invalid_row(shard)
    assert finding is not None
    assert finding.fault is Fault.LENGTH
    assert len(shard.chunk(finding.chunk)) != shard.expected_length(finding.chunk)
    assert find_invalid_row(shard, ROWS - 1) == finding


@given(st.integers(1, ROWS * WIDTH - 1))
def test_a_shard_that_is_too_short_shows_a_short_chunk_or_asks_for_the_missing_one(less: int) -> None:
    data = TRUE[:-less]
    shard = publish(data)
    if len(data) % (PER_CHUNK * WIDTH):
        finding = find_invalid_row(shard)
        assert finding is not None
        assert (finding.fault, finding.chunk) == (Fault.LENGTH, len(data) // (PER_CHUNK * WIDTH))
    else:
        with pytest.raises(NotProvableError, match="the others are missing") as caught:
            find_invalid_row(shard)
        assert (caught.value.demand, caught.value.row) == ("chunk", len(data) // WIDTH)


def test_a_false_row_comes_before_a_wrong_length() -> None:
    finding = find_invalid_row(publish(tampered(TRUE, 7) + b"more"))
    assert finding is not None
    assert (finding.fault, finding.row) == (Fault.ROW, 7)


@given(st.integers(0, 40), st.integers(1, 255))
def test_model_bytes_that_are_no_model_are_a_lie_of_their_own(place: int, by: int) -> None:
    broken = MODEL[:place] + bytes([MODEL[place] ^ by]) + MODEL[place + 1 :]
    finding = find_invalid_row(publish(TRUE, model=broken))
    assert finding is not None
    if finding.fault is Fault.MODEL:
        assert (finding.chunk, finding.row) == (MODEL_CHUNK, 0)
        evidence = build_evidence(publish(TRUE, model=broken), finding, [], [sha256(b"")] * 4, b"")
        assert (evidence.chunk, evidence.chunk_proof.siblings) == (b"", ())
    else:
        assert finding.fault is Fault.ROW, "another schema digest is another model: its rows differ"


def test_a_cut_model_is_none() -> None:
    finding = find_invalid_row(publish(TRUE, model=MODEL[:-1]))
    assert finding is not None
    assert finding.fault is Fault.MODEL


def test_bytes_that_are_not_the_committed_ones_prove_nothing() -> None:
    with pytest.raises(NotProvableError, match="demand the model") as model:
        replace(publish(TRUE), model=tiny_model(9))
    assert model.value.demand == "model"
    with pytest.raises(NotProvableError, match="demand a chunk") as rows:
        find_invalid_row(replace(publish(TRUE), row_bytes=tampered(TRUE, 5)))
    assert rows.value.demand == "chunk"
    with pytest.raises(NotProvableError, match="demand a chunk"):
        find_invalid_row(replace(publish(TRUE), row_bytes=b""))


def test_a_chunk_that_was_only_shown_on_chain_is_judged_and_proven() -> None:
    whole = publish(tampered(TRUE, PER_CHUNK + 9))
    chunks = tuple(ShownChunk(k, whole.chunk(k), whole.proof(k)) for k in (0, 1))
    shown = replace(whole, row_bytes=b"", shown=chunks)
    finding = find_invalid_row(shown)
    assert finding == find_invalid_row(whole)
    assert finding is not None
    assert find_invalid_row(shown, PER_CHUNK + 9) == finding
    assert find_invalid_row(shown, 3) is None
    evidence = build_evidence(shown, finding, [], [sha256(b"")] * 4, b"")
    assert (evidence.chunk, evidence.chunk_proof) == (whole.chunk(1), whole.proof(1))
    with pytest.raises(NotProvableError, match="in no chunk that was shown") as caught:
        find_invalid_row(shown, 2 * PER_CHUNK)
    assert caught.value.row == 2 * PER_CHUNK
    short = replace(shown, shown=(ShownChunk(1, whole.chunk(1)[:-WIDTH], whole.proof(1)),))
    cut = find_invalid_row(short)
    assert cut is not None
    assert (cut.fault, cut.chunk) == (Fault.LENGTH, 1)


def test_a_true_chunk_that_was_shown_out_of_its_place_is_a_lie() -> None:
    whole = publish(TRUE)
    proof = Proof(whole.proof(0).siblings[:1], 0)
    assert len(whole.proof(0).siblings) == 2
    stunted = replace(whole, row_bytes=b"", shown=(ShownChunk(0, whole.chunk(0), proof),))
    for row in (None, 3, 2 * PER_CHUNK):
        finding = find_invalid_row(stunted, row)
        assert finding is not None
        assert (finding.fault, finding.chunk, finding.row) == (Fault.PLACE, 0, 0)
    turned = ShownChunk(0, whole.chunk(0), Proof(whole.proof(0).siblings, 1))
    finding = find_invalid_row(replace(stunted, shown=(turned,)))
    assert finding is not None
    assert finding.fault is Fault.PLACE


@pytest.mark.parametrize("row", [-1, ROWS])
def test_refuses_a_row_that_the_shard_does_not_have(row: int) -> None:
    with pytest.raises(RowUnknownError, match=f"rows 0 to {ROWS - 1}, found {row}"):
        find_invalid_row(publish(TRUE), row)


def test_a_segment_that_no_code_can_meet_has_no_true_rows() -> None:
    missing = SCHEMA.columns[0].cardinality
    narrow = replace(CODEBOOK, width=np.array([100, 100, 50, 1, 1, 1, 1]))
    assert missing == 300
    model = _with_codebook(narrow)
    asked = Conditions(SCHEMA, (Segment(ROWS, {}), Segment(ROWS, {0: ((260, 299),)})))
    conditions = RowConditions(asked)
    segments = conditions.segment_of(np.arange(ROWS, dtype=np.uint64))
    shard = publish(Sampler(model, SEED, SHARD).row_bytes(0, ROWS), model=model, conditions=conditions)
    finding = find_invalid_row(shard)
    assert finding is not None
    assert finding.row == int(np.flatnonzero(segments == 1)[0])
    assert "no code of the model meets age=260..299" in finding.words
    possible = int(np.flatnonzero(segments == 0)[5])
    assert find_invalid_row(shard, possible) is None
    assert find_invalid_row(shard, finding.row) == finding


def test_a_row_that_meets_its_conditions_in_no_attempt_does_not_exist() -> None:
    model, shard = MODEL, SHARD
    rare = Conditions(SCHEMA, (Segment(ROWS, {0: ((3, 3),)}),))
    finding = find_invalid_row(publish(TRUE, conditions=RowConditions(rare)))
    assert finding is not None
    with pytest.raises(ConditionUnmetError, match="did not meet"):
        Sampler(model, SEED, shard, conditions=RowConditions(rare)).row_bytes(0, ROWS)


def test_a_model_of_another_schema_is_not_for_the_chain_to_judge() -> None:
    other = Conditions(replace(SCHEMA, name="other"), (Segment(ROWS, {1: ((0, 0),)}),))
    with pytest.raises(ConditionError, match="the chain does not know schemas"):
        find_invalid_row(publish(TRUE, conditions=RowConditions(other)))


@given(st.integers(1, 40), st.data())
def test_a_directed_proof_leads_to_the_root_of_any_tree(count: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, count - 1))
    leaves = [leaf_hash(i, bytes([i])) for i in range(count)]
    proof = directed_proof(leaves, index)
    assert climb(leaves[index], proof.siblings, proof.path) == tree_root(leaves)
    assert proof.path < 1 << len(proof.siblings)


def test_the_commitment_is_the_abi_encoding_of_claim_challenger_and_salt() -> None:
    challenger, salt = Address(b"\xaa" * 20), sha256(b"salt")
    words = [bytes(12) + challenger, *(n.to_bytes(32, "big") for n in (7, 1, MODEL_CHUNK, 3)), salt]
    claim = Claim(7, 1, MODEL_CHUNK, 3)
    assert claim.commitment(challenger, salt) == keccak256(b"".join(words))
    assert claim.commitment(Address(b"\xab" * 20), salt) != claim.commitment(challenger, salt)


def test_the_query_names_the_rows_place_in_the_request() -> None:
    shard = publish(tampered(CONDITIONED, PER_CHUNK + 2), conditions=CONDITIONS)
    finding = find_invalid_row(shard)
    assert finding is not None
    query = query_of(shard, finding, 100)
    assert (query.shard, query.shard_rows, query.request_row) == (SHARD, ROWS, 100)
    assert (query.chunk, query.row) == (1, 2)


def _with_codebook(codebook: Codebook) -> bytes:
    model = decode_model(MODEL)
    assert isinstance(model, MlpModel)
    return encode_model(replace(model, codebook=codebook))


# --- what the terms say of the model


def test_a_model_of_another_schema_is_a_finding_about_the_model() -> None:
    shard = publish(TRUE)
    assert find_invalid_row(replace(shard, schema_digest=SCHEMA.digest, is_in_class=True)) is None
    finding = find_invalid_row(replace(shard, schema_digest=sha256(b"another")))
    assert finding is not None
    assert (finding.fault, finding.chunk, finding.row) == (Fault.MODEL, MODEL_CHUNK, 0)
    assert f"ordered was {sha256(b'another')}" in finding.words


def test_a_model_beyond_the_promised_class_is_a_finding_about_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shard = publish(TRUE)
    monkeypatch.setattr("provenance.exact.size_class.MAX_PROVABLE_BYTES", len(MODEL) - 1)
    assert find_invalid_row(shard) is None
    finding = find_invalid_row(replace(shard, is_in_class=True))
    assert finding is not None
    assert finding.fault is Fault.MODEL
    assert f"{len(MODEL):,} bytes (at most {len(MODEL) - 1:,})" in finding.words


def test_a_row_whose_prefix_steps_are_beyond_the_promised_class_is_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_autoregressive()
    data = Sampler(model, SEED, SHARD, conditions=CONDITIONS).row_bytes(0, ROWS)
    shard = publish(data, model=model, conditions=CONDITIONS)
    assert find_invalid_row(replace(shard, is_in_class=True)) is None
    monkeypatch.setattr("provenance.exact.size_class.MAX_PREFIX_WORK", 1)
    assert find_invalid_row(shard) is None
    finding = find_invalid_row(replace(shard, is_in_class=True))
    assert finding is not None
    assert (finding.fault, finding.chunk, finding.row) == (Fault.ROW, 0, 0)
    assert "units of work (at most 1)" in finding.words


def tiny_autoregressive() -> bytes:
    """Of the publication's codebook and schema."""
    width = 3
    steps = tuple(
        ColumnStep(
            *(np.zeros(width, np.int32), np.ones((2, width), np.int8), np.zeros(2, np.int32)),
            *(np.zeros(2, np.uint8), np.ones((count, 2), np.int8), np.zeros(count, np.uint8)),
            np.arange(count, dtype=np.int32),
        )
        for count in CODEBOOK.code_counts
    )
    embedding = np.ones((CODEBOOK.codes, width), np.int8)
    order = tuple(range(CODEBOOK.columns))
    return encode_model(AutoregressiveModel(255, SCHEMA.digest, CODEBOOK, order, steps, embedding))
