"""Private files on a disk: each is sealed as a whole (`seal`: AES-256-GCM in frames) under a key of its own.

All keys follow from the folder's: a node writes files for years, and under one key their random nonces might meet. A
node's key follows from its account's (`RestKey.of`), so who copies the folder alone reads nothing; a folder that is
needed as long as one process has a random one, which is nowhere written down. A file's label is its place in the
folder, so files cannot be exchanged. A file `sealed` says that all private ones are, and under which folder's key.
Normative text: docs/spec/sealing.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from provenance.crypto.seal import KEY_BYTES, open_own, seal_file
from provenance.crypto.signing import Signer
from provenance.errors import SealError
from provenance.files import write_whole

MARK: Final = "sealed"
SALT_BYTES: Final = 16
_ALL: Final = b"all"


class RestKey:
    """The key that those of private files on this machine follow from. Not part of its repr."""

    __slots__ = ("__key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealError(f"a key of files has {KEY_BYTES} bytes, found {len(key)}")
        self.__key = key

    @classmethod
    def of(cls, signer: Signer) -> RestKey:
        """The key that follows from an account's (HKDF-SHA256)."""
        return cls(signer.derived(b"tessera/at-rest/1", KEY_BYTES))

    @classmethod
    def random(cls) -> RestKey:
        """For files that nobody needs once this process has ended."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def __repr__(self) -> str:
        return "RestKey()"

    def seal(self, data: bytes, name: str) -> bytes:
        """The sealed bytes of a file of that name, the salt of its key behind them."""
        salt = secrets.token_bytes(SALT_BYTES)
        return seal_file(self._of_file(salt, name), data, _label(name)) + salt

    def open(self, sealed: bytes, name: str) -> bytes:
        """The bytes inside. Raises SealError for another key, another name, or any change."""
        body, salt = sealed[:-SALT_BYTES], sealed[-SALT_BYTES:]
        return open_own(self._of_file(salt, name), body, _label(name))

    def _of_file(self, salt: bytes, name: str) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=salt, info=_label(name)).derive(self.__key)


class SealedFolder:
    """A folder whose private files are sealed. Files that are no secret lie beside them, and are not its business."""

    def __init__(self, folder: Path, key: RestKey) -> None:
        self.folder = folder
        self.key = key

    def write(self, path: Path, data: bytes) -> None:
        """`write_whole`, sealed; readable by its owner alone."""
        write_whole(path, self.key.seal(data, self._name(path)))

    def read(self, path: Path) -> bytes:
        """What was written. Raises SealError, FileNotFoundError."""
        try:
            return self.key.open(path.read_bytes(), self._name(path))
        except SealError as error:
            raise SealError(f"{path}: {error}") from error

    def begin(self) -> None:
        """Notes in a new folder that all private files are sealed, and under which key."""
        self.write(self.folder / MARK, _ALL)

    def seal_all(self, private: Iterable[Path]) -> None:
        """Seals every private file of an earlier release, once. Raises SealError where another key sealed the folder.

        A kill leaves some of them sealed, and the next call goes on.
        """
        mark = self.folder / MARK
        if mark.exists() and self.read(mark) == _ALL:
            return
        self.write(mark, b"some")
        for path in private:
            data = path.read_bytes()
            if not self._is_sealed(data, path):
                self.write(path, data)
        self.begin()

    def _is_sealed(self, data: bytes, path: Path) -> bool:
        try:
            self.key.open(data, self._name(path))
        except SealError:
            return False
        return True

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _label(name: str) -> bytes:
    return b"tessera/at-rest/1" + name.encode()
