from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provenance.errors import ContentDamagedError, ContentMissingError, StoreUnavailableError
from provenance.store.folder import FolderStore
from provenance.store.ports import ContentStore
from provenance.store.unixfs import cid_of
from provenance.values import Cid
from tests.memory import MemoryStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    return FolderStore(tmp_path / "content") if request.param == "folder" else MemoryStore()


def test_a_cid_never_put_is_missing(store: ContentStore) -> None:
    absent = cid_of(b"absent")
    assert not store.has(absent)
    with pytest.raises(ContentMissingError, match=absent):
        store.get(absent)
    with pytest.raises(ContentMissingError, match=absent):
        store.size(absent)


def test_a_damaged_file_is_never_returned_and_put_repairs_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    cid = store.put(b"good bytes")
    file = tmp_path / cid[-2:] / cid
    for damaged in (b"good bytez", b"good byte", b""):
        file.write_bytes(damaged)
        with pytest.raises(ContentDamagedError, match="fetch it from another store"):
            store.get(cid)
    assert store.put(b"good bytes") == cid
    assert store.get(cid) == b"good bytes"


def test_a_name_that_is_no_cid_cannot_leave_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    forged = str.__new__(Cid, "../secret")
    with pytest.raises(ValueError, match="expected a CIDv1"):
        FolderStore(tmp_path / "content").get(forged)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="check free space and permissions"):
        FolderStore(tmp_path / "file" / "content").put(b"x")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    store = FolderStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StoreUnavailableError, match="No space left"):
        store.put(b"x")
    monkeypatch.undo()
    assert not store.has(cid_of(b"x"))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_kill_while_writing_leaves_the_whole_content_or_none(tmp_path: Path) -> None:
    """The writer dies between the temporary file and the rename."""
    script = (
        "import os, sys; from provenance.store.folder import FolderStore\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "FolderStore(sys.argv[1]).put(b'x' * 1000)\n"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == 9
    store = FolderStore(tmp_path)
    assert not store.has(cid_of(b"x" * 1000))
    assert [file for file in tmp_path.rglob("b*") if file.is_file()] == []
    assert store.get(store.put(b"x" * 1000)) == b"x" * 1000


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_what_is_put_comes_back_under_its_cid(store: ContentStore, size: int) -> None:
    data = os.urandom(size)
    cid = store.put(data)
    assert cid == cid_of(data) == store.put(data)
    assert store.has(cid)
    assert store.get(cid) == data
    assert store.size(cid) == size


def test_what_a_killed_writer_left_is_swept_and_a_living_writer_s_file_is_not(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    cid = store.put(b"kept")
    folder = tmp_path / cid[-2:]
    left, living = folder / ".tmp-left-1", folder / ".tmp-living-2"
    left.write_bytes(b"half")
    living.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(left, (two_hours_ago, two_hours_ago))
    store.sweep()
    assert not left.exists()
    assert living.exists()
    assert store.get(cid) == b"kept"
