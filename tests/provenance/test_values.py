from __future__ import annotations

import pickle

import pytest

from provenance.errors import ValueFormatError
from provenance.values import DAG_PB_CODEC, RAW_CODEC, Address, Cid, Digest, Signature, keccak256, sha256

# from EIP-55
CHECKSUMMED = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


@pytest.mark.parametrize(
    "text", ["", "00" * 32, "0x" + "00" * 31, "0x" + "0" * 63, "0x" + "zz" * 32, "0x" + "00" * 33]
)
def test_refuses_a_digest_that_is_not_32_bytes_of_hex(text: str) -> None:
    with pytest.raises(ValueFormatError, match="Digest: found"):
        Digest.parse(text)


def test_refuses_a_digest_of_31_bytes() -> None:
    with pytest.raises(ValueFormatError, match="found 31 bytes, expected 32"):
        Digest(bytes(31))


def test_refuses_an_address_with_a_wrong_checksum() -> None:
    with pytest.raises(ValueFormatError, match=f"expected {CHECKSUMMED[0]}"):
        Address.parse(CHECKSUMMED[0].replace("aA", "Aa"))


@pytest.mark.parametrize(
    "text",
    [
        "QmRaaUwTNfwgFZpeUy8qrZwrp2dY4kCKmmB5xEqvH3vtD1",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykU",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk",
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku/..",
        "b",
        "",
        "../../etc/passwd",
    ],
)
def test_refuses_a_cid_in_another_form(text: str) -> None:
    with pytest.raises(ValueFormatError, match="expected a CIDv1"):
        Cid(text)


def test_refuses_a_cid_of_another_hash() -> None:
    with pytest.raises(ValueFormatError):
        Cid.from_binary(bytes([1, RAW_CODEC, 0x13, 0x20]) + bytes(32))


@pytest.mark.parametrize("text", CHECKSUMMED)
def test_writes_an_address_with_its_checksum(text: str) -> None:
    assert str(Address.parse(text.lower())) == text
    assert Address.parse(text).hex0x == text.lower()


def test_digest_text_and_bytes_round_trip() -> None:
    digest = sha256(b"tessera")
    assert Digest.parse(str(digest)) == digest
    assert str(digest) == digest.hex0x == "0x" + digest.hex()
    assert pickle.loads(pickle.dumps(digest)) == digest


def test_signature_keeps_any_length() -> None:
    assert Signature.parse("0x") == b""
    assert Signature.parse("0x01ff").hex0x == "0x01ff"


@pytest.mark.parametrize("codec", [RAW_CODEC, DAG_PB_CODEC])
def test_cid_gives_back_digest_and_codec(codec: int) -> None:
    cid = Cid.of_digest(sha256(b"block"), codec)
    assert (cid.digest, cid.codec) == (sha256(b"block"), codec)
    assert Cid.from_binary(cid.binary) == cid == Cid(str(cid))


def test_keccak_is_ethereums() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
