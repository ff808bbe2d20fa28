"""Shards that do not open, keys of whoever holds a data set, and what stands in for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance import canonical
from provenance.chain.ports import (
    Absence,
    ExcusedEvaluation,
    OrderState,
    Purchase,
)
from provenance.crypto.resold_keys import SaleKey, SalePlace, masked_keys
from provenance.crypto.seal import SCORE_SHARD, DeliveryKey, wrap_key
from provenance.record.receipts import ShardContent
from provenance.store.unixfs import check_content
from provenance.values import Cid, sha256
from provenance.verify.certificate import Status
from provenance.verify.opening import content_key, fetch_key, sealed_keys, unsold
from tests.memory import MemoryStore
from tests.provenance.verify.judged import NEEDS_KEY, failed, verify
from tests.provenance.verify.publication import (
    DATASET,
    KEY,
    MODELS,
    NODES,
    ROWS,
    Builder,
    Publication,
    ShardDraft,
)

# --- keys


def seal_for_a_stranger(drafts: list[ShardDraft]) -> None:
    drafts[1].sealed_under = DeliveryKey(b"\x77" * 32)


def commit_to_another_key(drafts: list[ShardDraft]) -> None:
    drafts[1].committed_key = bytes(32)


WRONG_KEYS = [
    pytest.param(seal_for_a_stranger, "released a key of shard 1 that nothing here opens", id="stranger's"),
    pytest.param(
        commit_to_another_key, "released another key of shard 1 than it committed to", id="uncommitted"
    ),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG_KEYS)
def test_a_key_that_opens_nothing_is_as_good_as_none_and_its_contributor_is_named(
    wrong: Callable[[list[ShardDraft]], None], words: str
) -> None:
    publication = Builder(edit_drafts=wrong).build()
    assert failed(publication, None) == []
    certificate = verify(publication)
    assert not certificate.failed
    assert [check.name for check in certificate.unchecked] == NEEDS_KEY
    said = certificate.check("files open").detail
    assert f"contributor {NODES[1].address} {words}" in said
    assert f"`tessera demand --dataset {DATASET} --shard 1 --model --wallet WALLET`" in said
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    certificate = verify(publication)
    assert (certificate.exit_code, certificate.unchecked) == (0, ())


def test_a_wrong_delivery_key_leaves_the_sealed_unchecked_and_says_which_is_right(
    honest: Publication,
) -> None:
    certificate = verify(honest, DeliveryKey(b"\x78" * 32))
    assert not certificate.failed
    assert [check.name for check in certificate.unchecked] == NEEDS_KEY
    assert str(KEY.public) in certificate.key_problem
    assert certificate.exit_code == 2


BUYER_BY_RESALE = DeliveryKey(b"\x79" * 32)


def opened_by_first_owner(publication: Publication) -> list[tuple[int, bytes]]:
    manifest, store, chain = publication.manifest, publication.store, publication.chain
    keys = sealed_keys(manifest, unsold(chain, chain.dataset(DATASET)))
    return [(k, content_key(KEY, fetch_key(store, key), manifest.order, k)) for k, key in keys]


def resold(publication: Publication, change: Callable[[bytes], bytes] = lambda bundle: bundle) -> Publication:
    """The same data set after its holder delivered the keys for the second purchase, which is BUYER_BY_RESALE's."""
    manifest, deployment = publication.manifest, publication.chain.deployment
    keys = opened_by_first_owner(publication)
    point = SalePlace(deployment.chain_id, deployment.sales, DATASET, 1).key(BUYER_BY_RESALE).point
    sold = Purchase(point, change(masked_keys(keys, manifest.order, point)))
    chain = replace(publication.chain, resold={DATASET: (Purchase(SaleKey(5).point, None), sold)})
    return replace(publication, chain=chain)


def test_who_bought_the_data_set_from_its_holder_opens_it_with_its_own_key(honest: Publication) -> None:
    certificate = verify(resold(honest), BUYER_BY_RESALE)
    assert certificate.exit_code == 0
    assert not certificate.unchecked
    assert verify(resold(honest), DeliveryKey(b"\x7a" * 32)).exit_code == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle[:-1],
        lambda bundle: b"",
        lambda bundle: bundle[:32] + bundle[64:96] + bundle[32:64] + bundle[96:],
        lambda bundle: b"\xff" * 32 + bundle[32:],
    ],
)
def test_delivered_keys_that_open_nothing_fail(honest: Publication, change: Callable[[bytes], bytes]) -> None:
    assert "files open" in failed(resold(honest, change), BUYER_BY_RESALE)


