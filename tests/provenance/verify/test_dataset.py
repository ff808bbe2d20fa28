"""Every lie that the contracts would let pass fails a named check; the truth passes."""

from __future__ import annotations

import copy
import doctest
import weakref
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from generator.evaluation.contribution import score_shards
from generator.marginals.workload import Workload
from provenance import canonical
from provenance.chain.errors import ChainUnavailableError, UnknownDatasetError
from provenance.chain.ports import (
    Absence,
    DatasetOnChain,
    DatasetStatus,
    ExcusedEvaluation,
    OrderState,
)
from provenance.errors import IntegrityError
from provenance.exact.sampler import Sampler
from provenance.record.collection import Request
from provenance.record.contribution import ShardEvidence
from provenance.record.receipts import Evaluation, LedgerHead
from provenance.table.conditions import Conditions, RowConditions, Segment
from provenance.table.unit import Unit
from provenance.values import Cid, Signature, sha256
from provenance.verify import dataset
from provenance.verify.certificate import Label, Status
from provenance.verify.claim_checks import privacy
from provenance.verify.dataset import NEVER_PROVEN, RULES, judge, verify_dataset
from provenance.verify.evidence import Evidence, ShardFiles, fetch_evidence, fetch_shards
from provenance.verify.opening import Absent
from tests.memory import MemoryChain, MemoryStore
from tests.provenance.verify.judged import NEEDS_KEY, failed, verify
from tests.provenance.verify.publication import (
    BUYER,
    CODEBOOK,
    DATASET,
    DEPLOYMENT,
    KEY,
    MODELS,
    NODES,
    ROWS,
    SCHEMA,
    Builder,
    Publication,
    ShardDraft,
    tiny_model,
)

# --- the chain's record


def test_unknown_data_set_raises_instead_of_judging(honest: Publication) -> None:
    with pytest.raises(UnknownDatasetError):
        verify_dataset(honest.chain, honest.store, 8, KEY)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (DatasetStatus.REVOKED, "it was revoked, as false or because its bytes were withheld"),
        (DatasetStatus.FLAGGED, "it was flagged, because a data set that it derives from was revoked"),
        (9, "this release does not know what that means"),
    ],
)
def test_a_fallen_record_says_how_it_fell(honest: Publication, status: int, words: str) -> None:
    fallen = honest.rerecord(status=status)
    assert failed(fallen) == ["record on chain"]
    assert words in verify(fallen).check("record on chain").detail


def test_events_that_do_not_join_to_the_stored_digest_fail(honest: Publication) -> None:
    record = replace(honest.chain.datasets[DATASET], record_digest=sha256(b"other"))
    chain = replace(honest.chain, datasets={DATASET: record})
    assert failed(replace(honest, chain=chain)) == ["record on chain"]


def test_order_that_was_refunded_fails() -> None:
    assert failed(Builder(state=OrderState.REFUNDED).build()) == ["record on chain"]


def test_changed_row_count_on_chain_fails(honest: Publication) -> None:
    shards = list(honest.chain.datasets[DATASET].shards)
    shards[0] = replace(shards[0], rows=10)
    names = failed(honest.rerecord(shards=tuple(shards), rows=24))
    assert {"order terms", "shard records"} <= set(names)


# --- the manifest


def test_missing_manifest_fails_and_the_rest_is_not_checked(honest: Publication) -> None:
    certificate = verify(replace(honest, store=MemoryStore()))
    assert [check.name for check in certificate.failed] == ["manifest digest"]
    assert certificate.check("rows").status is Status.NOT_CHECKED


def test_manifest_for_another_chain_fails(honest: Publication) -> None:
    assert "manifest form" in failed(honest.republish(replace(honest.manifest, chain_id=1)))


def test_manifest_of_an_unknown_version_fails(honest: Publication) -> None:
    names = failed(honest.republish(replace(honest.manifest, spec_version=9)))
    assert "manifest form" in names


def test_changed_terms_fail(honest: Publication) -> None:
    terms = replace(honest.manifest.terms, price=1)
    names = failed(honest.republish(replace(honest.manifest, terms=terms)))
    assert names == ["order terms", "buyer's signature"]


def test_terms_signed_by_another_key_fail(honest: Publication) -> None:
    foreign = NODES[0].sign_typed(DEPLOYMENT.domain, honest.manifest.terms)
    changed = replace(honest.manifest, terms_signature=foreign)
    assert failed(honest.republish(changed)) == ["buyer's signature"]


def test_signature_of_a_contract_account_is_left_to_the_chain(honest: Publication) -> None:
    changed = honest.republish(replace(honest.manifest, terms_signature=Signature(b"\x01\x02")))
    chain = replace(changed.chain, contracts={BUYER.address})
    certificate = verify(replace(changed, chain=chain))
    assert certificate.passed
    assert "ERC-1271" in certificate.check("buyer's signature").detail


