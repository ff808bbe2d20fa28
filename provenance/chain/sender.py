"""Transactions of one account: stored, signed, sent in nonce order, looked after until their effect is final.

Every call has one effect, whatever happens on the way. A nonce takes effect once, by the rules of the chain; so what
has been stored under a nonce stays under it, and a call gets a new nonce only when a block is shown in which another
transaction used the old one. No answer of a node is taken for that: nodes forget, lag behind and time out. A
transaction that waits too long is sent again with higher fees. What a killed process left behind is finished first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from provenance.chain.errors import ChainError, ChainUnavailableError, RevertError
from provenance.chain.fees import (
    DEFAULT_CEILING_WEI,
    TRANSACTION_GAS_CAP,
    FeeCeilingError,
    Fees,
    base_fee,
    going_fees,
    gwei,
)
from provenance.chain.finality import Finality
from provenance.chain.outbox import Call, FolderOutbox, Intent, MemoryOutbox, Outbox, Version
from provenance.chain.ports import TxReceipt
from provenance.chain.rpc import Rpc
from provenance.crypto.signing import Signer
from provenance.values import Address, Digest, keccak256

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
PATIENT_BLOCKS: Final = 3
"""A transaction whose turn it is and that so many blocks went by without is sent again with higher fees."""
REMEMBERED_BLOCKS: Final = 32
"""How long a transaction that was left and mined still answers for an equal call: longer than from a look at the
chain to the transaction that the look led to, shorter than until somebody means the same call anew."""
_ACCEPTED: Final = ("already known", "already imported", "known transaction")
_TAKEN: Final = (
    "nonce too low",
    "nonce is too low",
    "replacement transaction underpriced",
    "nonce has already been",
)
_TOO_CHEAP: Final = (
    "underpriced",
    "less than block base fee",
    "fee cap less than",
    "fee too low",
    "gas price too low",
)


def gas_limit(estimate: int) -> int:
    """A quarter more than the estimate, since state moves on before a block, as far as a transaction may have it."""
    return max(estimate, min(estimate + estimate // 4, TRANSACTION_GAS_CAP))


@dataclass(frozen=True, slots=True)
class _Mined:
    """A version of an intent in a block that is deep enough, with the node's receipt."""

    version: Version
    receipt: dict[str, Any]

    @property
    def block(self) -> int:
        return int(self.receipt["blockNumber"], 16)

    @property
    def took_effect(self) -> bool:
        return not self.version.is_cancel and int(self.receipt["status"], 16) == 1


