"""Everything a node's handlers need, built once by `open_node` or a test: values and ports, no globals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from generator.errors import AwaitingApproval, NotYet, SettingsError, StateError, StopRequested, TaskRefused
from generator.federation.state import ContributorState, TrainingState
from generator.node.approvals import Approvals
from generator.node.orders import Accepted, Orders
from generator.node.policy import Policy
from generator.node.settings import NodeSettings
from provenance.api.errors import MarketStopped
from provenance.api.queue import Progress
from provenance.chain.ports import ChainReads, OrderState
from provenance.crypto.at_rest import RestKey
from provenance.crypto.signing import Signer
from provenance.crypto.typed_data import Domain
from provenance.errors import UnavailableError
from provenance.record.collection import Collection
from provenance.record.terms import Participant, participants_digest
from provenance.values import Address, Cid, Digest

ORDERS, APPROVALS = "orders", "approvals"
TRIED_AGAIN = (
    AwaitingApproval, MarketStopped, NotYet, OSError, SettingsError, StateError, StopRequested, UnavailableError
)  # fmt: skip
"""What may end a task and is no answer to it: the market gives it out again. Everything else becomes a refusal."""


def _silent(_progress: Progress) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Node:
    """One contributor's node.

    collection: the document this node joined; orders must name its digest. state: table, ledger, training. upload:
    stores bytes at the market and returns the CID that it claims. fetch: what the market serves under a CID, not yet
    compared with it. progress: towards the market and a terminal.
    """

    folder: Path
    settings: NodeSettings
    signer: Signer
    collection: Collection
    state: ContributorState
    chain: ChainReads
    upload: Callable[[bytes], Cid]
    fetch: Callable[[Cid], bytes]
    progress: Callable[[Progress], None] = _silent

    @property
    def address(self) -> Address:
        """The node's account."""
        return self.signer.address

    @property
    def domain(self) -> Domain:
        """The market's EIP-712 domain, which every signature is for."""
        return self.chain.deployment.domain

    @property
    def orders(self) -> Orders:
        """What this node keeps of its orders."""
        return Orders(self.folder / ORDERS, RestKey.of(self.signer))

    @property
    def approvals(self) -> Approvals:
        """Orders that wait for the operator."""
        return Approvals(self.folder / APPROVALS)

    def policy(self) -> Policy:
        """Read anew for each order, so that an edit counts at once."""
        return Policy.read(self.folder)

    def accepted(self, order: Digest) -> Accepted:
        """The order as accepted; TaskRefused if this node never put its name to it."""
        accepted = self.orders.folder(order).accepted()
        if accepted is None:
            raise TaskRefused("not-accepted", f"this node did not accept order {order}")
        return accepted

    def trained_for(self, order: Digest) -> Digest:
        """The order that the models of `order` were trained for: itself, or the one from whose stock it is sold."""
        held = self.orders.folder(order).accepted()
        return order if held is None or held.request.training is None else held.request.training

    def training(self, order: Digest) -> TrainingState:
        """Plan, model, codebook and releases that `order` is served from: the one place that knows of stock."""
        return self.state.order(self.trained_for(order))

    def matched_participants(self, order: Digest) -> tuple[Participant, ...]:
        """The participants the chain names, this node among them.

        Raises NotYet before the match, TaskRefused when the order ended or this node is not named.
        """
        record = self.chain.order(order)
        state = record.state
        if state in (OrderState.NONE, OrderState.OPEN):
            raise NotYet(f"order {order} is {state.name} on chain, a match is needed first")
        if state is not OrderState.MATCHED:
            raise TaskRefused(
                "order-ended", f"order {order} is {state.name} on chain, nothing more is done for it"
            )
        participants = self.chain.participants(order)
        if participants_digest(participants) != record.participants_digest:
            raise NotYet(f"the chain's event does not yet give the participants of order {order}")
        if self.address not in {participant.contributor for participant in participants}:
            raise TaskRefused(
                "not-named", f"the chain does not name {self.address} among the order's participants"
            )
        return participants


def shard_of(participants: tuple[Participant, ...], contributor: Address) -> int:
    """Shard k belongs to participant k."""
    return next(k for k, participant in enumerate(participants) if participant.contributor == contributor)