def test_changed_collection_fails(honest: Publication) -> None:
    collection = replace(honest.manifest.collection, title="Toys")
    changed = honest.republish(replace(honest.manifest, collection=collection))
    assert failed(changed) == ["collection and request"]


def test_changed_participant_rows_fail(honest: Publication) -> None:
    first, second = honest.manifest.participants
    members = (replace(first, rows=8), replace(second, rows=15))
    names = failed(honest.republish(replace(honest.manifest, participants=members)))
    assert "participants" in names


def test_acceptance_signed_by_another_fails(honest: Publication) -> None:
    first, second = honest.manifest.participants
    members = (replace(first, acceptance=second.acceptance), second)
    assert failed(honest.republish(replace(honest.manifest, participants=members))) == ["participants"]


# --- commitment and seed


def test_model_committed_after_the_seed_fails(honest: Publication) -> None:
    order = honest.manifest.order
    late = replace(honest.chain.commitments[order], commit_block=42)
    chain = replace(honest.chain, commitments={order: late})
    assert failed(replace(honest, chain=chain)) == ["models committed before the seed"]


def test_commitment_signed_by_another_fails(honest: Publication) -> None:
    first, second = honest.manifest.shards
    shards = (replace(first, commit_signature=second.commit_signature), second)
    changed = honest.republish(replace(honest.manifest, shards=shards))
    assert failed(changed) == ["models committed before the seed"]


def test_block_hash_that_does_not_give_the_seed_fails(honest: Publication) -> None:
    draw = replace(honest.manifest.seed, block_hash=sha256(b"chosen"))
    assert failed(honest.republish(replace(honest.manifest, seed=draw))) == ["seed"]


def test_block_hash_that_the_chain_contradicts_fails(honest: Publication) -> None:
    chain = replace(honest.chain, block_hashes={42: sha256(b"another fork")})
    assert failed(replace(honest, chain=chain)) == ["seed"]


def test_hidden_draws_fail(honest: Publication) -> None:
    draw = honest.manifest.seed
    more = replace(draw, draws=2)
    assert failed(honest.republish(replace(honest.manifest, seed=more))) == ["seed"]


def test_seed_is_checked_from_the_manifest_when_the_node_forgot_the_block(honest: Publication) -> None:
    certificate = verify(replace(honest, chain=replace(honest.chain, block_hashes={})))
    assert certificate.passed
    assert "no longer has it" in certificate.check("seed").detail


# --- shards


def test_swapped_shards_fail(honest: Publication) -> None:
    swapped = tuple(reversed(honest.manifest.shards))
    names = failed(honest.republish(replace(honest.manifest, shards=swapped)))
    assert "shard records" in names


def test_swapped_files_of_two_shards_fail(honest: Publication) -> None:
    first, second = honest.manifest.shards
    shards = (replace(first, signed_content=second.content), replace(second, signed_content=first.content))
    published = honest.republish(replace(honest.manifest, shards=shards))
    assert {"shard records", "shard receipts"} <= set(failed(published))
    assert verify(published).check("files open").status is Status.NOT_CHECKED


def test_receipt_signed_by_another_fails(honest: Publication) -> None:
    record = honest.chain.datasets[DATASET]
    shards = (replace(record.shards[0], receipt=record.shards[1].receipt), record.shards[1])
    assert failed(honest.rerecord(shards=shards)) == ["shard receipts"]


def test_wrong_data_set_root_fails(honest: Publication) -> None:
    names = failed(honest.rerecord(dataset_root=sha256(b"root")))
    assert {"manifest form", "data-set root", "evaluations"} <= set(names)


def test_missing_shard_file_fails_without_a_key_too(honest: Publication) -> None:
    store = MemoryStore()
    store.put(honest.manifest.encode())
    for file in honest.files()[1:]:
        store.put(honest.store.get(file.cid))
    assert failed(replace(honest, store=store), None) == ["files present"]


def test_file_in_clear_in_a_private_order_fails() -> None:
    def leave_open(drafts: list[ShardDraft]) -> None:
        drafts[1].in_clear = True

    publication = Builder(edit_drafts=leave_open).build()
    assert "sealing" in failed(publication, None)


def test_model_that_was_not_committed_fails() -> None:
    def other_model(drafts: list[ShardDraft]) -> None:
        drafts[0].model = tiny_model(3)

    assert {"models", "rows"} <= set(failed(Builder(edit_drafts=other_model).build()))


def test_model_larger_than_the_collection_promises_fails_and_is_named() -> None:
    # 6,000 neurons * (4 inputs + 7 codes) = 66,000 multiplications
    certificate = verify(Builder(models=(MODELS[0], tiny_model(3, neurons=6000))).build())
    assert certificate.failed[0].name == "models"
    assert (
        "shard 1: a model of 96,179 bytes (at most 80,000), 66,000 multiplications a row (at most 64,000)"
        in certificate.failed[0].detail
    )