def test_keys_that_were_resold_before_sales_were_judged_open_still(honest: Publication) -> None:
    order, to = honest.manifest.order, BUYER_BY_RESALE.public
    bundle = b"".join(wrap_key(key, to, order, k) for k, key in opened_by_first_owner(honest))
    chain = replace(honest.chain, resold={DATASET: (Purchase(to, bundle),)})
    assert verify(replace(honest, chain=chain), BUYER_BY_RESALE).exit_code == 0
    chain = replace(honest.chain, resold={DATASET: (Purchase(to, bundle[:-1]),)})
    assert "files open" in failed(replace(honest, chain=chain), BUYER_BY_RESALE)


def test_data_set_made_before_keys_were_committed_to_verifies() -> None:
    older = Builder(commits_to_keys=False).build()
    assert b"keyCommitment" not in older.manifest.encode()
    assert verify(older).exit_code == 0


def test_data_set_whose_wrapped_keys_stand_in_its_content_documents_verifies() -> None:
    older = Builder(releases_keys=False).build()
    assert all(
        b"wrappedKeyCid" not in canonical.encode(each.content.document()) for each in older.manifest.shards
    )
    assert verify(older).exit_code == 0


def withholding(state: OrderState = OrderState.PUBLISHED) -> Publication:
    """The contributor of shard 1 never released its key."""

    def withhold(drafts: list[ShardDraft]) -> None:
        drafts[1].releases_key = False

    return Builder(edit_drafts=withhold, state=state).build()


def test_a_key_that_was_not_released_leaves_the_rows_unchecked_and_says_whose_it_is() -> None:
    published = withholding()
    certificate = verify(published)
    assert not certificate.failed
    assert [check.name for check in certificate.unchecked] == NEEDS_KEY
    words = certificate.check("files open").detail
    assert f"contributor {NODES[1].address} has not released the key of shard 1" in words
    assert f"`tessera demand --dataset {DATASET} --shard 1 --model --wallet WALLET`" in words
    assert verify(published, None).exit_code == 0, "the public part holds"


def test_a_false_row_is_found_beside_a_key_that_was_not_released() -> None:
    def lie(drafts: list[ShardDraft]) -> None:
        drafts[0].rows = bytes([drafts[0].rows[0] ^ 1]) + drafts[0].rows[1:]
        drafts[1].releases_key = False

    assert failed(Builder(edit_drafts=lie).build()) == ["rows"]


def test_rows_of_a_model_that_was_shown_on_chain_need_no_key() -> None:
    published = withholding()
    published.chain.models[published.manifest.order, 1] = MODELS[1]
    certificate = verify(published)
    assert certificate.exit_code == 0
    assert not certificate.unchecked
    assert "1 made from models that were shown on chain" in certificate.check("files open").detail
    published.chain.models[published.manifest.order, 1] = MODELS[0]
    assert {"models", "shard roots"} <= set(failed(published)), "what was shown is judged like any model"


def test_who_bought_it_from_its_holder_needs_no_wrapped_key() -> None:
    sold = resold(Builder().build())
    for cid in sold.released_keys():
        sold.store.drop(cid)
    assert verify(sold).exit_code == 0
    assert verify(sold).unchecked, "its first owner has its own copy, or opens it no more"
    assert verify(sold, BUYER_BY_RESALE).exit_code == 0


class Unpinned(MemoryStore):
    """A store that finds what others have and keeps nothing itself."""

    def has(self, cid: Cid) -> bool:
        return False


def test_a_key_that_the_store_can_fetch_from_others_is_there(honest: Publication) -> None:
    store = Unpinned()
    for data in honest.store.values():
        store.put(data)
    assert verify(replace(honest, store=store)).exit_code == 0
    assert not verify(replace(honest, store=store)).unchecked


def test_damaged_bytes_under_a_keys_cid_count_as_no_key(honest: Publication) -> None:
    bad = honest.released_keys()[1]

    class Damaging(MemoryStore):
        def get(self, cid: Cid) -> bytes:
            return check_content(cid, b"x" * 80) if cid == bad else honest.store.get(cid)

    certificate = verify(replace(honest, store=Damaging()))
    assert not certificate.failed
    assert "has not released the key of shard 1" in certificate.check("files open").detail


def test_files_that_hold_other_bytes_than_were_signed_give_way_to_a_model_that_was_shown() -> None:
    def lie(shard: int, content: ShardContent) -> ShardContent:
        return (
            replace(content, rows=replace(content.rows, plain_sha256=sha256(b"x"))) if shard == 1 else content
        )

    publication = Builder(edit_content=lie).build()
    assert failed(publication) == ["files open"]
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    assert (verify(publication).exit_code, verify(publication).unchecked) == (0, ())


