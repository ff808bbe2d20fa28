"""Errors of the node process.  What goes back to the sender of a task is `generator.errors.TaskRefused`."""

from __future__ import annotations

from generator.errors import GeneratorError


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


class Leaving(NodeError):  # noqa: N818
    """The process was asked to stop; whatever was begun is continued at the next start."""
