"""The declarative base and the column types that all models share.

Digests and addresses are text (0x-hex), amounts of tokens are decimal text: 256-bit integers fit no SQL
integer.
Times are unix seconds.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase

HEX32 = String(66)
ADDRESS = String(42)
CID = String(80)
WEI = String(78)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can name them on every database."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
