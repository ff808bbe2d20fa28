"""What contributors showed on chain when it was demanded: models and chunks of rows, in the calldata of the answers.

The demands contract has checked them against the recorded digests and roots. An answer that came through another
contract stands in no calldata that is read here; it is passed over.
"""

from __future__ import annotations

from typing import Any

from provenance.directed_proof import Proof
from provenance.ledger.abi import decode_parameters, interface
from provenance.ledger.deployment import CONTRACTS
from provenance.ledger.dispute_events import ChunkAnswered, ModelAnswered
from provenance.ledger.rpc import unhex
from provenance.ledger.views import MarketViews
from provenance.published_shard import ShownChunk
from provenance.values import Address, Digest


class AnswerReader(MarketViews):
    """Reads answers back."""

    def shown_model(self, order: Digest, shard: int) -> bytes | None:
        """The model of a shard in clear; None when nobody showed it."""
        for event in reversed(self._logs("demands", ModelAnswered, order)):
            if event.shard != shard:
                continue
            if event.parts:
                return b"".join(self._code(part)[1:] for part in event.parts)
            call = self._call_of(event.at.transaction, "answerModel")
            if call is not None:
                return bytes(call["model"])
        return None

    def shown_chunks(self, order: Digest, shard: int) -> tuple[ShownChunk, ...]:
        """The chunks of a shard that were shown, oldest first."""
        found = []
        for event in self._logs("demands", ChunkAnswered, order):
            call = self._call_of(event.at.transaction, "answerChunk") if event.shard == shard else None
            if call is not None:
                proof = Proof(tuple(Digest(each) for each in call["path"]), call["pathBits"])
                found.append(ShownChunk(event.chunk_index, event.chunk, proof))
        return tuple(found)

    def _call_of(self, transaction: Digest, function: str) -> dict[str, Any] | None:
        """The arguments of a transaction to the demands contract; None when it was another call."""
        sent = self.rpc.request("eth_getTransactionByHash", str(transaction))
        entry = interface(CONTRACTS["demands"]).functions[function]
        data = unhex(sent["input"])
        if data[:4] != entry.topic[:4]:
            return None
        return decode_parameters(entry.inputs, data[4:], f"{CONTRACTS['demands']}.{function}")

    def _code(self, account: Address) -> bytes:
        return unhex(self.rpc.request("eth_getCode", str(account), "latest"))
