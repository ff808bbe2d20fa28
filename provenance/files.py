"""Files that survive whatever kills the process. Everything that the product writes is written here.

`write_whole`, `write_new`, `publish`: a file is whole or absent, and on the disk when they return. The bytes go to a
temporary file in the same folder, are flushed to the disk, and take their name in one step; the folder entry is
flushed too. Temporary files of a killed writer are ignored and swept at the next start.

`LineFile`: a file that only grows, line by line. A line counts once its line end is on the disk; what a killed
writer left without one was never acknowledged and is cut off by the next append.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp-"
READABLE = 0o666
"""The mode of a file that is no secret: what the user's umask leaves of it."""
_BLOCK_BYTES = 1 << 16


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` so that a reader sees all of it or the file as it was before."""
    with _temporary(path, data, mode) as temporary:
        os.replace(temporary, path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """As `write_whole`, but raises FileExistsError when there is a file already, which stays as it is."""
    with _temporary(path, data, mode) as temporary:
        os.link(temporary, path)
    sync_folder(path.parent)


def publish(part: Path, path: Path) -> None:
    """Give a finished file, written piece by piece beside `path`, its name."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _temporary(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A file with `data`, on the disk, in the folder of `path`; it is gone afterwards unless it got a name."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


class LineFile:
    """An append-only file of lines, readable by its owner alone. One writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[bytes]:
        """Every acknowledged line, oldest first, without its line end; none where there is no file."""
        return self.path.read_bytes().split(b"\n")[:-1] if self.path.exists() else []

    def append(self, line: bytes) -> None:
        """Add one line (without a line end) and flush it to the disk before returning."""
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = _end_of_lines(descriptor)
            os.ftruncate(descriptor, end)
            os.lseek(descriptor, end, os.SEEK_SET)
            rest = memoryview(line + b"\n")
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)


def _end_of_lines(descriptor: int) -> int:
    """Where the last acknowledged line of an open file ends."""
    size = os.fstat(descriptor).st_size
    if not size or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    end = size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename or a new file in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a private folder (mode 700) and its parents, durably."""
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sweep(folder: Path, *, older_than_seconds: float = 0.0) -> None:
    """Remove what killed writers left behind, in this folder only. older_than_seconds: for a folder that others may
    be writing to.
    """
    latest = time.time() - older_than_seconds
    for temporary in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):  # its writer may finish at this moment
            if not older_than_seconds or temporary.stat().st_mtime < latest:
                temporary.unlink()
