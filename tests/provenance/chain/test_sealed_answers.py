"""What a watchtower holds: only its key opens a copy, at its own place, unchanged."""

from __future__ import annotations

import pytest

from provenance import canonical
from provenance.chain.answers import (
    Answer,
    ModelAnswer,
    RowsAnswer,
    SaltAnswer,
    SignedAnswer,
)
from provenance.chain.disputes import DemandKind
from provenance.chain.sealed_answers import MAGIC, open_answer, seal_answer
from provenance.crypto.seal import DeliveryKey, file_label, new_content_key, seal_file, wrap_key
from provenance.errors import DocumentError, SealError
from provenance.record.receipts import Evaluation, ModelCommitment, ShardReceipt
from provenance.values import Digest, Signature, sha256

ORDER, OTHER, SHARD = sha256(b"order"), sha256(b"other"), 3
TOWER, ANOTHER = DeliveryKey(b"\x41" * 32), DeliveryKey(b"\x42" * 32)
SIGNATURE = Signature(b"\x07" * 65)
SALT = SaltAnswer(sha256(b"salt"))


def receipt(order: Digest = ORDER, shard: int = SHARD) -> SignedAnswer:
    return SignedAnswer(
        ShardReceipt(order, shard, sha256(b"m"), sha256(b"seed"), 60, sha256(b"root"), 3, 4, sha256(b"c")),
        SIGNATURE,
    )


def evaluation(order: Digest = ORDER) -> SignedAnswer:
    return SignedAnswer(
        Evaluation(order, sha256(b"root"), 900_000, sha256(b"shares"), sha256(b"score")), SIGNATURE
    )


ANSWERS: tuple[Answer, ...] = (
    SignedAnswer(ModelCommitment(ORDER, SHARD, sha256(b"model"), sha256(b"salt")), SIGNATURE),
    *(SALT, receipt(), evaluation(), ModelAnswer(bytes(range(256))), RowsAnswer(b"\x01\x02\x03\x04" * 5, 4)),
)


def test_another_key_opens_nothing() -> None:
    sealed = seal_answer(SALT, ORDER, SHARD, TOWER.public)
    with pytest.raises(SealError, match="was not wrapped to delivery key"):
        open_answer(sealed, ORDER, SHARD, DemandKind.SALT, ANOTHER)


@pytest.mark.parametrize(
    ("order", "shard", "kind"),
    [
        (OTHER, SHARD, DemandKind.SALT),
        (ORDER, SHARD + 1, DemandKind.SALT),
        (ORDER, SHARD, DemandKind.COMMITMENT),
    ],
)
def test_a_copy_opens_at_its_own_place_only(order: Digest, shard: int, kind: DemandKind) -> None:
    sealed = seal_answer(SALT, ORDER, SHARD, TOWER.public)
    with pytest.raises(SealError):
        open_answer(sealed, order, shard, kind, TOWER)


def test_a_changed_or_cut_copy_does_not_open() -> None:
    sealed = seal_answer(SALT, ORDER, SHARD, TOWER.public)
    for place in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealError):
            open_answer(bytes(changed), ORDER, SHARD, DemandKind.SALT, TOWER)
    for length in (0, 4, 90, 120, len(sealed) - 1):
        with pytest.raises(SealError):
            open_answer(sealed[:length], ORDER, SHARD, DemandKind.SALT, TOWER)


@pytest.mark.parametrize(
    "answer", [receipt(order=OTHER), receipt(shard=SHARD + 1), evaluation(order=OTHER)], ids=repr
)
def test_a_signature_about_something_else_is_no_answer(answer: Answer) -> None:
    sealed = seal_answer(answer, ORDER, SHARD, TOWER.public)
    with pytest.raises(DocumentError, match="watch copy"):
        open_answer(sealed, ORDER, SHARD, answer.kind, TOWER)


def test_other_bytes_sealed_by_the_rules_are_no_answer() -> None:
    plain, key = (
        canonical.encode({"format": "tessera-watch-copy/1", "kind": "salt", "salt": "0x12"}),
        new_content_key(),
    )
    label = b"tessera/watch-copy/1" + ORDER + SHARD.to_bytes(4, "big") + b"SALT"
    head = MAGIC + wrap_key(key, TOWER.public, ORDER, SHARD) + sha256(plain)
    with pytest.raises(DocumentError):
        open_answer(head + seal_file(key, plain, label), ORDER, SHARD, DemandKind.SALT, TOWER)
    shard_file = seal_file(key, plain, file_label(ORDER, SHARD, "rows"))
    with pytest.raises(SealError):
        open_answer(head + shard_file, ORDER, SHARD, DemandKind.SALT, TOWER)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_the_tower_reads_what_was_sealed_and_the_file_shows_nothing_of_it(answer: Answer) -> None:
    sealed = seal_answer(answer, ORDER, SHARD, TOWER.public)
    assert open_answer(sealed, ORDER, SHARD, answer.kind, TOWER) == answer
    for secret in (bytes(SALT.salt), SIGNATURE, bytes(range(256))[:16]):
        assert secret not in sealed
        assert secret.hex().encode() not in sealed
