"""Nodes as the public has them: they give logs of few blocks, are busy, lag behind. And how deep reads look."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest

from provenance.chain.errors import ChainUnavailableError
from provenance.chain.finality import LATEST, Finality
from provenance.chain.reader import ChainReader
from provenance.chain.rpc import Rpc
from provenance.errors import ValueFormatError
from provenance.values import sha256
from tests import anvil
from tests.provenance.chain.conftest import Market

Answer = tuple[int, dict[str, Any]]
"""HTTP status, and members of the JSON-RPC answer."""
COMPLAINTS = [
    (200, -32005, "query returned more than 10000 results. Try with this block range [0x1, 0x9]."),
    (
        400,
        -32602,
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range",
    ),
    (413, -32614, "eth_getLogs is limited to a 10,000 range"),
    (200, -32600, "block range is too wide"),
    (200, -32005, "limit exceeded"),
    (200, -32000, "query timeout exceeded"),
    (400, 35, "ranges over 10000 blocks are not supported on freetier"),
]


@contextmanager
def node_before(url: str, says: Callable[[dict[str, Any]], Answer | None]) -> Iterator[str]:
    """The URL of a node that asks the one at `url`, unless `says` answers the request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = json.loads(body)
            told = says(asked)
            if told is None:
                forward = Request(url, body, {"Content-Type": "application/json"})
                with urlopen(forward) as response:
                    status, data = 200, response.read()
            else:
                status, members = told
                data = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **members}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest shows what fails."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def blocks(asked: dict[str, Any]) -> int:
    """Of how many blocks a request asks the logs."""
    query = asked["params"][0]
    return int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1


@pytest.mark.parametrize(("status", "code", "message"), COMPLAINTS)
@pytest.mark.parametrize("most", [1, 7])
def test_logs_are_asked_in_ranges_that_the_node_gives(
    market: Market, status: int, code: int, message: str, most: int
) -> None:
    """All events, once each and in order; nothing larger is asked once the node has said what it gives."""
    market.account(77)[1].register(sha256(b"metadata"))
    market.mine(5)
    sizes: list[int] = []

    def says(asked: dict[str, Any]) -> Answer | None:
        if asked["method"] != "eth_getLogs":
            return None
        sizes.append(blocks(asked))
        return None if sizes[-1] <= most else (status, error(code, message))

    deployment, head = market.chain.deployment, market.chain.block_number()
    start = max(deployment.block, head - 30)
    with node_before(market.rpc_url, says) as url, ChainReader(url, deployment) as reader:
        found = reader.events(start, head)
        assert found == market.chain.events(start, head)
        assert found
        refused = [size for size in sizes if size > most]
        assert sizes[: len(refused)] == refused
        assert len(refused) <= 6


def test_newest_event_is_found_without_asking_for_all_blocks(market: Market) -> None:
    market.mine(40)
    asked_for: list[int] = []

    def says(asked: dict[str, Any]) -> Answer | None:
        if asked["method"] != "eth_getLogs":
            return None
        asked_for.append(int(asked["params"][0]["toBlock"], 16))
        return None if blocks(asked) <= 4 else (200, error(-32600, "block range is too wide"))

    with node_before(market.rpc_url, says) as url, ChainReader(url, market.chain.deployment) as reader:
        assert reader.participants(sha256(b"no such order")) == ()
    assert asked_for == sorted(asked_for, reverse=True)


def test_logs_of_one_block_that_are_refused_are_unavailable(market: Market) -> None:
    def says(asked: dict[str, Any]) -> Answer | None:
        return (200, error(-32005, "limit exceeded")) if asked["method"] == "eth_getLogs" else None

    with (
        node_before(market.rpc_url, says) as url,
        ChainReader(url, market.chain.deployment) as reader,
        pytest.raises(ChainUnavailableError, match=r"asked for block [0-9]+ alone"),
    ):
        reader.events(1, 9)


BUSY: list[Answer] = [
    (200, error(-32005, "limit exceeded")),
    (429, error(429, "Too Many Requests")),
    (503, {"error": "bad gateway"}),
    (200, error(-32000, "header not found")),
    (200, {"result": None}),
]


@pytest.mark.parametrize("answer", BUSY)
def test_node_that_is_busy_for_a_moment_is_asked_again(market: Market, answer: Answer) -> None:
    times = 0

    def says(asked: dict[str, Any]) -> Answer | None:
        nonlocal times
        times += 1
        return answer if times <= 2 else None

    with node_before(market.rpc_url, says) as url, ChainReader(url, market.chain.deployment) as reader:
        assert reader.block_number() == market.chain.block_number()
    assert times == 3


@pytest.mark.parametrize("answer", BUSY)
def test_node_that_stays_busy_is_unavailable(market: Market, answer: Answer) -> None:
    with (
        node_before(market.rpc_url, lambda _: answer) as url,
        ChainReader(url, market.chain.deployment) as reader,
        pytest.raises(ChainUnavailableError),
    ):
        reader.block_number()


# --- finality


@pytest.mark.parametrize(("text", "depth"), [("latest", 0), ("3", 3), ("safe", 32), ("finalized", 64)])
def test_reads_that_decide_look_as_deep_as_the_setting_says(market: Market, text: str, depth: int) -> None:
    """A registration counts once so many blocks lie on it; what an account holds is read at the latest block."""
    signer, writer = market.account(int.from_bytes(sha256(text.encode())[:8], "big"))
    market.mine(70)  # the chain's own words need a past
    receipt = writer.register(sha256(b"metadata"))
    with ChainReader(market.rpc_url, market.chain.deployment, finality=Finality.parse(text)) as reader:
        for mined in range(depth + 1):
            assert reader.stake_of(signer.address).registered is (mined == depth)
            assert reader.is_final(receipt.block) is (mined == depth)
            assert reader.balance(signer.address) > 0
            market.mine(1)


def test_setting_is_read_and_said_again() -> None:
    for text in ("latest", "safe", "finalized", "12"):
        assert str(Finality.parse(text)) == text
    assert Finality.chosen("") is None
    for text in ("", "soon", "-1", "1.5", "٣", "12345", "Latest"):
        with pytest.raises(ValueFormatError, match="expected latest, safe, finalized or a number of blocks"):
            Finality.parse(text)


def test_only_local_chains_are_taken_for_final_at_once() -> None:
    assert Finality.of_chain(31337) == LATEST
    assert [Finality.of_chain(each).word for each in (1, 10, 8453, 42161)] == ["safe"] * 4


def test_depth_before_the_first_blocks_is_the_first() -> None:
    with anvil.running_anvil() as url:
        rpc = Rpc(url)
        assert Finality.parse("5").height(rpc) == 0
        assert Finality.parse("5").at(rpc) == "0x0"
        rpc.close()
