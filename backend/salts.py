"""The salts of an order's seed that nodes have told, for whoever wants to draw the seed when the broker does not."""

from __future__ import annotations

from fastapi import APIRouter

from backend.http.context import DigestText, PortsHere
from backend.orders.service import OrderService
from backend.ports import Ports
from backend.tasks.repository import TaskRepository
from provenance.api.orders import SaltsView, SaltView
from provenance.api.queue import WorkState
from provenance.api.tasks import REVEAL, RevealAnswer
from provenance.errors import MalformedError
from provenance.record.receipts import salt_digest
from provenance.values import Digest

router = APIRouter(prefix="/v1/orders", tags=["orders"])


@router.get("/{order_id}/salts")
def salts(order_id: DigestText, ports: PortsHere) -> SaltsView:
    """The salts of the order's seed, once the hash of its block is fixed on chain: enough for anybody to draw."""
    with ports.database.read() as session:
        OrderService(session).require(order_id)
    return salts_of(ports, Digest.parse(order_id))


def salts_of(ports: Ports, order: Digest) -> SaltsView:
    """Those that fit what the chain committed to; none before a block's hash is fixed for good. Until then another
    block could still decide the seed, and its producer must not know them."""
    commitment = ports.chain.commitment(order)
    if commitment.seed is None and not ports.chain.is_hash_fixed(order):
        return SaltsView(salts=())
    members = [str(each.contributor) for each in ports.chain.participants(order)]
    found: dict[int, Digest] = {}
    with ports.database.read() as session:
        tasks = TaskRepository(session).of_order(str(order), REVEAL, results=True)
        told = [
            (task.node, task.result)
            for task in tasks
            if task.state == WorkState.DONE and task.result is not None and task.node in members
        ]
    for node, data in told:
        shard = members.index(node)
        try:
            salt = RevealAnswer.read(data, f"reveal of {node}").salt
        except MalformedError:
            continue
        if shard < len(commitment.salts) and salt_digest(order, shard, salt) == commitment.salts[shard]:
            found[shard] = salt
    return SaltsView(salts=tuple(SaltView(shard=shard, salt=found[shard]) for shard in sorted(found)))
