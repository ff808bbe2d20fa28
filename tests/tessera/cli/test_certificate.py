"""What people read: a failure is named, and what nothing proves is always said."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from provenance.verify.certificate import Certificate
from provenance.verify.dataset import NEVER_PROVEN, verify_dataset
from tessera.cli.verify import print_certificate
from tests.provenance.verify.publication import DATASET, KEY, Builder, Publication


@pytest.fixture
def honest() -> Publication:
    return Builder().build()


def printed(certificate: Certificate) -> str:
    console = Console(width=150, file=StringIO())
    with console.capture() as captured:
        print_certificate(certificate, console)
    return captured.get()


def test_a_failure_is_named_in_the_table_and_in_the_verdict(honest: Publication) -> None:
    text = printed(verify_dataset(honest.rerecord(status=2).chain, honest.store, DATASET, KEY))
    assert "FAILED: record on chain" in text
    assert "it was revoked" in text


def test_unchecked_and_unprovable_claims_are_said(honest: Publication) -> None:
    text = printed(verify_dataset(honest.chain, honest.store, DATASET))
    assert "not checked: files open, models, rows, shard roots, score file" in text
    for name, reason in NEVER_PROVEN:
        assert f"{name}: {reason}" in text


def test_who_could_have_influenced_the_seed_is_said_in_one_line(honest: Publication) -> None:
    lines = printed(verify_dataset(honest.chain, honest.store, DATASET)).replace("\n", " ")
    assert "Seed: hash of block 42, which could be fixed for 256 blocks or more; salts of 2 of 2" in lines
    assert "together with the operator of the local chain 31337" in lines


def test_every_check_is_printed_with_its_label(honest: Publication) -> None:
    certificate = verify_dataset(honest.chain, honest.store, DATASET, KEY)
    text = printed(certificate)
    for check in certificate.checks:
        assert check.name in text
        assert check.label.value.capitalize() in text or check.label.value in text
    assert "passed: 24 checks" in text
