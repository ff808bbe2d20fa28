"""What a node can show of one order when it is demanded on chain: signatures, its salt, its model, its rows.

Everything is made from what is stored, so that the same is shown to whoever asks, as often as somebody asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.errors import NotYet, TaskRefused
from generator.node.commit import salt_to_reveal, signed_commitment
from generator.node.context import Node, shard_of
from generator.node.orders import Accepted
from generator.node.sample import Draw, check_own_model, rows_asked_for, shard_conditions, signed_shard
from generator.node.untrained import order_model
from provenance.chain.answers import (
    Answer,
    ModelAnswer,
    RowsAnswer,
    SaltAnswer,
    SignedAnswer,
)
from provenance.chain.disputes import DemandKind
from provenance.exact import SPEC_VERSION
from provenance.exact.model import model_digest
from provenance.exact.rows import encode_rows
from provenance.exact.sampler import sampler_for
from provenance.record.receipts import Evaluation, ModelCommitment
from provenance.record.terms import Participant
from provenance.values import Digest

_NOTHING = Digest(bytes(32))


@dataclass(frozen=True, slots=True)
class OrderAnswers:
    """The answers of one node to demands about its shard of one matched order."""

    node: Node
    order: Digest
    accepted: Accepted
    participants: tuple[Participant, ...]

    @property
    def shard(self) -> int:
        return shard_of(self.participants, self.node.address)

    def of(self, kind: DemandKind) -> Answer:
        """Raises NotYet and TaskRefused where the chain does not stand there, StateError for what was never made."""
        match kind:
            case DemandKind.COMMITMENT:
                return self.commitment()
            case DemandKind.SALT:
                return SaltAnswer(salt_to_reveal(self.node, self.order, self.participants))
            case DemandKind.RECEIPT:
                return self.receipt()
            case DemandKind.EVALUATION:
                return self.evaluation() or self.no_evaluation()
            case DemandKind.MODEL:
                return ModelAnswer(self._draw().model)
            case DemandKind.CHUNK:
                return self.rows()
            case _:
                raise TaskRefused("not-mine", f"a {kind.name.lower()} is not a contributor's to show")

    def commitment(self) -> SignedAnswer:
        signed = signed_commitment(self.node, self.order, self.participants)
        message = ModelCommitment(self.order, signed.shard, signed.model_digest, signed.salt_digest)
        return SignedAnswer(message, signed.signature)

    def receipt(self) -> SignedAnswer:
        draw = self._draw()
        signed = signed_shard(self.node, self.accepted, draw, self._row_bytes(draw))
        return SignedAnswer(signed.receipt, signed.signature)

    def evaluation(self) -> SignedAnswer | None:
        """What this node scored and signed; None when nobody asked it to, or it found something wrong."""
        stored = self.node.orders.folder(self.order).evaluation()
        return None if stored is None else SignedAnswer(*stored)

    def no_evaluation(self) -> SignedAnswer:
        """Vouches for nothing: no rows, no shares, no score. The market never showed what is to be evaluated, or what
        it showed was wrong; an answer is due all the same, and a signature under something unseen would be a lie."""
        message = Evaluation(self.order, _NOTHING, 0, _NOTHING, _NOTHING)
        return SignedAnswer(message, self.node.signer.sign_typed(self.node.domain, message))

    def rows(self) -> RowsAnswer:
        draw = self._draw()
        rows = self._row_bytes(draw)
        return RowsAnswer(rows, len(rows) // draw.rows)

    def _draw(self) -> Draw:
        """What decides the rows, once the chain holds this node's own model and a seed."""
        model = order_model(self.node, self.order)
        commitment = self.node.chain.commitment(self.order)
        check_own_model(commitment, self.shard, model_digest(model))
        if commitment.seed is None:
            raise NotYet(f"the seed of order {self.order} is not drawn yet")
        return Draw(model, commitment.seed, self.shard, self.participants[self.shard].rows)

    def _row_bytes(self, draw: Draw) -> bytes:
        """The shard's rows, made again: they are a function of what is kept."""
        threads = self.node.settings.threads
        conditions = shard_conditions(self.node, self.accepted, self.participants, draw.shard)
        sampler = sampler_for(SPEC_VERSION)(draw.model, draw.seed, draw.shard)
        if conditions is None:
            return sampler.row_bytes(0, draw.rows, threads=threads)
        values = rows_asked_for(draw, conditions, threads)
        return encode_rows(values, sampler.model.codebook.value_widths)
