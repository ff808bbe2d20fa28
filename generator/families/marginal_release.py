"""The releases that every family begins with: univariate counts for the bins, then the tables of counts.

Coordinator side: `release_marginals`. Node side: `answer_bins`, `answer_tables`, `read_target`.
How much noise, and over which tables: `release_noise`. The tables are each node's own, or seen in their sum alone
(secure aggregation). The bins are released by each node alone, sparse and under noise; without epsilon they are
masked too where tables are, over all cells that a vector has room for, after a round that exchanges keys.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError, UpdatesRejected
from generator.families.codebook_message import codebook_arrays, read_codebook
from generator.families.release_noise import BINS, TABLES, Noise, summed_noise, workload_of
from generator.families.secure_aggregation import (
    COUNTS_RING,
    KEYS,
    masked,
    masks_everything,
    shown_sum_keys,
    unmasked,
    uses_secure_aggregation,
    with_sum_key,
)
from generator.federation.aggregate import Flagged, summed
from generator.federation.coordinator import Round
from generator.federation.plan import PlanParticipant, TrainingPlan
from generator.federation.state import TrainingState
from generator.federation.step import Step
from generator.federation.task import Array, Result, answer, from_fixed, to_fixed
from generator.marginals.bins import (
    BinRelease,
    base_grid,
    bins_of_sum,
    build_codebook,
    dense_bins,
    dense_cells,
    encode_codes,
    release_bins,
    sum_bins,
)
from generator.marginals.measure import release_tables, release_tables_share, table_exponent
from generator.marginals.target import (
    MarginalTarget,
    passes_snr_cut,
    shrink_towards,
    shrinkage_target,
    target_from_counts,
)
from generator.marginals.workload import Workload
from generator.privacy.noise import from_steps, to_steps
from generator.privacy.release import composed_epsilon
from generator.privacy.statement import epsilon_micro
from provenance.api.tasks import StepResult, SumKey
from provenance.exact.codebook import Codebook
from provenance.values import Address

_EVERYBODY: Final = "everybody"
_COUNTS: Final = "counts"
T = TypeVar("T")
_ROWS_FACTOR = 3.0
_NOISE_STDS = 8.0


@dataclass(frozen=True, slots=True)
class Marginals:
    """What the two rounds gave the coordinator.

    everybody: summed counts float64[K] of the nodes that were not flagged, with noise of standard deviation
    `std`. counts: each node's own noisy counts, with noise of `own_std`; none where only the sum was seen.
    flagged: nodes whose counts were left out. sum_keys: what later rounds tell every node.
    """

    codebook: Codebook
    workload: Workload
    everybody: NDArray[np.float64]
    std: float
    own_std: float
    counts: Mapping[Address, NDArray[np.float64]]
    flagged: tuple[Flagged, ...]
    sum_keys: tuple[SumKey, ...] | None

    def arrays(self) -> dict[str, Array]:
        """What the nodes get for fitting."""
        return {
            **codebook_arrays(self.codebook),
            _EVERYBODY: to_fixed(self.everybody),
            "everybody_std": to_fixed(np.array([self.std])),
        }

    def shrinkage_target(self, plan: TrainingPlan) -> dict[str, Array]:
        """What the nodes' own tables are shrunk towards, in place of `everybody` in `arrays`; nothing where no node's
        tables pass the SNR cut."""
        left_out = {flag.contributor for flag in self.flagged if flag.step == TABLES}
        owns = []
        for node, counts in self.counts.items():
            declared = plan.participant(node).training_rows
            try:
                own = target_from_counts(counts, self.workload, self.own_std, declared)
            except MarginalError:  # more noise than rows: nothing for the others
                continue
            if node not in left_out and passes_snr_cut(own, declared):
                owns.append((declared, own))
        if not owns:
            return {}
        common = shrinkage_target(owns)
        return {
            _EVERYBODY: to_fixed(common.probabilities * common.rows),
            "everybody_std": to_fixed(np.array([common.std * common.rows])),
        }

    def references(self, plan: TrainingPlan) -> dict[Address, dict[str, Array]]:
        """Per node its noisy counts, the reference for evaluation and contribution; an equal part of the sum where
        only that was seen.
        """
        if uses_secure_aggregation(plan):
            part = self.everybody / len(plan.participants)
            return {participant.contributor: {_COUNTS: part} for participant in plan.participants}
        return {node: {_COUNTS: counts} for node, counts in self.counts.items()}


def own_reference(plan: TrainingPlan, order: TrainingState, exponent: int) -> Array | None:
    """What a node knows to be its reference, float64[K]: its own release, which is in steps of 2^exponent, or its part
    of the sum that it was given.
    """
    if uses_secure_aggregation(plan):
        kept = order.load_arrays(_EVERYBODY)
        return None if kept is None else from_fixed(kept[_EVERYBODY]) / len(plan.participants)
    stored = order.result(TABLES)
    return None if stored is None else from_steps(stored.arrays[_COUNTS], exponent)


def release_marginals(
    plan: TrainingPlan, noise: Noise, number_bins: int | None = None
) -> Generator[Round, list[Result], Marginals]:
    """The coordinator's first rounds. number_bins: see `build_codebook`."""
    flagged: list[Flagged] = []
    sum_keys = None
    if masks_everything(plan):
        sum_keys = shown_sum_keys(plan, (yield Round(KEYS)))
        bins = _summed_bins(plan, (yield Round(BINS, {}, sum_keys)))
    else:
        shown = yield Round(BINS)
        sum_keys = shown_sum_keys(plan, shown)
        bins = sum_bins(_most(_separate_bins(plan, shown, noise, flagged), plan, flagged))
    codebook = build_codebook(plan.schema, bins, number_bins)
    workload = workload_of(plan, codebook, noise.tables)
    own_std = noise.tables * workload.sensitivity
    results = yield Round(TABLES, codebook_arrays(codebook), sum_keys)
    if uses_secure_aggregation(plan):
        counts: dict[Address, NDArray[np.float64]] = {}
        everybody = unmasked(results, COUNTS_RING, workload.cells)
        std = summed_noise(plan, own_std, len(results))
        totals = np.add.reduceat(everybody, workload.offsets[:-1])
        _require_plausible_sum(plan, "tables", totals, workload.cells, std)
    else:
        counts, kept = _separate_counts(plan, results, workload, noise.tables, flagged)
        everybody = summed(_most(kept, plan, flagged))
        std = own_std * math.sqrt(len(kept))
    return Marginals(codebook, workload, everybody, std, own_std, counts, tuple(flagged), sum_keys)


