"""What an endpoint asks for: the ports, one transaction, the caller's address, an answer that may take a while.

One request = one transaction, committed when the endpoint function returns and before the answer is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import AfterValidator
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from backend.database.engine import Database
from backend.database.models import NonceRow
from backend.errors import ForbiddenError, UnauthenticatedError
from backend.ports import Ports
from provenance.crypto.request_auth import TOLERANCE_SECONDS, RequestAuthError, verify_request
from provenance.values import Address, Cid, Digest

# In paths and queries, as the database writes them: checked, and in one spelling.
DigestText = Annotated[str, AfterValidator(lambda text: str(Digest.parse(text)))]
AddressText = Annotated[str, AfterValidator(lambda text: str(Address.parse(text)))]
CidText = Annotated[str, AfterValidator(lambda text: str(Cid(text)))]
T = TypeVar("T")
PAUSE_SECONDS = 0.2


def ports_of(request: Request) -> Ports:
    """The ports that the composition root gave to this application."""
    ports = request.app.state.ports
    assert isinstance(ports, Ports)
    return ports


PortsHere = Annotated[Ports, Depends(ports_of)]


def _read(ports: PortsHere) -> Iterator[Session]:
    with ports.database.read() as session:
        yield session


def _write(ports: PortsHere) -> Iterator[Session]:
    with ports.database.write() as session:
        yield session


async def _body(request: Request) -> bytes:
    return await request.body()


Body = Annotated[bytes, Depends(_body)]


def _caller(request: Request, body: Body, ports: PortsHere) -> Address:
    now = int(ports.clock())
    scope = request.scope
    query = scope["query_string"].decode("ascii")
    target = scope.get("raw_path", scope["path"].encode()).decode("ascii") + (f"?{query}" if query else "")
    try:
        signed = verify_request(request.headers.get("authorization"), request.method, target, body, now)
    except RequestAuthError as error:
        raise UnauthenticatedError(str(error)) from error
    # Twice the tolerance: the sender's clock may be ahead by one and the request replayed until one behind.
    expires_at = now + 2 * TOLERANCE_SECONDS + 1
    _use_nonce(ports.database, str(signed.address), signed.nonce, expires_at, now)
    return signed.address


Caller = Annotated[Address, Depends(_caller)]


def _known_caller(request: Request, body: Body, ports: PortsHere) -> Address | None:
    return None if request.headers.get("authorization") is None else _caller(request, body, ports)


KnownCaller = Annotated[Address | None, Depends(_known_caller)]
"""Who signed the request, where it need not be signed; None for one that is not."""


def _broker(caller: Caller, ports: PortsHere) -> Address:
    if caller != ports.broker:
        raise ForbiddenError(f"{caller} signed this request; only the broker {ports.broker} may send it")
    return caller


Broker = Annotated[Address, Depends(_broker)]
# After the caller in every signature: a request that is not signed never opens a transaction.
ReadSession = Annotated[Session, Depends(_read, scope="function")]
WriteSession = Annotated[Session, Depends(_write, scope="function")]


def _use_nonce(database: Database, address: str, nonce: str, expires_at: int, now: int) -> None:
    """Accepts a nonce once. It is stored in a transaction of its own: it stays used even if the request fails later.

    The check is an insert, so two threads cannot both pass.
    """
    try:
        with database.write() as session:
            session.execute(delete(NonceRow).where(NonceRow.expires_at < now))
            session.add(NonceRow(address=address, nonce=nonce, expires_at=expires_at))
    except IntegrityError as error:
        raise UnauthenticatedError(
            f"nonce {nonce} of {address} was used before; sign every request with a new nonce"
        ) from error


async def wait_for(ports: Ports, ask: Callable[[], T | None], wait_seconds: float) -> T | None:
    """The first answer of `ask` that is not None; None after `wait_seconds` or when the process leaves.

    The waiting is asyncio's; only each short question takes a thread of the pool.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        answer = await run_in_threadpool(ask)
        if answer is not None or loop.time() >= deadline or ports.stopping.is_set():
            return answer
        await asyncio.sleep(min(PAUSE_SECONDS, max(0.0, deadline - loop.time())))
