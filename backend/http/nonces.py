"""Nonces of signed requests. Each is accepted once; the check is an insert, so two threads cannot both pass."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from backend.database.engine import Database
from backend.database.models import NonceRow
from backend.errors import UnauthenticatedError


def use_nonce(database: Database, address: str, nonce: str, expires_at: int, now: int) -> None:
    """Stores the nonce in a transaction of its own: it stays used even if the request fails later."""
    try:
        with database.write() as session:
            session.execute(delete(NonceRow).where(NonceRow.expires_at < now))
            session.add(NonceRow(address=address, nonce=nonce, expires_at=expires_at))
    except IntegrityError as error:
        raise UnauthenticatedError(
            f"nonce {nonce} of {address} was used before; sign every request with a new nonce"
        ) from error