@pytest.mark.parametrize("row", [0, 4, 8])
def test_one_changed_row_signed_by_its_contributor_fails_and_is_named(row: int) -> None:
    def change_a_row(drafts: list[ShardDraft]) -> None:
        data = bytearray(drafts[0].rows)
        place = row * CODEBOOK.row_width + 2
        data[place] = (data[place] + 1) % 4
        drafts[0].rows = bytes(data)

    certificate = verify(Builder(edit_drafts=change_a_row).build())
    assert [check.name for check in certificate.failed] == ["rows"]
    assert f"shard 0, row {row}:" in certificate.failed[0].detail


# 10 rows of two kinds and 13 of higher ages, over shards of 9 and 14 rows
ASKED = Conditions(SCHEMA, (Segment(10, {1: ((1, 1), (3, 3))}), Segment(13, {0: ((100, 299),)})))


def test_rows_that_ignore_the_order_s_conditions_fail_and_are_named() -> None:
    def ignore(drafts: list[ShardDraft]) -> None:
        seed = builder.build_seed()
        drafts[1].rows = Sampler(MODELS[1], seed, 1).row_bytes(0, ROWS[1])

    builder = Builder(conditions=ASKED, edit_drafts=ignore)
    certificate = verify(builder.build())
    assert [check.name for check in certificate.failed] == ["rows", "conditions"]
    assert "shard 1, row" in certificate.failed[1].detail
    assert "not one with" in certificate.failed[1].detail


def test_rows_of_the_order_s_conditions_counted_from_another_row_fail() -> None:
    def begin_at_0(drafts: list[ShardDraft]) -> None:
        seed = builder.build_seed()
        asked = RowConditions(ASKED, 0)
        drafts[1].rows = Sampler(MODELS[1], seed, 1, conditions=asked).row_bytes(0, ROWS[1])

    builder = Builder(conditions=ASKED, edit_drafts=begin_at_0)
    assert "rows" in failed(builder.build())


def test_score_of_rows_under_conditions_instead_of_the_free_stream_fails() -> None:
    def count_conditioned(document: dict[str, Any]) -> None:
        document["poolCounts"] = document["poolCounts"][::-1]

    assert failed(Builder(conditions=ASKED, edit_score=count_conditioned).build()) == ["score file"]


def test_conditions_that_the_terms_do_not_bind_fail(honest: Publication) -> None:
    manifest = replace(honest.manifest, request=Request.of("a test", ASKED))
    assert failed(honest.republish(manifest)) == [
        "collection and request",
        "rows",
        "conditions",
    ]


def test_an_order_with_conditions_passes_and_says_what_was_asked() -> None:
    certificate = verify(Builder(conditions=ASKED).build())
    assert certificate.exit_code == 0
    detail = next(check.detail for check in certificate.checks if check.name == "conditions")
    assert detail == f"10 with {ASKED.describe(0)}; 13 with age=100..299"


def test_missing_last_row_signed_by_its_contributor_fails() -> None:
    def cut(drafts: list[ShardDraft]) -> None:
        drafts[1].rows = drafts[1].rows[: -CODEBOOK.row_width]

    names = failed(Builder(edit_drafts=cut).build())
    assert {"rows", "score file"} <= set(names)


def test_half_a_row_too_many_fails_without_raising() -> None:
    def extend(drafts: list[ShardDraft]) -> None:
        drafts[1].rows += b"\0"

    assert {"rows", "shard roots"} <= set(failed(Builder(edit_drafts=extend).build()))


def test_more_rows_in_the_receipt_than_matched_fails() -> None:
    def claim(drafts: list[ShardDraft]) -> None:
        drafts[0].row_count += 1

    assert "shard records" in failed(Builder(edit_drafts=claim).build())


def test_a_false_row_fails_even_when_the_files_of_another_shard_are_closed() -> None:
    def change_a_row(drafts: list[ShardDraft]) -> None:
        drafts[0].rows = bytes([drafts[0].rows[0] ^ 1]) + drafts[0].rows[1:]

    publication = Builder(edit_drafts=change_a_row).build()
    store = MemoryStore()
    for cid in publication.contents():
        if cid != publication.manifest.shards[1].content.rows.cid:
            store.put(publication.store.get(cid))
    store.put(publication.manifest.encode())
    certificate = verify(replace(publication, store=store))
    assert [check.name for check in certificate.failed] == ["files present", "files open", "rows"]
    assert "shard 0, row 0:" in certificate.check("rows").detail
    assert certificate.check("shard roots").status is Status.NOT_CHECKED


