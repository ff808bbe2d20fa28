"""What `tessera node` says before any market is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tessera.conftest import Run


@pytest.mark.parametrize(
    "command",
    [["run"], ["status"], ["budget"], ["receipts"], ["approve", "0x1"], ["retire", "0x1"], ["withdraw"]],
)
def test_command_in_a_folder_without_a_node_says_so_and_fails(
    tessera: Run, tmp_path: Path, command: list[str]
) -> None:
    found = tessera("node", *command, "--folder", tmp_path)
    assert found.status == 1
    assert "run `tessera node init` first" in found.err


def test_init_against_a_market_that_is_down_leaves_no_node_behind(
    tessera: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.node.setup.START_SECONDS", 0.3)
    words = ["--backend", "http://127.0.0.1:9", "--rpc", "http://127.0.0.1:9", "--collection", "toy"]
    words += ["--table", str(tmp_path / "t.csv"), "--declared-rows", "10", "--epsilon-cap", "1"]
    found = tessera("node", "init", "--folder", tmp_path / "node", *words)
    assert found.status == 1
    assert "no usable answer" in found.err
    assert not (tmp_path / "node" / "node.toml").exists()


@pytest.mark.parametrize("cap", ["0", "-1", "5000", "much"])
def test_cap_that_is_none_is_a_usage_error(tessera: Run, cap: str) -> None:
    words = ["--backend", "http://127.0.0.1:9", "--rpc", "http://127.0.0.1:9", "--collection", "toy"]
    words += ["--table", "t.csv", "--declared-rows", "10", "--epsilon-cap", cap]
    found = tessera("node", "init", *words)
    assert found.status == 2
    assert "expected a number above 0" in " ".join(found.err.split())
