"""Settings that every test shares: one thread per BLAS call, so that two cores stay usable."""

import os
import secrets
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")

# the time of an example says nothing on a shared core; pytest-timeout guards against hanging
settings.register_profile("tessera", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tessera")


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A loopback port that is held, so that nobody else takes it, and on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture(autouse=True, scope="session")
def _owners(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test keeps a privacy ledger in the folder of whoever runs it."""
    os.environ["TESSERA_OWNER"] = str(tmp_path_factory.getbasetemp() / "owner")


@pytest.fixture(autouse=True)
def _owner(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has an owner of its own; the folder is made at its first use."""
    folder = tmp_path_factory.getbasetemp() / f"owner-{secrets.token_hex(8)}"
    monkeypatch.setenv("TESSERA_OWNER", str(folder))