def test_rows_that_no_shard_publishes_are_not_called_recomputed(honest: Publication) -> None:
    changed = honest.republish(replace(honest.manifest, shards=honest.manifest.shards[:1]))
    assert verify(changed).check("rows").detail == "only 9 of 23 rows are published"


# --- fetching and judging


def test_judging_asks_nobody_and_lets_a_shard_go_before_the_next(honest: Publication) -> None:
    evidence = fetch_evidence(honest.chain, honest.store, DATASET, KEY)
    seen: list[weakref.ref[ShardFiles]] = []

    def one_at_a_time() -> Iterator[ShardFiles]:
        for shard in fetch_shards(evidence, honest.store):
            assert all(earlier() is None for earlier in seen)
            seen.append(weakref.ref(shard))
            yield shard
            del shard

    certificate = judge(evidence, one_at_a_time())
    assert len(seen) == 2
    kept = list(fetch_shards(evidence, honest.store))
    assert judge(evidence, kept) == certificate == verify(honest)


def test_what_cannot_be_had_is_recorded_and_not_raised(honest: Publication) -> None:
    evidence = fetch_evidence(honest.chain, MemoryStore(), DATASET, KEY)
    assert isinstance(evidence.manifest_file, Absent)
    assert "not in this store" in evidence.manifest_file.words
    assert list(fetch_shards(evidence, MemoryStore())) == []
    store = MemoryStore()
    store.put(honest.manifest.encode())
    evidence = fetch_evidence(honest.chain, store, DATASET, KEY)
    for shard in fetch_shards(evidence, store):
        assert isinstance(shard.rows_file, Absent)
        assert "not in this store" in shard.rows_file.words


def test_the_example_in_the_documentation_runs(honest: Publication) -> None:
    names = {"chain": honest.chain, "store": honest.store, "key": KEY}
    result = doctest.testmod(dataset, extraglobs=names)
    assert result.attempted == 4
    assert result.failed == 0


# --- what people vouch for


def test_evaluation_signed_by_another_fails(honest: Publication) -> None:
    record = honest.chain.datasets[DATASET]
    first, second = record.evaluations
    swapped = (replace(first, signature=second.signature), second)
    assert failed(honest.rerecord(evaluations=swapped)) == ["evaluations"]


def test_median_below_the_terms_fails(honest: Publication) -> None:
    manifest, record = honest.manifest, honest.chain.datasets[DATASET]
    shares = manifest.evaluation[0].shares_digest
    low, signed = [], []
    for node, each, chain in zip(NODES, manifest.evaluation, record.evaluations, strict=True):
        message = Evaluation(
            manifest.order, manifest.dataset_root, 899_999, shares, manifest.score.file.plain_sha256
        )
        signature = node.sign_typed(DEPLOYMENT.domain, message)
        low.append(replace(each, score_micro=899_999, signature=signature))
        signed.append(replace(chain, score_micro=899_999, signature=signature))
    changed = honest.republish(replace(manifest, evaluation=tuple(low))).rerecord(evaluations=tuple(signed))
    certificate = verify(changed)
    assert [check.name for check in certificate.failed] == ["evaluations"]
    assert "899999 millionths, the terms ask for 900000" in certificate.failed[0].detail


def test_shares_that_the_escrow_does_not_pay_by_fail(honest: Publication) -> None:
    order = honest.manifest.order
    escrow = replace(honest.chain.orders[order], shares_digest=sha256(b"other"))
    chain = replace(honest.chain, orders={order: escrow})
    assert failed(replace(honest, chain=chain)) == ["shares"]


@pytest.mark.parametrize("member", ["referenceWeights", "utilities", "valuesMicro", "sharesBps"])
def test_score_file_with_an_invented_number_fails(member: str) -> None:
    def invent(document: dict[str, Any]) -> None:
        if member == "sharesBps":
            document[member] = [9000, 1000]
        elif member == "utilities":
            document[member][0][2] += 1
        else:
            document[member][0] += 1

    assert failed(Builder(edit_score=invent).build()) == ["score file"]


@pytest.mark.parametrize("shard", [0, 1])
def test_score_file_with_a_changed_evidence_count_fails_and_names_the_shard(shard: int) -> None:
    def invent(document: dict[str, Any]) -> None:
        document["shards"][shard]["evidenceCounts"][0] += 1
        document["shards"][shard]["evidenceCounts"][1] -= 1

    certificate = verify(Builder(edit_score=invent).build())
    assert [check.name for check in certificate.failed] == ["score file"]
    assert f"shard {shard}: the evidence counts" in certificate.failed[0].detail


@pytest.mark.parametrize("cells", [(0, 1), (3, 2)])
def test_score_file_with_a_changed_pool_count_fails(cells: tuple[int, int]) -> None:
    def invent(document: dict[str, Any]) -> None:
        for cell, change in zip(cells, (1, -1), strict=True):
            document["poolCounts"][cell] = max(document["poolCounts"][cell] + change, 0)

    certificate = verify(Builder(edit_score=invent).build())
    assert [check.name for check in certificate.failed] == ["score file"]
    assert "pool counts" in certificate.failed[0].detail