def _separate_bins(
    plan: TrainingPlan, results: Sequence[Result], noise: Noise, flagged: list[Flagged]
) -> list[BinRelease]:
    """The releases that are plausible."""
    grid = base_grid(plan.schema)
    bins: list[BinRelease] = []
    for result in results:
        try:
            # The noise is the plan's; what a node says about it is not believed.
            release = BinRelease.from_arrays(result.arrays, grid, noise.bins * grid.sensitivity)
        except MarginalError as error:
            flagged.append(Flagged(result.node, BINS, str(error)))
            continue
        totals = grid.totals(release.base)
        participant, std = plan.participant(result.node), release.noise_std
        if _keep_plausible(participant, BINS, totals, len(release.base), std, flagged):
            bins.append(release)
    return bins


def _summed_bins(plan: TrainingPlan, results: Sequence[Result]) -> BinRelease:
    """All contributors' exact counts in one release."""
    grid = base_grid(plan.schema)
    bins = bins_of_sum(unmasked(results, COUNTS_RING, dense_cells(grid)), grid)
    _require_plausible_sum(plan, "univariate counts", grid.totals(bins.base), len(bins.base), 0.0)
    return bins


def _separate_counts(
    plan: TrainingPlan,
    results: Sequence[Result],
    workload: Workload,
    noise_multiplier: float,
    flagged: list[Flagged],
) -> tuple[dict[Address, NDArray[np.float64]], list[NDArray[np.float64]]]:
    """(every node's counts, those that are plausible)."""
    exponent, std = table_exponent(workload, noise_multiplier), noise_multiplier * workload.sensitivity
    counts: dict[Address, NDArray[np.float64]] = {}
    kept: list[NDArray[np.float64]] = []
    for result in results:
        sent = result.arrays.get(_COUNTS, np.empty(0))
        if sent.shape != (workload.cells,) or sent.dtype != np.int64:
            problem = f"counts are {sent.dtype}{list(sent.shape)}, expected int64[{workload.cells}]"
            flagged.append(Flagged(result.node, TABLES, problem))
            continue
        noisy = from_steps(sent, exponent)
        counts[result.node] = noisy
        totals = np.add.reduceat(noisy, workload.offsets[:-1])
        if _keep_plausible(plan.participant(result.node), TABLES, totals, workload.cells, std, flagged):
            kept.append(noisy)
    return counts, kept


def _require_plausible_sum(
    plan: TrainingPlan, what: str, totals: NDArray[np.float64], cells: int, std: float
) -> None:
    """Masks that do not cancel, or a vector that no table gives, end the order: who sent it cannot be told."""
    problem = _implausible(totals, plan.training_rows, cells, std)
    if problem:
        raise UpdatesRejected(f"the contributors' {what} together {problem}; whose they are was not seen")


