"""Secret keys on disk: 32 bytes as 0x-hex in a file that only its owner may read (mode 600)."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from provenance.errors import KeyFileError

_SECRET = re.compile(r"(?:0x)?([0-9a-fA-F]{64})\s*\Z")


def write_secret(path: Path, secret: bytes) -> None:
    """Writes a new key file. An existing file is never overwritten: the key in it may be the only copy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"{path}: a file is already there; choose another path or move it away") from error
    except OSError as error:
        raise KeyFileError(
            f"{path}: cannot be written ({error.strerror}); choose a writable folder"
        ) from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("0x" + secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """Reads a key file, refusing one that other users of the machine could have read."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); name an existing key file") from error
    if mode & 0o077:
        raise KeyFileError(
            f"{path}: has mode {mode:o}, others may read it; run `chmod 600 {path}`, "
            "and if others use this machine make a new key"
        )
    match = _SECRET.match(text)
    if match is None:
        # The text itself stays out of the message: it may be a damaged secret.
        raise KeyFileError(f"{path}: does not hold a key, expected 32 bytes in hexadecimal")
    return bytes.fromhex(match[1])