def one_sided(document: dict[str, Any]) -> None:
    """Shard 0 is what the other's node released, shard 1 is worth nothing: by value alone the first takes all."""
    first, second = document["shards"]
    second["referenceCounts"] = list(first["evidenceCounts"])
    first["referenceCounts"] = [50] * len(first["evidenceCounts"])
    evidence = [
        ShardEvidence(
            each["rows"],
            each["claimedRows"],
            *(np.array(each[name]) for name in ("evidenceCounts", "referenceCounts", "noiseVariances")),
        )
        for each in (first, second)
    ]
    made = score_shards(evidence, Workload(CODEBOOK.code_counts, ((0, 1),)), np.array(document["poolCounts"]))
    document.update(canonical.decode_object(canonical.encode(made.document)))


def without_floor(document: dict[str, Any]) -> None:
    """The same as it was made before there was a floor."""
    one_sided(document)
    document["format"] = "tessera-score/1"
    document["sharesBps"] = [10_000, 0]
    del document["undelivered"]


def against_the_sum(document: dict[str, Any]) -> None:
    """As of an order whose nodes' tables were seen in their sum alone."""
    first, second = document["shards"]
    part = [(a + b) // 2 for a, b in zip(first["referenceCounts"], second["referenceCounts"], strict=True)]
    evidence = [
        ShardEvidence(
            each["rows"],
            each["claimedRows"],
            *(np.array(found) for found in (each["evidenceCounts"], part, each["noiseVariances"])),
        )
        for each in (first, second)
    ]
    workload, pool = Workload(CODEBOOK.code_counts, ((0, 1),)), np.array(document["poolCounts"])
    made = score_shards(evidence, workload, pool, is_sum=True)
    document.update(canonical.decode_object(canonical.encode(made.document)))


def test_a_score_against_the_sum_says_so_and_judges_nobody_a_copy() -> None:
    publication = Builder(edit_score=against_the_sum).build()
    certificate = verify(publication)
    assert certificate.passed, certificate.failed
    (told,) = (check.detail for check in certificate.checks if check.name == "score file")
    assert "measured against the sum of the nodes' tables" in told
    assert "copies" not in told


@pytest.mark.parametrize("changed", ["reference", "players", "word"])
def test_a_score_that_calls_different_references_a_sum_fails(changed: str) -> None:
    def change(document: dict[str, Any]) -> None:
        against_the_sum(document)
        if changed == "reference":
            document["shards"][0]["referenceCounts"][0] += 1
        elif changed == "players":
            document["players"] = [[0, 1]]
        else:
            document["references"] = "own"

    assert failed(Builder(edit_score=change).build()) == ["score file"]


def test_shares_have_a_floor_and_those_of_older_data_sets_have_none() -> None:
    publication = Builder(edit_score=one_sided).build()
    assert publication.manifest.shares_bps == (6957, 3043), "14 of 23 rows, halved"
    assert failed(publication) == []
    older = Builder(edit_score=without_floor).build()
    assert older.manifest.shares_bps == (10_000, 0)
    assert failed(older) == []


@pytest.mark.parametrize("changed", ["format", "shares"])
def test_shares_by_the_rule_of_the_other_format_fail(changed: str) -> None:
    def mix(document: dict[str, Any]) -> None:
        (one_sided if changed == "shares" else without_floor)(document)
        document["sharesBps"] = [10_000, 0] if changed == "shares" else [6957, 3043]

    assert failed(Builder(edit_score=mix).build()) == ["score file"]


def test_score_file_with_counts_of_the_delivered_rows_as_evidence_fails() -> None:
    def deliver(document: dict[str, Any]) -> None:
        for shard, counts in enumerate(document["shards"]):
            counts["evidenceCounts"] = [ROWS[shard], *[0] * 11]

    certificate = verify(Builder(edit_score=deliver).build())
    assert [check.name for check in certificate.failed] == ["score file"]


@pytest.mark.parametrize("is_open", [True, False])
def test_score_file_that_is_not_the_recorded_one_fails(is_open: bool) -> None:
    """The sealed bytes are as the manifest says; what is inside is not what the record says."""
    publication = Builder(is_open=is_open).build()
    score = publication.manifest.score
    file = replace(score.file, plain_sha256=sha256(b"another score"))
    changed = publication.republish(replace(publication.manifest, score=replace(score, file=file)))
    changed = changed.rerecord(score_digest=file.plain_sha256)
    assert failed(changed, publication.key) == ["evaluations", "score file"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", "tessera-score/3"),
        ("tables", []),
        ("tables", [[0, 5]]),
        ("codeCounts", [3]),
        ("codeCounts", [2**31, 2**31]),
        ("players", [[0]]),
        ("players", [[0], [0, 1]]),
        ("shards", []),
        ("shards", [1, 2]),
        ("poolCounts", [1, 2]),
        ("poolCounts", None),
    ],
)
def test_malformed_score_file_fails_without_raising(member: str, value: object) -> None:
    def damage(document: dict[str, Any]) -> None:
        document[member] = value

    assert failed(Builder(edit_score=damage).build()) == ["score file"]


