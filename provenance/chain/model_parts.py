"""A model on chain in parts: too large for one transaction, or read often. Storing a part twice is storing it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from provenance.chain.ports import TxReceipt
from provenance.values import Address

PART_BYTES: Final = 24_575
"""Of a model in one contract: the code limit less the byte that keeps it from running. One part costs about a
third of the gas that a transaction may take."""
CALLDATA_BYTES: Final = 120_000
"""Nodes take transactions of 128 KiB: a larger model must be stored first."""


class PartReading(Protocol):
    """Where parts are."""

    def model_part(self, part: bytes) -> Address: ...

    def is_contract(self, account: Address) -> bool: ...


class PartWriting(Protocol):
    """Stores one part in one transaction."""

    def store_model_part(self, part: bytes) -> TxReceipt: ...


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Part `number` of `count`; `gas` is 0 when it was there already."""

    number: int
    count: int
    address: Address
    gas: int


def store_model(
    chain: PartReading, writer: PartWriting, model: bytes, known: int = 0
) -> Iterator[StoredPart]:
    """Stores the parts after the first `known` ones, each as it is asked for."""
    parts = [model[i : i + PART_BYTES] for i in range(0, len(model), PART_BYTES)]
    for number, part in enumerate(parts):
        if number < known:
            continue
        address = chain.model_part(part)
        gas = 0 if chain.is_contract(address) else writer.store_model_part(part).gas_used
        yield StoredPart(number + 1, len(parts), address, gas)
