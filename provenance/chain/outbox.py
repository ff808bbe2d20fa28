"""Transactions that are on their way: on disk before they are sent, gone once their effect is final.

    FOLDER/CHAIN-ACCOUNT/NONCE.json    one transaction: what it calls, every signed version of it, oldest first
    FOLDER/CHAIN-ACCOUNT/ID.sender     locked for as long as that sender lives
    FOLDER/CHAIN-ACCOUNT/lock          held while a nonce is given out

Several processes with one key share a folder. The system frees a lock at any kind of end, so what a killed process
left behind is told from what a living one still looks after. Without a folder all this is kept in memory, for as long
as the process lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from provenance import canonical
from provenance.chain.errors import OutboxError
from provenance.chain.fees import Fees
from provenance.document import Reader
from provenance.errors import ProvenanceError
from provenance.files import make_folder, sweep, sync_folder, write_whole
from provenance.values import Address, Digest

FORMAT: Final = "tessera-transaction/1"
_MEMBERS: Final = ("format", "nonce", "action", "to", "data", "value", "gas", "owner", "mined", "versions")
_VERSION: Final = ("hash", "raw", "most", "tip", "block", "isCancel")
_NOBODY: Final = ""
_SWEPT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction is to do; `to` None creates a contract."""

    to: Address | None
    data: bytes
    value_wei: int


@dataclass(frozen=True, slots=True)
class Version:
    """One signed form of a transaction. `block` was the latest when it was signed; `is_cancel`: it does nothing but
    use up the nonce."""

    hash: Digest
    raw: bytes
    fees: Fees
    block: int
    is_cancel: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A transaction under its nonce, in all its versions: one of them at most is ever mined.

    owner: the sender that looks after it, "" for nobody. mined: the final block of its effect, None while open.
    """

    nonce: int
    call: Call
    action: str
    gas: int
    owner: str
    versions: tuple[Version, ...]
    mined: int | None = None

    @property
    def newest(self) -> Version:
        """The version that is sent again when the chain's nodes forgot the transaction."""
        return self.versions[-1]

    def version(self, version: Version) -> Intent:
        """With one version more."""
        return replace(self, versions=(*self.versions, version))

    def document(self) -> dict[str, Any]:
        """The stored form; `parse` reads it back."""
        return {
            "format": FORMAT,
            "nonce": self.nonce,
            "action": self.action,
            "to": None if self.call.to is None else str(self.call.to),
            "data": "0x" + self.call.data.hex(),
            "value": str(self.call.value_wei),
            "gas": self.gas,
            "owner": self.owner,
            "mined": self.mined,
            "versions": [
                {
                    "hash": str(each.hash),
                    "raw": "0x" + each.raw.hex(),
                    "most": str(each.fees.most),
                    "tip": str(each.fees.tip),
                    "block": each.block,
                    "isCancel": each.is_cancel,
                }
                for each in self.versions
            ],
        }

    @classmethod
    def parse(cls, document: object, where: str) -> Intent:
        """Reads `document()` back. Raises DocumentError."""
        reader = Reader(document, where, _MEMBERS)
        reader.constant("format", FORMAT)
        to = None if reader.member("to") is None else reader.address("to")
        return cls(
            nonce=reader.integer("nonce"),
            call=Call(to, reader.hex("data"), reader.decimal("value")),
            action=reader.text("action"),
            gas=reader.integer("gas"),
            owner=reader.text("owner"),
            versions=reader.items("versions", _version),
            mined=None if reader.member("mined") is None else reader.integer("mined"),
        )


def _version(document: object, where: str) -> Version:
    reader = Reader(document, where, _VERSION)
    fees = Fees(reader.decimal("most"), reader.decimal("tip"))
    return Version(
        reader.digest("hash"),
        reader.hex("raw"),
        fees,
        reader.integer("block"),
        reader.member("isCancel") is True,
    )


