"""A long table in the making: a folder beside it with what was asked for and the parts that are finished.

A part is the exact row bytes (docs/spec/rows.md) of a range of rows. It appears under its name when it is
whole and on the disk, so whoever is killed goes on where he was; a folder begun for other rows is refused.
Parts do not depend on the file's format, nor on who makes them in which order.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tessera.errors import UsageError

_INTENT = "intent.json"
_PART_CELLS = 2**22
_MAX_PART_ROWS = 2**18
_MIN_PART_ROWS = 2**10


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Rows first_row .. first_row + rows - 1 in parts of `part_rows`, the last one shorter."""

    first_row: int
    rows: int
    part_rows: int

    @classmethod
    def of(cls, first_row: int, rows: int, columns: int) -> PartPlan:
        """Parts small enough that one in memory, eight bytes a value, stays at some tens of MB."""
        part_rows = _MAX_PART_ROWS
        while part_rows > _MIN_PART_ROWS and part_rows * columns > _PART_CELLS:
            part_rows //= 2
        return cls(first_row, rows, part_rows)

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-self.rows // self.part_rows)

    def range_of(self, part: int) -> tuple[int, int]:
        """First row and number of rows of a part."""
        start = part * self.part_rows
        return self.first_row + start, min(self.part_rows, self.rows - start)


@dataclass(frozen=True, slots=True)
class PartFolder:
    """The folder of one file. row_width: bytes of a row."""

    path: Path
    plan: PartPlan
    row_width: int

    def is_finished(self, part: int) -> bool:
        """Whether the part is there in full."""
        path = self._file(part)
        return path.is_file() and path.stat().st_size == self.plan.range_of(part)[1] * self.row_width

    def missing(self) -> list[int]:
        """The parts still to be made, in order."""
        return [part for part in range(self.plan.parts) if not self.is_finished(part)]

    def store(self, part: int, rows: bytes) -> None:
        """Keeps a finished part."""
        _write_whole(self._file(part), rows)

    def read(self, part: int) -> bytes:
        """Row bytes of a finished part."""
        return self._file(part).read_bytes()

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path)

    def _file(self, part: int) -> Path:
        return self.path / f"{part:08d}.rows"


@contextmanager
def open_parts(
    out_file: Path, intent: Mapping[str, str | int], plan: PartPlan, row_width: int
) -> Iterator[PartFolder]:
    """The parts folder of `out_file`, held by this process alone; it stays until it is removed.

    intent: all that decides the rows. Raises UsageError if the folder was begun with another intent or
    another process holds it.
    """
    folder = out_file.with_name(out_file.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{folder}: another process is making this file, wait for it or stop it"
            ) from error
        _check_intent(folder, {**intent, "partRows": plan.part_rows})
        yield PartFolder(folder, plan, row_width)


def _check_intent(folder: Path, intent: Mapping[str, str | int]) -> None:
    path = folder / _INTENT
    if not path.exists():
        _write_whole(path, json.dumps(dict(intent), indent=1).encode())
        return
    try:
        begun = json.loads(path.read_bytes())
    except json.JSONDecodeError:
        begun = {}
    other = [key for key in intent if not isinstance(begun, dict) or begun.get(key) != intent[key]]
    if other:
        raise UsageError(
            f"{folder} was begun with another {', '.join(other)}: give the command that began it to go on, or "
            "delete the folder to begin anew"
        )


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
