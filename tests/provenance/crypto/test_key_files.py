from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from provenance.crypto.key_files import (
    PASSWORD_FILE_VARIABLE,
    PASSWORD_VARIABLE,
    KeyKind,
    password_source,
    read_secret,
    write_keystore,
)
from provenance.crypto.seal import DeliveryKey, load_delivery_key, new_delivery_key
from provenance.crypto.signing import Signer, create_key, load_key
from provenance.errors import KeyFileError

SECRET = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")
PUBLISHED_PASSWORD = "testpassword"
# The example of the Web3 Secret Storage definition, by another program than ours.
PUBLISHED: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


def private_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def keystore(folder: Path, **changes: object) -> Path:
    return private_file(folder / "wallet.json", json.dumps(PUBLISHED | changes))


# --- raw files


def test_a_file_that_others_may_read_is_refused_with_advice(tmp_path: Path) -> None:
    create_key(tmp_path / "wallet")
    (tmp_path / "wallet").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key(tmp_path / "wallet")
    new_delivery_key(tmp_path / "delivery")
    (tmp_path / "delivery").chmod(0o604)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_delivery_key(tmp_path / "delivery")


@pytest.mark.parametrize("password", [None, "secret"])
def test_a_key_file_is_never_overwritten(tmp_path: Path, password: str | None) -> None:
    create_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(KeyFileError, match="already there"):
        create_key(tmp_path / "key", password=password)
    with pytest.raises(KeyFileError, match="already there"):
        new_delivery_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x12",
        "g" * 64,
        "0x" + "00" * 32,
        "0x" + "ff" * 32,
        "# tessera house key\n0x" + "11" * 32,
        "0x" * 40_000,
    ],
)
def test_a_file_without_a_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = private_file(tmp_path / "key", text)
    with pytest.raises(KeyFileError) as caught:
        load_key(path)
    assert text == "" or text not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_key(tmp_path / "none")


def test_a_file_has_mode_600_and_loads_again_by_path_or_name(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    signer = create_key(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert load_key(path).address == load_key(str(path)).address == signer.address
    key = new_delivery_key(str(tmp_path / "delivery"))
    assert load_delivery_key(str(tmp_path / "delivery")).public == key.public
    assert read_secret(tmp_path / "delivery").hex() not in repr(key)


def test_a_delivery_key_is_no_wallet_key_and_the_reverse(tmp_path: Path) -> None:
    create_key(tmp_path / "wallet")
    new_delivery_key(tmp_path / "delivery")
    with pytest.raises(KeyFileError, match="holds a wallet key, expected a delivery key"):
        load_delivery_key(tmp_path / "wallet")
    with pytest.raises(KeyFileError, match="holds a delivery key, expected a wallet key"):
        load_key(tmp_path / "delivery")


@pytest.mark.parametrize("text", ["0x" + "11" * 32 + "\n", "11" * 32])
def test_a_file_of_an_earlier_release_is_taken_for_what_was_asked(tmp_path: Path, text: str) -> None:
    path = private_file(tmp_path / "key", text)
    assert load_key(path).address == Signer(b"\x11" * 32).address
    assert load_delivery_key(path).public == DeliveryKey(b"\x11" * 32).public


# --- keystores


def test_a_keystore_of_another_program_opens(tmp_path: Path) -> None:
    asked = []

    def ask(path: Path) -> str:
        asked.append(path)
        return PUBLISHED_PASSWORD

    path = keystore(tmp_path)
    assert read_secret(path, KeyKind.WALLET, ask) == SECRET
    assert asked == [path]
    assert load_key(path, ask).address == Signer(SECRET).address


def test_what_we_write_opens_with_its_password_only_and_shows_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "wallet.json"
    signer = create_key(path, password="pass phrase ü")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    document = json.loads(path.read_text())
    assert document["version"] == 3
    assert document["crypto"]["kdf"] == "scrypt"
    assert document["address"].lower() == signer.address.hex()
    assert load_key(path, lambda _path: "pass phrase ü").address == signer.address
    with pytest.raises(KeyFileError, match="does not open with this password"):
        load_key(path, lambda _path: "pass phrase u")


def test_an_empty_password_protects_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="empty"):
        write_keystore(tmp_path / "wallet.json", SECRET, "")
    assert not (tmp_path / "wallet.json").exists()


def test_a_keystore_is_no_delivery_key(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="a wallet key; expected a delivery key"):
        load_delivery_key(keystore(tmp_path))


def test_without_a_password_it_says_where_one_may_come_from(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=f"is encrypted; set {PASSWORD_FILE_VARIABLE}"):
        load_key(keystore(tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 1}, "version 1, expected 3"),
        ({"version": None}, "version None"),
        ({"crypto": {}}, "cannot be read"),
        ({"crypto": {**PUBLISHED["crypto"], "kdf": "argon2"}}, "argon2|cannot be read"),
        ({"crypto": {**PUBLISHED["crypto"], "mac": "00" * 32}}, "does not open"),
    ],
)
def test_a_damaged_or_foreign_keystore_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(KeyFileError, match=words):
        load_key(keystore(tmp_path, **changes), lambda _path: PUBLISHED_PASSWORD)


SCRYPT = {"n": 2**18, "r": 8, "p": 1, "dklen": 32, "salt": "00" * 16}
PBKDF2 = {"c": 2**18, "dklen": 32, "prf": "hmac-sha256", "salt": "00" * 16}


