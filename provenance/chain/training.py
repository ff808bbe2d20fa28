"""What a chain holds of an order whose models make the rows of later ones."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.chain.ports import ChainReads, CommitmentOnChain, DatasetOnChain, OrderOnChain
from provenance.record.terms import Participant
from provenance.values import Address, Digest


@dataclass(frozen=True, slots=True)
class TrainingOnChain:
    """Match, commitment and record of the order that trained. dataset: None where none was recorded."""

    order: OrderOnChain
    participants: tuple[Participant, ...]
    commitment: CommitmentOnChain
    dataset: DatasetOnChain | None

    @classmethod
    def read(cls, chain: ChainReads, training: Digest) -> TrainingOnChain:
        """Raises ChainUnavailableError."""
        number = chain.dataset_of_order(training)
        return cls(
            chain.order(training),
            chain.participants(training),
            chain.commitment(training),
            None if number is None else chain.dataset(number),
        )

    @property
    def models(self) -> dict[Address, Digest]:
        """The committed models by contributor, zero of one that was dropped before; none before the commitment."""
        committed = self.commitment.models
        if len(committed) != len(self.participants):
            return {}
        return {each.contributor: model for each, model in zip(self.participants, committed, strict=True)}
