"""What a node binds itself to before the seed exists, its model and its salt, and the salt when its time has come.

Both belong to one match of the order: should a reorganisation of the chain bring another match, the shard may have
another index, and the salt is a fresh one, because the old one may be known by then.
"""

from __future__ import annotations

from typing import TypeVar

from generator.errors import NotYet, TaskRefused
from generator.node.context import Node, shard_of
from generator.node.model_checks import check_conditions, check_size
from generator.node.untrained import order_model
from provenance.api.message import Message
from provenance.api.tasks import CommitAnswer, CommitTask, RevealAnswer, RevealTask
from provenance.errors import ProvenanceError
from provenance.exact.model import model_digest
from provenance.record.receipts import ModelCommitment, salt_digest
from provenance.record.terms import Participant, participants_digest
from provenance.values import Digest

M = TypeVar("M", bound=Message)


def commit_model(node: Node, payload: bytes) -> bytes:
    """The answer to a "commit" task: digests of model and salt, signed. Raises TaskRefused, NotYet."""
    asked = _read(CommitTask, payload, "commit task")
    participants = _matched(node, asked.order, asked.match)
    return signed_commitment(node, asked.order, participants).encode()


def signed_commitment(node: Node, order: Digest, participants: tuple[Participant, ...]) -> CommitAnswer:
    """Binds this node to its finished model and its salt; deterministic, so signing again gives the same bytes."""
    shard = shard_of(participants, node.address)
    model = order_model(node, order)
    check_size(node, model)
    check_conditions(node, node.accepted(order), model)
    salt = salt_digest(order, shard, node.orders.folder(order).salt(participants_digest(participants)))
    message = ModelCommitment(order, shard, model_digest(model), salt)
    node.state.order(order).keep_head(node.state.ledger)
    return CommitAnswer(
        shard=shard,
        model_digest=message.model_digest,
        salt_digest=salt,
        signature=node.signer.sign_typed(node.domain, message),
    )


def reveal_salt(node: Node, payload: bytes) -> bytes:
    """The answer to a "reveal" task: this node's salt of the seed. Raises TaskRefused and NotYet."""
    asked = _read(RevealTask, payload, "reveal task")
    participants = _matched(node, asked.order, asked.match)
    return RevealAnswer(salt=salt_to_reveal(node, asked.order, participants)).encode()


def salt_to_reveal(node: Node, order: Digest, participants: tuple[Participant, ...]) -> Digest:
    """The salt, never before the hash of the seed's block is kept on chain: until then nobody, the block's producer
    included, may know enough to prefer one seed."""
    shard = shard_of(participants, node.address)
    commitment = node.chain.commitment(order)
    if not commitment.commit_block or len(commitment.salts) != len(participants):
        raise NotYet(f"no models are committed for this match of order {order} yet")
    salt = node.orders.folder(order).salt(participants_digest(participants))
    if salt_digest(order, shard, salt) != commitment.salts[shard]:
        raise TaskRefused("other-salt", f"the chain holds another salt for shard {shard} of order {order}")
    if not node.chain.is_hash_fixed(order):
        raise NotYet(
            f"the hash of block {commitment.target_block}, which decides the seed, is not kept on chain yet"
        )
    return salt


def _matched(node: Node, order: Digest, match: Digest) -> tuple[Participant, ...]:
    participants = node.matched_participants(order)
    found = participants_digest(participants)
    if found != match:
        raise NotYet(f"the chain holds match {found} of order {order}, the task is about {match}")
    return participants


def _read(kind: type[M], payload: bytes, what: str) -> M:
    try:
        return kind.read(payload, what)
    except ProvenanceError as error:
        raise TaskRefused("bad-task", str(error)) from error
