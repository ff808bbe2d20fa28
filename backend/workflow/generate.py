"""Generation, the middle steps of an order: training, commitment, seed draw, sampling and scoring.

The coordinator worker computes; the chain draws the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from backend.collections import CollectionService
from backend.coordination.service import JobService
from backend.database.models import JobRow
from backend.errors import OrderFailedError
from backend.orders.documents import StoredOrder
from backend.ports import Ports
from backend.tasks.repository import JobRepository
from backend.workflow.asking import Asking
from backend.workflow.demands import StepDemands
from backend.workflow.order_log import OrderLog
from backend.workflow.retry import Retry
from provenance.api.coordination import JobPlan, Phase, ReusedTraining, ScoreResult, ShardResult, TrainResult
from provenance.api.orders import OrderState
from provenance.api.queue import TaskKind, WorkState
from provenance.api.tasks import COMMIT, REVEAL, CommitAnswer, CommitTask, RevealAnswer, RevealTask
from provenance.chain.dispute_events import ReceiptAnswered
from provenance.chain.errors import RevertError
from provenance.chain.ports import Absence, CommitmentOnChain, CommittedModel
from provenance.chain.ports import OrderState as ChainState
from provenance.crypto.merkle import NO_SHARD
from provenance.crypto.signing import require_signer
from provenance.errors import SignatureError
from provenance.record.collection import Collection
from provenance.record.manifest import SeedDraw
from provenance.record.receipts import ModelCommitment, salt_digest
from provenance.values import Address, Digest, Signature

NOTHING_COMMITTED = CommittedModel(NO_SHARD, NO_SHARD, b"")
"""In place of a contributor that was dropped before the commit."""
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
        self._demands = StepDemands(ports, order)
        self._commits = Asking(ports, order, COMMIT)
        self._reveals = Asking(ports, order, REVEAL)
        self._receipts: dict[int, ReceiptAnswered] = {}
        self._receipts_of: Digest | None = None
        """The seed of the receipts that were seen on chain."""

    def train(self) -> None:
        """Has the coordinator worker train with the matched nodes."""
        self._run_job("train", lambda: self.plan(None, None))
        self._log.enter(OrderState.TRAINED)

    def commit(self) -> None:
        """Has the nodes bind themselves to models and salts, and fixes both on chain by their signatures."""
        stored = self._log.load()
        self._commits.ask(stored, lambda match: CommitTask(order=self._id, match=match))
        self._retry.poll(lambda: self._all_answered(self._commits, self._commitments(stored)))
        bound, out = self._commitments(stored), self.out()
        models = [
            NOTHING_COMMITTED if shard in out else _on_chain(bound[contributor])
            for shard, contributor in enumerate(_contributors(stored))
        ]
        self._retry.transact(
            "commit",
            lambda: self._commitment().commit_block != 0,
            lambda: self._ports.writer.commit(self._id, stored.participants(), models),
            lambda receipt: self._log.mined("commit", receipt),
        )
        self._log.enter(OrderState.COMMITTED)

    def commit_signatures(self) -> dict[Address, Signature]:
        """By contributor, of those that bound themselves; from the chain, which has them whoever committed."""
        stored, committed = self._log.load(), self._commitment()
        pairs = zip(_contributors(stored), committed.signatures, strict=True)
        return {contributor: Signature(data) for contributor, data in pairs if data}

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
        train, seed = self.train_result(), self.seed_draw()
        self._run_job("score", lambda: self.plan(train, seed))
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
        undelivered = () if seed is None else self._undelivered(stored, seed)
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
            out=tuple(sorted(self.out())),
            excused=() if train is None else tuple(self._excused(undelivered)),
            undelivered=undelivered,
            training=self._training(stored),
        )

    def _training(self, stored: StoredOrder) -> ReusedTraining | None:
        """What the worker needs to read a training again; None where models are made to order."""
        named = stored.request.training
        if named is None:
            return None
        trained = OrderLog(self._ports, str(named)).load()
        return ReusedTraining(terms=trained.terms, request=trained.request, participants=trained.matched)

    def _excused(self, undelivered: Sequence[ShardResult]) -> list[int]:
        """Contributors whose evaluation was demanded on chain, and is not waited for any more."""
        late = {*self._demands.overdue("evaluate"), *(each.shard for each in undelivered)}
        return [k for k in sorted(late) if self._is_excused(k)]

    def _is_excused(self, shard: int) -> bool:
        return self._ports.chain.excuse(self._id, shard) is not Absence.NONE

    def _by_receipt(self) -> list[int]:
        """Shards whose files nobody brought in time and whose receipts stand on chain. None, where no other would be
        left: of nothing there is no score, and the order goes on waiting."""
        late = self._demands.overdue("sample")
        shown = [k for k in late if self._shown_receipt(k) is not None]
        return shown if len(shown) < len(self._log.load().matched) - len(self.out()) else []

    def _undelivered(self, stored: StoredOrder, seed: SeedDraw) -> tuple[ShardResult, ...]:
        """Those that are published by their receipts: their evaluations were demanded on chain too, and that has ended.
        What a worker was told once stays: whoever evaluated without a shard would pay for it in privacy again."""
        with self._ports.database.read() as session:
            job = JobRepository(session).locked(self._order, "score")
        told = None if job is None else JobPlan.read(job.plan, "plan")
        kept = () if told is None or told.seed != seed else told.undelivered
        if seed.seed != self._receipts_of:
            self._receipts, self._receipts_of = {}, seed.seed
        found = {each.shard: each for each in kept if self._shown_receipt(each.shard) is not None}
        late = self._by_receipt()
        if len({*late, *found}) < len(stored.matched) - len(self.out()):
            for k in late:
                shown = self._shown_receipt(k)
                if shown is not None and k not in found and self._is_excused(k):
                    found[k] = self._by_its_receipt(stored, k, shown)
        return tuple(found[k] for k in sorted(found))

    def _shown_receipt(self, shard: int) -> ReceiptAnswered | None:
        """The receipt that stands on chain. What was seen stays for as long as the seed does: to find it takes the
        market's whole log."""
        if shard not in self._receipts:
            shown = self._ports.chain.answered_receipt(self._id, shard)
            if shown is None:
                return None
            self._receipts[shard] = shown
        return self._receipts[shard]

    def _by_its_receipt(self, stored: StoredOrder, shard: int, shown: ReceiptAnswered) -> ShardResult:
        """A shard without files, by the receipt that the demands contract has checked."""
        member, receipt = stored.matched[shard], shown.receipt
        return ShardResult(
            shard=shard,
            contributor=member.contributor,
            rows=member.rows,
            model_digest=self._commitment().models[shard],
            shard_root=receipt.shard_root,
            epsilon_micro=receipt.epsilon_micro,
            delta_e12=receipt.delta_e12,
            content_digest=receipt.content_digest,
            receipt_signature=shown.signature,
        )

    def _run_job(self, phase: Phase, plan: Callable[[], JobPlan]) -> None:
        """plan: made anew at every look, for contributors may be dropped or excused meanwhile."""

        def look() -> bool | None:
            with self._ports.database.read() as session:
                known = JobRepository(session).locked(self._order, phase)
            if known is not None and known.state == WorkState.DONE:
                return True
            wanted = plan()
            if known is None or known.plan != wanted.encode():
                with self._ports.database.write() as session:
                    JobService(session).ensure(self._order, phase, wanted, int(self._ports.clock()))
            return self._finished(phase, lambda: plan() == wanted)

        self._retry.poll(look)

    def _finished(self, phase: Phase, is_current: Callable[[], bool]) -> bool | None:
        with self._ports.database.read() as session:
            job = JobRepository(session).locked(self._order, phase)
        assert job is not None
        if job.state == WorkState.DONE:
            return True
        tasks: tuple[TaskKind, ...] = ("train",) if phase == "train" else ("sample", "evaluate")
        self._require_matched()
        if phase == "train" and self.out():
            raise OrderFailedError("a contributor was dropped before the models were trained")
        # Every kind is looked at: a demand about one must not hide that another's time ran out.
        awaited = [task for task in tasks if self._demands.look(task, self._unexcused(task))]
        # A demand may have ended since the plan was made: then the phase begins again under another.
        if not awaited and is_current():
            _require_possible(job, phase)
            self._require_time(f"phase {phase} ended")
        return None

    def _unexcused(self, task: TaskKind) -> list[int]:
        """Shards without files are evaluated by the others alone; the registry asks why their contributors did not."""
        return [k for k in self._by_receipt() if not self._is_excused(k)] if task == "evaluate" else []

    def _try_draw(self, stored: StoredOrder, commitment: CommitmentOnChain) -> None:
        if self._ports.chain.block_number() <= commitment.target_block:
            return
        if not self._ports.chain.is_hash_fixed(self._id):
            self._fix_hash()
            return
        told = self._salts(stored, commitment)
        if not self._all_answered(self._reveals, told):
            return
        out = self.out()
        salts = [
            NO_SHARD if shard in out else told[contributor]
            for shard, contributor in enumerate(_contributors(stored))
        ]
        try:
            self._log.mined("draw", self._ports.writer.draw_seed(self._id, commitment.salts, salts))
        except RevertError as error:
            if error.name == MISSED:
                self._redraw()
                return
            # Somebody else drew: the next look decides.
            self._log.message(f"the seed draw was refused ({error.name or error}); looking again")
            self._retry.pause(1.0)

    def _fix_hash(self) -> None:
        """Salts are told only once the block's hash is kept on chain: of another block its producer would know them."""
        try:
            self._log.mined("fix", self._ports.writer.fix_hash(self._id))
        except RevertError as error:
            if error.name == MISSED:
                self._redraw()
                return
            # Somebody else fixed it or drew: the next look decides.
            self._log.message(f"the block's hash was not kept ({error.name or error}); looking again")
            self._retry.pause(1.0)

    def _salts(self, stored: StoredOrder, commitment: CommitmentOnChain) -> dict[Address, Digest]:
        """The salts that are the committed ones, told to the broker or shown on chain when they were demanded."""

        def holds(shard: int, told: RevealAnswer) -> bool:
            return salt_digest(self._id, shard, told.salt) == commitment.salts[shard]

        told = self._reveals.answers(stored, RevealAnswer, holds)
        found = {node: answer.salt for node, answer in told.items()}
        for shard in self._demands.overdue("reveal"):
            shown = self._ports.chain.answered_salt(self._id, shard)
            if shown is not None:
                found[stored.matched[shard].contributor] = shown.salt
        return found

    def _commitments(self, stored: StoredOrder) -> dict[Address, CommitAnswer]:
        """The answers that fit the trained models and their contributors' keys, and those shown on chain when they
        were demanded."""
        models = self.train_result().models

        def holds(shard: int, told: CommitAnswer) -> bool:
            contributor = stored.matched[shard].contributor
            return self._is_commitment(told, shard, contributor, models[shard].model_digest)

        found = self._commits.answers(stored, CommitAnswer, holds)
        for shard in self._demands.overdue("commit"):
            shown = self._ports.chain.answered_commitment(self._id, shard)
            if shown is not None:
                found[stored.matched[shard].contributor] = CommitAnswer(
                    shard=shard,
                    model_digest=shown.model_digest,
                    salt_digest=shown.salt_digest,
                    signature=shown.signature,
                )
        return found

    def _is_commitment(self, told: CommitAnswer, shard: int, contributor: Address, model: Digest) -> bool:
        message = ModelCommitment(self._id, shard, model, told.salt_digest)
        try:
            require_signer(self._ports.domain, message, told.signature, contributor)
        except SignatureError:
            return False
        return (told.shard, told.model_digest) == (shard, model)

    def _all_answered(self, asking: Asking, told: Container[Address]) -> bool | None:
        """True once every contributor that stands has a valid answer. Demands what is overdue. Raises OrderFailedError
        when that cannot come any more."""
        stored, out = self._log.load(), self.out()
        missing = [
            member.contributor
            for shard, member in enumerate(stored.matched)
            if member.contributor not in told and shard not in out
        ]
        if not missing:
            return True
        if not self._demands.look(asking.kind):
            refused = asking.refusals()
            for node in missing:
                if node in refused:
                    raise OrderFailedError(f"contributor {node} refused ({refused[node]})")
        self._require_matched()
        self._require_time("all contributors had answered")
        return None

    def out(self) -> frozenset[int]:
        """Shards that were dropped on chain."""
        return self._retry.call(lambda: self._ports.chain.shards(self._id)).out

    def _require_matched(self) -> None:
        if self._ports.chain.order(self._id).state is not ChainState.MATCHED:
            raise OrderFailedError("the order was ended on chain: too few contributors were left")

    def _require_time(self, event: str) -> None:
        """No deadline outruns a demand: while one is open the order goes on, and its end moves the deadline."""
        if self._ports.chain.order(self._id).open_demands:
            return
        if self._ports.chain.is_overdue(self._id):
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


def _on_chain(told: CommitAnswer) -> CommittedModel:
    return CommittedModel(told.model_digest, told.salt_digest, told.signature)


def _contributors(stored: StoredOrder) -> list[Address]:
    """In participant order."""
    return [member.contributor for member in stored.matched]
