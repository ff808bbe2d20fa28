"""Who could have influenced the seed, as the certificate says it: by chain, by salts, by draws."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provenance.chain.families import ARB_SYS, HISTORY, L1_BLOCK, ChainFamily, ChainRules
from provenance.record.manifest import SeedDraw
from provenance.values import Address, keccak256, sha256
from provenance.verify.certificate import Certificate
from provenance.verify.dataset import verify_dataset
from provenance.verify.evidence import fetch_evidence
from provenance.verify.seed_origin import SeedOrigin
from tests.provenance.salts import salt_of
from tests.provenance.verify.publication import (
    DATASET,
    DEPLOYMENT,
    KEY,
    MODELS,
    NODES,
    NONE,
    Builder,
    Publication,
)


def verified(publication: Publication) -> Certificate:
    return verify_dataset(publication.chain, publication.store, DATASET, KEY)


def origin(publication: Publication) -> SeedOrigin:
    """The statement alone, of a data set that need not verify."""
    evidence = fetch_evidence(publication.chain, publication.store, DATASET, KEY)
    return SeedOrigin.of(evidence.manifest, evidence.commitment.models, evidence.rules)


@pytest.mark.parametrize(
    ("chain_id", "contracts", "family", "blocks", "maker"),
    [
        (1, {HISTORY}, "ethereum", 8_191, "the builder or proposer of block 42"),
        (8453, {HISTORY}, "op-stack", 8_191, "the one sequencer of chain 8453 (OP stack)"),
        (999_999, {L1_BLOCK}, "op-stack", 256, "the one sequencer of chain 999999 (OP stack)"),
        (42161, {ARB_SYS, HISTORY}, "arbitrum", 256, "the one sequencer of chain 42161 (Arbitrum)"),
        (999_999, {ARB_SYS}, "arbitrum", 256, "the one sequencer of chain 999999 (Arbitrum)"),
        (
            31337,
            {ARB_SYS, HISTORY},
            "local",
            8_191,
            "operator of the local chain 31337, who often runs the contributors",
        ),
        (
            999_999,
            set(),
            "unknown",
            256,
            "whoever makes the blocks of chain 999999, which this release does not know",
        ),
    ],
)
def test_a_certificate_says_who_could_have_influenced_the_seed(
    chain_id: int, contracts: set[Address], family: str, blocks: int, maker: str
) -> None:
    published = Builder(deployment=replace(DEPLOYMENT, chain_id=chain_id)).build()
    certificate = verified(replace(published, chain=replace(published.chain, contracts=contracts)))
    assert certificate.passed
    seed = certificate.document()["seed"]
    assert isinstance(seed, dict)
    assert (seed["chainId"], seed["family"], seed["hashBlocks"]) == (chain_id, family, blocks)
    assert (seed["salted"], seed["draws"]) == (True, 1)
    assert seed["revealed"] == [str(node.address) for node in NODES]
    assert seed["withheld"] == seed["dropped"] == []
    assert str(seed["couldChoose"]).startswith(
        "It could have been chosen only by all 2 contributors whose salts are in it, together with "
    )
    assert maker in str(seed["couldChoose"])


def test_a_certificate_says_whose_salts_are_missing_and_how_many_draws_were_missed() -> None:
    dropped = verified(Builder(dropped=frozenset({1})).build()).seed
    assert dropped is not None
    assert (dropped.revealed, dropped.dropped) == ((NODES[0].address,), (NODES[1].address,))
    assert "salts of 1 of 2 contributors; no draw missed" in dropped.made_of
    assert "only by the one contributor whose salt is in it" in dropped.sentence

    published = Builder(draw=drawn_without_the_second_salt()).build()
    alone = replace(published.manifest, shards=published.manifest.shards[:1])
    seed = SeedOrigin.of(alone, list(map(sha256, MODELS)), ChainRules(ChainFamily.LOCAL, 256))
    assert (seed.revealed, seed.withheld, seed.dropped) == ((NODES[0].address,), (NODES[1].address,), ())
    assert "salts of 1 of 2 contributors; 2 draw(s) missed before" in seed.made_of
    assert f"{NODES[1].address} kept a salt back" in seed.sentence


def test_who_revealed_a_salt_of_zeros_and_stands_in_the_record_kept_nothing_back() -> None:
    seed = origin(Builder(draw=drawn_without_the_second_salt()).build())
    assert (seed.revealed, seed.withheld) == (tuple(node.address for node in NODES), ())


def drawn_without_the_second_salt() -> SeedDraw:
    order = Builder().terms().order_id(DEPLOYMENT.domain)
    unsaid = SeedDraw(NONE, 42, 3, sha256(b"block 42"), (salt_of(0), NONE))
    return replace(unsaid, seed=unsaid.computed(order, keccak256(b"".join(map(sha256, MODELS)))))


def test_a_seed_of_before_salts_rests_on_the_block_alone() -> None:
    drawn = SeedDraw(sha256(b"seed"), 42, 1, sha256(b"block 42"))
    seed = origin(Builder(draw=drawn).build())
    assert (seed.is_salted, seed.revealed, seed.withheld, seed.dropped) == (False, (), (), ())
    assert seed.hash_blocks == 256
    assert seed.sentence == (
        "It rests on the block alone, and could have been chosen by the operator of the local chain 31337, who often "
        "runs the contributors too."
    )


def test_of_a_seed_that_does_not_hold_nothing_is_said(honest: Publication) -> None:
    draw = replace(honest.manifest.seed, block_hash=sha256(b"another block"))
    certificate = verified(honest.republish(replace(honest.manifest, seed=draw)))
    assert certificate.seed is None
    assert certificate.document()["seed"] is None
