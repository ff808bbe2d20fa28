"""Words of others before they are shown: control characters command terminals, line ends make lines in a log."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import urlsplit

MOST_SHOWN: Final = 60
"""Characters of a member's name that an error shows."""
_KEPT = frozenset("\n\t")
_COMMANDS = (
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _KEPT),
    # What follows these is shown in another order than it is read.
    *("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),
)
_ESCAPED = {ord(character): f"\\u{ord(character):04x}" for character in _COMMANDS}


def printable(text: str) -> str:
    r"""`text` with its control characters written as in JSON: ESC becomes "\u001b". Line ends and tabs stay."""
    return text.translate(_ESCAPED)


def shown_name(name: str) -> str:
    """The name of a member for an error: short, and without control characters."""
    short = name if len(name) <= MOST_SHOWN else f"{name[:MOST_SHOWN]}..."
    return short if short.isprintable() else ascii(short)


def shown_url(url: str) -> str:
    """Scheme, host and port of an address: the rest of it may be a password or the key of an account."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class PlainFormatter(logging.Formatter):
    """Log lines of which the text of others begins none: every further line of an entry is indented."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record)).replace("\n", "\n    ")
