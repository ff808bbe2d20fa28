"""What every writer of the market shares: one account, one sender, calls by contract role and function name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS
from provenance.chain.ports import TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.record.terms import Participant
from provenance.values import Address


class MarketTransactions:
    """Transactions of one account, usable by threads. Reverts raise RevertError with name and arguments."""

    def __init__(self, ledger: ChainReader, signer: Signer, *, wait_seconds: float = 60.0) -> None:
        self.ledger = ledger
        self._sender = TransactionSender(ledger.rpc, signer, wait_seconds=wait_seconds)

    @property
    def address(self) -> Address:
        """The account that pays for gas and whose rights count."""
        return self._sender.address

    def _send(self, role: str, function: str, *arguments: Any) -> TxReceipt:
        contract = interface(CONTRACTS[role])
        data = contract.encode_call(function, arguments)
        address = self.ledger.deployment.address(role)
        return self._sender.send(address, data, f"{contract.name}.{function}")


def pairs(participants: Sequence[Participant]) -> list[tuple[Address, int]]:
    """Participants as the ABI encodes them."""
    return [(each.contributor, each.rows) for each in participants]
