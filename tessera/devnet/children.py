"""Child processes that cannot outlive their parent, and the loopback ports that they listen on.

Each child leads a process group of its own, so that Ctrl-C reaches the parent alone and the parent ends the
children in order; on Linux the kernel also ends them if the parent dies without a chance to (SIGKILL).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType

from tessera.errors import PortInUseError, ServiceDownError, Stopped

LOOPBACK = "127.0.0.1"
TAIL_LINES = 15
STOP_SECONDS = 60.0
"""Until a child that resists is killed. Long: a chain that is killed while it writes its state loses blocks."""
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Command:
    """How to start one child: a name for people, the argument list and what it needs beside our environment."""

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Child:
    """One running process with its log; may be killed and started again under the same command."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.command.log.parent.mkdir(parents=True, exist_ok=True)
        with self.command.log.open("ab") as log:
            try:
                return subprocess.Popen(
                    list(self.command.argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.command.env},
                    cwd=self.command.cwd,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise ServiceDownError(f"{self.command.name} cannot be started: {error}") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal, as subprocess has it."""
        return self._process.poll()

    def signal_group(self, number: signal.Signals) -> None:
        """Send to the child and all that it started; silent when nothing is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL, at once: what a power cut does."""
        self.signal_group(signal.SIGKILL)
        self._process.wait()

    def restart(self) -> None:
        """Start the same command again after `kill` or a crash."""
        if self.exit_status is None:
            self.stop()
        self._process = self._start()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after STOP_SECONDS; the rest of its group goes with it."""
        if self.exit_status is None:
            self.signal_group(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.signal_group(signal.SIGKILL)
                self._process.wait()
        self.signal_group(signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines that it wrote, for an error message."""
        text = (
            self.command.log.read_text(encoding="utf-8", errors="replace")
            if self.command.log.exists()
            else ""
        )
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def death_notice(self) -> str:
        return (
            f"{self.command.name} ended by itself with status {self.exit_status}; the end of "
            f"{self.command.log}:\n{self.log_tail()}"
        )


class Supervisor:
    """Owns children; leaving its `with` block ends all of them."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._held = contextlib.ExitStack()

    def hold(self, resource: contextlib.AbstractContextManager[object]) -> None:
        """Close `resource` after the last child has ended."""
        self._held.enter_context(resource)

    def start(self, command: Command) -> Child:
        child = Child(command)
        self._children.append(child)
        return child

    def wait_until(self, ready: Callable[[], bool], *, child: Child, seconds: float, what: str) -> None:
        """Poll `ready`; a child that dies meanwhile, or the time running out, is a `ServiceDownError`
        with its log."""
        deadline = time.monotonic() + seconds
        while not ready():
            if child.exit_status is not None:
                raise ServiceDownError(child.death_notice())
            if time.monotonic() > deadline:
                raise ServiceDownError(
                    f"{what} did not come within {seconds:.0f} s; the end of "
                    f"{child.command.log}:\n{child.log_tail()}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise `ServiceDownError` when any child has ended by itself."""
        for child in self._children:
            if child.exit_status is not None:
                raise ServiceDownError(child.death_notice())

    def stop_all(self) -> None:
        """End every child, the first one (which the others talk to) last; one that resists does not keep
        the others alive."""
        first, others = self._children[:1], self._children[1:]
        for child in others:
            child.signal_group(signal.SIGTERM)
        for child in (*reversed(others), *first):
            child.stop()
        self._children.clear()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _signals_held(), self._held:
            self.stop_all()


@dataclass(slots=True)
class Keeper:
    """Starts children again that ended by themselves, a little later each time they do.

    `tell` is told of each death and each new start. A child that ran for STEADY_SECONDS counts as well again.
    """

    children: Mapping[str, Child]
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    _pauses: dict[str, float] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """One look at every child; to be called again and again."""
        now = self.clock()
        for name, child in self.children.items():
            if child.exit_status is None:
                if now - self._started.get(name, now) > STEADY_SECONDS:
                    self._pauses.pop(name, None)
            elif name not in self._due:
                pause = self._pauses.get(name, FIRST_PAUSE_SECONDS)
                self._pauses[name] = min(2 * pause, LAST_PAUSE_SECONDS)
                self._due[name] = now + pause
                self.tell(f"{child.death_notice()}\nit is started again in {pause:.0f} s")
            elif now >= self._due[name]:
                del self._due[name]
                child.restart()
                self._started[name] = now
                self.tell(f"{child.command.name} runs again")


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `Stopped` inside the block."""

    def raise_stopped(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    previous = {number: signal.signal(number, raise_stopped) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """A second Ctrl-C during the clean-up must not leave half of the children behind."""
    numbers = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def free_port() -> int:
    """A loopback port that nobody held a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, *, service: str, option: str) -> int:
    """`port` itself (0: any free one); `PortInUseError` names the port, the service and the option to change."""
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
