"""A data set from stock is held against the training that it names; every way to name a false one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.chain.ports import DatasetStatus
from provenance.record.terms import Participant, participants_digest
from provenance.values import Digest, keccak256, sha256
from provenance.verify.certificate import Certificate, Status
from provenance.verify.dataset import NEVER_PROVEN, RULES, verify_dataset
from provenance.verify.training_check import NAME
from tests.memory import MemoryChain
from tests.provenance.verify.publication import (
    DATASET,
    KEY,
    MODELS,
    Builder,
    Publication,
    ShardDraft,
    sealed,
    tiny_model,
)

TRAINED = 3
STANDING = {"standing": True}


def training(**changes: Any) -> Publication:
    """The data set of the order that trained."""
    terms = {"salt": sha256(b"trained first"), **changes.pop("terms_changes", {})}
    return Builder(terms_changes=terms, **({"collection_changes": STANDING} | changes)).build()


def sold(trained: Publication, **changes: Any) -> Publication:
    """A data set from its stock, on a chain and in a store that hold both."""
    order = trained.manifest.order
    parts: dict[str, Any] = {
        "training": order,
        "privacy": {"unit": "row", "trainingOrder": str(order), "newEpsilonMicro": 0},
        "collection_changes": STANDING,
        "store": trained.store,
    }
    made = Builder(**(parts | changes)).build()
    first = trained.chain
    record = replace(first.datasets[DATASET], id=TRAINED)
    return replace(
        made,
        chain=replace(
            made.chain,
            orders=made.chain.orders | first.orders,
            commitments=made.chain.commitments | first.commitments,
            datasets=made.chain.datasets | {TRAINED: record},
            matched={order: trained.manifest.participant_list()},
        ),
    )


def verdict(publication: Publication) -> Certificate:
    return verify_dataset(publication.chain, publication.store, DATASET, KEY)


def failed(publication: Publication) -> list[str]:
    return [check.name for check in verdict(publication).failed]


def test_a_data_set_from_stock_passes_and_names_the_training() -> None:
    trained = training()
    certificate = verdict(sold(trained))
    assert certificate.passed
    assert certificate.unchecked == ()
    check = certificate.checks[-1]
    assert (check.number, check.name) == (len(RULES) + len(NEVER_PROVEN) + 1, NAME)
    assert f"models of order {trained.manifest.order} (data set {TRAINED}" in check.detail
    assert "no epsilon spent anew" in check.detail
    assert check.detail.endswith(
        "the scores are those of that data set, which 2 contributors made, this one 2"
    )


def test_a_data_set_made_to_order_has_no_such_check() -> None:
    assert NAME not in [check.name for check in verdict(training()).checks]


def test_another_model_than_the_one_of_the_training_fails() -> None:
    other = (MODELS[0], tiny_model(2, neurons=6))
    found = verdict(sold(training(models=other)))
    assert [check.name for check in found.failed] == [NAME]
    assert f"committed to {sha256(other[1])}" in found.checks[-1].detail


def test_a_contributor_that_is_not_of_the_training_fails() -> None:
    publication = sold(training())
    (order,) = publication.chain.matched
    stranger = Participant(publication.manifest.shards[0].contributor, 9)
    participants = (stranger, Participant(publication.chain.deployment.token, 14))
    escrow = replace(publication.chain.orders[order], participants_digest=participants_digest(participants))
    chain = replace(
        publication.chain,
        matched={order: participants},
        orders=publication.chain.orders | {order: escrow},
    )
    assert failed(replace(publication, chain=chain)) == [NAME]


Edit = Callable[[MemoryChain, Digest], MemoryChain]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda chain, order: replace(
                chain, datasets={number: each for number, each in chain.datasets.items() if number != TRAINED}
            ),
            "has no data set on chain",
        ),
        (lambda chain, order: replace(chain, matched={}), "the event's participants have digest"),
        (
            lambda chain, order: replace(
                chain,
                commitments=chain.commitments
                | {order: replace(chain.commitments[order], models_digest=keccak256(b"others"))},
            ),
            "the event's models have digest",
        ),
    ],
    ids=["unrecorded", "participants", "models"],
)
def test_a_training_that_the_chain_does_not_have_so_fails(edit: Edit, words: str) -> None:
    publication = sold(training())
    (order,) = publication.chain.matched
    found = verdict(replace(publication, chain=edit(publication.chain, order)))
    assert [check.name for check in found.failed] == [NAME]
    assert words in found.checks[-1].detail


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ({"collection_changes": STANDING | {"title": "Other"}}, "an order of collection"),
        ({"terms_changes": {"epsilon_micro": 2_500_000}}, "epsilon and delta: found 3 at"),
        ({"terms_changes": {"delta_e12": 11_000_000}}, "epsilon and delta: found 3 at"),
        ({"training": sha256(b"yet another")}, "itself sold from stock"),
    ],
    ids=["collection", "epsilon", "delta", "from-stock"],
)
def test_a_training_under_other_terms_fails(trained: dict[str, Any], words: str) -> None:
    found = verdict(sold(training(**trained)))
    assert [check.name for check in found.failed] == [NAME]
    assert words in found.checks[-1].detail


def test_privacy_or_scores_that_the_training_did_not_release_fail() -> None:
    def cheaper(drafts: list[ShardDraft]) -> None:
        drafts[1].epsilon_micro = 1_000_000

    assert failed(sold(training(edit_drafts=cheaper))) == [NAME]
    publication = sold(training())
    record = publication.chain.datasets[TRAINED]
    scores = (replace(record.evaluations[0], score_micro=1), *record.evaluations[1:])
    told = publication.chain.datasets | {TRAINED: replace(record, evaluations=scores)}
    found = verdict(replace(publication, chain=replace(publication.chain, datasets=told)))
    assert [check.name for check in found.failed] == [NAME]
    assert "signed score 910000" in found.checks[-1].detail


def test_a_privacy_statement_that_names_another_training_fails() -> None:
    assert failed(sold(training(), privacy={"unit": "row"})) == [NAME]


def test_a_collection_without_standing_models_fails() -> None:
    plain: dict[str, Any] = {"collection_changes": {}}
    assert failed(sold(training(**plain), **plain)) == [NAME]


def test_without_the_training_s_manifest_nothing_is_claimed_of_its_collection() -> None:
    trained = training()
    publication = sold(trained)
    record = publication.chain.datasets[TRAINED]
    lost = replace(record, manifest_digest=sha256(b"lost"))
    chain = replace(publication.chain, datasets=publication.chain.datasets | {TRAINED: lost})
    check = verdict(replace(publication, chain=chain)).check(NAME)
    assert check.status is Status.NOT_CHECKED
    assert "of what collection it was cannot be seen" in check.detail


def test_a_training_that_fell_later_keeps_what_was_sold_from_it() -> None:
    """A false row of the training is no fault of its models, and none of the rows that were made of them since."""
    publication = sold(training())
    fallen = sealed(replace(publication.chain.datasets[TRAINED], status=DatasetStatus.REVOKED))
    chain = replace(publication.chain, datasets=publication.chain.datasets | {TRAINED: fallen})
    assert failed(replace(publication, chain=chain)) == []
