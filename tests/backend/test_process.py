"""The backend as a process: start-up failures in one line, and orders that outlive kill -9."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from backend.errors import StartupError
from backend.main import run
from backend.settings import Settings
from provenance.crypto.key_files import read_secret
from provenance.crypto.permit import sign_permit
from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import Signer, create_key
from provenance.record.collection import Collection
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms
from provenance.table.schema import Schema
from provenance.values import Address, Digest
from tests.backend.conftest import Chain, Json
from tests.waiting import HANG_SECONDS, until

ROOT = Path(__file__).parents[2]
TOKEN = 10**18
BURN_ADDRESS = Address(bytes(18) + b"\xde\xad")

Environment: TypeAlias = tuple[Signer, dict[str, str]]
"""The broker of a process, and its variables."""


@pytest.fixture
def environment(chain: Chain, tmp_path: Path) -> Environment:
    """Settings of a process with an own, funded broker key."""
    broker = create_key(tmp_path / "broker.key")
    chain.bank.send_ether(broker.address, TOKEN)
    chain.bank.mint(broker.address, TOKEN)
    chain.reader.deployment.save(tmp_path / "deployment.json")
    values = {
        "TESSERA_STATE_DIR": str(tmp_path / "state"),
        "TESSERA_PORT": "0",
        "TESSERA_RPC_URL": chain.url,
        "TESSERA_DEPLOYMENT_FILE": str(tmp_path / "deployment.json"),
        "TESSERA_KEY_FILE": str(tmp_path / "broker.key"),
        "TESSERA_POLL_SECONDS": "0.05",
        "TESSERA_LEAST_PRICE_WEI": "0",
        # The session's nodes may have been slashed in other tests of the same chain.
        "TESSERA_SPOILER_BLOCKS": "0",
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": str(ROOT),
    }
    return broker, values


def fails(values: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "backend.main"]
    done = subprocess.run(
        command,
        env=os.environ | values,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    return done.returncode, done.stderr


@contextmanager
def running(values: dict[str, str], log_file: Path) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """The process and a client of it, once it answers. It takes any free port and says which."""
    command = [sys.executable, "-m", "backend.main"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | values, cwd=ROOT, stdout=log, stderr=log)

    def address() -> re.Match[str] | None:
        text = log_file.read_text()
        assert process.poll() is None, text
        return re.search(r"listening on (http://127\.0\.0\.1:\d+) for", text)

    try:
        url = until(address, "the backend to listen").group(1)
        # What is sent before it serves waits in the listening socket.
        with httpx.Client(base_url=url, timeout=HANG_SECONDS, trust_env=False) as client:
            assert client.get("/health").status_code == 200
            yield process, client
    finally:
        process.kill()
        process.wait()


def call(
    client: httpx.Client, method: str, target: str, body: object = None, by: Signer | None = None
) -> httpx.Response:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if by is not None:
        headers["Authorization"] = sign_request(by, method, target, data, int(time.time()))
    answer = client.request(method, target, content=data, headers=headers)
    assert answer.status_code < 300, answer.text
    return answer


def leased(client: httpx.Client, target: str, by: Signer) -> Json:
    """Asks until there is work."""

    def ask() -> Json | None:
        answer = call(client, "POST", target, {"waitSeconds": 20}, by=by)
        return answer.json() if answer.status_code == 200 else None

    return until(ask, f"work for {by.address}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TESSERA_DEPLOYMENT_FILE": "missing.json"}, "TESSERA_DEPLOYMENT_FILE: missing.json"),
        ({"TESSERA_KEY_FILE": "missing.key"}, "TESSERA_KEY_FILE: missing.key"),
        ({"TESSERA_RPC_URL": "http://127.0.0.1:1"}, "TESSERA_RPC_URL: http://127.0.0.1:1"),
        ({"TESSERA_PORT": "many"}, "TESSERA_PORT: Input should be a valid integer"),
        ({"TESSERA_STAKE_WEI": "-1", "TESSERA_PORT": "70000"}, "TESSERA_STAKE_WEI: Input should be greater"),
        (
            {"TESSERA_CHALENGE_SECONDS": "60"},
            "did you mean TESSERA_CHALLENGE_SECONDS? The settings are TESSERA_",
        ),
        ({"tessera_prot": "1"}, "TESSERA_PROT is not a setting; did you mean TESSERA_PORT?"),
        ({"TESSERA_X": ""}, "TESSERA_X is not a setting. The settings are TESSERA_ACCEPT_SECONDS, "),
        ({"TESSERA_LEAST_DELIVERY_SECONDS": "60"}, "TESSERA_LEAST_DELIVERY_SECONDS: Input should be"),
        ({"TESSERA_LEAST_DELIVERY_SECONDS": "soon"}, "least_delivery_seconds"),
        ({"TESSERA_LEAST_DELIVERY_SECONDS": '{"fedgan": 60}'}, "one entry for each of fedgan, marginal"),
        ({"TESSERA_DATABASE_URL": "nonsense"}, "database URL"),
        ({"TESSERA_STATE_DIR": "/dev/null/state"}, "/dev/null/state"),
    ],
)
def test_a_process_that_cannot_start_says_why(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], words: str
) -> None:
    for name, value in (environment[1] | change).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as refused:
        run(Settings.from_environment())
    assert words in str(refused.value)
    assert "--" not in str(refused.value), "the backend has no options"


def test_variables_of_other_programs_are_left_alone(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ("NETWORK", "WALLET", "KEY", "PASSWORD", "PASSWORD_FILE", "NODE_NAME")
    for name, value in (environment[1] | {f"TESSERA_{name}": "x" for name in others}).items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment().port == int(environment[1]["TESSERA_PORT"])


def test_a_port_in_use_ends_the_process_with_one_line_before_anything_is_touched(
    environment: Environment, tmp_path: Path
) -> None:
    _, values = environment
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = fails(values | {"TESSERA_PORT": str(port)})
    assert code == 2
    assert len(errors.strip().splitlines()) == 1
    assert f"port {port}" in errors
    assert not (tmp_path / "state").exists()


def test_an_order_outlives_kills_and_a_stop_and_its_money_comes_back(
    environment: Environment, chain: Chain, two_nodes: list[Signer], buyer: Signer, tmp_path: Path
) -> None:
    broker, values = environment
    before, burned = (chain.reader.balance(each) for each in (buyer.address, BURN_ADDRESS))
    logs = [tmp_path / f"{number}.log" for number in range(4)]
    with running(values, logs[0]) as (process, client):
        document = _collection().document()
        collection = call(client, "POST", "/v1/collections", document, by=broker).json()["id"]
        for node in two_nodes:
            body = {"collection": collection, "declaredRows": 500}
            call(client, "POST", "/v1/contributors", body, by=node)
        order = _order(client, chain, buyer, collection)
        process.send_signal(signal.SIGKILL)
    with running(values, logs[1]) as (process, client):
        _accept(client, chain, two_nodes[0], leased(client, "/v1/tasks/lease", two_nodes[0])["task"])
        process.send_signal(signal.SIGTERM)
        # Long polls, streams and steps that wait all let go.
        assert process.wait(HANG_SECONDS) == 0
    with running(values, logs[2]) as (process, client):
        _accept(client, chain, two_nodes[1], leased(client, "/v1/tasks/lease", two_nodes[1])["task"])
        job = leased(client, "/v1/coordination/lease", broker)["job"]
        assert job["order"] == order
        process.send_signal(signal.SIGKILL)
    nonce = chain.reader.rpc.integer("eth_getTransactionCount", str(broker.address), "pending")
    assert nonce == 3, "place, approve and match, each sent once"
    with running(values, logs[3]) as (process, client):
        chain.skip(4000)
        with client.stream("GET", f"/v1/orders/{order}/events") as response:
            lines = list(response.iter_lines())
        shown = client.get(f"/v1/orders/{order}").json()
    assert shown["state"] == "refunded"
    assert sum('"state":' in line for line in lines) == 4
    assert chain.reader.balance(buyer.address) == before, "the price, and nothing of the bond"
    assert chain.reader.balance(BURN_ADDRESS) == burned + OrderTerms.parse(shown["terms"]).bond
    log_text = "".join(log.read_text() for log in logs)
    secret = read_secret(tmp_path / "broker.key").hex()
    assert secret not in log_text
    assert "Tessera 0x" not in log_text
    assert "Traceback" not in log_text


def _collection() -> Collection:
    column = {
        "name": "age",
        "type": "integer",
        "minimum": 0,
        "maximum": 9,
        "multipleOf": 1,
        "nullable": False,
    }
    columns = [column | {"missing": ""}]
    schema = Schema.parse({"format": "tessera-schema/1", "name": "ages", "target": None, "columns": columns})
    return Collection("ages", "Ages", schema, "marginal", "open", 2, 10**9, 3_000_000, {})


def _order(client: httpx.Client, chain: Chain, buyer: Signer, collection: str) -> str:
    body = {"collection": collection, "buyer": str(buyer.address), "rows": 10}
    quote = call(client, "POST", "/v1/quotes", body).json()
    terms = OrderTerms.parse(quote["terms"])
    reader = chain.reader
    message = reader.permit_message(buyer.address, terms.price, terms.match_by)
    signed = {
        "terms": quote["terms"],
        "signature": str(buyer.sign_typed(reader.domain, terms)),
        "permit": sign_permit(buyer, reader.token_domain(), message).document(),
        "request": quote["request"],
    }
    return str(call(client, "POST", "/v1/orders", signed).json()["orderId"])


def _accept(client: httpx.Client, chain: Chain, node: Signer, task: Json) -> None:
    message = Acceptance(Digest.parse(task["order"]), node.address, 10)
    signature = node.sign_typed(chain.reader.domain, message)
    result = json.dumps({"maxRows": 10, "signature": str(signature)}).encode()
    call(client, "PUT", f"/v1/tasks/{task['id']}/result", result, by=node)
