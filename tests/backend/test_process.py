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
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from backend.errors import StartupError
from backend.main import run
from backend.settings import Settings
from provenance.chain.reader import ChainReader
from provenance.crypto.permit import sign_permit
from provenance.crypto.request_auth import sign_request
from provenance.crypto.signing import create_key
from provenance.errors import ProvenanceError
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms
from provenance.values import Digest
from tests.waiting import HANG_SECONDS, until

ROOT = Path(__file__).parents[2]
TOKEN = 10**18


@pytest.fixture
def environment(chain, tmp_path):
    """Settings of a process with an own, funded broker key."""
    broker = create_key(tmp_path / "broker.key")
    chain.bank.send_ether(broker.address, TOKEN)
    chain.bank.mint(broker.address, TOKEN)
    chain.ledger.deployment.save(tmp_path / "deployment.json")
    values = {
        "TESSERA_STATE_DIR": str(tmp_path / "state"),
        "TESSERA_PORT": "0",
        "TESSERA_RPC_URL": chain.url,
        "TESSERA_DEPLOYMENT_FILE": str(tmp_path / "deployment.json"),
        "TESSERA_KEY_FILE": str(tmp_path / "broker.key"),
        "TESSERA_POLL_SECONDS": "0.05",
        "PYTHONWARNINGS": "error",
        "PYTHONPATH": str(ROOT),
    }
    return broker, values


def fails(values):
    command = [sys.executable, "-m", "backend.main"]
    options = {"capture_output": True, "text": True, "timeout": HANG_SECONDS, "check": False}
    done = subprocess.run(command, env=os.environ | values, cwd=ROOT, **options)
    return done.returncode, done.stderr


@contextmanager
def running(values, log_file):
    """The process and a client of it, once it answers. It takes any free port and says which."""
    command = [sys.executable, "-m", "backend.main"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | values, cwd=ROOT, stdout=log, stderr=log)

    def address():
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


def call(client, method, target, body=None, by=None):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if by is not None:
        headers["Authorization"] = sign_request(by, method, target, data, int(time.time()))
    answer = client.request(method, target, content=data, headers=headers)
    assert answer.status_code < 300, answer.text
    return answer


def leased(client, target, by):
    """Asks until there is work."""

    def ask():
        answer = call(client, "POST", target, {"waitSeconds": 20}, by=by)
        return answer.json() if answer.status_code == 200 else None

    return until(ask, f"work for {by.address}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TESSERA_DEPLOYMENT_FILE": "missing.json"}, "missing.json"),
        ({"TESSERA_KEY_FILE": "missing.key"}, "missing.key"),
        ({"TESSERA_RPC_URL": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
        ({"TESSERA_PORT": "many"}, "port"),
        ({"TESSERA_DATABASE_URL": "nonsense"}, "database URL"),
        ({"TESSERA_STATE_DIR": "/dev/null/state"}, "/dev/null/state"),
    ],
)
def test_a_process_that_cannot_start_says_why(environment, monkeypatch, change, words):
    for name, value in (environment[1] | change).items():
        monkeypatch.setenv(name, value)
    with pytest.raises((StartupError, ProvenanceError, ValidationError)) as refused:
        run(Settings())
    assert words in str(refused.value)


def test_a_port_in_use_ends_the_process_with_one_line_before_anything_is_touched(environment, tmp_path):
    _, values = environment
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = fails(values | {"TESSERA_PORT": str(port)})
    assert code == 2
    assert len(errors.strip().splitlines()) == 1
    assert f"port {port}" in errors
    assert not (tmp_path / "state").exists()


def test_an_order_outlives_kills_and_a_stop_and_its_money_comes_back(
    environment, chain, two_nodes, buyer, tmp_path
):
    broker, values = environment
    before = chain.ledger.balance(buyer.address)
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
    nonce = chain.ledger.rpc.integer("eth_getTransactionCount", str(broker.address), "pending")
    assert nonce == 3, "place, approve and match, each sent once"
    with running(values, logs[3]) as (process, client):
        chain.skip(4000)
        lines = []
        with client.stream("GET", f"/v1/orders/{order}/events") as response:
            lines.extend(response.iter_lines())
        shown = client.get(f"/v1/orders/{order}").json()
    assert shown["state"] == "refunded"
    assert sum('"state":' in line for line in lines) == 4
    half = OrderTerms.parse(shown["terms"]).bond // 2
    assert chain.ledger.balance(buyer.address) == before + half, "the other half is the contributors'"
    log_text = "".join(log.read_text() for log in logs)
    secret = (tmp_path / "broker.key").read_text().strip().removeprefix("0x")
    assert secret not in log_text
    assert "Tessera 0x" not in log_text
    assert "Traceback" not in log_text


def _collection():
    from provenance.record.collection import Collection
    from provenance.table.schema import Schema

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
    return Collection("ages", "Ages", schema, "marginal", "open", 2, 10**9, 0, {})


def _order(client, chain, buyer, collection):
    body = {"collection": collection, "buyer": str(buyer.address), "rows": 10}
    quote = call(client, "POST", "/v1/quotes", body).json()
    terms = OrderTerms.parse(quote["terms"])
    ledger: ChainReader = chain.ledger
    message = ledger.permit_message(buyer.address, terms.price, terms.match_by)
    body = {
        "terms": quote["terms"],
        "signature": str(buyer.sign_typed(ledger.domain, terms)),
        "permit": sign_permit(buyer, ledger.token_domain(), message).document(),
        "request": quote["request"],
    }
    return call(client, "POST", "/v1/orders", body).json()["orderId"]


def _accept(client, chain, node, task):
    message = Acceptance(Digest.parse(task["order"]), node.address, 10)
    signature = node.sign_typed(chain.ledger.domain, message)
    result = json.dumps({"maxRows": 10, "signature": str(signature)}).encode()
    call(client, "PUT", f"/v1/tasks/{task['id']}/result", result, by=node)