def test_epsilon_beyond_the_terms_fails() -> None:
    def spend(drafts: list[ShardDraft]) -> None:
        drafts[0].epsilon_micro = 3_000_001

    assert failed(Builder(edit_drafts=spend).build()) == ["privacy within terms"]


def test_what_the_tables_have_spent_over_all_orders_is_shown_as_signed(honest: Publication) -> None:
    heads = [LedgerHead(sha256(b"table"), 12, sha256(b"line"), spent, 10**7) for spent in (6_500_000, None)]
    detail = "; spent by its table over all orders until then, signed and not proven: shard 0 epsilon 6.5 at delta "
    found = verify(Builder(edit_content=lambda k, content: replace(content, ledger=heads[k])).build())
    assert found.passed
    assert detail + "0.00001, shard 1 without a bound; schema" in found.check("privacy within terms").detail
    assert "spent by its table" not in verify(honest).check("privacy within terms").detail


def test_what_a_table_has_spent_over_all_orders_is_no_figure_for_a_person_with_several_rows() -> None:
    head = LedgerHead(sha256(b"table"), 12, sha256(b"line"), 6_500_000, 10**7)
    manifest = Builder(edit_content=lambda _k, content: replace(content, ledger=head)).build().manifest
    schema = replace(manifest.collection.schema, unit=Unit("who", 3))
    of_persons = replace(manifest, collection=replace(manifest.collection, schema=schema))
    told = privacy(cast(Evidence, SimpleNamespace(manifest=of_persons, standing=manifest.shards)))
    assert "even chance that a person (at most 3 rows) is in the table" in told
    assert "spent by its table over all orders until then, for a person with one row, signed" in told


def test_claim_of_no_privacy_where_the_terms_ask_for_it_fails() -> None:
    def claim_nothing(drafts: list[ShardDraft]) -> None:
        drafts[0].epsilon_micro = 0

    assert failed(Builder(edit_drafts=claim_nothing).build()) == ["privacy within terms"]


def test_wrong_depth_fails(honest: Publication) -> None:
    assert {"manifest form", "generation"} <= set(failed(honest.rerecord(depth=3)))


def test_manifest_with_fewer_shards_than_recorded_fails_without_raising(honest: Publication) -> None:
    changed = honest.republish(replace(honest.manifest, shards=honest.manifest.shards[:1]))
    assert {"shard records", "shard receipts"} <= set(failed(changed))


def test_node_that_goes_silent_at_a_parent_decides_nothing(honest: Publication) -> None:
    class Silent(MemoryChain):
        def dataset(self, dataset_id: int) -> DatasetOnChain:
            if dataset_id == 5:
                raise ChainUnavailableError("no answer")
            return super().dataset(dataset_id)

    parent = replace(honest.chain.datasets[DATASET], id=5)
    changed = Builder(parents=(parent,), collection_changes={"parents": (5,)}).build()
    fields = {name: getattr(changed.chain, name) for name in changed.chain.__dataclass_fields__}
    with pytest.raises(ChainUnavailableError):
        verify(replace(changed, chain=Silent(**fields)))


def derived(honest: Publication, **changes: object) -> Publication:
    """A data set half of whose rows come from data set 5 (depth 2, two fifths real)."""
    parents = (replace(honest.chain.datasets[DATASET], id=5, depth=2, real_fraction_micro=400_000),)
    named: dict[str, object] = {"parents": (5,), "own_real_micro": 500_000}
    return Builder(parents=parents, collection_changes=named | changes).build()


def test_unknown_parent_fails(honest: Publication) -> None:
    changed = derived(honest)
    del changed.chain.datasets[5]
    assert failed(changed) == ["generation"]


def test_parents_other_than_the_signed_collection_names_fail(honest: Publication) -> None:
    manifest = replace(honest.manifest, generation=replace(honest.manifest.generation, parents=(5,)))
    changed = honest.republish(manifest).rerecord(parents=(5,))
    changed.chain.datasets[5] = replace(honest.chain.datasets[DATASET], id=5)
    check = next(each for each in verify(changed).checks if each.name == "generation")
    assert check.status is Status.FAILED
    assert "the record's parents are [5], the collection names []" in check.detail


