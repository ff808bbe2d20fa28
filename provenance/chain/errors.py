"""What can go wrong with the chain, split by what the caller does next."""

from __future__ import annotations

from collections.abc import Mapping

from provenance.errors import MalformedError, ProvenanceError, UnavailableError
from provenance.units import TOKENS, TokenUnit


class ChainError(ProvenanceError):
    """Any failure at the chain. `name` and `arguments` are those of the contract's custom error, if any.

    `name` is for example `OrderEscrow_WrongState`; it is empty when the failure is not a custom error.
    """

    def __init__(
        self, message: str, *, name: str = "", arguments: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.name = name
        self.arguments = dict(arguments or {})
        self.unit: TokenUnit = TOKENS
        """How amounts among the arguments are written; whoever knows the market sets it."""


class RevertError(ChainError):
    """A contract refused the call: fix the request, sending it again changes nothing."""


class ChainUnavailableError(ChainError, UnavailableError):
    """The RPC node does not answer, or a transaction was not mined in time: try again."""


class LogRangeError(ChainError):
    """The node gives no logs of so many blocks at once: ask for fewer."""


class OutboxError(ChainError):
    """The outbox cannot be read or written: nothing is sent until it can."""


class DeploymentError(ChainError, MalformedError):
    """The deployment file is malformed, or names contracts that this chain does not have."""


class UnknownDatasetError(ChainError):
    """No data set with this id was published at this registry."""


class UnknownShardError(ChainError):
    """The data set has no shard of this number."""
