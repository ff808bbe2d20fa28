"""How a data set is named on the command line: a number, or a CAIP-19 identifier."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provenance.errors import MalformedError
from provenance.values import Address

_CAIP_19 = re.compile(r"eip155:([0-9]{1,15})/erc721:(0x[0-9a-fA-F]{40})/([0-9]{1,15})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class DatasetName:
    """`chain_id` and `datasets` are None for a bare number, which needs a deployment file."""

    id: int
    chain_id: int | None
    datasets: Address | None

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Raises MalformedError."""
        if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            return cls(int(text), None, None)
        match = _CAIP_19.match(text)
        if match is None:
            raise MalformedError(
                f"data set {text!r}: expected a number or eip155:<chain>/erc721:<registry address>/<number>"
            )
        return cls(int(match[3]), int(match[1]), Address.parse(match[2]))
