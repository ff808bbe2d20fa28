"""What can go wrong in training, split by what the caller does next.

`TaskRefused` and its children travel back to whoever sent the task (a code and a reason); the others stop the
process that raised them with a message a person can act on. Every message says what was found, what was
expected and what to do.
"""

from __future__ import annotations


class GeneratorError(Exception):
    """Base of everything this package raises on purpose."""


class TaskFormatError(GeneratorError):
    """Bytes from the other side are not a task or result of this version: distrust the sender."""


class PlanError(GeneratorError):
    """A training plan or its settings cannot be carried out: fix the collection or the order."""


class FitError(GeneratorError):
    """`tessera fit` cannot do what it was asked: fix the arguments or the schema."""


class StateError(GeneratorError):
    """The node's own folder is missing, damaged or in use: an operator must look at it."""


class TransportError(GeneratorError):
    """Results could not be gathered: try again later, what was answered is kept."""


class UpdatesRejected(GeneratorError):  # noqa: N818 - an answer, not a fault
    """Too few honest updates are left to go on: the order fails, the named nodes are in the message."""


class TaskRefused(GeneratorError):  # noqa: N818 - an answer, not a fault
    """A node declines a task. `code` is for programs, `reason` for people; neither discloses table
    contents.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class BudgetExceeded(TaskRefused):
    """The release would take the table over its owner's privacy cap. Raised before any row is read."""

    def __init__(self, reason: str) -> None:
        super().__init__("privacy-cap", reason)


class NodeRefused(GeneratorError):  # noqa: N818 - an answer, not a fault
    """Seen by the coordinator: a node declined, so the order cannot be completed with these participants."""

    def __init__(self, node: str, code: str, reason: str) -> None:
        super().__init__(f"contributor {node} refused with {code}: {reason}")
        self.node = node
        self.code = code
        self.reason = reason


class DeviceError(GeneratorError):
    """The device that was asked for is not there."""