@pytest.mark.parametrize(("depth", "fraction"), [(2, 400_000), (3, 400_001), (3, 500_000)])
def test_depth_or_real_fraction_that_does_not_follow_from_the_parents_fails(
    honest: Publication, depth: int, fraction: int
) -> None:
    whole = derived(honest)
    generation = replace(whole.manifest.generation, depth=depth, real_fraction_micro=fraction)
    changed = whole.republish(replace(whole.manifest, generation=generation))
    assert failed(changed.rerecord(depth=depth, real_fraction_micro=fraction)) == ["generation"]


@pytest.mark.parametrize(
    "changes",
    [{"royalty_bps": 251}, {"conditions": sha256(b"others")}, {"parents": sha256(b"others")}],
)
def test_terms_that_do_not_follow_from_collection_and_request_fail(changes: dict[str, object]) -> None:
    assert failed(Builder(terms_changes=changes).build()) == ["collection and request"]


# --- less than was ordered

SILENT, DISSENT = ExcusedEvaluation(Absence.SILENT), ExcusedEvaluation(Absence.ANSWERED)


def test_revoked_shard_whose_events_are_missing_fails(honest: Publication) -> None:
    assert failed(honest.rerecord(status=DatasetStatus.REDUCED)) == ["record on chain"]
    assert failed(honest.rerecord(revoked=frozenset({1}))) == ["record on chain"]
    none = honest.rerecord(status=DatasetStatus.REDUCED, revoked=frozenset({0, 1}))
    assert "record on chain" in failed(none), "with the last shard the data set is revoked"


def test_shard_that_stands_beside_a_revoked_one_is_checked_as_ever() -> None:
    """A false row in the standing shard fails; in the revoked one nobody claims anything."""

    def lie(drafts: list[ShardDraft]) -> None:
        drafts[1].rows = bytes([drafts[1].rows[0] ^ 1]) + drafts[1].rows[1:]

    assert "rows" in failed(Builder(edit_drafts=lie, convicted=frozenset({0})).build())
    assert failed(Builder(edit_drafts=lie, convicted=frozenset({1})).build()) == []


@pytest.mark.parametrize("shard", [0, 1])
def test_rest_of_a_reduced_data_set_passes_and_what_is_not_part_of_it_is_said(shard: int) -> None:
    publication = Builder(convicted=frozenset({shard})).build()
    seen: list[tuple[int, int]] = []
    certificate = verify_dataset(
        publication.chain, publication.store, DATASET, KEY, lambda *each: seen.append(each)
    )
    assert certificate.exit_code == 0
    assert not certificate.failed
    assert not certificate.unchecked
    rest = ROWS[1 - shard]
    assert seen[-1] == (rest, rest)
    assert certificate.check("rows").detail == f"{rest} of {rest} rows recomputed and equal"
    assert f"shard {shard} revoked, the others stand" in certificate.check("record on chain").detail
    assert f"the counts of shard {shard} not looked at" in certificate.check("score file").detail
    (remark,) = certificate.remarks
    assert remark == (
        f"shard {shard} of {NODES[shard].address} was shown to be false, or withheld: its {ROWS[shard]} rows are not "
        "part of the data set, and nothing of them was checked"
    )
    assert certificate.document()["remarks"] == [remark]


def test_files_of_a_revoked_shard_need_not_be_there() -> None:
    publication = Builder(convicted=frozenset({1})).build()
    store = MemoryStore()
    store.put(publication.manifest.encode())
    kept = publication.manifest.shards[0].content
    for file in (kept.rows, kept.model, publication.manifest.score.file):
        store.put(publication.store.get(file.cid))
    assert failed(replace(publication, store=store)) == []


@pytest.mark.parametrize("shard", [0, 1])
def test_data_set_without_a_dropped_contributor_passes(shard: int) -> None:
    publication = Builder(dropped=frozenset({shard})).build()
    certificate = verify(publication)
    assert not certificate.failed
    assert not certificate.unchecked
    rest = ROWS[1 - shard]
    assert certificate.check("rows").detail == f"{rest} of {rest} rows recomputed and equal"
    assert f"{ROWS[shard]} of 23 rows were not delivered" in certificate.check("order terms").detail
    (remark,) = certificate.remarks
    assert f"shard {shard} of {NODES[shard].address} was dropped before the publication" in remark


def test_evaluation_that_is_missing_without_an_excuse_fails() -> None:
    nothing = Builder(absent={1: ExcusedEvaluation(Absence.NONE)}).build()
    assert failed(nothing) == ["evaluations"]


def test_half_of_the_voices_is_no_quorum_and_a_silent_one_is_no_voice() -> None:
    assert failed(Builder(absent={1: DISSENT}).build()) == ["evaluations"]
    silent = verify(Builder(absent={1: SILENT}).build())
    assert not silent.failed
    assert "signed by 1 of 2 contributors, 1 silent" in silent.check("evaluations").detail


