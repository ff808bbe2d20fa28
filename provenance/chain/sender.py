"""Transactions of one account: signed, sent in nonce order, waited for; reverts decoded."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from provenance.chain.errors import ChainError, ChainUnavailableError, RevertError
from provenance.chain.ports import TxReceipt
from provenance.chain.rpc import Rpc, unhex
from provenance.crypto.signing import Signer
from provenance.values import Address, Digest

_POLL_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 1.0  # between two looks whether another transaction has taken the nonce
_LOOKS: Final = 3  # in a row: the nodes behind one URL may be some blocks apart
_NONCE_ATTEMPTS: Final = 8
_NONCE_COMPLAINTS: Final = (
    "nonce too low",
    "already imported",
    "already known",
    "underpriced",
    "nonce is too low",
)


TRANSACTION_GAS_CAP: Final = 16_777_216
"""The most gas a transaction may be given (EIP-7825)."""


def gas_limit(estimate: int) -> int:
    """A quarter more than the estimate, since state moves on before a block, as far as a transaction may have it."""
    return max(estimate, min(estimate + estimate // 4, TRANSACTION_GAS_CAP))


class _ReplacedError(Exception):
    """Another transaction of the account was mined with this one's nonce: this one never will be."""


class TransactionSender:
    """Sends for one key. Threads may share it: nonces are handed out under a lock. Several processes may have the
    key: a transaction whose nonce another one took is signed again with the next.
    """

    def __init__(self, rpc: Rpc, signer: Signer, *, wait_seconds: float = 60.0) -> None:
        self._rpc = rpc
        self._signer = signer
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._chain_id: int | None = None

    @property
    def address(self) -> Address:
        return self._signer.address

    def nonce(self) -> int:
        """The next nonce, transactions not yet mined included."""
        return self._rpc.integer("eth_getTransactionCount", str(self.address), "pending")

    def send(self, to: Address | None, data: bytes, action: str, *, value_wei: int = 0) -> TxReceipt:
        """Sends and waits until mined. `to` None creates a contract. Raises RevertError before paying for gas
        when the call would revert now, and after mining when it did revert then.
        """
        call = {"from": str(self.address), "data": "0x" + data.hex(), "value": hex(value_wei)}
        if to is not None:
            call["to"] = str(to)
        while True:
            gas = int(self._rpc.request("eth_estimateGas", call, action=action), 16)
            nonce, transaction_hash = self._submit(to, data, value_wei, gas_limit(gas), action)
            try:
                return self._wait(nonce, transaction_hash, call, action)
            except _ReplacedError:
                continue

    def _submit(
        self, to: Address | None, data: bytes, value_wei: int, gas: int, action: str
    ) -> tuple[int, Digest]:
        with self._lock:
            for attempt in range(_NONCE_ATTEMPTS):
                nonce = self.nonce()
                raw = self._sign(nonce, to, data, value_wei, gas)
                try:
                    return nonce, Digest.parse(
                        self._rpc.request("eth_sendRawTransaction", "0x" + raw.hex(), action=action)
                    )
                except RevertError:
                    raise
                except ChainError as error:
                    # Another process with the same key took the nonce: read it again.
                    taken = any(complaint in str(error).lower() for complaint in _NONCE_COMPLAINTS)
                    if not taken or attempt == _NONCE_ATTEMPTS - 1:
                        raise
                    time.sleep(_POLL_SECONDS * (attempt + 1))
        raise ChainError(f"{action}: no free nonce for {self.address} after {_NONCE_ATTEMPTS} attempts")

    def _sign(self, nonce: int, to: Address | None, data: bytes, value_wei: int, gas: int) -> bytes:
        if self._chain_id is None:
            self._chain_id = self._rpc.integer("eth_chainId")
        base_fee = int(
            self._rpc.request("eth_getBlockByNumber", "latest", False).get("baseFeePerGas", "0x0"), 16
        )
        tip = self._rpc.integer("eth_maxPriorityFeePerGas")
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "data": "0x" + data.hex(),
            "value": value_wei,
            "gas": gas,
            "maxFeePerGas": 2 * base_fee + tip,
            "maxPriorityFeePerGas": tip,
        }
        if to is not None:
            transaction["to"] = str(to)
        return self._signer.sign_transaction(transaction)

    def _wait(self, nonce: int, transaction_hash: Digest, call: dict[str, str], action: str) -> TxReceipt:
        begun = time.monotonic()
        looked_at, taken = begun, 0
        while True:
            found = self._rpc.request("eth_getTransactionReceipt", str(transaction_hash))
            if found is not None and found.get("blockNumber") is not None:
                break
            now = time.monotonic()
            if now - looked_at >= _LOOK_SECONDS:
                looked_at = now
                taken = taken + 1 if self._is_taken(nonce, transaction_hash) else 0
                if taken == _LOOKS:
                    raise _ReplacedError
            if now - begun > self._wait_seconds:
                raise ChainUnavailableError(
                    f"{action}: transaction {transaction_hash} was not mined within "
                    f"{self._wait_seconds:.0f} s; look it up before sending again"
                )
            time.sleep(_POLL_SECONDS)
        receipt = TxReceipt(transaction_hash, int(found["blockNumber"], 16), int(found["gasUsed"], 16))
        if int(found["status"], 16) != 1:
            self._explain(call, receipt, action)
        return receipt

    def _is_taken(self, nonce: int, transaction_hash: Digest) -> bool:
        """Whether blocks hold the account's nonce and the node knows nothing of the transaction."""
        mined = self._rpc.integer("eth_getTransactionCount", str(self.address), "latest")
        return mined > nonce and self._rpc.request("eth_getTransactionByHash", str(transaction_hash)) is None

    def _explain(self, call: dict[str, str], receipt: TxReceipt, action: str) -> None:
        """Replays a reverted transaction to learn why. The state may have moved, so the reason may be missing."""
        data = unhex(call["data"])
        if "to" in call:
            replay = {**call, "data": "0x" + data.hex()}
            self._rpc.request("eth_call", replay, hex(receipt.block), action=action)
        raise RevertError(f"{action}: transaction {receipt.hash} reverted in block {receipt.block}")
