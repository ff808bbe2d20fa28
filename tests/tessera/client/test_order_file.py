"""What a buyer keeps on disk: whole or not at all, and readable by its owner alone."""

import json
import stat
from pathlib import Path

import pytest

from tessera.client.order_file import write_private


def test_a_document_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "intent.json"
    write_private(path, {"salt": "old"})
    with pytest.raises(TypeError):
        write_private(path, {"salt": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"salt": "old"}


def test_folders_are_made_and_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "intent.json"
    write_private(path, {"salt": "0x01"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"salt": "0x01"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