def test_manifest_shown_on_chain_stands_in_for_one_that_no_store_has(honest: Publication) -> None:
    store = MemoryStore()
    for cid in honest.contents():
        store.put(honest.store.get(cid))
    assert "manifest digest" in failed(replace(honest, store=store))
    order = honest.manifest.order
    shown = replace(honest.chain, manifests={order: honest.manifest.encode()})
    assert failed(replace(honest, store=store, chain=shown)) == []
    false = replace(honest.chain, manifests={order: b"{}"})
    assert "manifest digest" in failed(replace(honest, store=store, chain=false))


# --- the truth


def test_derived_data_set_passes_and_its_real_fraction_is_recomputed(honest: Publication) -> None:
    certificate = verify(derived(honest))
    assert not certificate.failed
    check = next(each for each in certificate.checks if each.name == "generation")
    assert check.detail == "depth 3, real fraction 40 % given 50 % of the rows declared real"


def test_private_data_set_passes_every_check_with_the_key(honest: Publication) -> None:
    seen = []
    certificate = verify_dataset(
        honest.chain, honest.store, DATASET, KEY, lambda done, total: seen.append((done, total)), threads=2
    )
    assert certificate.passed
    assert not certificate.unchecked
    assert [check.number for check in certificate.checks] == list(
        range(1, len(RULES) + len(NEVER_PROVEN) + 1)
    )
    assert seen[-1] == (23, 23)
    assert certificate.document()["verdict"] == "passed"


def test_rows_are_fraud_provable_where_the_terms_promise_the_class(honest: Publication) -> None:
    rows = next(check for check in verify(honest).checks if check.name == "rows")
    assert rows.label is Label.FRAUD_PROVABLE
    rows = next(check for check in verify(honest, None).checks if check.name == "rows")
    assert rows.label is Label.RECOMPUTED


def test_without_the_key_the_public_part_passes_and_the_rest_is_listed(honest: Publication) -> None:
    certificate = verify(honest, None)
    assert certificate.exit_code == 0
    assert [check.name for check in certificate.unchecked] == NEEDS_KEY


def test_open_data_set_needs_no_key(honest_open: Publication) -> None:
    certificate = verify(honest_open, None)
    assert certificate.passed
    assert not certificate.unchecked


def test_what_nothing_proves_is_always_listed(honest: Publication) -> None:
    certificate = verify(honest)
    assert [check.name for check in certificate.not_proven] == [name for name, _ in NEVER_PROVEN]
    assert all(check.label is Label.NOT_PROVEN for check in certificate.not_proven)
    assert all(check.status is Status.NOT_CHECKED for check in certificate.not_proven)


def test_store_that_returns_other_bytes_fails_instead_of_raising(honest: Publication) -> None:
    class Liar(MemoryStore):
        def get(self, cid: Cid) -> bytes:
            raise IntegrityError("other bytes")

    assert "manifest digest" in failed(replace(honest, store=Liar()))


# --- nothing that stands in a manifest raises


def _places(document: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    if isinstance(document, dict):
        for name, value in document.items():
            yield from _places(value, (*at, name))
    elif isinstance(document, list):
        for index, value in enumerate(document[:1]):
            yield from _places(value, (*at, index))


def _replaced(document: Any, at: tuple[str | int, ...], value: object) -> Any:
    if not at:
        return value
    document = copy.deepcopy(document)
    holder = document
    for part in at[:-1]:
        holder = holder[part]
    holder[at[-1]] = value
    return document


@pytest.mark.parametrize("value", [[], {}, None, -1, 2**53 - 1, "", "9" * 60, [[]]], ids=repr)
def test_a_recorded_manifest_with_anything_anywhere_is_judged_and_raises_nothing(
    honest: Publication, value: object
) -> None:
    document = canonical.decode(honest.manifest.encode())
    evidence = fetch_evidence(honest.chain, honest.store, DATASET, KEY)
    for at in _places(document):
        data = canonical.encode(_replaced(document, at, value))
        record = replace(evidence.record, manifest_digest=sha256(data))
        certificate = judge(replace(evidence, record=record, manifest_file=data), [])
        assert certificate.failed, f"{at} may be {value!r}"


@pytest.mark.parametrize(
    ("member", "check"), [("shards", "privacy within terms"), ("evaluation", "evaluations")]
)
def test_a_manifest_that_shows_nothing_fails_the_check_of_it(
    honest: Publication, member: str, check: str
) -> None:
    evidence = fetch_evidence(honest.chain, honest.store, DATASET, KEY)
    data = canonical.encode(_replaced(canonical.decode(honest.manifest.encode()), (member,), []))
    record = replace(evidence.record, manifest_digest=sha256(data), evaluations=())
    certificate = judge(replace(evidence, record=record, manifest_file=data), [])
    assert certificate.check(check).status is Status.FAILED
