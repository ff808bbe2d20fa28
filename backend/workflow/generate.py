"""Generation, the middle steps of an order: training, commitment, seed draw, sampling and scoring.

The coordinator worker computes; the chain draws the seed.
"""

from __future__ import annotations

from backend.collections import CollectionService
from backend.coordination.service import JobService
from backend.database.models import JobRow
from backend.errors import OrderFailedError
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import JobRepository
from backend.workflow.demands import ReceiptDemands
from backend.workflow.order_log import OrderLog
from backend.workflow.retry import Retry
from provenance.api.coordination import JobPlan, Phase, ScoreResult, TrainResult
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.chain.errors import RevertError
from provenance.chain.ports import CommitmentOnChain
from provenance.chain.ports import OrderState as ChainState
from provenance.record.collection import Collection
from provenance.record.manifest import SeedDraw
from provenance.values import Digest

MISSED = "ModelCommitment_DrawMissed"
"""The chain's word for a target block whose hash it does not know any more: after 256 blocks, or 8,191 (EIP-2935)."""


class Generation:
    """Steps `train`, `commit`, `draw` and `score`."""

    def __init__(self, ports: Ports, order: str) -> None:
        self._ports = ports
        self._order = order
        self._id = Digest.parse(order)
        self._log = OrderLog(ports, order)
        self._retry = Retry(ports)
        self._demands = ReceiptDemands(ports, order)

    def train(self) -> None:
        """Has the coordinator worker train with the matched nodes."""
        self._run_job("train", self.plan(None, None))
        self._log.enter(OrderState.TRAINED)

    def commit(self) -> None:
        """Fixes the models on chain, by the contributors' signatures."""
        stored = self._log.load()
        models = self.train_result().models
        self._retry.transact(
            "commit",
            lambda: self._commitment().commit_block != 0,
            lambda: self._ports.writer.commit(
                self._id,
                stored.participants(),
                [model.model_digest for model in models],
                [model.commit_signature for model in models],
            ),
            lambda receipt: self._log.mined("commit", receipt),
        )
        self._log.enter(OrderState.COMMITTED)

    def draw(self) -> None:
        """Draws the seed once the target block has a successor. A missed draw gets a new target block."""
        deliver_by = self._log.load().terms.deliver_by

        def look() -> bool | None:
            commitment = self._ports.chain.commitment(self._id)
            if commitment.seed is not None:
                return True
            if self._ports.chain.chain_time() > deliver_by:
                raise OrderFailedError("the deadline passed before the seed was drawn")
            self._try_draw(commitment)
            return None

        self._retry.poll(look)
        self._log.enter(OrderState.SEEDED)

    def score(self) -> None:
        """Has the worker collect the sampled shards and the nodes' evaluations."""
        self._run_job("score", self.plan(self.train_result(), self.seed_draw()))
        self._log.enter(OrderState.SCORED)

    def seed_draw(self) -> SeedDraw:
        """The drawn seed with the block it came from."""
        commitment = self._commitment()
        block_hash = self._retry.call(lambda: self._ports.chain.block_hash(commitment.target_block))
        if commitment.seed is None or block_hash is None:
            raise OrderFailedError(f"the chain no longer knows the seed or block {commitment.target_block}")
        return SeedDraw(commitment.seed, commitment.target_block, commitment.draws, block_hash)

    def train_result(self) -> TrainResult:
        """The stored result of phase `train`."""
        return TrainResult.read(self._result("train"), "train result")

    def score_result(self) -> ScoreResult:
        """The stored result of phase `score`."""
        return ScoreResult.read(self._result("score"), "score result")

    def _result(self, phase: Phase) -> bytes:
        with self._ports.database.read() as session:
            job = JobRepository(session).locked(self._order, phase, result=True)
        if job is None or job.result is None:
            raise OrderFailedError(f"phase {phase} has no stored result")
        return job.result

    def order(self) -> tuple[StoredOrder, Collection]:
        """The order as it is stored, and its collection."""
        stored = self._log.load()
        with self._ports.database.read() as session:
            return stored, CollectionService(session).require(str(stored.terms.collection))

    def plan(self, train: TrainResult | None, seed: SeedDraw | None) -> JobPlan:
        """What the worker needs to run a phase; models and seed are there for `score` only."""
        stored, collection = self.order()
        return JobPlan(
            chain_id=self._ports.domain.chain_id,
            escrow=self._ports.domain.verifying_contract,
            terms=stored.terms,
            terms_signature=stored.signature,
            collection=collection,
            request=stored.request,
            participants=stored.matched,
            models=None if train is None else train.models,
            seed=seed,
        )

    def _run_job(self, phase: Phase, plan: JobPlan) -> None:
        stored = self._log.load()
        with self._ports.database.write() as session:
            JobService(session).ensure(self._order, phase, plan, int(self._ports.clock()))
        self._retry.poll(lambda: self._finished(phase, stored))

    def _finished(self, phase: Phase, stored: StoredOrder) -> bool | None:
        with self._ports.database.read() as session:
            job = JobRepository(session).locked(self._order, phase)
        assert job is not None
        if job.state == WorkState.DONE:
            return True
        if not (phase == "score" and self._demands.look() and job.state == WorkState.REFUSED):
            _require_possible(job, phase)
        deliver_by = stored.terms.deliver_by
        # Given up in time, an order costs a part of the bond; at its deadline all of it.
        last = self._ports.chain.limits().last_commit(deliver_by) if phase == "train" else deliver_by
        if self._ports.chain.chain_time() > last:
            raise OrderFailedError(f"the deadline passed in phase {phase}")
        if self._ports.chain.order(self._id).state is not ChainState.MATCHED:
            raise OrderFailedError(f"the order was ended on chain in phase {phase}")
        return None

    def _try_draw(self, commitment: CommitmentOnChain) -> None:
        block = self._ports.chain.block_number()
        if block <= commitment.target_block:
            return
        try:
            self._log.mined("draw", self._ports.writer.draw_seed(self._id))
        except RevertError as error:
            if error.name == MISSED:
                self._redraw()
                return
            # Somebody else drew: the next look decides.
            self._log.message(f"the seed draw was refused ({error.name or error}); looking again")
            self._retry.pause(1.0)

    def _redraw(self) -> None:
        try:
            self._log.mined("redraw", self._ports.writer.redraw(self._id))
        except RevertError as error:
            self._log.message(f"no new block was appointed ({error.name or error}); looking again")
            self._retry.pause(1.0)

    def _commitment(self) -> CommitmentOnChain:
        return self._retry.call(lambda: self._ports.chain.commitment(self._id))


def _require_possible(job: JobRow, phase: str) -> None:
    if job.state == WorkState.REFUSED:
        raise OrderFailedError(f"phase {phase} failed: {job.failure}")
    if job.state == WorkState.CANCELLED:
        raise OrderFailedError(f"phase {phase} was cancelled")
