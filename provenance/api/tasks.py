"""What broker, coordinator and contributors say to each other: offers, training steps, samples, evaluations, keys.

`accept`, `commit` and `reveal` tasks and their answers are JSON, and so is a `release` task, which is answered by the
wrapped key itself, 80 bytes. The other tasks and results are one safetensors file
each, whose only metadata entry, `tessera`, is the canonical JSON of an `Envelope`; its `meta` is one of the messages
here and its arrays are named by whoever makes them. A training step may say more than `StepResult` only in arrays.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, cast

from pydantic import Field

from provenance.api.message import (
    Bps,
    Count,
    JsonObject,
    Message,
    Several,
    WireAddress,
    WireCid,
    WireCollection,
    WireDigest,
    WireReceipt,
    WireRequest,
    WireSchema,
    WireShardContent,
    WireSignature,
    WireTerms,
    optional,
)
from provenance.api.queue import TaskKind
from provenance.canonical import MAX_INTEGER
from provenance.units import WHOLE_MICRO

LossText = Annotated[
    str, Field(pattern=r"^(-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|-?inf|nan)$", max_length=40)
]
"""A loss as decimal text: canonical JSON has no floats. One that is not finite is reported as it is."""

ACCEPT: Final = "accept"
COMMIT: Final = "commit"
REVEAL: Final = "reveal"
SAMPLE: Final = "sample"
EVALUATE: Final = "evaluate"
RELEASE: Final = "release"
FINISH: Final = "finish"
TASK_FORMAT: Final = "tessera-task/2"
RESULT_FORMAT: Final = "tessera-result/2"


def evaluation_name(missing: int) -> str:
    """The name of the task to evaluate a data set without the rows of so many of the matched contributors."""
    return f"{EVALUATE}/{missing:04}" if missing else EVALUATE


def kind_of(name: str) -> TaskKind:
    """The queue's kind of a task: nodes show it to their operators and choose the handler by it.

    Every name but six is a step of training.
    """
    word = name.split("/")[0]
    return cast(TaskKind, word) if word in (ACCEPT, COMMIT, REVEAL, SAMPLE, EVALUATE, RELEASE) else "train"


class Envelope(Message):
    """Whose work it is. name: the step, such as `bins` or `round/0003`; (order, node, name) is the work's identity."""

    format: Literal["tessera-task/2", "tessera-result/2"]
    order: WireDigest
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}(/[0-9]{4,8})?$")
    node: WireAddress
    meta: JsonObject


class AcceptOffer(Message):
    """An order that a node may put its name to: every part is bound by digest or signature."""

    format: Literal["tessera-accept/1"] = "tessera-accept/1"
    order_id: WireDigest
    terms: WireTerms
    signature: WireSignature
    collection: WireCollection
    request: WireRequest
    chain_id: Count
    escrow: WireAddress


class AcceptAnswer(Message):
    """The node's EIP-712 `Acceptance` of at most `max_rows` rows."""

    max_rows: int = Field(ge=1, le=MAX_INTEGER)
    signature: WireSignature


class PlannedContributor(Message):
    contributor: WireAddress
    declared_rows: int = Field(ge=1, le=MAX_INTEGER)


class PlanDocument(Message):
    """One order's training as agreed by everyone; canonical, because nodes compare and store its bytes.

    epsilon_micro: None for no privacy. settings: those of the family, integers and text only.
    """

    format: Literal["tessera-plan/1"] = "tessera-plan/1"
    order: WireDigest
    family: str
    # `schema` is a method of pydantic's own.
    table_schema: WireSchema = Field(alias="schema")
    epsilon_micro: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None
    delta_e12: Count
    participants: Annotated[Several[PlannedContributor], Field(min_length=1)]
    settings: dict[str, int | str]


class SumKey(Message):
    """A contributor's public key of an order's secure sums. Its signature is empty where nobody asked for one."""

    sum_key: WireDigest
    sum_key_signature: str


class TrainTask(Message):
    """A step of training. sum_keys: of all contributors in the plan's order, where noise comes in parts."""

    plan: PlanDocument
    sum_keys: Several[SumKey] | None = optional()


class StepResult(Message):
    """What a step cost so far, and how it went."""

    epsilon_micro: Count
    losses: dict[str, LossText] | None = optional()
    sum_key: WireDigest | None = optional()
    sum_key_signature: str | None = optional()
    seen_rows: Count | None = optional()
    unseen_rows: Count | None = optional()


class FinishResult(Message):
    """A finished model: its digest and its privacy statement."""

    model_digest: WireDigest
    model_bytes: Count
    epsilon_micro: Count
    delta_e12: Count
    statement: JsonObject
    losses: dict[str, LossText]


class CommitTask(Message):
    """Asks a node to bind itself to its finished model. match: digest of the participants as the chain has them."""

    format: Literal["tessera-commit/1"] = "tessera-commit/1"
    order: WireDigest
    match: WireDigest


class CommitAnswer(Message):
    """The node's EIP-712 `ModelCommitment` as participant `shard` of the match."""

    shard: Count
    model_digest: WireDigest
    salt_digest: WireDigest
    signature: WireSignature


class RevealTask(Message):
    """Asks for the salt that the node committed to in this match, once the block of the seed is on chain."""

    format: Literal["tessera-reveal/1"] = "tessera-reveal/1"
    order: WireDigest
    match: WireDigest


class RevealAnswer(Message):
    """The salt itself: with everybody's and the block's hash it makes the seed."""

    salt: WireDigest


class ReleaseTask(Message):
    """Asks for the wrapped key of the node's shard, once the order's record stands on chain. The answer is the file
    with this name."""

    format: Literal["tessera-release/1"] = "tessera-release/1"
    order: WireDigest
    wrapped_key_cid: WireCid


class SampleTask(Message):
    """The drawn seed and the shard that is wanted; the node believes only what the chain says too."""

    seed: WireDigest
    draws: Count
    shard: Count
    rows: Count


class SampleResult(Message):
    """The signed receipt of a shard and the content document it names; pair counts come as arrays."""

    receipt: WireReceipt
    signature: WireSignature
    content: WireShardContent


class EvaluateTask(Message):
    """The data set's roots and the shares that the evidence (as arrays) gives; the node computes both again.
    undelivered: shards that are published by the receipts which stand on chain, without evidence."""

    dataset_root: WireDigest
    shard_roots: Several[WireDigest]
    shares_bps: Several[Bps]
    undelivered: Several[Count] = ()


class EvaluateResult(Message):
    """The noisy hold-out score, the signature under score and shares, and what the score's release cost."""

    score_micro: Annotated[int, Field(ge=0, le=WHOLE_MICRO)]
    signature: WireSignature
    epsilon_micro: Count = 0
