"""What can go wrong between a node or coordinator and the market, split by what the caller does next.

`MarketUnreachable`: wait and try again.  `MarketRefused`: fix the request, repeating it changes nothing.
`MarketAnswerInvalid`: the other side does not speak this version.  `NodeExpired` names the silent nodes; a
node that refused is `generator.errors.NodeRefused`.
"""

from __future__ import annotations

from generator.errors import GeneratorError, TransportError


class MarketError(GeneratorError):
    """Base of every error of this package."""


class MarketUnreachable(MarketError, TransportError):  # noqa: N818 - named by the situation, as the others are
    """No answer, or only 429 and 5xx, for longer than the retry policy allows."""


class MarketStopped(MarketError):  # noqa: N818
    """The caller asked to leave while a request was waiting for its next attempt."""


class MarketAnswerInvalid(MarketError):  # noqa: N818
    """An answer of the market lacks a field or holds another type than agreed."""


class MarketRefused(MarketError):  # noqa: N818
    """A 4xx answer: status, problem type and detail as the market said them (RFC 9457)."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{request}: the market answered {status} ({code}): {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class MarketUnauthenticated(MarketRefused):
    """401: signature, clock or nonce of the request were not accepted."""


class MarketForbidden(MarketRefused):
    """403: known, and not allowed - for example a node without stake."""


class MarketNotFound(MarketRefused):
    """404: no such collection, order, task or content."""


class MarketConflict(MarketRefused):
    """409 or 410: the lease was lost, or other bytes are already there under this name."""


class NodeExpired(MarketError):  # noqa: N818
    """A node did not answer before the task or the order ran out of time; `nodes` are their addresses."""

    def __init__(self, nodes: list[str], name: str, reason: str) -> None:
        super().__init__(f"no answer to task {name!r} from {', '.join(nodes)}: {reason}")
        self.nodes = nodes
        self.name = name


class JobRefused(MarketError):  # noqa: N818
    """A coordination job contradicts the chain or the documents its terms bind: the order must not go on."""


def refused(request: str, status: int, code: str, detail: str) -> MarketRefused:
    """The error class of a 4xx status."""
    kinds = {
        401: MarketUnauthenticated,
        403: MarketForbidden,
        404: MarketNotFound,
        409: MarketConflict,
        410: MarketConflict,
    }
    return kinds.get(status, MarketRefused)(request, status, code, detail)
