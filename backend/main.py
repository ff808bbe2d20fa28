"""The composition root: one backend process. `python -m backend.main`, settings from the environment (TESSERA_…).

Start-up failures are one line on standard error and exit code 2. SIGINT and SIGTERM close whatever listens; unfinished
work continues at the next start.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from backend.app import create_app
from backend.database.engine import Database, migrate
from backend.errors import StartupError
from backend.indexer.follower import Follower
from backend.ports import Ports
from backend.settings import Settings
from backend.workflow.dbos_runner import DbosRunner
from provenance.chain.deployment import Deployment
from provenance.chain.fees import GWEI
from provenance.chain.finality import Finality
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.key_files import password_source
from provenance.crypto.signing import load_key
from provenance.errors import ProvenanceError
from provenance.printable import PlainFormatter, printable
from provenance.store.folder import FolderStore
from provenance.store.ports import ContentStore

STARTUP_FAILED = 2
_LOG = logging.getLogger("backend")


def main() -> int:
    """Runs a backend with settings from the environment; the exit code of the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        run(Settings.from_environment())
    except (StartupError, ProvenanceError) as error:
        _LOG.error("cannot start: %s", printable(" ".join(str(error).split())))
        return STARTUP_FAILED
    return 0


def run(settings: Settings) -> None:
    """Serves until a signal. Raises StartupError or ProvenanceError when the process cannot start."""
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(settings))
        ports, runner = _compose(settings, stack)
        stack.callback(ports.stopping.set)
        follower = Follower(ports).start()
        stack.callback(follower.join, 5)
        runner.launch(ports)
        stack.callback(runner.close)
        # Called first: everything that waits is told to leave before it is waited for.
        stack.callback(ports.stopping.set)
        _serve(ports, listener)


def _compose(settings: Settings, stack: ExitStack) -> tuple[Ports, DbosRunner]:
    """The real adapters, closed by `stack`."""
    _make_folder(settings.state_dir)
    with _named("TESSERA_KEY_FILE"):
        signer = load_key(settings.key_file, password_source(os.environ))
    with _named("TESSERA_DEPLOYMENT_FILE"):
        deployment = Deployment.load(settings.deployment_file)
    settings = settings.in_unit(deployment.unit)
    chain = ChainReader(settings.rpc_url, deployment, finality=Finality.chosen(settings.finality))
    stack.callback(chain.close)
    with _named("TESSERA_RPC_URL"):
        chain.check()
    store = _store(settings)
    database = Database(settings.database)
    stack.callback(database.close)
    migrate(database)
    runner = DbosRunner(settings.workflow_database)
    ports = Ports(
        settings=settings,
        database=database,
        chain=chain,
        writer=ChainWriter(
            chain, signer, outbox=settings.state_dir / "outbox", max_fee_wei=settings.max_fee_gwei * 10**GWEI
        ),
        store=store,
        waiting=_folder(settings.state_dir / "waiting"),
        runner=runner,
        clock=time.time,
        stopping=threading.Event(),
    )
    return ports, runner


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """Says which setting an error comes from."""
    try:
        yield
    except ProvenanceError as error:
        raise StartupError(f"{setting}: {error}") from error


def _store(settings: Settings) -> ContentStore:
    location = settings.store_location
    if location.startswith(("/ip4/", "/ip6/", "/dns", "/unix/")):
        from provenance.store.ipfs import IpfsStore

        return IpfsStore(location, settings.store_timeout_seconds)
    return _folder(Path(location))


def _folder(path: Path) -> FolderStore:
    folder = FolderStore(path)
    folder.sweep()
    return folder


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"{path}: cannot be made ({error.strerror}); set TESSERA_STATE_DIR") from error


def _listen(settings: Settings) -> socket.socket:
    """The listening socket, taken before anything else: a second backend on the same port stops here."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise StartupError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}); "
            "stop what uses it or set TESSERA_PORT (0 takes any free port)"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Tells long polls and event streams to end as soon as a signal comes."""

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def _serve(ports: Ports, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    _LOG.info("listening on http://%s:%s for broker %s", host, port, ports.broker)
    config = uvicorn.Config(
        create_app(ports),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        lifespan="off",
        ws="none",
    )
    # uvicorn raises the signal again after its own shutdown; without a handler that would end the process before
    # the follower and the workflow engine are closed. Off the main thread signals are not ours to handle.
    in_main = threading.current_thread() is threading.main_thread()
    signals = (signal.SIGINT, signal.SIGTERM) if in_main else ()
    handlers = {number: signal.signal(number, _already_handled) for number in signals}
    try:
        _Server(config, ports.stopping).run(sockets=[listener])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _already_handled(_signal: int, _frame: FrameType | None) -> None:
    """The server has stopped for it."""


if __name__ == "__main__":
    sys.exit(main())
