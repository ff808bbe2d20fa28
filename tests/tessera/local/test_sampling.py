"""Long tables: the same bytes whoever makes them, and after any kind of end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.devnet.network import python_path
from tessera.local import row_parts
from tests.tessera.conftest import Run
from tests.waiting import until

SEED = "0x" + "5e" * 32
ROWS = 9000
IN_SMALL_PARTS = """
import threading
from tessera.cli.app import main
from tessera.local import row_parts
row_parts._MAX_PART_ROWS = 1024
"""
AND_STOPS_AFTER_FIVE = """
read = row_parts.PartFolder.read
row_parts.PartFolder.read = lambda self, part: read(self, part) if part < 5 else threading.Event().wait()
main()
"""
AND_KEEPS_THE_PARTS = """
row_parts.PartFolder.remove = lambda self: self.path.rename(self.path.with_suffix(".kept"))
main()
"""


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_parts, "_MAX_PART_ROWS", 1024)


@pytest.fixture
def sample(tessera: Run, model_file: Path, tmp_path: Path) -> Callable[..., bytes]:
    def run(name: str, *options: object) -> bytes:
        words = ("sample", model_file, "--rows", ROWS, "--seed", SEED, "--out", tmp_path / name)
        found = tessera(*words, *options)
        assert found.status == 0, found.err
        return (tmp_path / name).read_bytes()

    return run


@pytest.mark.usefixtures("small_parts")
def test_another_seed_in_the_middle_is_refused(tessera: Run, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    folder = tmp_path / "x.csv.parts"
    folder.mkdir()
    (folder / "intent.json").write_text('{"format": "tessera-sample-parts/1"}', encoding="utf-8")
    found = tessera("sample", model_file, "--rows", ROWS, "--seed", SEED, "--out", out)
    assert found.status == 2
    assert "begun with another model file, seed, " in found.err
    assert not out.exists()


@pytest.mark.parametrize("name", ["nowhere", "cuda"])
def test_a_device_that_is_not_there_is_refused(
    tessera: Run, model_file: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ("sample", model_file, "--rows", 5, "--seed", 1, "--out", tmp_path / "x.csv", "--device", name)
    found = tessera(*words)
    assert found.status != 0
    assert "device: " in found.err
    assert "Traceback" not in found.err


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_worker_processes_change_no_byte(sample: Callable[..., bytes], suffix: str, tmp_path: Path) -> None:
    alone = sample(f"alone.{suffix}")
    assert sample(f"two.{suffix}", "--processes", 2) == alone
    assert sorted(path.name for path in tmp_path.glob(f"*.{suffix}*")) == [f"alone.{suffix}", f"two.{suffix}"]


def test_parts_change_no_byte_of_a_csv(sample: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sample("whole.csv")
    monkeypatch.setattr(row_parts, "_MAX_PART_ROWS", 1024)
    assert sample("parts.csv") == whole
    assert sample("torch.csv", "--device", "cpu", "--batch-rows", 500) == whole


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_midway_the_same_command_ends_in_the_same_bytes(
    sample: Callable[..., bytes], model_file: Path, tmp_path: Path, processes: int
) -> None:
    whole = sample("whole.parquet", "--rows", 40_000)
    out, folder = tmp_path / "x.parquet", tmp_path / "x.parquet.parts"
    words = ["sample", model_file, "--rows", 40_000, "--seed", SEED, "--out", out, "--processes", processes]
    command = [sys.executable, "-c", IN_SMALL_PARTS + AND_STOPS_AFTER_FIVE, *map(str, words)]
    with subprocess.Popen(command, env=python_path(), stdout=subprocess.DEVNULL) as running:
        until(lambda: len(list(folder.glob("*.rows"))) >= 5 or running.poll() is not None, "five parts")
        workers = children(running.pid)
        running.send_signal(signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL, "it ended by itself"
    # whoever was killed leaves no worker behind, and no file under the final name
    until(lambda: not any(is_alive(pid) for pid in workers), "the workers to end")
    assert not out.exists()
    kept = identities(folder)
    assert len(kept) >= 5
    command[2] = IN_SMALL_PARTS + AND_KEEPS_THE_PARTS
    subprocess.run(command, env=python_path(), stdout=subprocess.DEVNULL, check=True)
    made = identities(folder.with_suffix(".kept"))
    assert len(made) == 40
    assert kept.items() <= made.items(), "a finished part was made again"
    assert out.read_bytes() == whole


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file each part is, and since when: one that is made again is another."""
    found = {path.name: path.stat() for path in folder.glob("*.rows")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a process that ended and that nobody asked after yet still has a number
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