class TransactionSender:
    """Sends for one key, usable by threads. Several processes may have the key, best with one outbox folder.

    `outbox`: folder for what is on its way; None keeps it in memory, and a killed process leaves its caller to look.
    `max_fee_wei`: the most wei that is offered for one unit of gas. `finality`: when a transaction counts as done;
    None for what fits the chain.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        *,
        wait_seconds: float = 60.0,
        outbox: Path | None = None,
        max_fee_wei: int = DEFAULT_CEILING_WEI,
        finality: Finality | None = None,
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._wait_seconds = wait_seconds
        self._ceiling = max_fee_wei
        self._folder = outbox
        self._finality = finality
        self._chain_id: int | None = None
        self._outbox: Outbox = MemoryOutbox()

    @property
    def address(self) -> Address:
        return self._signer.address

    def nonce(self) -> int:
        """The next nonce, transactions not yet mined included."""
        return self._rpc.integer("eth_getTransactionCount", str(self.address), "pending")

    def send(self, to: Address | None, data: bytes, action: str, *, value_wei: int = 0) -> TxReceipt:
        """Sends and waits until the effect is final. `to` None creates a contract.

        Finishes first what was left on its way: by this account's earlier processes, or by a call of this one that
        gave up waiting. When that is this very call, its receipt is returned and nothing is sent a second time.

        Raises RevertError before paying for gas when the call would revert now, and after mining when it did revert
        then; ChainUnavailableError when it was not mined in time: the same call goes on with this transaction.
        """
        self._connect()
        call = Call(to, data, value_wei)
        done = self._finish_left(call)
        while done is None:
            request = _request(self.address, call)
            gas = gas_limit(int(self._rpc.request("eth_estimateGas", request, action=action), 16))
            done = self._finish(self._begin(call, gas, action))
            if done is not None and not done.took_effect:
                self._explain(call, done, action)
        return TxReceipt(done.version.hash, done.block, int(done.receipt["gasUsed"], 16))

    def _connect(self) -> None:
        if self._chain_id is not None:
            return
        chain_id = self._rpc.integer("eth_chainId")
        if self._finality is None:
            self._finality = Finality.of_chain(chain_id)
        if self._folder is not None:
            self._outbox = FolderOutbox(self._folder, chain_id, self.address)
        self._chain_id = chain_id

    # --- what was left

    def _finish_left(self, call: Call) -> _Mined | None:
        """Finishes every transaction that nobody looks after; what became of `call` if it was among them."""
        with self._outbox.locked():
            left = self._take_left(call)
        answer = None
        try:
            while left:
                intent = left[0]
                done = self._settled(intent)
                if answer is None and intent.call == call and done is not None and done.took_effect:
                    answer = done
                    self._outbox.drop(intent.nonce)
                left = left[1:]
        finally:
            self._release(left)
        return answer

    def _take_left(self, call: Call) -> list[Intent]:
        """Takes over what nobody looks after, by nonce. What no node knows is given up: its nonce is used for the
        next call, or by an empty transaction if others wait behind it. Unless it is `call`, which is still wanted.
        """
        latest = self._rpc.integer("eth_blockNumber")
        open_intents, left = [], []
        for intent in self._outbox.intents():
            if intent.mined is None:
                open_intents.append(intent)
                if not intent.owner:
                    left.append(intent)
            elif not latest - REMEMBERED_BLOCKS < intent.mined <= latest:
                self._outbox.drop(intent.nonce)
            elif intent.call == call and not intent.owner:
                left.append(intent)
        last = open_intents[-1].nonce if open_intents else None
        for intent in reversed(left[:]):
            if intent.call == call or self._is_out(intent):
                continue
            _LOG.warning("%s: was never sent (nonce %d); given up", intent.action, intent.nonce)
            if intent.nonce == last:
                self._outbox.drop(intent.nonce)
                open_intents.remove(intent)
                last = open_intents[-1].nonce if open_intents else None
                left.remove(intent)
            else:
                left[left.index(intent)] = self._cancelled(intent)
        taken = [replace(intent, owner=self._outbox.owner) for intent in left]
        for intent in taken:
            self._outbox.put(intent)
        return taken

    def _settled(self, intent: Intent) -> _Mined | None:
        """What became of a transaction that was left; it is remembered for a while."""
        done = self._watch(intent)
        if done is None:
            self._outbox.drop(intent.nonce)
        else:
            _LOG.info("%s: left on its way by an earlier call, mined in block %d", intent.action, done.block)
            self._outbox.put(replace(intent, owner="", mined=done.block))
        return done

    def _is_out(self, intent: Intent) -> bool:
        """Whether a node has the transaction, or its nonce is used up."""
        return self._mined_nonces() > intent.nonce or self._is_known(intent)

    def _cancelled(self, intent: Intent) -> Intent:
        """With a version that does nothing: it uses the nonce up, so that later ones can be mined."""
        empty = Call(self.address, b"", 0)
        gas = int(self._rpc.request("eth_estimateGas", _request(self.address, empty)), 16)
        fees = self._affordable(going_fees(self._rpc).at_least(intent.newest.fees.raised()))
        version = replace(self._sign(intent.nonce, empty, gas, fees), is_cancel=True)
        return intent.version(version)

    # --- one transaction

    def _begin(self, call: Call, gas: int, action: str) -> Intent:
        """Stores the intent under a nonce of its own, then sends it."""
        with self._outbox.locked():
            used = {intent.nonce for intent in self._outbox.intents() if intent.mined is None}
            nonce = max(self.nonce(), self._mined_nonces())
            while nonce in used:
                nonce += 1
            version = self._sign(nonce, call, gas, self._affordable(going_fees(self._rpc)))
            intent = Intent(nonce, call, action, gas, self._outbox.owner, (version,))
            self._outbox.put(intent)
            try:
                complaint = self._broadcast(version, action)
            except BaseException:
                self._release([intent])
                raise
        if complaint:
            _LOG.info("%s: nonce %d: %s", action, nonce, complaint)
        return intent

    def _finish(self, intent: Intent) -> _Mined | None:
        """What became of a transaction of this sender; None when another one used its nonce."""
        try:
            done = self._watch(intent)
        except BaseException:
            self._release([intent])
            raise
        self._outbox.drop(intent.nonce)
        return done

    def _release(self, intents: Sequence[Intent]) -> None:
        """Leaves them for the next call: whoever sends next looks after them. The stored form has every version."""
        for nonce in (intent.nonce for intent in intents):
            stored = self._outbox.get(nonce)
            if stored is not None:
                self._outbox.put(replace(stored, owner=""))

    def _watch(self, intent: Intent) -> _Mined | None:
        """Waits until a version of the intent is mined deep enough, tending it meanwhile; None when a block shows that
        another transaction used the nonce.
        """
        assert self._finality is not None
        begun, pause, head = time.monotonic(), _FIRST_PAUSE, None
        problem = ""
        while True:
            found = self._receipt(intent)
            if found is not None:
                height = self._finality.height(self._rpc)
                if found.block <= height:
                    return found
                if height != head:  # the chain goes on: depth is a matter of blocks, not of seconds
                    begun, head = time.monotonic(), height
                problem = f"its block {found.block} is not {self._finality} yet"
            else:
                taker = self._taker(intent)
                if taker is not None and all(taker != version.hash for version in intent.versions):
                    _LOG.warning("%s: nonce %d was used by %s", intent.action, intent.nonce, taker)
                    return None
                intent, problem = (
                    self._tended(intent) if taker is None else (intent, "the node has no receipt")
                )
            if time.monotonic() - begun > self._wait_seconds:
                raise ChainUnavailableError(
                    f"{intent.action}: transaction {intent.newest.hash} was not mined within "
                    f"{self._wait_seconds:.0f} s{f' ({problem})' if problem else ''}; "
                    "the same call goes on with it; look it up before sending again by other means"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _tended(self, intent: Intent) -> tuple[Intent, str]:
        """Sends again what the nodes forgot, and with higher fees what blocks pass by; with what is in the way."""
        latest, mined = self._rpc.integer("eth_blockNumber"), self._mined_nonces()
        waited = latest - intent.newest.block
        complaint = ""
        if not self._is_known(intent):
            complaint = self._broadcast(intent.newest, intent.action)
        if mined < intent.nonce:
            if waited >= PATIENT_BLOCKS:
                self._fill(mined)
            return intent, complaint or f"nonce {mined} comes first"
        is_cheap = any(word in complaint for word in _TOO_CHEAP) and not _is_taken(complaint)
        if is_cheap or (not complaint and waited >= PATIENT_BLOCKS):
            return self._raised(intent)
        return intent, complaint

    def _raised(self, intent: Intent) -> tuple[Intent, str]:
        """Replaced by a version with higher fees, as far as the ceiling allows."""
        wanted = intent.newest.fees.raised()
        if wanted.most > self._ceiling:
            return intent, self._ceiling_words()
        fees = wanted.at_least(going_fees(self._rpc)).below(self._ceiling)
        call = Call(self.address, b"", 0) if intent.newest.is_cancel else intent.call
        version = self._sign(intent.nonce, call, intent.gas, fees)
        raised = intent.version(replace(version, is_cancel=intent.newest.is_cancel))
        self._outbox.put(raised)
        _LOG.warning(
            "%s: not mined for %d blocks at %s, sent again at %s for a unit of gas",
            intent.action, version.block - intent.newest.block, gwei(intent.newest.fees.most), gwei(fees.most),
        )  # fmt: skip
        try:
            return raised, self._broadcast(version, intent.action)
        except ChainUnavailableError:
            raise
        except ChainError as error:
            # For example no money for higher fees: the version before is still on its way.
            _LOG.warning("%s: the higher fees were refused: %s", intent.action, error)
            return raised, str(error)

    def _fill(self, nonce: int) -> None:
        """Uses up a nonce that nobody's transaction has and that ours wait behind."""
        with self._outbox.locked():
            ours = {intent.nonce for intent in self._outbox.intents() if intent.mined is None}
            if nonce in ours or self.nonce() != nonce:
                return
            empty = Call(self.address, b"", 0)
            gas = int(self._rpc.request("eth_estimateGas", _request(self.address, empty)), 16)
            version = replace(
                self._sign(nonce, empty, gas, self._affordable(going_fees(self._rpc))), is_cancel=True
            )
            action = f"empty transaction for the missing nonce {nonce}"
            intent = Intent(nonce, empty, action, gas, self._outbox.owner, (version,))
            self._outbox.put(intent)
        _LOG.warning("%s", action)
        self._finish(intent)

    # --- what the chain says

    def _broadcast(self, version: Version, action: str) -> str:
        """Sends a version; what the node has against it, in small letters, when that can pass.

        Raises ChainError for what cannot: no money for gas, a call that reverts.
        """
        try:
            self._rpc.request("eth_sendRawTransaction", "0x" + version.raw.hex(), action=action)
        except (RevertError, ChainUnavailableError):
            raise
        except ChainError as error:
            words = str(error).lower()
            if any(word in words for word in _ACCEPTED):
                return ""
            if _is_taken(words) or any(word in words for word in _TOO_CHEAP):
                return words
            raise
        return ""

    def _receipt(self, intent: Intent) -> _Mined | None:
        for version in reversed(intent.versions):
            found = self._rpc.request("eth_getTransactionReceipt", str(version.hash))
            if found is not None and found.get("blockNumber") is not None:
                return _Mined(version, found)
        return None

    def _is_known(self, intent: Intent) -> bool:
        return any(
            self._rpc.request("eth_getTransactionByHash", str(version.hash)) is not None
            for version in reversed(intent.versions)
        )

    def _mined_nonces(self, block: str = "latest") -> int:
        return self._rpc.integer("eth_getTransactionCount", str(self.address), block)

    def _taker(self, intent: Intent) -> Digest | None:
        """The transaction that used the intent's nonce, from the block that holds it; None while none is shown."""
        if self._mined_nonces() <= intent.nonce:
            return None
        high = self._rpc.integer("eth_blockNumber")
        low = intent.versions[0].block
        if low >= high or self._mined_nonces(hex(low)) > intent.nonce:
            low = 0
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._mined_nonces(hex(middle)) > intent.nonce else (middle, high)
        block = self._rpc.request("eth_getBlockByNumber", hex(high), True)
        for found in [] if block is None else block["transactions"]:
            if Address.parse(found["from"]) == self.address and int(found["nonce"], 16) == intent.nonce:
                return Digest.parse(found["hash"])
        return None

    def _sign(self, nonce: int, call: Call, gas: int, fees: Fees) -> Version:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": nonce,
            "data": "0x" + call.data.hex(),
            "value": call.value_wei,
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }
        if call.to is not None:
            transaction["to"] = str(call.to)
        raw = self._signer.sign_transaction(transaction)
        return Version(keccak256(raw), raw, fees, self._rpc.integer("eth_blockNumber"))

    def _affordable(self, fees: Fees) -> Fees:
        """What is offered at first. Raises FeeCeilingError when that would not be taken."""
        if base_fee(self._rpc) > self._ceiling:
            raise FeeCeilingError(self._ceiling_words())
        return fees.below(self._ceiling)

    def _ceiling_words(self) -> str:
        return (
            f"the chain asks for {gwei(base_fee(self._rpc))} for a unit of gas, the ceiling is "
            f"{gwei(self._ceiling)}: wait until it is cheaper, or raise the ceiling"
        )

    def _explain(self, call: Call, done: _Mined, action: str) -> None:
        """Replays a reverted transaction to learn why. The state may have moved, so the reason may be missing."""
        if call.to is not None:
            self._rpc.request("eth_call", _request(self.address, call), hex(done.block), action=action)
        raise RevertError(f"{action}: transaction {done.version.hash} reverted in block {done.block}")


def _request(sender: Address, call: Call) -> dict[str, str]:
    request = {"from": str(sender), "data": "0x" + call.data.hex(), "value": hex(call.value_wei)}
    return request if call.to is None else {**request, "to": str(call.to)}


def _is_taken(words: str) -> bool:
    return any(word in words for word in _TAKEN)
