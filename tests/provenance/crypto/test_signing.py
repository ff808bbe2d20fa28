"""Typed messages, keys and signatures, against vectors made with eth_account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.crypto.signing import Signer, recover, recover_digest, require_signer
from provenance.crypto.typed_data import Domain
from provenance.errors import DocumentError, SignatureError
from provenance.record.manifest import SeedDraw
from provenance.record.receipts import (
    Acceptance,
    ContentFile,
    Evaluation,
    LedgerHead,
    ModelCommitment,
    Payout,
    SealedKey,
    ShardContent,
    ShardReceipt,
    salt_digest,
    shares_digest,
)
from provenance.record.terms import NO_PARENTS, OrderTerms, Participant, parents_digest, participants_digest
from provenance.store.unixfs import cid_of
from provenance.values import Address, Digest, keccak256, sha256

VECTORS = Path(__file__).parents[2] / "vectors"
TERMS = json.loads((VECTORS / "terms.json").read_text())
RECEIPTS = json.loads((VECTORS / "receipts.json").read_text())
DOMAIN = Domain(TERMS["domain"]["chainId"], Address.parse(TERMS["domain"]["verifyingContract"]))
MESSAGES = {each.NAME: each for each in (Acceptance, ModelCommitment, ShardReceipt, Evaluation, Payout)}


def changed(**fields: object) -> dict[str, object]:
    return {**TERMS["terms"], **fields}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        changed(extra="1"),
        changed(rows="-1"),
        changed(rows="01"),
        changed(rows=10),
        changed(rows=str(2**64)),
        changed(brokerFeeBps="65536"),
        changed(price="1" * 200),
        changed(royaltyBps="65536"),
        changed(conditions="0x12"),
        changed(parents="[3]"),
        changed(salt="0x12"),
        changed(buyer="0xB1"),
        changed(buyer="0xb1B1b1b1b1B1b1b1b1b1b1b1b1b1b1b1b1b1b1b2"),
    ],
)
def test_malformed_terms_are_refused(document: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        OrderTerms.parse(document)


def test_terms_without_a_member_of_this_release_are_refused() -> None:
    for name in ("royaltyBps", "conditions", "parents"):
        document = {key: value for key, value in TERMS["terms"].items() if key != name}
        with pytest.raises(DocumentError, match=f"missing or unknown fields .*{name}"):
            OrderTerms.parse(document)


def test_parents_have_the_digest_of_the_vector_and_none_is_zero() -> None:
    ids = [int(each) for each in TERMS["parents"]["ids"]]
    assert str(parents_digest(ids)) == TERMS["parents"]["digest"] == TERMS["terms"]["parents"]
    assert parents_digest(()) == NO_PARENTS == Digest(bytes(32))


def test_a_field_out_of_range_cannot_be_constructed() -> None:
    with pytest.raises(DocumentError, match=r"Acceptance\.maxRows: found 18446744073709551616, expected"):
        Acceptance(sha256(b""), Address(bytes(20)), 2**64)


def test_signature_of_another_message_does_not_name_the_signer() -> None:
    signer = Signer(b"\x01" * 32)
    signature = signer.sign_typed(DOMAIN, Acceptance(sha256(b"a"), signer.address, 1))
    with pytest.raises(SignatureError, match=f"expected {signer.address}"):
        require_signer(DOMAIN, Acceptance(sha256(b"b"), signer.address, 1), signature, signer.address)


def test_signature_for_another_market_does_not_name_the_signer() -> None:
    signer = Signer(b"\x01" * 32)
    message = Acceptance(sha256(b"a"), signer.address, 1)
    assert (
        recover(Domain(1, DOMAIN.verifying_contract), message, signer.sign_typed(DOMAIN, message))
        != signer.address
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s[:64], "64 bytes"),
        (lambda s: s[:64] + b"\x00", "v=0"),
        (lambda s: bytes(32) + s[32:], "does not recover"),
        (lambda s: s[:32] + b"\xff" * 32 + s[64:], "high s"),
    ],
)
def test_malformed_signature_is_refused(change: Callable[[bytes], bytes], reason: str) -> None:
    signature = bytes(Signer(b"\x01" * 32).sign_digest(sha256(b"x")))
    with pytest.raises(SignatureError, match=reason):
        recover_digest(sha256(b"x"), change(signature))


def test_a_signer_does_not_show_its_key() -> None:
    assert "07" * 32 not in repr(Signer(b"\x07" * 32))


def test_order_id_equals_the_vector() -> None:
    terms = OrderTerms.parse(TERMS["terms"])
    assert str(terms.order_id(DOMAIN)) == TERMS["orderId"]
    assert terms.type_string() == TERMS["typeString"]
    assert terms.document() == TERMS["terms"]
    assert str(recover(DOMAIN, terms, bytes.fromhex(TERMS["signature"][2:]))) == TERMS["signer"]


@pytest.mark.parametrize("vector", RECEIPTS["messages"], ids=lambda vector: vector["name"])
def test_message_digests_equal_the_vectors(vector: dict[str, Any]) -> None:
    message = MESSAGES[vector["name"]].parse(vector["message"])
    assert message.type_string() == vector["typeString"]
    assert str(message.digest(DOMAIN)) == vector["digest"]
    assert str(recover(DOMAIN, message, bytes.fromhex(vector["signature"][2:]))) == vector["signer"]


def test_our_signature_equals_that_of_eth_account() -> None:
    signer = Signer(bytes(range(1, 33)))
    terms = OrderTerms.parse(TERMS["terms"])
    assert str(signer.sign_typed(DOMAIN, terms)) == TERMS["signature"]


def test_abi_digests_equal_the_vectors() -> None:
    assert str(shares_digest(RECEIPTS["shares"]["bps"])) == RECEIPTS["shares"]["digest"]
    people = tuple(
        Participant(Address.parse(each["contributor"]), each["rows"])
        for each in RECEIPTS["participants"]["list"]
    )
    assert str(participants_digest(people)) == RECEIPTS["participants"]["digest"]
    seed = RECEIPTS["seed"]
    models = keccak256(b"".join(Digest.parse(each) for each in seed["modelDigests"]))
    assert str(models) == seed["modelsDigest"]
    salts = tuple(map(Digest.parse, seed["salts"]))
    order = Digest.parse(seed["order"])
    digests = [str(salt_digest(order, shard, salt)) for shard, salt in enumerate(salts)]
    assert digests == seed["saltDigests"]
    draw = SeedDraw(Digest(bytes(32)), 42, 1, Digest.parse(seed["blockHash"]), salts)
    assert str(draw.computed(order, models)) == seed["seed"]


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1))
def test_any_message_survives_its_document(order: bytes, rows: int) -> None:
    message = Acceptance(Digest(order), Address(order[:20]), rows)
    assert Acceptance.parse(message.document()) == message


def test_content_document_survives_and_is_strict() -> None:
    file = ContentFile(cid_of(b"x"), 1, sha256(b"x"), sha256(b"y"), 1)
    content = ShardContent(file, file, b"\x01", {"epsilon": "3"})
    assert ShardContent.parse(content.document()) == content
    with pytest.raises(DocumentError, match=r"content\.rows: missing members \['size'\]"):
        ShardContent.parse(
            content.document() | {"rows": {k: v for k, v in file.document().items() if k != "size"}}
        )


def test_a_key_that_is_released_later_is_named_by_commitment_and_file_and_is_not_there() -> None:
    file = ContentFile(cid_of(b"x"), 1, sha256(b"x"), sha256(b"y"), 1)
    content = ShardContent(file, file, None, {"epsilon": "3"}, sha256(b"key"), cid_of(b"wrapped"))
    document = content.document()
    assert sorted(document) == ["keyCommitment", "model", "rows", "statement", "wrappedKeyCid"]
    assert ShardContent.parse(document) == content
    assert content.sealed_key == SealedKey(None, sha256(b"key"), cid_of(b"wrapped"))
    for key in (None, "0x01"):
        with pytest.raises(DocumentError, match=r"content: .*unknown members \['wrappedKey'\]"):
            ShardContent.parse(document | {"wrappedKey": key})
    del document["keyCommitment"]
    with pytest.raises(DocumentError, match=r"content: missing members \['keyCommitment'\]"):
        ShardContent.parse(document)


def test_a_ledger_s_head_is_one_more_member_that_older_documents_do_not_have() -> None:
    file = ContentFile(cid_of(b"x"), 1, sha256(b"x"), sha256(b"y"), 1)
    older = ShardContent(file, file, None, {"epsilon": "3"}, sha256(b"key"), cid_of(b"wrapped"))
    head = LedgerHead(sha256(b"table"), 4, sha256(b"line"), 3_000_000, 10**7)
    for each in (head, replace(head, epsilon_micro=None)):
        content = replace(older, ledger=each)
        assert content.document() == older.document() | {"ledger": each.document()}
        assert ShardContent.parse(content.document()) == content
        assert content.digest != older.digest
    with pytest.raises(DocumentError, match=r"content\.ledger\.entries: found 0, expected an integer from 1"):
        ShardContent.parse(content.document() | {"ledger": head.document() | {"entries": 0}})
    with pytest.raises(DocumentError, match=r"content\.ledger: found NoneType, expected a JSON object"):
        ShardContent.parse(older.document() | {"ledger": None})


def test_a_key_commitment_is_one_more_member_that_older_documents_do_not_have() -> None:
    file = ContentFile(cid_of(b"x"), 1, sha256(b"x"), sha256(b"y"), 1)
    older = ShardContent(file, file, b"\x01", {"epsilon": "3"})
    assert "keyCommitment" not in older.document()
    committed = replace(older, key_commitment=sha256(b"key"))
    assert committed.document() == older.document() | {"keyCommitment": str(sha256(b"key"))}
    assert ShardContent.parse(committed.document()) == committed
    is_open = replace(older, wrapped_key=None).document()
    with pytest.raises(DocumentError, match=r"content: .*unknown members \['keyCommitment'\]"):
        ShardContent.parse(is_open | {"keyCommitment": str(sha256(b"key"))})
    with pytest.raises(DocumentError, match=r"content\.keyCommitment: found None, expected bytes"):
        ShardContent.parse(older.document() | {"keyCommitment": None})
