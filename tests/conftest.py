"""Settings that every test shares: one thread per BLAS call, so that two cores stay usable."""

import os
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
