"""What an operator touches: settings, questions, outbox, health page, lock, the command line's errors."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.errors import NetworkMismatch, NodeError, SettingsError
from generator.node.approvals import Approvals
from generator.node.health import FILE, HealthPage
from generator.node.outbox_log import OutboxLog
from generator.node.policy import Policy, Proposal, default_text
from generator.node.process import running_once
from generator.node.settings import NodeSettings, secure_folder
from generator.node.setup import deployment_of, read_schema, require_same_market
from provenance.api.catalogue import Contracts, NetworkView
from provenance.api.message import Uint256
from provenance.chain.deployment import Deployment
from provenance.units import TOKENS, TokenUnit
from provenance.values import Address, Digest, sha256
from tests.generator.node.test_policy import TERMS
from tests.generator.node.world import World
from tests.waiting import HANG_SECONDS

ORDER = Digest(bytes([1]) * 32)
SETTINGS = NodeSettings(
    backend="https://market.example",
    rpc="http://127.0.0.1:8545",
    collection="0x" + "11" * 32,
    declared_rows=1200,
    stake_wei=10**21,
)
PROPOSAL = Proposal("adult", "research", replace(TERMS, epsilon_micro=500_000, price=10**18))


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "market.example"},
        {"rpc": "ftp://x"},
        {"declared_rows": 0},
        {"lease_seconds": 4},
        {"poll_seconds": 26},
        {"health_port": 70_000},
        {"threads": 0},
    ],
)
def test_settings_outside_their_limits_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(change)) + " is"):
        NodeSettings.of({**SETTINGS.model_dump(), **change})


@pytest.mark.parametrize("line", ["surprise = 1", 'threads = "two"', "threads = true", "backend = 3", "= ="])
def test_settings_file_that_cannot_be_used_is_named(tmp_path: Path, line: str) -> None:
    SETTINGS.write(tmp_path)
    path = tmp_path / "node.toml"
    kept = [text for text in path.read_text().splitlines() if not text.startswith(line.split(" ")[0])]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(SettingsError, match=r"node\.toml"):
        NodeSettings.read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("thread = 2", "line 17: entry 'thread' is unknown; did you mean 'threads'?"),
        ('lease_seconds = "10"', "line 17: lease_seconds is '10', expected an integer"),
        ("lease_seconds = 4", "line 17: lease_seconds is 4, expected at least 5"),
        ("health_port = 70000", "line 17: health_port is 70000, expected at most 65535"),
        ('rpc = "ftp://x"', "line 17: rpc is 'ftp://x', expected an http or https URL"),
        ('stake_wei = "-1"', "line 17: stake_wei is '-1', expected an integer"),
    ],
)
def test_mistake_in_the_settings_file_is_answered_with_line_and_remedy(
    tmp_path: Path, line: str, message: str
) -> None:
    SETTINGS.write(tmp_path)
    path = tmp_path / "node.toml"
    name = line.split(" ")[0]
    kept = ["" if text.startswith(f"{name} =") else text for text in path.read_text().splitlines()]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(SettingsError) as caught:
        NodeSettings.read(tmp_path)
    assert f"node.toml, {message}" in str(caught.value)


def test_environment_goes_before_the_file_and_the_command_line_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SETTINGS.write(tmp_path)
    monkeypatch.setenv("TESSERA_NODE_THREADS", "3")
    monkeypatch.setenv("TESSERA_NODE_RPC", "https://node.example")
    monkeypatch.setenv("TESSERA_NODE_STAKE_WEI", str(2**256 - 1))
    read = NodeSettings.read(tmp_path, {"threads": 2})
    assert (read.threads, read.rpc, read.stake_wei) == (2, "https://node.example", 2**256 - 1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TESSERA_NODE_THREADS", "many", "environment, TESSERA_NODE_THREADS: threads is 'many'"),
        (
            "TESSERA_NODE_THREADS",
            "1_0",
            "environment, TESSERA_NODE_THREADS: threads is '1_0', expected an integer",
        ),
        (
            "TESSERA_NODE_THREADS",
            " 4",
            "environment, TESSERA_NODE_THREADS: threads is ' 4', expected an integer",
        ),
        (
            "TESSERA_NODE_THREADS",
            "4.0",
            "environment, TESSERA_NODE_THREADS: threads is '4.0', expected an integer",
        ),
        (
            "TESSERA_NODE_THREADS",
            "true",
            "environment, TESSERA_NODE_THREADS: threads is 'true', expected an integer",
        ),
        ("TESSERA_NODE_THREADS", "", "environment, TESSERA_NODE_THREADS: threads is '', expected an integer"),
        (
            "TESSERA_NODE_STAKE_WEI",
            "1e18",
            "environment, TESSERA_NODE_STAKE_WEI: stake_wei is '1e18', expected an",
        ),
        ("TESSERA_NODE_STAKE_WEI", "9" * 5000, "environment, TESSERA_NODE_STAKE_WEI: stake_wei is '999"),
        ("TESSERA_NODE_KEY", "", "environment, TESSERA_NODE_KEY: key is '', expected some text"),
        ("tessera_node_threads", "2", "'tessera_node_threads' is unknown"),
        ("Tessera_Node_Treads", "2", "'Tessera_Node_Treads' is unknown"),
        (
            "TESSERA_NODE_THREAD",
            "2",
            "'TESSERA_NODE_THREAD' is unknown; did you mean 'TESSERA_NODE_THREADS'?",
        ),
    ],
)
def test_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    SETTINGS.write(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=re.escape(message)):
        NodeSettings.read(tmp_path)


def test_settings_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    lines = [
        "# Written by `contributor_node.py init`. No secrets in here.",
        'backend = "https://market.example"',
    ]
    lines += [
        'rpc = "http://127.0.0.1:8545"',
        f'collection = "{SETTINGS.collection}"',
        "declared_rows = 1200",
    ]
    lines += ['stake_wei = "1000000000000000000000"', 'key = "node.key"', "lease_seconds = 10"]
    lines += ["poll_seconds = 10", "health_port = 0", "threads = 1"]
    (tmp_path / "node.toml").write_text("\n".join(lines) + "\n")
    assert NodeSettings.read(tmp_path) == SETTINGS


def test_missing_settings_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"run `tessera node init` first"):
        NodeSettings.read(tmp_path)


def test_settings_come_back_as_written_and_the_command_line_wins(tmp_path: Path) -> None:
    SETTINGS.write(tmp_path)
    assert NodeSettings.read(tmp_path) == SETTINGS
    changed = SETTINGS.model_copy(update={"threads": 2})
    assert NodeSettings.read(tmp_path, {"threads": 2, "rpc": None}) == changed


def test_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    folder.mkdir(mode=0o755)
    secure_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_market_that_names_other_contracts_is_not_dealt_with(world: World) -> None:
    deployment: Deployment = world.chain.deployment
    contracts = {role: str(address) for role, address in deployment.contracts().items()}
    network = NetworkView(
        chain_id=31337, deployment=Contracts.of({**contracts, "block": 1}, "deployment"), broker=Address(bytes(20)),
        chain_time=5, block_number=1, spec_version=1, stake_wei=Uint256(10), broker_fee_bps=100,
    )  # fmt: skip
    assert deployment_of(network) == deployment
    require_same_market(network, deployment)
    with pytest.raises(NetworkMismatch, match="two markets"):
        require_same_market(network, replace(deployment, escrow=Address(bytes([9]) * 20)))
    with pytest.raises(NetworkMismatch, match="two markets"):
        require_same_market(network.model_copy(update={"chain_id": 1}), deployment)
    with pytest.raises(NetworkMismatch, match="with 18 decimals, the deployment file with 6"):
        require_same_market(network, replace(deployment, unit=TokenUnit(6, "USDC")))


def test_a_new_policy_has_its_amounts_in_tokens_whatever_their_decimals(tmp_path: Path) -> None:
    for unit in (TOKENS, TokenUnit(6, "USDC")):
        (tmp_path / "policy.toml").write_text(default_text(unit))
        made = Policy.read(tmp_path)
        assert (made.maximum_stake_wei, made.minimum_price_wei) == (1_000 * unit.one, unit.one // 100)


def test_schema_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    with pytest.raises(SettingsError, match=r"schema\.json"):
        read_schema(path)
    path.write_text("{}")
    with pytest.raises(SettingsError, match="is not a schema"):
        read_schema(path)


def test_answer_to_a_question_that_nobody_asked_is_refused(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals")
    with pytest.raises(NodeError, match="waits for no answer"):
        approvals.decide(ORDER, approve=True)
    with pytest.raises(NodeError, match="0 questions begin"):
        approvals.find("0x01")


def test_questions_are_found_by_their_first_digits_and_keep_their_answer(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals")
    approvals.ask(ORDER, PROPOSAL)
    approvals.ask(Digest(bytes([2]) * 32), PROPOSAL)
    assert approvals.find("0101") == ORDER
    assert "epsilon 0.5" in approvals.decide(ORDER, approve=False).summary
    approvals.ask(ORDER, PROPOSAL)
    assert approvals.state(ORDER) == "denied"
    with pytest.raises(NodeError):
        approvals.find("")


def test_receipt_is_written_before_the_bytes_leave_with_size_hash_order_and_epsilon(tmp_path: Path) -> None:
    outbox = OutboxLog(tmp_path)
    with outbox.about(str(ORDER), "bins", "0.5"):
        outbox.record("PUT", "/v1/tasks/3/result", b"bytes")
    outbox.record("POST", "/v1/contributors", b"{}")
    outbox.record("POST", "/v1/tasks/lease", b"{}")
    outbox.record("GET", "/v1/network", b"")
    first, second = outbox.entries()
    assert (first.kind, first.size, first.sha256) == ("result", 5, str(sha256(b"bytes")))
    assert (first.order, first.task, first.epsilon) == (str(ORDER), "bins", "0.5")
    assert (second.kind, second.order) == ("announcement", "")
    assert (tmp_path / "receipts.jsonl").stat().st_mode & 0o777 == 0o600


def test_receipt_line_cut_off_by_a_power_failure_is_left_out_and_other_damage_is_an_error(
    tmp_path: Path,
) -> None:
    outbox = OutboxLog(tmp_path)
    outbox.record("POST", "/v1/contributors", b"{}")
    path = tmp_path / "receipts.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    assert len(outbox.entries()) == 1
    outbox.record("POST", "/v1/contributors", b"{}")
    assert len(outbox.entries()) == 2, "the next line takes the place of the torn one"
    path.write_text(whole[:20] + "\n" + whole)
    with pytest.raises(NodeError, match="line 1 is damaged"):
        outbox.entries()


def test_health_page_answers_on_loopback_and_its_port_is_in_the_folder(tmp_path: Path) -> None:
    with HealthPage(0, lambda: {"status": "ok"}, tmp_path) as page:
        assert json.loads((tmp_path / FILE).read_text()) == {"port": page.port}
        with urllib.request.urlopen(f"http://127.0.0.1:{page.port}/health", timeout=HANG_SECONDS) as answer:
            assert json.loads(answer.read()) == {"status": "ok"}
        with pytest.raises(SettingsError, match="health port"):
            HealthPage(page.port, dict, tmp_path)
    assert not (tmp_path / FILE).exists()


def test_second_process_on_one_folder_is_refused(tmp_path: Path) -> None:
    with running_once(tmp_path), pytest.raises(NodeError, match="another process"), running_once(tmp_path):
        pass
    with running_once(tmp_path):
        pass
