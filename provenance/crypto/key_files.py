"""Secret keys on disk, in files that only their owner may read (mode 600): raw ones of ours, and Ethereum keystores.

A raw file says in its first line what its key is for, then has 32 bytes as 0x-hex:

    # tessera delivery key
    0x31...

A wallet key is a secp256k1 key that signs and pays; a delivery key is an X25519 key that opens what was bought. Files
of earlier releases hold the hex alone. Any 32 bytes are a key of either kind, so such a file is taken for what was
asked for; a wrong one is then noticed by its public key, which differs from the one in the order's terms.

A keystore (Web3 Secret Storage, version 3: encrypted JSON as geth, Clef and most wallets write it) is a wallet key. Its
password comes from the caller: see `password_source`.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

from provenance import canonical
from provenance.errors import KeyFileError
from provenance.files import write_new

PASSWORD_VARIABLE: Final = "TESSERA_PASSWORD"  # noqa: S105 - a name, not a password
PASSWORD_FILE_VARIABLE: Final = "TESSERA_PASSWORD_FILE"  # noqa: S105
AskPassword: TypeAlias = Callable[[Path], str]
"""Gives the password of the keystore at a path: by a prompt, or as `password_source` finds it."""

_RAW = re.compile(r"(?:# tessera (wallet|delivery) key\n)?(?:0x)?([0-9a-fA-F]{64})\s*\Z")
_KEYSTORE_VERSION = 3
_MAX_BYTES = 2**16
_MOST_SCRYPT_BYTES = 2**30
"""Wallets write keystores that take 256 MiB or less."""
_MOST_SCRYPT_STEPS = 2**25
_MOST_PBKDF2_ROUNDS = 2**24


class KeyKind(StrEnum):
    """What a key is for."""

    WALLET = "wallet"
    DELIVERY = "delivery"


def write_secret(path: Path, secret: bytes, kind: KeyKind) -> None:
    """Writes a new raw key file. An existing file is never overwritten: the key in it may be the only copy."""
    _write_new(path, f"# tessera {kind} key\n0x{secret.hex()}\n")


def write_keystore(path: Path, secret: bytes, password: str) -> None:
    """Writes a new keystore (scrypt, about a second), never over an existing file. Raises KeyFileError for
    an empty password.
    """
    if not password:
        raise KeyFileError(f"{path}: the password is empty; choose one, or write a raw key file without any")
    from eth_account import Account

    import provenance.crypto.recursion_limit  # noqa: F401

    _write_new(path, json.dumps(Account.encrypt(secret, password, kdf="scrypt")) + "\n")


def read_secret(path: Path, kind: KeyKind | None = None, ask: AskPassword | None = None) -> bytes:
    """The 32 bytes of a key file; `ask` is called for the password of a keystore.

    Raises KeyFileError: unreadable, readable by others, of another kind than `kind` (None: any), no key at all, or a
    keystore that does not open.
    """
    text = _read_private(path, "key file")
    if text.lstrip().startswith("{"):
        if kind is KeyKind.DELIVERY:
            raise KeyFileError(
                f"{path}: is an Ethereum keystore, so a wallet key; expected a delivery key: name that key file"
            )
        return _open_keystore(path, text, ask)
    found, secret = _kind_and_secret(path, text)
    if kind is not None and found is not None and found is not kind:
        raise KeyFileError(f"{path}: holds a {found} key, expected a {kind} key; name that key file")
    return secret


def key_kind(path: Path) -> KeyKind | None:
    """What the key in a file is for; None for a raw file of an earlier release, which does not say it. Raises
    KeyFileError for a file that holds no key or that others may read.
    """
    text = _read_private(path, "key file")
    if text.lstrip().startswith("{"):
        return KeyKind.WALLET
    return _kind_and_secret(path, text)[0]


def password_source(environment: Mapping[str, str], ask: AskPassword | None = None) -> AskPassword:
    """Where the password of a keystore comes from: TESSERA_PASSWORD, else the first line of the file that
    TESSERA_PASSWORD_FILE names (mode 600), else `ask`; without any of them it raises KeyFileError when it is needed.
    """

    def password(path: Path) -> str:
        if PASSWORD_VARIABLE in environment:
            return environment[PASSWORD_VARIABLE]
        if PASSWORD_FILE_VARIABLE in environment:
            text = _read_private(Path(environment[PASSWORD_FILE_VARIABLE]), "password file")
            return text.split("\n", 1)[0]
        if ask is not None:
            return ask(path)
        raise KeyFileError(
            f"{path}: is encrypted; set {PASSWORD_FILE_VARIABLE} to a file with its password, or {PASSWORD_VARIABLE}"
        )

    return password


def _kind_and_secret(path: Path, text: str) -> tuple[KeyKind | None, bytes]:
    match = _RAW.match(text)
    if match is None:
        # the text itself stays out of the message: it may be a damaged secret
        raise KeyFileError(
            f"{path}: does not hold a key, expected 32 bytes in hexadecimal or an Ethereum keystore"
        )
    return None if match[1] is None else KeyKind(match[1]), bytes.fromhex(match[2])


def _open_keystore(path: Path, text: str, ask: AskPassword | None) -> bytes:
    try:
        canonical.check_depth(text.encode())
        document = json.loads(text)
    except ValueError as error:
        raise KeyFileError(f"{path}: begins like an Ethereum keystore but is not JSON; restore it") from error
    version = document.get("version")
    if version != _KEYSTORE_VERSION:
        raise KeyFileError(
            f"{path}: found a keystore of version {version!r:.40}, expected {_KEYSTORE_VERSION}"
        )
    crypto = next((value for name, value in document.items() if name.lower() == "crypto"), None)
    if (wrong := _wrong_keystore(crypto)) is not None:
        raise KeyFileError(f"{path}: is a keystore that cannot be read: {wrong}; restore it from a copy")
    password = (ask or password_source({}))(path)
    from eth_account import Account

    import provenance.crypto.recursion_limit  # noqa: F401

    try:
        return bytes(Account.decrypt({"version": _KEYSTORE_VERSION, "crypto": crypto}, password))
    except ValueError as error:
        if "MAC mismatch" not in str(error):
            raise KeyFileError(f"{path}: is a damaged keystore ({error}); restore it from a copy") from error
        raise KeyFileError(f"{path}: does not open with this password; try again") from error


def _wrong_keystore(crypto: object) -> str | None:
    """What keeps the library from reading a keystore, or makes it cost too much: whoever wrote the file chose how much
    memory and time the password's key takes, without a limit.
    """
    if not isinstance(crypto, dict):
        return "it has no object `crypto`"
    kdf, cost, cipher = crypto.get("kdf"), crypto.get("kdfparams"), crypto.get("cipherparams")
    if crypto.get("cipher") != "aes-128-ctr" or kdf not in ("scrypt", "pbkdf2"):
        return "expected aes-128-ctr with scrypt or pbkdf2"
    if not isinstance(cost, dict) or not isinstance(cipher, dict):
        return "expected objects `kdfparams` and `cipherparams`"
    sizes = (
        ("mac", crypto, 32, 32),
        ("ciphertext", crypto, 32, 32),
        ("iv", cipher, 16, 16),
        ("salt", cost, 1, 1024),
    )
    for name, holder, least, most in sizes:
        value = holder.get(name)
        if not isinstance(value, str) or not re.fullmatch(
            rf"(?:0x)?(?:[0-9a-fA-F]{{2}}){{{least},{most}}}", value
        ):
            return f"expected {least if least == most else f'{least} to {most}'} bytes in hexadecimal as `{name}`"
    numbers: list[int] = []
    for name in ("n", "r", "p") if kdf == "scrypt" else ("c",):
        number = cost.get(name)
        if type(number) is not int or number < 1:
            return f"expected a whole number above 0 as `{name}`"
        numbers.append(number)
    if cost.get("dklen") != 32:
        return "expected 32 as `dklen`"
    if kdf == "pbkdf2":
        if cost.get("prf") != "hmac-sha256":
            return "expected hmac-sha256 as `prf`"
        return None if numbers[0] <= _MOST_PBKDF2_ROUNDS else _too_dear(f"{_MOST_PBKDF2_ROUNDS:,} rounds")
    n, r, p = numbers
    if n < 2 or n & (n - 1):
        return "expected a power of two as `n`"
    if 128 * n * r > _MOST_SCRYPT_BYTES or n * r * p > _MOST_SCRYPT_STEPS:
        return _too_dear(f"{_MOST_SCRYPT_BYTES >> 20:,} MiB of memory and n * r * p = {_MOST_SCRYPT_STEPS:,}")
    return None


def _too_dear(limit: str) -> str:
    return f"opening it costs more than {limit}, which no wallet asks for"


def _read_private(path: Path, what: str) -> str:
    """The text of a file, refused if other users of the machine could have read it."""
    try:
        # Opened first and then looked at: what has the right mode is what is read. No pipe is waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            if mode & 0o077:
                raise KeyFileError(
                    f"{path}: has mode {mode:o}, others may read it; run `chmod 600 {path}`, "
                    "and if others use this machine make a new one"
                )
            text = file.read(_MAX_BYTES + 1).removeprefix("\ufeff")
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); name an existing {what}") from error
    if len(text) > _MAX_BYTES:
        raise KeyFileError(f"{path}: has more than {_MAX_BYTES:,} bytes, which no {what} has")
    return text


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(path, text.encode("ascii"))
    except FileExistsError as error:
        raise KeyFileError(f"{path}: a file is already there; choose another path or move it away") from error
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot be written ({error.strerror}); choose a writable folder"
        ) from error
