"""Loopback ports: free ones on demand, and a message that names the port when an asked-for one is taken."""

from __future__ import annotations

import socket

from tessera.errors import PortInUseError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A loopback port that nobody held a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, service: str, option: str) -> int:
    """`port` itself (0: any free one); `PortInUseError` names the port, the service and the option to
    change.
    """
    if port == 0:
        return free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the services themselves do: a port whose last connections are still winding down is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise PortInUseError(
                f"port {port} on {LOOPBACK} cannot be used for the {service} ({error.strerror}): stop the process "
                f"that listens there, or choose another port with {option} (0 takes any free one)"
            ) from error
    return port
