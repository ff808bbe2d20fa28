"""Nonces of signed requests. Each is accepted once; the check is an insert, so two threads cannot both
pass.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, String, delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.base import ADDRESS, Base
from backend.database.engine import Database
from backend.errors import UnauthenticatedError


class NonceRow(Base):
    """A nonce that was used; kept until no clock could accept its request again."""

    __tablename__ = "nonces"

    address: Mapped[str] = mapped_column(ADDRESS, primary_key=True)
    nonce: Mapped[str] = mapped_column(String(32), primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


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
