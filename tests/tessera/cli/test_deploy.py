"""`tessera deploy`: a real process on a real chain, killed at any transaction; what it writes, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provenance.chain.deployment import Deployment, MarketParameters
from provenance.chain.market_plan import MarketPlan
from provenance.chain.rpc import Rpc, unhex
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.units import TokenUnit
from provenance.values import Address
from tessera.client.profile import load_profile
from tessera.devnet.network import CHECKOUT, python_path
from tests import anvil
from tests.provenance.chain.foreign_tokens import deploy_token
from tests.provenance.chain.uptime_feeds import feed_code
from tests.tessera.conftest import Run
from tests.waiting import until

BROKER = Address(b"\xb0" * 20)


@dataclass
class Chain:
    url: str
    rpc: Rpc
    dollar: Address


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with anvil.running_anvil("--hardfork", "osaka", "--enable-tx-gas-limit") as url:
        rpc = Rpc(url)
        yield Chain(
            url, rpc, deploy_token(rpc, TransactionSender(rpc, Signer(anvil.DEVELOPMENT_KEY)), "DollarToken")
        )
        rpc.close()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "deployer.key"
    path.write_text(f"0x{anvil.DEVELOPMENT_KEY.hex()}\n", encoding="ascii")
    path.chmod(0o600)
    return path


def pending(chain: Chain) -> int:
    """Transactions that wait for a block."""
    return int(chain.rpc.request("txpool_status")["pending"], 16)


def test_a_process_that_is_killed_between_sending_and_mining_is_gone_on_with(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path
) -> None:
    plan = MarketPlan(chain.dollar, MarketParameters())
    words = [
        "deploy",
        "--rpc",
        chain.url,
        "--token",
        str(chain.dollar),
        "--key",
        str(key),
        "--folder",
        str(tmp_path / "m"),
    ]
    chain.rpc.request("evm_setAutomine", False)
    for _ in plan.creations:
        process = subprocess.Popen(
            [sys.executable, "-m", "tessera", *words, "--yes"],
            env=python_path(),
            cwd=CHECKOUT,
            stdout=subprocess.DEVNULL,
        )
        assert until(lambda: pending(chain), "a transaction") == 1
        process.kill()
        process.wait()
        until(lambda: chain.rpc.request("evm_mine") and not pending(chain), "the block that takes it")
    chain.rpc.request("evm_setAutomine", True)
    blocks = chain.rpc.integer("eth_blockNumber")

    done = tessera(*words, "--api", "https://market.example", "--broker", BROKER)
    assert done.status == 0, done.err
    assert "TUSD (Test Dollar), 6 decimals" in done.out
    assert "to create" not in done.out
    assert chain.rpc.integer("eth_blockNumber") == blocks, (
        "killed before it heard of it, but every step was taken"
    )
    deployment = Deployment.load(tmp_path / "m/deployment.json")
    assert deployment.contracts() == plan.addresses
    profile = load_profile(tmp_path / "m/network.json")
    assert (profile.api, profile.rpc, profile.broker) == ("https://market.example", chain.url, BROKER)
    assert profile.deployment == deployment
    assert profile.deployment.unit == TokenUnit(6, "TUSD")


def test_a_dry_run_shows_addresses_and_sends_nothing(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path
) -> None:
    blocks = chain.rpc.integer("eth_blockNumber")
    out = tmp_path / "m"
    words = ("deploy", "--rpc", chain.url, "--test-token", "--key", key, "--folder", out, "--dry-run")
    feed = f"0x{'fe' * 20}"
    chain.rpc.request("anvil_setCode", feed, feed_code(0, 0))
    told = tessera(*words, "--uptime-feed", feed)
    assert f"{Address.parse(feed)}: says that the chain is up" in told.out, told.err
    done = tessera(*words, "--salt", 7)
    assert done.status == 0, done.err
    assert "TEST TOKEN, anybody can mint it" in done.out
    assert "no feed: times run on while the chain is down" in done.out
    assert done.out.count("to create") == 13
    assert chain.rpc.integer("eth_blockNumber") == blocks
    assert not out.exists()


def test_the_sources_make_the_code_that_stands(chain: Chain, key: Path, tessera: Run, tmp_path: Path) -> None:
    out, sources = tmp_path / "m", tmp_path / "sources"
    words = (
        "deploy",
        "--rpc",
        chain.url,
        "--test-token",
        "--key",
        key,
        "--folder",
        out,
        "--verification",
        sources,
        "--yes",
    )
    assert tessera(*words).status == 0
    index = json.loads((sources / "contracts.json").read_text())
    assert len(index) == 13
    for name in ("ModelStore", "MarketDeployer"):
        task = json.loads((sources / f"{name}.json").read_text())
        file, _, contract = index[name]["contract"].partition(":")
        code = compiled(task)["contracts"][file][contract]["evm"]["bytecode"]["object"]
        if name == "ModelStore":
            created = index[name]["constructorArguments"]
            assert created == "", "it takes no arguments"
            stored = chain.rpc.request("eth_call", {"data": f"0x{code}"}, "latest")
            assert stored == chain.rpc.request("eth_getCode", index[name]["address"], "latest")
        else:
            made = chain.rpc.request("eth_getCode", index[name]["address"], "latest")
            assert index[name]["constructorArguments"] in made, "the plan is an immutable"
    assert "0.8.37" in index["OrderEscrow"]["compiler"]
    token = Deployment.load(out / "deployment.json").token
    assert index["OrderEscrow"]["constructorArguments"][24:64] == token.hex()


def compiled(
    task: dict[str, object],
) -> dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, str]]]]]]:
    """What the Solidity compiler says to standard JSON input."""
    script = 'process.stdout.write(require("solc").compile(require("node:fs").readFileSync(0, "utf8")))'
    node = Path(sys.executable).parent / "node"
    done = subprocess.run(
        [str(node), "-e", script], input=json.dumps(task), capture_output=True, text=True, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "with --token ADDRESS, or ask for one without value with --test-token"),
        (("--test-token", "--token", "0x" + "11" * 20), "with --token ADDRESS, or ask for one without value"),
        (("--test-token", "--api", "https://x"), "needs both --api URL and --broker ADDRESS"),
        (
            ("--test-token", "--uptime-feed", "0x" + "22" * 20, "--yes"),
            "there is no contract at 0x2222222222222222222222222222222222222222",
        ),
        (("--test-token", "--salt", "9"), "nobody is there to agree to that: pass --yes"),
        (
            ("--token", "0x" + "11" * 20, "--yes"),
            "there is no contract at 0x1111111111111111111111111111111111111111",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    blocks = chain.rpc.integer("eth_blockNumber")
    done = tessera("deploy", "--rpc", chain.url, "--key", key, "--folder", tmp_path / "m", *words)
    assert done.status == 2 or "there is no contract" in said
    assert said in done.err
    assert chain.rpc.integer("eth_blockNumber") == blocks


def test_the_key_of_a_node_s_account_does_not_come_into_the_public_profile(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path
) -> None:
    words = (
        "--test-token",
        "--key",
        key,
        "--folder",
        tmp_path,
        "--yes",
        "--api",
        "https://x",
        "--broker",
        BROKER,
    )
    done = tessera("deploy", "--rpc", f"{chain.url}/v3/secret", *words)
    assert done.status == 2
    assert "--buyers-rpc" in done.err
    assert "secret" not in done.err


def test_a_folder_of_another_market_is_left_alone(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path
) -> None:
    words = ("deploy", "--rpc", chain.url, "--test-token", "--key", key, "--folder", tmp_path, "--yes")
    assert tessera(*words).status == 0
    before = (tmp_path / "deployment.json").read_bytes()
    done = tessera(*words, "--salt", 8)
    assert done.status == 2
    assert "names other contracts than" in done.err
    assert (tmp_path / "deployment.json").read_bytes() == before


def test_code_of_a_contract_is_compared_before_anything_is_sent(
    chain: Chain, key: Path, tessera: Run, tmp_path: Path
) -> None:
    plan = MarketPlan(chain.dollar, MarketParameters(min_answer_seconds=77, min_price=12_500_000))
    asked = (
        "deploy",
        "--rpc",
        chain.url,
        "--token",
        chain.dollar,
        "--key",
        key,
        "--folder",
        tmp_path,
        "--yes",
    )
    words = (*asked, "--min-answer-seconds", 77, "--min-price", "12.5")
    assert tessera(*words).status == 0
    assert Deployment.load(tmp_path / "deployment.json").parameters == plan.parameters
    code = unhex(chain.rpc.request("eth_getCode", str(plan.addresses["sales"]), "latest"))
    chain.rpc.request("anvil_setCode", str(plan.addresses["sales"]), "0x" + code[:-1].hex())
    done = tessera(*words)
    assert done.status != 0
    assert "is not DatasetSales of this release" in done.err