class Outbox(Protocol):
    """The open transactions of one account, as one sender sees them."""

    owner: str
    """This sender's name in the intents that it looks after."""

    def locked(self) -> Any:
        """Context in which no other sender gives out a nonce or takes over an intent."""
        ...

    def intents(self) -> list[Intent]:
        """All of them by nonce; those that nobody living looks after have the owner "". For use under the lock."""
        ...

    def get(self, nonce: int) -> Intent | None:
        """The intent with this nonce as it was put."""
        ...

    def put(self, intent: Intent) -> None:
        """Stores an intent, in place of the one with its nonce; it is on the disk on return."""
        ...

    def drop(self, nonce: int) -> None:
        """Forgets an intent."""
        ...


class MemoryOutbox:
    """An outbox that ends with its process."""

    def __init__(self) -> None:
        self.owner = secrets.token_hex(8)
        self._intents: dict[int, Intent] = {}
        self._lock = threading.Lock()

    def locked(self) -> threading.Lock:
        return self._lock

    def intents(self) -> list[Intent]:
        return sorted(self._intents.values(), key=_nonce)

    def get(self, nonce: int) -> Intent | None:
        return self._intents.get(nonce)

    def put(self, intent: Intent) -> None:
        self._intents[intent.nonce] = intent

    def drop(self, nonce: int) -> None:
        self._intents.pop(nonce, None)


class FolderOutbox:
    """An outbox in a folder, made at first use; several processes may share it."""

    def __init__(self, folder: Path, chain_id: int, account: Address) -> None:
        self.owner = secrets.token_hex(8)
        self._folder = folder / f"{chain_id}-{str(account).lower()}"
        self._thread = threading.Lock()
        self._alive: int | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._thread:
            descriptor = self._open("lock")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                self._begin()
                yield
            finally:
                os.close(descriptor)

    def intents(self) -> list[Intent]:
        read = (self.get(int(path.stem)) for path in self._folder.glob("*.json"))
        found = sorted((each for each in read if each is not None), key=_nonce)
        living = {owner: self._lives(owner) for owner in {each.owner for each in found}}
        return [each if living[each.owner] else replace(each, owner=_NOBODY) for each in found]

    def get(self, nonce: int) -> Intent | None:
        path = self._path(nonce)
        try:
            return Intent.parse(json.loads(path.read_bytes()), path.name)
        except FileNotFoundError:
            return None
        except (ProvenanceError, ValueError) as error:
            raise OutboxError(
                f"{path} is damaged ({error}): look up nonce {nonce} of the account, then remove the file"
            ) from error

    def put(self, intent: Intent) -> None:
        try:
            write_whole(self._path(intent.nonce), canonical.encode(intent.document()))
        except OSError as error:
            raise self._unwritable(error) from error

    def drop(self, nonce: int) -> None:
        self._path(nonce).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _path(self, nonce: int) -> Path:
        return self._folder / f"{nonce}.json"

    def _begin(self) -> None:
        """Shows that this sender lives; clears away what dead ones left, their intents excepted."""
        if self._alive is not None:
            return
        for path in self._folder.glob("*.sender"):
            if not self._lives(path.stem):
                path.unlink()
        sweep(self._folder, older_than_seconds=_SWEPT_SECONDS)
        self._alive = self._open(f"{self.owner}.sender")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        weakref.finalize(self, os.close, self._alive)

    def _lives(self, owner: str) -> bool:
        """Whether a sender still holds its lock; asked under the folder's lock, in which senders begin."""
        if owner == self.owner:
            return True
        try:
            descriptor = os.open(self._folder / f"{owner}.sender", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        try:
            make_folder(self._folder)
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutboxError:
        return OutboxError(
            f"{self._folder}: the outbox cannot be written ({error.strerror}); transactions are stored there "
            "before they are sent"
        )


def _nonce(intent: Intent) -> int:
    return intent.nonce