def test_what_was_shown_on_chain_is_no_part_of_a_sale_and_needs_no_key() -> None:
    published = withholding(OrderState.SETTLED)
    published.chain.models[published.manifest.order, 1] = MODELS[1]
    sold = resold(published)
    assert [shard for shard, _ in opened_by_first_owner(published)] == [0, SCORE_SHARD]
    assert (verify(sold, BUYER_BY_RESALE).exit_code, verify(sold, BUYER_BY_RESALE).unchecked) == (0, ())


# --- a shard that was published by its receipt alone


def by_receipt(**changes: Any) -> Builder:
    absent = {1: ExcusedEvaluation(Absence.SILENT)}
    return Builder(undelivered=frozenset({1}), absent=absent, **changes)


@pytest.mark.parametrize("is_open", [True, False])
def test_shard_without_files_is_not_checked_and_says_what_to_demand(is_open: bool) -> None:
    publication = by_receipt(is_open=is_open).build()
    certificate = verify(publication)
    assert not certificate.failed
    assert certificate.unchecked
    assert certificate.check("files present").status is Status.NOT_CHECKED
    said = certificate.check("files present").detail
    assert f"contributor {NODES[1].address} has not delivered the files of shard 1" in said
    assert f"`tessera demand --dataset {DATASET} --shard 1 --model --wallet WALLET`" in said
    assert certificate.check("rows").status is Status.NOT_CHECKED
    assert publication.manifest.shares_bps == (6957, 3043)
    assert any("shard 1" in remark and "paid its floor" in remark for remark in certificate.remarks)


@pytest.mark.parametrize("is_open", [True, False])
def test_files_that_came_late_are_verified_like_the_others(is_open: bool) -> None:
    builder = by_receipt(is_open=is_open)
    publication = builder.build()
    for data in builder.withheld.values():
        builder.store.put(data)
    certificate = verify(publication)
    assert not certificate.failed
    assert not certificate.unchecked
    assert certificate.check("rows").detail == f"{sum(ROWS)} of {sum(ROWS)} rows recomputed and equal"


@pytest.mark.parametrize("wrong", ["digest", "size", "open", "other in clear"])
def test_late_files_that_do_not_hold_count_as_not_delivered(wrong: str) -> None:
    def lie(shard: int, content: ShardContent) -> ShardContent:
        if shard != 1:
            return content
        if wrong == "open":
            return replace(content, wrapped_key_cid=None)
        file = content.rows
        if wrong == "other in clear":
            return replace(content, rows=replace(file, plain_sha256=sha256(b"x")))
        changed = replace(file, sha256=sha256(b"x")) if wrong == "digest" else replace(file, plain_size=1)
        return replace(content, rows=changed)

    builder = by_receipt(edit_content=lie, is_open=wrong == "other in clear")
    publication = builder.build()
    for data in builder.withheld.values():
        builder.store.put(data)
    certificate = verify(publication)
    assert not certificate.failed
    assert certificate.check("files present").status is Status.NOT_CHECKED
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    assert (verify(publication).exit_code, verify(publication).unchecked) == (0, ())


def test_files_that_came_late_are_no_part_of_a_sale() -> None:
    builder = by_receipt()
    publication = builder.build()
    for data in builder.withheld.values():
        builder.store.put(data)
    certificate = verify(resold(publication), BUYER_BY_RESALE)
    assert not certificate.failed
    assert "the key of shard 1 was no part of the sale" in certificate.check("files open").detail


def test_rows_of_a_model_that_was_shown_on_chain_are_verified() -> None:
    publication = by_receipt().build()
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    certificate = verify(publication)
    assert not certificate.failed
    assert not certificate.unchecked
    assert "of shard 1 none, its model stands on chain" in certificate.check("files present").detail


def test_a_root_that_is_not_of_the_shown_models_rows_fails() -> None:
    def lie(drafts: list[ShardDraft]) -> None:
        drafts[1].rows = drafts[0].rows[: len(drafts[1].rows)].ljust(len(drafts[1].rows), b"\0")

    publication = by_receipt(edit_drafts=lie).build()
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    assert failed(publication) == ["shard roots"]


def test_score_file_must_name_the_rows_that_were_not_delivered() -> None:
    def forget(document: dict[str, Any]) -> None:
        document["undelivered"] = []

    publication = by_receipt(edit_score=forget).build()
    publication.chain.models[publication.manifest.order, 1] = MODELS[1]
    assert failed(publication) == ["score file"]