def answer_bins(step: Step, noise: Noise) -> Result:
    """The node's univariate counts, recorded before they are drawn."""
    step.record(BINS)
    grid = base_grid(step.plan.schema)
    release = release_bins(step.state.training, grid, noise.bins)
    if masks_everything(step.plan):
        arrays = masked(step, COUNTS_RING.encode(dense_bins(release, grid)), COUNTS_RING)
        return answer(step.task, StepResult(epsilon_micro=0), arrays)
    return answer(step.task, with_sum_key(step, spent_micro(step)), release.arrays())


def answer_tables(step: Step, noise: Noise) -> Result:
    """The node's tables over the coordinator's codebook, recorded before they are drawn."""
    codebook = read_codebook(step)
    workload = workload_of(step.plan, codebook, noise.tables)
    codes = encode_codes(step.state.training, codebook)
    step.record(TABLES)
    if uses_secure_aggregation(step.plan):
        contributors = len(step.plan.participants)
        part = release_tables_share(codes, workload, noise.tables, contributors, COUNTS_RING)
        arrays = masked(step, part, COUNTS_RING)
    else:
        exponent = table_exponent(workload, noise.tables)
        arrays = {_COUNTS: to_steps(release_tables(codes, workload, noise.tables), exponent)}
    return answer(step.task, StepResult(epsilon_micro=spent_micro(step)), arrays)


def read_target(step: Step, noise: Noise) -> tuple[Codebook, MarginalTarget]:
    """Codebook and target of a later step, from its arrays and, blended in, the node's own stored release if
    it made one.
    """
    codebook = read_codebook(step)
    workload = workload_of(step.plan, codebook, noise.tables)
    stored = step.order.result(TABLES)
    if stored is None:
        raise MarginalError(f"step {step.task.name} came before {TABLES}; ask for that first")
    std, declared = float(from_fixed(step.array("everybody_std"))[0]), step.plan.training_rows
    everybody = target_from_counts(from_fixed(step.array(_EVERYBODY)), workload, std, declared)
    if len(step.plan.participants) == 1 or uses_secure_aggregation(step.plan):
        return codebook, everybody
    try:
        declared = step.plan.participant(step.worker.contributor).training_rows
        std = noise.tables * workload.sensitivity
        own_counts = from_steps(stored.arrays[_COUNTS], table_exponent(workload, noise.tables))
        own = target_from_counts(own_counts, workload, std, declared)
    except MarginalError:  # more noise than own rows: the node learns from everybody's alone
        return codebook, everybody
    return codebook, shrink_towards(own, everybody)


def keep_reference(step: Step) -> None:
    """What the evaluation will be compared with, from the last task's arrays; the secret of the sums has
    done its work.
    """
    if uses_secure_aggregation(step.plan):
        step.order.save_arrays(_EVERYBODY, {_EVERYBODY: step.array("everybody")})
        step.order.drop_sum_secret()


def spent_micro(step: Step) -> int:
    """Epsilon in millionths that this order has cost so far, for the coordinator's progress; 0 without privacy."""
    epsilon = composed_epsilon(step.recorded(), step.plan.delta) if step.plan.epsilon is not None else 0.0
    return epsilon_micro(epsilon)


def _keep_plausible(
    participant: PlanParticipant,
    step: str,
    totals: NDArray[np.float64],
    cells: int,
    std: float,
    flagged: list[Flagged],
) -> bool:
    """Whether histograms sum to about the declared training rows; otherwise the node is flagged.

    Where no column has to be counted there is nothing to doubt.
    """
    reason = _implausible(totals, participant.training_rows, cells, std)
    if reason:
        flagged.append(Flagged(participant.contributor, step, f"histograms {reason}"))
    return not reason


def _implausible(totals: NDArray[np.float64], declared: int, cells: int, std: float) -> str:
    """What is wrong with histograms of these totals; empty if nothing is.

    Every row is in every histogram once, so each total is the row count plus noise of std * sqrt(its cells).
    """
    allowance = _NOISE_STDS * std * math.sqrt(cells)
    low, high = declared / _ROWS_FACTOR - allowance, declared * _ROWS_FACTOR + allowance
    if not len(totals) or (low <= float(totals.min()) and float(totals.max()) <= high):
        return ""
    return f"sum to {totals.min():.0f} to {totals.max():.0f} rows, {declared} training rows are declared"


def _most(kept: list[T], plan: TrainingPlan, flagged: list[Flagged]) -> list[T]:
    if not kept or 2 * len(kept) < len(plan.participants):
        names = "; ".join(f"{f.contributor}: {f.reason}" for f in flagged)
        raise UpdatesRejected(f"{len(kept)} of {len(plan.participants)} releases are plausible ({names})")
    return kept
