"""Files are whole or absent, on the disk when the call returns, and written in one place."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from provenance.files import (
    READABLE,
    TEMPORARY,
    LineFile,
    make_folder,
    publish,
    sweep,
    write_new,
    write_whole,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the operating system, in order: flushes of files and folders, and names given."""
    seen: list[str] = []
    fsync, replace, link = os.fsync, os.replace, os.link

    def flushed(descriptor: int) -> None:
        seen.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        seen.append("name")
        replace(source, target)

    def linked(source: Path, target: Path) -> None:
        seen.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "link", linked)
    return seen


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_return(
    tmp_path: Path, calls: list[str]
) -> None:
    write_whole(tmp_path / "whole", b"1")
    write_new(tmp_path / "new", b"2")
    (tmp_path / "piece.part").write_bytes(b"3")
    publish(tmp_path / "piece.part", tmp_path / "piece")
    assert calls == ["file", "name", "folder"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "piece", "whole"]


def test_a_file_that_cannot_get_its_name_leaves_nothing_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "file", b"before")

    def fails(_source: Path, _target: Path) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no"):
        write_whole(tmp_path / "file", b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    write_new(tmp_path / "file", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_file_is_private_unless_it_is_said_to_be_readable(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "private", b"")
        write_whole(tmp_path / "readable", b"", mode=READABLE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "readable").stat().st_mode) == 0o644


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    make_folder(tmp_path / "folder")
    (tmp_path / "folder" / f"{TEMPORARY}file-0011").write_bytes(b"half")
    write_whole(tmp_path / "folder" / "file", b"whole")
    sweep(tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_a_line_without_its_end_was_never_acknowledged(tmp_path: Path) -> None:
    lines = LineFile(tmp_path / "log")
    assert lines.lines() == []
    lines.append(b"one")
    with (tmp_path / "log").open("ab") as file:
        file.write(b"half a li")
    assert lines.lines() == [b"one"]
    lines.append(b"two")
    assert lines.lines() == [b"one", b"two"]


def test_nobody_else_writes_files() -> None:
    """The development network's throw-away files are no state of anybody's."""
    by_hand = re.compile(
        r"os\.(?:replace|rename|link|fsync)\b|\.rename\(|mkstemp|NamedTemporaryFile|\.write_(?:text|bytes)\("
    )
    exempt = ("provenance/files.py", "tessera/devnet/")
    found = [
        f"{name}: {line.strip()}"
        for package in ("backend", "generator", "provenance", "tessera")
        for path in sorted((ROOT / package).rglob("*.py"))
        if not (name := path.relative_to(ROOT).as_posix()).startswith(exempt)
        for line in path.read_text(encoding="utf-8").splitlines()
        if by_hand.search(line)
    ]
    assert found == []
