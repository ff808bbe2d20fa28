"""What contributors showed on chain when it was demanded: models and chunks of rows, in the events of the answers.

The demands contract has checked them against the recorded digests and roots.
"""

from __future__ import annotations

from provenance.chain.dispute_events import ChunkAnswered, ModelAnswered
from provenance.chain.ports import ShownChunk
from provenance.chain.views import MarketViews
from provenance.crypto.merkle import Proof
from provenance.values import Digest


class AnswerReader(MarketViews):
    """Reads answers back."""

    def shown_model(self, order: Digest, shard: int) -> bytes | None:
        """The model of a shard in clear; None when nobody showed it."""
        for event in self._logs("demands", ModelAnswered, order):
            if event.shard == shard:
                return bytes(event.model)
        return None

    def shown_chunks(self, order: Digest, shard: int) -> tuple[ShownChunk, ...]:
        """The chunks of a shard that were shown, oldest first."""
        return tuple(
            ShownChunk(event.chunk_index, event.chunk, Proof(event.path, event.path_bits))
            for event in self._logs("demands", ChunkAnswered, order)
            if event.shard == shard
        )
