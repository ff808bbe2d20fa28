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
from generator.families.settings import Word
from generator.federation.coordinator import text_of
from generator.federation.plan import TrainingPlan
from generator.federation.step import Step
from generator.federation.task import Array, Json, Result
from generator.privacy.accountant import DistributedNoise
from generator.privacy.secure_sum import Integers, Ring, add, honest_contributors, mask, public_of
from provenance.errors import ProvenanceError
from provenance.values import Address, Digest

SETTING: Final = "noise"
LOCAL, DISTRIBUTED = "local", "distributed"
NOISE: Final = Word((LOCAL, DISTRIBUTED))
VECTOR: Final = "masked"
COUNTS_RING: Final = Ring(64, 24)
_KEY, _SIGNATURE, _KEYS = "sumKey", "sumKeySignature", "sumKeys"
_NOBODY = Address(bytes(20))


def uses_secure_aggregation(plan: TrainingPlan) -> bool:
    """Whether vectors of counts and gradients are seen in their sum alone; of one contributor that is its own."""
    return plan.settings.get(SETTING) == DISTRIBUTED and len(plan.participants) > 1


def distributed_noise(plan: TrainingPlan) -> DistributedNoise | None:
    """Whose shares make up the noise of a release; None where each contributor's own is whole."""
    contributors = len(plan.participants)
    return (
        DistributedNoise(contributors, honest_contributors(contributors))
        if uses_secure_aggregation(plan)
        else None
    )


def key_meta(step: Step) -> dict[str, Json]:
    """The node's public key for the order's sums, signed; nothing where noise is local."""
    if not uses_secure_aggregation(step.plan):
        return {}
    public = Digest(public_of(step.order.sum_secret()))
    vouching = step.worker.vouching
    signature = "" if vouching is None else vouching.sign(step.plan.order, public)
    return {_KEY: str(public), _SIGNATURE: signature}


def keys_meta(plan: TrainingPlan, results: Sequence[Result]) -> dict[str, Json]:
    """All contributors' keys, in the order of the plan, as later rounds carry them."""
    if not uses_secure_aggregation(plan):
        return {}
    keys: list[Json] = [
        {_KEY: text_of(result, _KEY), _SIGNATURE: text_of(result, _SIGNATURE)} for result in results
    ]
    return {_KEYS: keys}


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
    entries = step.task.meta.get(_KEYS)
    participants = step.plan.participants
    if not isinstance(entries, list) or len(entries) != len(participants):
        raise TaskFormatError(f"task {step.task.name} needs the sum keys of {len(participants)} contributors")
    keys: list[bytes] = []
    for participant, entry in zip(participants, entries, strict=True):
        if not isinstance(entry, dict):
            raise TaskFormatError(
                f"task {step.task.name}: a sum key is {entry!r}, expected key and signature"
            )
        try:
            public = Digest.parse(str(entry.get(_KEY)))
        except (ProvenanceError, ValueError) as error:
            raise TaskFormatError(f"task {step.task.name} has an unreadable sum key: {error}") from error
        if step.worker.vouching is not None:
            step.worker.vouching.check(
                participant.contributor, step.plan.order, public, str(entry.get(_SIGNATURE))
            )
        keys.append(bytes(public))
    return keys
