"""What can go wrong in this package, split by what the caller does next.

Fix the arguments: `FitError`, `PlanError`, `SettingsError`, and the errors of one calculation (`PrivacyError`,
`MarginalError`, `LearningError`, `EvaluationError`, `DeviceError`).  Try again later: `TransportError`, `NotYet`,
`AwaitingApproval`.  Distrust the other side: `TaskFormatError`, `NetworkMismatch`.  An operator must look:
`StateError`.  An answer rather than a fault: `TaskRefused` travels back to whoever sent the task, `NodeRefused`
is the same seen by the coordinator, `UpdatesRejected`, `NodeExpired`
and `JobRefused` end the order. What can go wrong on the way to the market is in `provenance.api.errors`.

Every message says what was found, what was expected and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class GeneratorError(Exception):
    """Base of everything this package raises on purpose."""


# Calculations


class PrivacyError(GeneratorError, ValueError):
    """A privacy parameter lies outside the range for which a guarantee exists."""


class MarginalError(GeneratorError, ValueError):
    """A table, a release or a workload does not fit the schema or the codebook that it is used with."""


class LearningError(GeneratorError):
    """Training or quantisation cannot go on: settings, shapes or an optimiser in a state that is not safe."""


class EvaluationError(GeneratorError):
    """What was to be judged or scored is missing, has the wrong shape, or breaks the rules of the score."""


class DeviceError(GeneratorError):
    """The device that was asked for is not there."""


# Training, alone and between contributors


class FitError(GeneratorError):
    """`tessera fit` cannot do what it was asked: fix the arguments or the schema."""


class PlanError(GeneratorError):
    """A training plan or its settings cannot be carried out: fix the collection or the order."""


class TaskFormatError(GeneratorError):
    """Bytes from the other side are not a task or result of this version: distrust the sender."""


class InvalidAnswer(TaskFormatError):  # noqa: N818 - an answer, not a fault
    """Seen by the coordinator: what a contributor answered to a task does not hold. The market rejects it, and the
    broker demands the right one on chain."""

    def __init__(self, node: str, name: str, reason: str) -> None:
        super().__init__(f"contributor {node} answered task {name!r} with what does not hold: {reason}")
        self.node = node
        self.name = name
        self.reason = reason


class StateError(GeneratorError):
    """The node's own folder is missing, damaged or in use: an operator must look at it."""


class TransportError(GeneratorError):
    """Results could not be gathered: try again later, what was answered is kept."""


class UpdatesRejected(GeneratorError):  # noqa: N818 - an answer, not a fault
    """Too few honest updates are left to go on: the order fails, the named nodes are in the message."""


class TaskRefused(GeneratorError):  # noqa: N818 - an answer, not a fault
    """A node declines a task. `code` is for programs, `reason` for people; neither discloses table contents."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class BudgetExceeded(TaskRefused):
    """The release would take the table over its owner's privacy cap. Raised before any row is read.

    The message has the ledger's figures, for the table's owner; `reason`, which is sent to whoever asked, has none.
    """

    def __init__(self, figures: str) -> None:
        super().__init__("privacy-cap", "the table's owner does not allow this order")
        self.args = (f"{self.code}: {figures}",)
        self.figures = figures


class LedgerRestored(TaskRefused):
    """The table's privacy ledger does not go on from a head that this node signed and that is recorded on chain.

    The message has the ledger's figures, for the table's owner; `reason`, which is sent to whoever asked, has none.
    """

    def __init__(self, figures: str) -> None:
        super().__init__(
            "ledger-restored",
            "the table's privacy ledger does not go on from the one that was signed for an earlier data set: nothing "
            "is released from it until its owner brings the newest one back",
        )
        self.args = (f"{self.code}: {figures}",)
        self.figures = figures


class NodeRefused(GeneratorError):  # noqa: N818 - an answer, not a fault
    """Seen by the coordinator: a node declined, so the order cannot be completed with these participants."""

    def __init__(self, node: str, code: str, reason: str) -> None:
        super().__init__(f"contributor {node} refused with {code}: {reason}")
        self.node = node
        self.code = code
        self.reason = reason


class NodeExpired(GeneratorError):  # noqa: N818 - named by the situation
    """A node did not answer before the task or the order ran out of time; `nodes` are their addresses."""

    def __init__(self, nodes: list[str], name: str, reason: str) -> None:
        super().__init__(f"no answer to task {name!r} from {', '.join(nodes)}: {reason}")
        self.nodes = nodes
        self.name = name


class JobReplacedError(GeneratorError):
    """The market took a job back: it is done again, under another plan or by another worker."""


class JobRefused(GeneratorError):  # noqa: N818
    """A coordination job contradicts the chain or the documents its terms bind: the order must not go on."""


# The node process


class NodeError(GeneratorError):
    """Base of the errors that an operator of a node reads."""


class SettingsError(NodeError):
    """A settings or policy file, or an argument, cannot be used: correct it."""


class NetworkMismatch(NodeError):  # noqa: N818 - named by the situation
    """Market and chain do not say the same about contracts or chain: do not go on with this market."""


class AwaitingApproval(NodeError):  # noqa: N818
    """The operator must decide first; the task stays with the market until then."""


class NotYet(NodeError):  # noqa: N818
    """The chain has not reached the state that a task needs; it is tried again while the order lives."""

    patience_seconds: ClassVar[float] = math.inf
    """How long a node waits inside the task, at most for one lease."""


class NotRecorded(NotYet):
    """The record is not on chain, or not as deep as the node's `finality` asks, which may take long: other tasks are
    done meanwhile."""

    patience_seconds = 5.0


class KeyMissing(NotYet):
    """The wrapped key of a shard was lost or changed on this node's disk: an operator must restore it, and other tasks
    are done meanwhile."""

    patience_seconds = 0.0


class StopRequested(NodeError):  # noqa: N818
    """The process was asked to stop; whatever was begun is continued at the next start."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not among the known ones: the nearest of them, then all."""
    names = sorted(known)
    near = get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]!r}? Known" if near else "; known"
    return f"{what} {name!r} is unknown{hint}: {', '.join(names)}"
