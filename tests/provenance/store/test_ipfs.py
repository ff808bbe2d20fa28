"""The IPFS adapter against small servers that fail or lie. The real daemon is in tests/ipfs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from provenance.errors import (
    ContentDamagedError,
    ContentMissingError,
    StoreUnavailableError,
    ValueFormatError,
)
from provenance.store.ipfs import PIECE_BYTES, IpfsStore
from provenance.store.unixfs import cid_of
from tests.waiting import HANG_SECONDS

Answer = Callable[[str, dict[str, str]], tuple[int, bytes]]
GOOD = b"the true bytes"


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that gave up waiting is what these tests are about."""


class Node:
    """An HTTP server on loopback that answers every RPC call by `answer(command, options)`."""

    def __init__(self) -> None:
        self.answer: Answer = lambda *_: (500, b"")
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlparse(self.path)
                options = {key: value[0] for key, value in parse_qs(url.query).items()}
                status, body = node.answer(url.path.removeprefix("/api/v0"), options)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def multiaddr(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.server.server_port}/http"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


@pytest.fixture
def store(node: Node) -> Iterator[IpfsStore]:
    made = IpfsStore(node.multiaddr, HANG_SECONDS)
    yield made
    made.close()


def message(text: str) -> bytes:
    return json.dumps({"Message": text, "Code": 0, "Type": "error"}).encode()


@pytest.mark.parametrize("address", ["localhost:5001", "http://127.0.0.1:5001", "/ip4/127.0.0.1", ""])
def test_refuses_an_address_that_is_no_multiaddr_of_a_node(address: str) -> None:
    with pytest.raises(ValueFormatError, match="expected a multiaddr such as"):
        IpfsStore(address, 1.0)


def test_a_node_that_is_down_is_a_clear_error(dead_port: int) -> None:
    store = IpfsStore(f"/ip4/127.0.0.1/tcp/{dead_port}/http", 1.0)
    for action in (lambda: store.put(b"x"), lambda: store.get(cid_of(b"x")), lambda: store.has(cid_of(b"x"))):
        with pytest.raises(StoreUnavailableError, match="cannot be reached; start the node"):
            action()


def test_a_node_that_never_answers_is_given_up_at_the_timeout(node: Node) -> None:
    release = threading.Event()
    node.answer = lambda *_: (200, GOOD) if release.wait() else (500, b"")
    store = IpfsStore(node.multiaddr, 0.2)
    try:
        with pytest.raises(ContentMissingError, match=r"no answer within 0\.2 seconds"):
            store.get(cid_of(GOOD))
        # It was given up while the node was still silent: nothing but this lets the node answer.
    finally:
        release.set()
        store.close()


def test_a_node_without_the_block_reports_it_missing(node: Node, store: IpfsStore) -> None:
    node.answer = lambda *_: (500, message("block was not found locally (offline)"))
    with pytest.raises(ContentMissingError, match="not found locally"):
        store.get(cid_of(GOOD))


@pytest.mark.parametrize("body", [b"", b"the true byteS", GOOD + b"!", bytes(PIECE_BYTES)])
def test_bytes_of_another_cid_are_refused(node: Node, store: IpfsStore, body: bytes) -> None:
    node.answer = lambda *_: (200, body)
    with pytest.raises(ContentDamagedError):
        store.get(cid_of(GOOD))


def test_a_node_that_never_stops_sending_is_stopped(node: Node) -> None:
    node.answer = lambda *_: (200, bytes(PIECE_BYTES))
    large = cid_of(bytes(2**20 + 1))
    with pytest.raises(ContentDamagedError, match="sends more than"):
        IpfsStore(node.multiaddr, HANG_SECONDS, max_bytes=3 * PIECE_BYTES).get(large)


def test_a_node_of_another_profile_is_refused_when_it_stores(node: Node, store: IpfsStore) -> None:
    answer = {"Name": "x", "Hash": "QmRaaUwTNfwgFZpeUy8qrZwrp2dY4kCKmmB5xEqvH3vtD1", "Size": "1"}
    node.answer = lambda *_: (200, json.dumps(answer).encode())
    with pytest.raises(ContentDamagedError, match="set its import profile to unixfs-v1-2025"):
        store.put(GOOD)


def test_a_server_that_is_no_ipfs_node_is_a_clear_error(node: Node, store: IpfsStore) -> None:
    node.answer = lambda *_: (404, b"<html>not here</html>")
    with pytest.raises(StoreUnavailableError, match="404"):
        store.put(GOOD)


def test_puts_with_our_profile_and_reads_large_files_in_pieces(node: Node, store: IpfsStore) -> None:
    large = bytes(range(256)) * (PIECE_BYTES // 256) + GOOD
    asked: list[tuple[str, dict[str, str]]] = []

    def answer(command: str, options: dict[str, str]) -> tuple[int, bytes]:
        asked.append((command, options))
        if command == "/add":
            return 200, json.dumps({"Name": "x", "Hash": cid_of(large), "Size": "1"}).encode()
        start = int(options.get("offset", 0))
        return 200, large[start : start + int(options["length"])]

    node.answer = answer
    cid = store.put(large)
    assert store.get(cid) == large
    assert asked[0][1]["chunker"] == "size-1048576"
    assert asked[0][1]["raw-leaves"].lower() == asked[0][1]["pin"].lower() == "true"
    assert asked[0][1]["cid-version"] == "1"
    assert [options.get("offset", "0") for command, options in asked if command == "/cat"] == [
        "0",
        str(PIECE_BYTES),
    ]


def test_what_is_not_pinned_is_not_held(node: Node, store: IpfsStore) -> None:
    cid = cid_of(GOOD)
    node.answer = lambda *_: (500, message(f"path '{cid}' is not pinned"))
    assert not store.has(cid)
    node.answer = lambda *_: (500, message("the repository is locked"))
    with pytest.raises(StoreUnavailableError, match="locked"):
        store.has(cid)
    node.answer = lambda *_: (200, json.dumps({"Keys": {cid: {"Type": "recursive"}}}).encode())
    assert store.has(cid)
