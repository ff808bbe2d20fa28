"""The coordinator worker: leases an order's phases from the broker's backend and carries them through.

Everything it does is a replay: tasks are named, results are kept by the queue, the coordinator is
deterministic.  So a worker killed at any instant is replaced by one that repeats the phase and gets the
stored results back at once.  What can never succeed - a node that refuses, a plan that contradicts the chain
- is reported as the phase's failure: the backend goes on without a contributor that does not answer on chain
either, or gives the buyer the money back.  What may succeed later is left to the next lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from generator.errors import GeneratorError, InvalidAnswer, JobRefused, JobReplacedError
from generator.families.family import family_of
from generator.federation.coordinator import Coordinator, RoundProgress, TrainingOutcome
from generator.market.heartbeat import Heartbeat
from generator.market.jobs import OrderJob, read_job
from generator.market.score import ScorePhase
from generator.market.transport import QueueTransport, StoredResults
from provenance.api.coordination import LeasedJob, ModelResult, ScoreResult, TrainResult
from provenance.api.errors import MarketConflict, MarketRefused, MarketStopped
from provenance.api.market import MarketClient
from provenance.api.queue import Progress
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import ChainReads, DatasetOnChain
from provenance.chain.training import TrainingOnChain
from provenance.errors import MarketError, ProvenanceError, UnavailableError
from provenance.units import utc_time
from provenance.values import Digest

log = logging.getLogger(__name__)

WAIT_SECONDS = 10
LEASE_SECONDS = 10
_CLOCK_SECONDS = 2.0
_REASON_CHARACTERS = 1900


class CoordinationWorker:
    """Runs with the broker's key; needs no table, no torch, and no secret of a node."""

    def __init__(self, client: MarketClient, chain: ChainReads, stop: threading.Event) -> None:
        self._client = client
        self._chain = chain
        self._stop = stop

    def run(self) -> None:
        """Works until `stop` is set."""
        while not self._stop.is_set():
            try:
                self.step()
            except MarketStopped:
                return
            except (MarketError, UnavailableError) as error:
                log.warning("%s", error)
                self._stop.wait(1.0)

    def step(self, wait_seconds: int = WAIT_SECONDS) -> bool:
        """Leases and does one job; False when there was none."""
        job = self._client.lease_job(wait_seconds, LEASE_SECONDS)
        if job is None:
            return False
        log.info("phase %s of order %s", job.phase, job.order)
        began = time.monotonic()

        def renew(news: Progress | None) -> None:
            self._client.job_progress(job, LEASE_SECONDS, news)

        with Heartbeat(renew, LEASE_SECONDS) as beat:
            result = self._attempt(job, beat)
        # Of work that was taken back, to be done under another plan, nothing is told.
        if result is not None and not beat.lost:
            self._deliver(job, result)
            log.info("phase %s of order %s done in %.1f s", job.phase, job.order, time.monotonic() - began)
        return True

    def _attempt(self, job: LeasedJob, beat: Heartbeat) -> TrainResult | ScoreResult | None:
        """The phase's result; None when it failed for good or must wait for the next lease."""
        try:
            return self._phase(read_job(job, self._chain), beat)
        except (MarketStopped, UnavailableError):
            raise
        except JobReplacedError as error:
            log.warning("phase %s of order %s: %s", job.phase, job.order, error)
        except InvalidAnswer as error:
            # First the answer: the broker must see it rejected when it sees that the phase failed.
            self._reject(job, error)
            self._fail(job, str(error))
        except (GeneratorError, ProvenanceError) as error:
            self._fail(job, f"{type(error).__name__}: {error}")
        except Exception as error:
            # The edge of a long-running thread: the buyer gets the money back instead of waiting for the deadline.
            log.exception("phase %s of order %s broke", job.phase, job.order)
            self._fail(
                job, f"the coordinator's software failed ({type(error).__name__}); its log has the cause"
            )
        return None

    def _phase(self, job: OrderJob, beat: Heartbeat) -> TrainResult | ScoreResult:
        transport = QueueTransport(self._client, late=self._lateness(job, beat), stop=self._stop)
        plan = job.training_plan()
        training = transport if job.stock is None else StoredResults(self._client)
        coordinator = Coordinator(plan, training, family_of(plan.family))
        if job.phase == "train":
            outcome = job.served(coordinator.run(lambda now: beat.report(_progress(now))))
            self._require_committed(job, outcome)
            for flagged in outcome.flagged:
                log.warning("left out at %s: %s - %s", flagged.step, flagged.contributor, flagged.reason)
            for note in outcome.notes:
                log.warning("order %s: %s", job.order, note)
            return models_of(outcome)
        committed = self._chain.commitment(job.order)
        outcome = job.served(coordinator.run())
        phase = ScorePhase(
            self._chain.deployment.domain,
            transport,
            self._client.content,
            self._client.upload,
            lambda text: beat.report(Progress(message=text)),
            None if job.stock is None else self._recorded(job.stock.order),
        )
        return phase.run(job, outcome, committed)

    def _recorded(self, training: Digest) -> DatasetOnChain:
        """What the chain has of an order that trained; ChainUnavailableError where it took that back."""
        found = TrainingOnChain.read(self._chain, training).dataset
        if found is None:
            raise ChainUnavailableError(
                f"order {training}, whose models are sold, has no data set on chain as read here; looking again later"
            )
        return found

    def _require_committed(self, job: OrderJob, outcome: TrainingOutcome) -> None:
        """JobRefused unless models from stock are those that their contributors committed to when they were trained."""
        if job.stock is None:
            return
        committed = TrainingOnChain.read(self._chain, job.stock.order).models
        if wrong := [each for each in outcome.models if committed.get(each.contributor) != each.model_digest]:
            raise JobRefused(
                f"contributor {wrong[0].contributor} has model {wrong[0].model_digest} in the stored training of order "
                f"{job.stock.order}, the chain committed to {committed.get(wrong[0].contributor)}"
            )

    def _lateness(self, job: OrderJob, beat: Heartbeat) -> Callable[[], str | None]:
        """Asks the chain's clock now and then; an RPC endpoint that is down makes nobody late, nor does a deadline
        while something is demanded. The waiting ends with JobReplacedError when the market took the work back."""
        asked, answer = 0.0, None

        def late() -> str | None:
            nonlocal asked, answer
            if beat.lost:
                raise JobReplacedError("the market took the work back; it comes again if it is still wanted")
            if time.monotonic() - asked > _CLOCK_SECONDS:
                asked = time.monotonic()
                try:
                    is_overdue, due = self._chain.is_overdue(job.order), self._chain.deadline(job.order)
                    is_waited_for = self._chain.order(job.order).open_demands > 0
                except UnavailableError as error:
                    log.warning("%s", error)
                    return None
                if is_overdue and not is_waited_for:
                    answer = f"delivery was due by {utc_time(due)}"
            return answer

        return late

    def _deliver(self, job: LeasedJob, result: TrainResult | ScoreResult) -> None:
        try:
            self._client.finish_job(job, result)
        except MarketConflict as error:
            log.warning(
                "another result of phase %s of order %s is there: %s", job.phase, job.order, error.detail
            )
        except MarketRefused as error:
            self._fail(job, f"the backend refuses the result: {error.detail}")

    def _reject(self, job: LeasedJob, invalid: InvalidAnswer) -> None:
        for task in self._client.tasks(job.order, invalid.name):
            if str(task.node) == invalid.node:
                self._client.reject_result(task.id, invalid.reason[:_REASON_CHARACTERS])

    def _fail(self, job: LeasedJob, reason: str) -> None:
        log.error("phase %s of order %s failed: %s", job.phase, job.order, reason)
        try:
            self._client.fail_job(job, reason[:_REASON_CHARACTERS])
        except MarketConflict as error:
            log.warning("the failure came too late: %s", error.detail)


def models_of(outcome: TrainingOutcome) -> TrainResult:
    """The train phase's result: digests and privacy, in shard order."""
    return TrainResult(
        models=tuple(
            ModelResult(
                contributor=model.contributor,
                shard=model.shard,
                model_digest=model.model_digest,
                epsilon_micro=model.epsilon_micro,
                delta_e12=model.delta_e12,
            )
            for model in outcome.models
        )
    )


def _progress(now: RoundProgress) -> Progress:
    loss = now.losses.get("discriminator", next(iter(now.losses.values()), None))
    step = f"{now.name} done, {now.sent_bytes / 1e6:.1f} MB sent by a node"
    return Progress.measured(step, round=now.round, rounds=now.rounds, loss=loss, epsilon=now.epsilon)