@pytest.mark.parametrize(
    ("kdf", "params"),
    [
        ("scrypt", SCRYPT | {"n": 2**40}),
        ("scrypt", SCRYPT | {"r": 2**30}),
        ("scrypt", SCRYPT | {"p": 2**20}),
        ("scrypt", SCRYPT | {"dklen": 2**40}),
        ("scrypt", SCRYPT | {"dklen": 0}),
        ("scrypt", SCRYPT | {"n": 262144.0}),
        ("scrypt", SCRYPT | {"n": True}),
        ("scrypt", SCRYPT | {"n": "262144"}),
        ("scrypt", SCRYPT | {"n": -4}),
        ("scrypt", SCRYPT | {"n": 3}),
        ("scrypt", SCRYPT | {"salt": 5}),
        ("scrypt", SCRYPT | {"salt": "abc"}),
        ("scrypt", []),
        ("scrypt", None),
        ("pbkdf2", PBKDF2 | {"c": 2**62}),
        ("pbkdf2", PBKDF2 | {"c": 0}),
        ("pbkdf2", PBKDF2 | {"dklen": 2**40}),
        ("pbkdf2", PBKDF2 | {"prf": "hmac-md5"}),
        (["scrypt"], SCRYPT),
    ],
)
def test_a_keystore_that_would_take_all_memory_or_time_is_refused_before_its_password_is_asked(
    tmp_path: Path, kdf: object, params: object
) -> None:
    crypto = {**PUBLISHED["crypto"], "kdf": kdf, "kdfparams": params}

    def ask(_path: Path) -> str:
        pytest.fail("a password was asked for")

    with pytest.raises(KeyFileError, match="keystore that cannot be read"):
        load_key(keystore(tmp_path, crypto=crypto), ask)


@pytest.mark.parametrize(
    "change",
    [
        {"ciphertext": "00"},
        {"ciphertext": None},
        {"mac": 3},
        {"cipherparams": {"iv": "00" * 64}},
        {"cipher": 1},
    ],
)
def test_a_keystore_with_a_member_of_another_kind_is_refused(
    tmp_path: Path, change: dict[str, object]
) -> None:
    crypto = {**PUBLISHED["crypto"], **change}
    with pytest.raises(KeyFileError, match="keystore that cannot be read"):
        load_key(keystore(tmp_path, crypto=crypto), lambda _path: PUBLISHED_PASSWORD)
    with pytest.raises(KeyFileError, match="keystore that cannot be read"):
        load_key(keystore(tmp_path, crypto=[]), lambda _path: PUBLISHED_PASSWORD)


def test_a_keystore_with_a_capital_letter_or_a_byte_order_mark_opens(tmp_path: Path) -> None:
    document = {"Crypto": PUBLISHED["crypto"], "version": 3}
    file = private_file(tmp_path / "key", "\ufeff" + json.dumps(document))
    assert read_secret(file, KeyKind.WALLET, lambda _path: PUBLISHED_PASSWORD) == SECRET


@pytest.mark.parametrize("text", ["{", '{"a":' * 9000, '{"version":' + "9" * 9000 + "}"])
def test_text_that_only_begins_like_a_keystore_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeyFileError, match="not JSON"):
        load_key(private_file(tmp_path / "key", text))


# --- what is no plain file


def test_a_pipe_that_nobody_writes_to_is_no_key_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyFileError, match="does not hold a key"):
        load_key(tmp_path / "pipe")


def test_a_key_may_come_through_a_pipe(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe:
        pipe.write("0x" + SECRET.hex())
    try:
        assert read_secret(Path(f"/dev/fd/{read}"), KeyKind.WALLET) == SECRET
    finally:
        os.close(read)


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="Is a directory"):
        load_key(tmp_path)


def test_the_mode_of_a_link_s_target_counts(tmp_path: Path) -> None:
    target = private_file(tmp_path / "key", "0x" + SECRET.hex())
    (tmp_path / "link").symlink_to(target)
    assert read_secret(tmp_path / "link") == SECRET
    target.chmod(0o644)
    with pytest.raises(KeyFileError, match="has mode 644"):
        read_secret(tmp_path / "link")


def test_a_keystore_leaves_the_recursion_limit_alone(tmp_path: Path) -> None:
    import sys

    before = sys.getrecursionlimit()
    read_secret(keystore(tmp_path), KeyKind.WALLET, lambda _path: PUBLISHED_PASSWORD)
    assert sys.getrecursionlimit() == before


# --- where a password comes from


def test_the_environment_s_password_comes_before_its_file_and_before_asking(tmp_path: Path) -> None:
    kept = private_file(tmp_path / "password", "from the file\nsecond line\n")
    environment = {PASSWORD_VARIABLE: "from the variable", PASSWORD_FILE_VARIABLE: str(kept)}
    asked = password_source(environment, lambda path: f"asked for {path.name}")
    assert asked(Path("wallet")) == "from the variable"
    del environment[PASSWORD_VARIABLE]
    assert asked(Path("wallet")) == "from the file"
    del environment[PASSWORD_FILE_VARIABLE]
    assert asked(Path("wallet")) == "asked for wallet"


def test_a_password_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    kept = private_file(tmp_path / "password", "x")
    kept.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        password_source({PASSWORD_FILE_VARIABLE: str(kept)})(Path("wallet"))


@pytest.mark.parametrize("secret", ["00" * 32, "ff" * 32])
def test_bytes_that_are_no_signing_key_are_refused_with_the_name_of_their_file(
    tmp_path: Path, secret: str
) -> None:
    file = private_file(tmp_path / "zero.key", f"# tessera wallet key\n0x{secret}\n")
    with pytest.raises(KeyFileError, match=r"zero\.key: a signing key must be"):
        load_key(file)
