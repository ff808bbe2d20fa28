"""A data set made by older code verifies with this one: over the chain that recorded it, by command line.

tests/fixtures/before_move/README.md says what the fixture holds, and when and how another is made. Nothing of ours
is imported, so that no move of a module touches this file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CHECKOUT = Path(__file__).resolve().parents[2]
FIXTURE = CHECKOUT / "tests" / "fixtures" / "before_move"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURE / "expected.json").read_text(encoding="utf-8"))
SEALED_FEDGAN, OPEN_MARGINAL, SEALED_AUTOREGRESSIVE = DATASETS = ("1", "2", "3")
NEED_THE_KEY = ["files open", "models", "rows", "shard roots", "score file", "conditions"]
START_SECONDS = 60.0
VERIFY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the verifier ended, and the checks of its certificate."""

    exit_status: int
    dataset: str
    order: str
    checks: list[dict[str, Any]]

    def standings(self) -> list[tuple[int, str, str, str]]:
        """(number, name, label, status) of every check; what a check says in words is free to change."""
        return [(each["number"], each["name"], each["label"], each["status"]) for each in self.checks]

    def names(self, status: str) -> list[str]:
        """The checks with that status, but for those that no certificate makes."""
        return [
            each["name"] for each in self.checks if each["status"] == status and each["label"] != "not proven"
        ]

    def detail(self, name: str) -> str:
        (found,) = (each["detail"] for each in self.checks if each["name"] == name)
        return str(found)


@dataclass(frozen=True, slots=True)
class OlderMarket:
    """The chain as it was left, the published files, the buyer's delivery key."""

    rpc: str
    store: Path
    key: Path

    def verify(self, dataset: str, *options: str, store: Path | None = None) -> Verdict:
        """`scripts/verify_provenance.py --json` in a process of its own."""
        program = str(CHECKOUT / "scripts" / "verify_provenance.py")
        where = ("--dataset", dataset, "--rpc", self.rpc, "--store", str(store or self.store))
        done = subprocess.run(
            [sys.executable, program, *where, *options, "--json"],
            capture_output=True,
            text=True,
            timeout=VERIFY_SECONDS,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )
        assert done.returncode in (0, 1), f"nothing was decided:\n{done.stdout}{done.stderr}"
        said = json.loads(done.stdout)
        return Verdict(done.returncode, said["dataset"], said["order"], said["checks"])

    def manifest(self, dataset: str) -> Any:
        """The published manifest, found by the digest that is on chain."""
        digest = EXPECTED[dataset]["manifestSha256"].removeprefix("0x")
        (data,) = (data for data in self._contents() if hashlib.sha256(data).hexdigest() == digest)
        return json.loads(data)

    def _contents(self) -> Iterator[bytes]:
        return (file.read_bytes() for file in self.store.rglob("bafk*"))


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OlderMarket]:
    folder = tmp_path_factory.mktemp("older")
    shutil.unpack_archive(FIXTURE / "content.zip", folder / "content")
    key = folder / "delivery.key"
    key.touch(mode=0o600)  # the verifier refuses a key that others may read, and git keeps no such mode
    key.write_bytes((FIXTURE / "throwaway-delivery.key").read_bytes())
    state, log = folder / "chain.json", folder / "chain.log"
    state.write_bytes(gzip.decompress((FIXTURE / "chain.json.gz").read_bytes()))
    # Not one block more: head and time of the chain stay what they were.
    words = ("--host", "127.0.0.1", "--port", "0", "--load-state", str(state), "--no-mining")
    with (
        log.open("wb") as output,
        subprocess.Popen([_anvil(), *words], stdout=output, stderr=subprocess.STDOUT) as anvil,
    ):
        try:
            yield OlderMarket(_await_url(anvil, log), folder / "content", key)
        finally:
            anvil.terminate()


def _anvil() -> str:
    for found in (CHECKOUT / "node_modules" / "@foundry-rs").glob("anvil-*/bin/anvil"):
        return str(found)
    on_path = shutil.which("anvil")
    assert on_path is not None, "no anvil in node_modules and none on PATH: run `make setup`"
    return on_path


def _await_url(anvil: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        text = log.read_text(encoding="utf-8")
        listening = re.search(r"Listening on (\S+)\n", text)
        if listening is not None:
            return f"http://{listening[1]}"
        assert anvil.poll() is None, f"anvil cannot load the chain's state:\n{text}"
        assert time.monotonic() < deadline, f"anvil did not start within {START_SECONDS:.0f} s:\n{text}"
        time.sleep(0.1)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_check_stands_as_it_did(older: OlderMarket, dataset: str) -> None:
    """By the name on chain alone: the other contracts are found from the registry's."""
    expected, before = EXPECTED[dataset], _expected_verdict(dataset)
    found = older.verify(before.dataset, "--key", str(older.key))
    assert found.standings() == before.standings()
    assert found.exit_status == 0
    assert len(found.names("passed")) == 24
    assert (found.dataset, found.order) == (before.dataset, before.order)
    assert expected["manifestSha256"] in found.detail("manifest digest")
    assert expected["datasetRoot"] in found.detail("data-set root")
    rows = [shard["content"]["rows"]["plainSha256"] for shard in older.manifest(dataset)["shards"]]
    assert rows == expected["rowsSha256"], "the digests that check 'files open' has compared"


def test_a_number_and_the_deployment_file_of_then_name_it_too(older: OlderMarket) -> None:
    """Nobody's key is needed: the data set is open."""
    found = older.verify(OPEN_MARGINAL)
    assert found.standings() == _expected_verdict(OPEN_MARGINAL).standings()


@pytest.mark.parametrize("dataset", [SEALED_FEDGAN, SEALED_AUTOREGRESSIVE])
def test_without_the_key_the_public_part_is_checked(older: OlderMarket, dataset: str) -> None:
    found = older.verify(dataset, "--public")
    assert found.exit_status == 0
    assert found.names("failed") == []
    assert found.names("not checked") == NEED_THE_KEY


@pytest.mark.parametrize("kind", ["rows", "model"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_one_flipped_byte_fails_by_name(older: OlderMarket, tmp_path: Path, dataset: str, kind: str) -> None:
    changed = older.manifest(dataset)["shards"][-1]["content"][kind]
    store = tmp_path / "content"
    shutil.copytree(older.store, store)
    (file,) = store.rglob(changed["cid"])
    data = bytearray(file.read_bytes())
    assert len(data) == changed["size"]
    data[len(data) // 2] ^= 1
    file.write_bytes(data)

    found = older.verify(dataset, "--key", str(older.key), store=store)
    assert found.exit_status == 1
    assert found.names("failed") == ["files present", "files open"]
    for name in ("files present", "files open"):
        assert changed["cid"] in found.detail(name)
    untouched = set(_expected_verdict(dataset).names("passed")) - set(NEED_THE_KEY) - {"files present"}
    assert untouched <= set(found.names("passed"))


def _expected_verdict(dataset: str) -> Verdict:
    said = EXPECTED[dataset]["certificate"]
    return Verdict(0, said["dataset"], said["order"], said["checks"])
