"""Generation, the middle steps of an order: training, commitment, seed draw, sampling and scoring.

The coordinator worker computes; the chain draws the seed.
"""

from __future__ import annotations

from collections.abc import Mapping

from backend.collections import CollectionService
from backend.coordination.service import JobService
from backend.database.models import JobRow
from backend.errors import OrderFailedError
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import JobRepository
from backend.workflow.asking import Asking
from backend.workflow.demands import ReceiptDemands
from backend.workflow.order_log import OrderLog
from backend.workflow.retry import Retry
from provenance.api.coordination import JobPlan, Phase, ScoreResult, TrainResult
from provenance.api.orders import OrderState
from provenance.api.queue import WorkState
from provenance.api.tasks import COMMIT, REVEAL, CommitAnswer, CommitTask, RevealAnswer, RevealTask
from provenance.chain.errors import RevertError
from provenance.chain.ports import CommitmentOnChain, CommittedModel
from provenance.chain.ports import OrderState as ChainState
from provenance.crypto.signing import require_signer
from provenance.errors import SignatureError
from provenance.record.collection import Collection
from provenance.record.manifest import SeedDraw
from provenance.record.receipts import ModelCommitment, salt_digest
from provenance.values import Address, Digest

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
        self._commits = Asking(ports, order, COMMIT)
        self._reveals = Asking(ports, order, REVEAL)

    def train(self) -> None:
        """Has the coordinator worker train with the matched nodes."""
        self._run_job("train", self.plan(None, None))
        self._log.enter(OrderState.TRAINED)

    def commit(self) -> None:
        """Has the nodes bind themselves to models and salts, and fixes both on chain by their signatures."""
        stored = self._log.load()
        self._commits.ask(stored, lambda match: CommitTask(order=self._id, match=match))
        self._retry.poll(lambda: self._all_answered(self._commits, self._commitments(stored)))
        models = [
            CommittedModel(each.model_digest, each.salt_digest, each.signature) for each in self.commitments()
        ]
        self._retry.transact(
            "commit",
            lambda: self._commitment().commit_block != 0,
            lambda: self._ports.writer.commit(self._id, stored.participants(), models),
            lambda receipt: self._log.mined("commit", receipt),
        )
        self._log.enter(OrderState.COMMITTED)

    def commitments(self) -> tuple[CommitAnswer, ...]:
        """What the nodes bound themselves to, in participant order."""
        stored = self._log.load()
        found = self._commitments(stored)
        return tuple(found[member.contributor] for member in stored.matched)

    def draw(self) -> None:
        """Draws the seed once its block has a successor and every salt is told. A missed block gets a new one."""
        stored = self._log.load()
        self._reveals.ask(stored, lambda match: RevealTask(order=self._id, match=match))

        def look() -> bool | None:
            commitment = self._ports.chain.commitment(self._id)
            if commitment.seed is not None:
                return True
            self._require_time("the seed was drawn")
            self._try_draw(stored, commitment)
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
        return SeedDraw(
            commitment.seed, commitment.target_block, commitment.draws, block_hash, commitment.revealed
        )

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
        if self._ports.chain.chain_time() > stored.terms.deliver_by:
            raise OrderFailedError(f"the deadline passed in phase {phase}")
        if self._ports.chain.order(self._id).state is not ChainState.MATCHED:
            raise OrderFailedError(f"the order was ended on chain in phase {phase}")
        return None

    def _try_draw(self, stored: StoredOrder, commitment: CommitmentOnChain) -> None:
        if self._ports.chain.block_number() <= commitment.target_block:
            return
        salts = self._salts(stored, commitment)
        if salts is None:
            self._all_answered(self._reveals, {})
            return
        try:
            self._log.mined("draw", self._ports.writer.draw_seed(self._id, commitment.salts, salts))
        except RevertError as error:
            if error.name == MISSED:
                self._redraw()
                return
            # Somebody else drew: the next look decides.
            self._log.message(f"the seed draw was refused ({error.name or error}); looking again")
            self._retry.pause(1.0)

    def _salts(self, stored: StoredOrder, commitment: CommitmentOnChain) -> tuple[Digest, ...] | None:
        """Everybody's salt in participant order; None while one is missing. A salt that is not the committed one
        counts as missing."""
        told = self._reveals.answers(RevealAnswer)
        salts = []
        for shard, (member, committed) in enumerate(zip(stored.matched, commitment.salts, strict=True)):
            answer = told.get(member.contributor)
            if answer is None or salt_digest(self._id, shard, answer.salt) != committed:
                return None
            salts.append(answer.salt)
        return tuple(salts)

    def _commitments(self, stored: StoredOrder) -> dict[Address, CommitAnswer]:
        """The answers that fit the trained models and their contributors' keys."""
        models = self.train_result().models
        found = self._commits.answers(CommitAnswer)
        return {
            member.contributor: found[member.contributor]
            for shard, (member, model) in enumerate(zip(stored.matched, models, strict=True))
            if member.contributor in found
            and self._is_commitment(found[member.contributor], shard, member.contributor, model.model_digest)
        }

    def _is_commitment(self, told: CommitAnswer, shard: int, contributor: Address, model: Digest) -> bool:
        message = ModelCommitment(self._id, shard, model, told.salt_digest)
        try:
            require_signer(self._ports.domain, message, told.signature, contributor)
        except SignatureError:
            return False
        return (told.shard, told.model_digest) == (shard, model)

    def _all_answered(self, asking: Asking, valid: Mapping[Address, object]) -> bool | None:
        """True once every matched node has a valid answer. Raises OrderFailedError when that cannot come any more."""
        stored = self._log.load()
        missing = [member.contributor for member in stored.matched if member.contributor not in valid]
        if not missing:
            return True
        refused = asking.refusals()
        for node in missing:
            if node in refused:
                raise OrderFailedError(f"contributor {node} refused ({refused[node]})")
        self._require_time("all contributors had answered")
        return None

    def _require_time(self, event: str) -> None:
        if self._ports.chain.chain_time() > self._log.load().terms.deliver_by:
            raise OrderFailedError(f"the deadline passed before {event}")

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
