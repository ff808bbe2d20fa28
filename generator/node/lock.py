"""One running node a folder: two would answer the same task twice.  The system frees the lock at any kind of
end.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.errors import NodeError


@contextmanager
def running_once(folder: Path) -> Iterator[None]:
    """NodeError if another process runs this node."""
    with (folder / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NodeError(f"another process runs the node in {folder}: let it end, or stop it") from error
        yield
