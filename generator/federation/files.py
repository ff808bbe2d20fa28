"""Files that are whole or absent, whatever kills the process.

A write goes to a temporary file in the same folder, is flushed to the disk, and takes its name in one rename;
the folder entry is flushed too. Left-over temporary files are ignored and swept at the next start.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY = ".tmp-"


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to `path` so that a reader sees all of it or the file as it was before."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


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


def sweep(folder: Path) -> None:
    """Remove what killed writers left behind, in this folder only."""
    for left in folder.glob(f"{TEMPORARY}*"):
        left.unlink(missing_ok=True)
