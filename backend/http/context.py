"""What an endpoint asks for: the ports, one transaction, the caller's address.

One request = one transaction, committed when the endpoint function returns and before the answer is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from pydantic import AfterValidator
from sqlalchemy.orm import Session

from backend.errors import ForbiddenError, UnauthenticatedError
from backend.http.nonces import use_nonce
from backend.ports import Ports
from provenance.crypto.request_auth import TOLERANCE_SECONDS, RequestAuthError, verify_request
from provenance.values import Address, Cid, Digest

# In paths and queries, as the database writes them: checked, and in one spelling.
DigestText = Annotated[str, AfterValidator(lambda text: str(Digest.parse(text)))]
AddressText = Annotated[str, AfterValidator(lambda text: str(Address.parse(text)))]
CidText = Annotated[str, AfterValidator(lambda text: str(Cid(text)))]


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
    use_nonce(ports.database, str(signed.address), signed.nonce, expires_at, now)
    return signed.address


Caller = Annotated[Address, Depends(_caller)]


def _broker(caller: Caller, ports: PortsHere) -> Address:
    if caller != ports.broker:
        raise ForbiddenError(f"{caller} signed this request; only the broker {ports.broker} may send it")
    return caller


Broker = Annotated[Address, Depends(_broker)]
# After the caller in every signature: a request that is not signed never opens a transaction.
ReadSession = Annotated[Session, Depends(_read, scope="function")]
WriteSession = Annotated[Session, Depends(_write, scope="function")]
