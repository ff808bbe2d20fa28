"""Child processes end with their parent, and their deaths are told with their last words."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tessera.devnet import chain
from tessera.devnet.children import LOOPBACK, Child, Command, Keeper, Supervisor, free_port, require_free
from tessera.devnet.network import CHECKOUT, LocalNetwork, NetworkSettings, python_path
from tessera.errors import PortInUseError, ServiceDownError, TesseraError
from tests.waiting import HANG_SECONDS, until

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); {SLEEP}"
)


def python(name: str, code: str, folder: Path) -> Command:
    return Command(name=name, argv=[sys.executable, "-c", code], log=folder / f"{name}.log")


def is_running(pid: int) -> bool:
    """False for the dead, and for zombies that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"port {port} .* REST interface .*--api-port"):
            require_free(port, service="REST interface", option="--api-port")
        with Supervisor() as supervisor, pytest.raises(PortInUseError, match=str(port)):
            LocalNetwork(tmp_path / "state", supervisor, NetworkSettings(rpc_port=port))


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        network = LocalNetwork(tmp_path, supervisor, NetworkSettings())
        with pytest.raises(TesseraError, match="in use"):
            LocalNetwork(tmp_path, supervisor, NetworkSettings())
        assert network.folder == tmp_path.resolve()


def test_a_child_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        child = supervisor.start(python("oracle", "raise SystemExit('the store is full')", tmp_path))
        with pytest.raises(
            ServiceDownError, match=r"oracle ended by itself with status 1(.|\n)*the store is full"
        ):
            supervisor.wait_until(lambda: False, child=child, seconds=HANG_SECONDS, what="an answer")


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    with Supervisor() as supervisor, pytest.raises(ServiceDownError, match="ghost cannot be started"):
        supervisor.start(Command(name="ghost", argv=[str(tmp_path / "none")], log=tmp_path / "ghost.log"))


def test_an_answer_that_does_not_come_is_reported(tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        child = supervisor.start(python("slow", SLEEP, tmp_path))
        with pytest.raises(ServiceDownError, match="an answer did not come within"):
            supervisor.wait_until(lambda: False, child=child, seconds=0.2, what="an answer")


def test_every_child_ends_with_the_block_even_a_stubborn_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tessera.devnet.children.STOP_SECONDS", 0.5)
    children: list[Child] = []

    def interrupted() -> None:
        with Supervisor() as supervisor:
            children.append(supervisor.start(python("stubborn", STUBBORN, tmp_path)))
            children.append(supervisor.start(python("plain", SLEEP, tmp_path)))
            supervisor.wait_until(
                lambda: "ready" in children[0].log_tail(),
                child=children[0],
                seconds=HANG_SECONDS,
                what="ready",
            )
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(is_running(child.pid) for child in children)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_do_not_survive_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    code = f"""
import sys, time
from pathlib import Path
from tessera.devnet.children import Command, Supervisor, stop_on_signals
with stop_on_signals(), Supervisor() as supervisor:
    child = supervisor.start(Command('x', [sys.executable, '-c', {SLEEP!r}], Path({str(tmp_path / "x.log")!r})))
    print(child.pid, flush=True)
    time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=python_path()
    )
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert is_running(pid)
    os.kill(parent.pid, number)
    parent.wait(HANG_SECONDS)
    until(lambda: not is_running(pid), "the child to end after its parent")


def test_a_child_that_dies_is_started_again_a_little_later_each_time(tmp_path: Path) -> None:
    now, said = [0.0], list[str]()
    with Supervisor() as supervisor:
        child = supervisor.start(python("backend", "raise SystemExit('out of disk')", tmp_path))
        steady = supervisor.start(python("node", SLEEP, tmp_path))
        keeper = Keeper({"backend": child, "node": steady}, said.append, clock=lambda: now[0])

        def died() -> None:
            supervisor.wait_until(
                lambda: child.exit_status is not None, child=steady, seconds=60, what="the death"
            )

        died()
        keeper.look()
        assert "backend ended by itself with status 1" in said[-1]
        assert "out of disk" in said[-1]
        assert "started again in 1 s" in said[-1]
        keeper.look()
        assert len(said) == 1, "it waits"
        now[0] += 1
        keeper.look()
        assert said[-1] == "backend runs again"
        died()
        keeper.look()
        assert "started again in 2 s" in said[-1]
        child.command = python("backend", SLEEP, tmp_path)
        now[0] += 2
        keeper.look()
        assert said[-1] == "backend runs again"
        assert is_running(child.pid)
        now[0] += 100
        keeper.look()
        child.kill()
        keeper.look()
        assert "started again in 1 s" in said[-1], "it had run long enough to count as well"
        assert is_running(steady.pid)
        assert not any("node " in each for each in said)


def test_a_chain_keeps_its_state_over_a_restart(tmp_path: Path) -> None:
    account = "0x" + "42" * 20
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with Supervisor() as supervisor:
        child = supervisor.start(chain.anvil_command(chain.find_anvil(CHECKOUT), folder=tmp_path, port=port))
        supervisor.wait_until(lambda: chain.answers(url), child=child, seconds=HANG_SECONDS, what="the chain")
        chain.give_gas(url, account, ether=3)
        supervisor.wait_until(
            lambda: chain.gas_balance(url, account) > 0, child=child, seconds=HANG_SECONDS, what="gas"
        )
        child.stop()
        child.restart()
        supervisor.wait_until(lambda: chain.answers(url), child=child, seconds=HANG_SECONDS, what="the chain")
        assert chain.gas_balance(url, account) == 3 * chain.WEI_PER_ETHER
    with pytest.raises(ServiceDownError, match="did not answer"):
        chain.rpc(url, "eth_chainId")
