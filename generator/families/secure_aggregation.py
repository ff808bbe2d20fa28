"""Setting "noise": who adds it, and so who may see what.

"local": each contributor adds the whole noise alone; nobody has to be trusted, and its noisy counts are seen.
"distributed": each adds a share and masks its vector, so that only the sum of all is ever seen, with less noise in it
(`privacy.secure_sum`). Keys travel with the answers to "bins", each signed by its contributor's account; the mask is
bound to the whole task that all contributors got, so a coordinator that tells them different things gets noise.

Under "distributed" nobody can tell a poisoned vector from a good one, and the scores of shards refer to the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import PrivacyError, TaskFormatError, TaskRefused, UpdatesRejected
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Array, Result, answer, meta_of
from generator.privacy.accountant import DistributedNoise
from generator.privacy.secure_sum import Integers, Ring, add, honest_contributors, mask, public_of
from provenance.api.tasks import StepResult, SumKey, TrainTask
from provenance.record.collection import DISTRIBUTED, sums_alone
from provenance.values import Address, Digest

VECTOR: Final = "masked"
KEYS: Final = "keys"
"""The first step where nothing may leave a node unmasked: keys alone."""
COUNTS_RING: Final = Ring(64, 24)
_NOBODY = Address(bytes(20))


def uses_secure_aggregation(plan: TrainingPlan) -> bool:
    """Whether vectors of counts and gradients are seen in their sum alone; of one contributor that is its own."""
    return sums_alone(plan.settings) and len(plan.participants) > 1


def masks_everything(plan: TrainingPlan) -> bool:
    """Whether univariate counts too are seen in their sum alone: without epsilon no noise hides a contributor's own."""
    return plan.epsilon is None and uses_secure_aggregation(plan)


def exact_sums_of(plan: TrainingPlan) -> int:
    """Of how many contributors' exact counts the sum alone is seen; 0 under epsilon, or where each sends its own."""
    return len(plan.participants) if masks_everything(plan) else 0


def require_no_exact_counts(plan: TrainingPlan) -> None:
    """TaskRefused for a plan under which exact counts of one contributor would leave it: from exact counts of two or
    three columns whole rows can be read."""
    if plan.epsilon is not None or masks_everything(plan):
        return
    contributors, way = len(plan.participants), "masked sums" if sums_alone(plan.settings) else "each its own"
    raise TaskRefused(
        "exact-counts",
        f"the order asks for no privacy, with {contributors} contributor(s) of family {plan.family} that send {way}: "
        "exact counts would give rows of this table away. Expected epsilon, or a collection with the setting "
        f'"noise": "{DISTRIBUTED}" and two contributors or more, whose sum alone is seen: order one of these',
    )


def trusted_contributors(contributors: int, epsilon_micro: int) -> int:
    """How many contributors must keep to themselves what sums are made of: those whose noise makes up the whole, and
    without epsilon two at the least, for one can be told from the others' vectors and the sum."""
    return max(honest_contributors(contributors), 1 if epsilon_micro else 2)


def distributed_noise(plan: TrainingPlan) -> DistributedNoise | None:
    """Whose shares make up the noise of a release; None where each contributor's own is whole."""
    contributors = len(plan.participants)
    return (
        DistributedNoise(contributors, honest_contributors(contributors))
        if uses_secure_aggregation(plan)
        else None
    )


def with_sum_key(step: Step, epsilon_micro: int) -> StepResult:
    """What a node says with its first answer: its public key for the order's sums too, signed, where there are any."""
    if not uses_secure_aggregation(step.plan):
        return StepResult(epsilon_micro=epsilon_micro)
    public = Digest(public_of(step.order.sum_secret()))
    vouching = step.worker.vouching
    signature = "" if vouching is None else vouching.sign(step.plan.order, public)
    return StepResult(epsilon_micro=epsilon_micro, sum_key=public, sum_key_signature=signature)


def answer_keys(step: Step) -> Result:
    """The node's key alone; no row was read."""
    return answer(step.task, with_sum_key(step, 0))


def shown_sum_keys(plan: TrainingPlan, results: Sequence[Result]) -> tuple[SumKey, ...] | None:
    """All contributors' keys, in the order of the plan, as later rounds carry them; None where noise is local."""
    if not uses_secure_aggregation(plan):
        return None
    keys = []
    for result in results:
        told = meta_of(StepResult, result)
        if told.sum_key is None or told.sum_key_signature is None:
            raise TaskFormatError(f"{result.name} of {result.node} shows no key for the order's sums")
        keys.append(SumKey(sum_key=told.sum_key, sum_key_signature=told.sum_key_signature))
    return tuple(keys)


def masked(step: Step, vector: Integers, ring: Ring) -> dict[str, Array]:
    """The node's vector as it may leave; TaskRefused for keys that are not those of the plan's contributors."""
    keys = _read_keys(step)
    everybody_s_task = replace(step.task, node=_NOBODY)
    try:
        own = mask(step.order.sum_secret(), keys, everybody_s_task.digest, ring, len(vector))
    except PrivacyError as error:
        raise TaskRefused("bad-keys", str(error)) from error
    return {VECTOR: vector + own}


def unmasked(results: Sequence[Result], ring: Ring, count: int) -> NDArray[np.float64]:
    """The sum of all contributors' vectors; UpdatesRejected if one is missing, for none can be left out."""
    vectors: Mapping[str, Integers] = {
        str(result.node): result.arrays.get(VECTOR, np.empty(0)) for result in results
    }
    try:
        return add(vectors, ring, count)
    except PrivacyError as error:
        raise UpdatesRejected(str(error)) from error


def _read_keys(step: Step) -> list[bytes]:
    shown, participants = meta_of(TrainTask, step.task).sum_keys or (), step.plan.participants
    if len(shown) != len(participants):
        raise TaskFormatError(f"task {step.task.name} needs the sum keys of {len(participants)} contributors")
    for participant, key in zip(participants, shown, strict=True):
        if step.worker.vouching is not None:
            step.worker.vouching.check(
                participant.contributor, step.plan.order, key.sum_key, key.sum_key_signature
            )
    return [bytes(key.sum_key) for key in shown]
