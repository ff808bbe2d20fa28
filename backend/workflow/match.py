"""Matching, the first steps of an order: the price into escrow, the nodes' acceptances, the match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from backend.collections import CollectionService
from backend.contributors import ContributorRepository, Records
from backend.database.models import TaskRow
from backend.errors import OrderFailedError
from backend.orders.documents import StoredOrder
from backend.orders.permits import Permits
from backend.orders.standing import StandingModel, StandingModels
from backend.ports import Ports
from backend.tasks.repository import WAITING, TaskRepository
from backend.tasks.service import TaskService
from backend.workflow.allocation import Offer, Wanted, allocate, choose
from backend.workflow.order_log import OrderLog
from backend.workflow.retry import Retry
from provenance.api.coordination import MatchedContributor
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.api.tasks import ACCEPT, AcceptAnswer, AcceptOffer
from provenance.chain.ports import OrderState as ChainState
from provenance.crypto.signing import require_signer
from provenance.errors import ProvenanceError
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms
from provenance.table.conditions_bytes import encode_conditions
from provenance.units import BASIS_POINTS, percent
from provenance.values import Address, Digest

MATCH_MARGIN_SECONDS = 3
"""The wait for nodes ends this many chain seconds before matchBy: the transaction has to be mined in time."""


class Matching:
    """Steps `place` and `match`."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._log = OrderLog(ports, order)
        self._retry = Retry(ports)

    def place(self) -> None:
        """Brings the order into escrow with the buyer's permit. OrderFailedError: no money has moved."""
        stored = self._log.load()
        self._retry.poll(lambda: self._is_turn(stored) or None)
        self._retry.transact(
            "place",
            lambda: self._chain_state() is not ChainState.NONE,
            lambda: self._ports.writer.place(stored.terms, stored.signature, stored.permit),
            lambda receipt: self._log.mined("place", receipt),
        )
        self._log.enter(OrderState.OPEN)

    def _is_turn(self, stored: StoredOrder) -> bool:
        """Whether no order of the buyer, whose permit is used before this one's, is still to be placed."""
        permits = Permits.read(self._ports, stored.terms.buyer)
        nonce = permits.nonce_of(stored.terms, stored.permit)
        if nonce in (None, permits.first) or self._chain_state() is not ChainState.NONE:
            return True
        with self._ports.database.read() as session:
            waiting = permits.waiting(session)
        if permits.first in waiting and self._ports.chain.chain_time() < stored.terms.match_by:
            return False
        raise OrderFailedError(
            f"place: the permit has nonce {nonce}, the token expects {permits.first}, for an order before this one was "
            "not placed; ask for a new quote"
        )

    def match(self) -> None:
        """Asks the nodes, chooses among the answers, and matches."""
        stored = self._log.load()
        opened = self._retry.call(self._ports.chain.chain_time)
        if self._chain_state() is ChainState.OPEN:
            matched = self._retry.poll(lambda: self._try_match(stored, opened))
            self._allow_bond(stored)
            self._log.store_match(matched)
            stored = self._log.load()
        self._retry.transact(
            "match",
            lambda: self._chain_state() is not ChainState.OPEN,
            lambda: self._ports.writer.match_order(
                stored.terms,
                stored.participants(),
                [member.acceptance for member in stored.matched],
                [member.max_rows for member in stored.matched],
                self._conditions(stored),
            ),
            lambda receipt: self._log.mined("match", receipt),
        )
        if (state := self._chain_state()) in (ChainState.CANCELLED, ChainState.REFUNDED):
            raise OrderFailedError(f"the money went back before the match: the order is {state.name.lower()}")
        with self._ports.database.write() as session:
            TaskRepository(session).cancel_waiting(self._order)
        self._log.enter(OrderState.MATCHED)

    def _conditions(self, stored: StoredOrder) -> bytes:
        """The conditions in bytes, which the chain asks for so that everybody can judge the rows; none for whole
        tables."""
        with self._ports.database.read() as session:
            collection = CollectionService(session).require(str(stored.terms.collection))
        asked = stored.request.asked(collection.schema, stored.terms.rows)
        return b"" if asked is None else encode_conditions(asked)

    def _try_match(self, stored: StoredOrder, opened: int) -> tuple[MatchedContributor, ...] | None:
        """The match, once enough nodes accepted and the others answered or had their time; None before."""
        if self._chain_state() is not ChainState.OPEN:
            raise OrderFailedError("the order was taken back before the match")
        terms = stored.terms
        offers, waiting = self._offers(stored)
        now = self._ports.chain.chain_time()
        latest = terms.match_by - MATCH_MARGIN_SECONDS
        if waiting and now < min(opened + self._ports.settings.accept_seconds, latest):
            return None
        newcomer_bps = self._ports.settings.newcomer_bps
        chosen = choose(
            offers, Wanted(terms.rows, terms.min_contributors, terms.max_contributors, newcomer_bps)
        )
        if chosen is None:
            # Nobody else can come to an order from stock: whoever has its models was asked.
            if now < latest and (stored.request.training is None or waiting):
                return None
            raise OrderFailedError(
                f"{len(offers)} contributors accepted, for {sum(offer.most_rows for offer in offers)} rows; "
                f"the order needs {terms.min_contributors} and {terms.rows} rows, of which those without a settled "
                f"shard deliver at most {percent(newcomer_bps, BASIS_POINTS)} beside others"
            )
        rows = allocate(terms.rows, chosen)
        return tuple(
            MatchedContributor(
                contributor=place.offer.contributor,
                rows=part,
                max_rows=place.offer.max_rows,
                declared_rows=place.offer.declared_rows,
                acceptance=place.offer.acceptance,
            )
            for place, part in zip(chosen, rows, strict=True)
        )

    def _offers(self, stored: StoredOrder) -> tuple[list[Offer], int]:
        """Valid acceptances by nodes that still have the stake, and how many staked nodes have not answered.

        Nodes that spoiled orders lately are not asked.
        """
        collection, settings = str(stored.terms.collection), self._ports.settings
        with self._ports.database.read() as session:
            records = Records(session)
            spoilers = records.slashed(settings.spoiler_blocks) | records.absent(
                self._ports.clock() - settings.no_show_seconds
            )
            delivered = records.delivered()
            announced = {
                Address.parse(row.address): row.declared_rows
                for row in ContributorRepository(session).list(collection)
            }
            if stored.request.training is not None:
                stock = StandingModels(session).get(stored.request.training)
                announced = {} if stock is None else _among(stock, announced)
        declared = {node: rows for node, rows in announced.items() if node not in spoilers}
        bearable = {node: self._bearable(node, stored.terms) for node in declared}
        staked = [node for node, rows in bearable.items() if rows > 0]
        self._ask_nodes(stored, staked)
        with self._ports.database.read() as session:
            tasks = TaskRepository(session).of_order(self._order, ACCEPT, results=True)
        by_node = {Address.parse(task.node): task for task in tasks}
        offers = []
        for node in staked:
            offer = self._offer(by_node[node], node, declared[node])
            if offer is not None:
                offers.append(
                    replace(offer, delivered_rows=delivered.get(node, 0), staked_rows=bearable[node])
                )
        return offers, sum(by_node[node].state in WAITING for node in staked)

    def _offer(self, task: TaskRow, node: Address, declared_rows: int) -> Offer | None:
        if task.state != WorkState.DONE or task.result is None:
            return None
        try:
            answer = AcceptAnswer.read(task.result, "acceptance")
            acceptance = Acceptance(self._id, node, answer.max_rows)
            require_signer(self._ports.domain, acceptance, answer.signature, node)
        except ProvenanceError:
            # An answer that the contract would refuse counts as a refusal. It must not cost the others the match.
            return None
        return Offer(node, declared_rows, answer.max_rows, answer.signature)

    def _ask_nodes(self, stored: StoredOrder, nodes: list[Address]) -> None:
        with self._ports.database.read() as session:
            asked = {task.node for task in TaskRepository(session).of_order(self._order, ACCEPT)}
        new = [node for node in nodes if str(node) not in asked]
        if not new:
            return
        now = int(self._ports.clock())
        with self._ports.database.write() as session:
            collection = CollectionService(session).require(str(stored.terms.collection))
            payload = AcceptOffer(
                order_id=self._id,
                terms=stored.terms,
                signature=stored.signature,
                collection=collection,
                request=stored.request,
                chain_id=self._ports.domain.chain_id,
                escrow=self._ports.domain.verifying_contract,
            ).encode()
            for node in new:
                TaskService(session).create(self._order, str(node), ACCEPT, ACCEPT, payload, now)

    def _bearable(self, node: Address, terms: OrderTerms) -> int:
        """Rows of the order that the node's free stake bears."""
        stake, least = self._ports.chain.stake_of(node), self._ports.chain.limits().min_stake
        return terms.rows_for(stake.free, least) if stake.registered else 0

    def _allow_bond(self, stored: StoredOrder) -> None:
        """The escrow takes the bond from the broker at the match. Several orders may match at once."""
        ports, escrow = self._ports, self._ports.chain.deployment.escrow
        self._retry.transact(
            "approve",
            lambda: ports.chain.allowance(ports.broker, escrow) >= max(stored.terms.bond, 2**255),
            lambda: ports.writer.approve(escrow, 2**256 - 1),
            lambda receipt: self._log.mined("approve", receipt),
        )

    def _chain_state(self) -> ChainState:
        return self._retry.call(lambda: self._ports.chain.order(self._id)).state


def _among(stock: StandingModel, announced: Mapping[Address, int]) -> dict[Address, int]:
    """Declared rows of those that have models in stock, in the order of the training."""
    return {each: announced[each] for each in stock.contributors if each in announced}
