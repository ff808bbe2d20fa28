"""What can go wrong between a client and the market, split by what the caller does next, and how a refusal is sent.

`MarketUnreachable`: wait and try again. `MarketRefused`: fix the request, repeating it changes nothing.
`MarketAnswerInvalid`: the other side does not speak this version. `MarketStopped`: the caller itself wanted to leave.
"""

from __future__ import annotations

from typing import Final

from provenance.api.message import Message, Several, optional
from provenance.errors import MalformedError, MarketError, UnavailableError

PROBLEM_TYPE: Final = "application/problem+json"
_URN: Final = "urn:tessera:problem:"


class FieldProblem(Message):
    """One member that is wrong."""

    field: str
    message: str


class Problem(Message):
    """code is for programs, detail for people; errors name the members of a malformed body."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: Several[FieldProblem] | None = optional()

    @classmethod
    def of_code(
        cls, status: int, code: str, title: str, detail: str, errors: Several[FieldProblem] | None = None
    ) -> Problem:
        """The document of a code of docs/spec/http.md."""
        return cls(type=_URN + code, title=title, status=status, detail=detail, code=code, errors=errors)


class MarketUnreachable(MarketError, UnavailableError):  # noqa: N818 - named by the situation, as the others are
    """No answer, or only 429 and 5xx, for longer than the retry policy allows."""


class MarketStopped(MarketError):  # noqa: N818
    """The caller asked to leave while a request was waiting for its next attempt."""


class MarketAnswerInvalid(MarketError):  # noqa: N818
    """An answer is larger than agreed, lacks a member, or holds another one or another type than agreed."""


class MarketAddressError(MarketError, MalformedError):
    """What was given as the market's address is none."""


class MarketRefused(MarketError):  # noqa: N818
    """An answer from 300 to 499: status, problem code and detail as the market said them (RFC 9457)."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{request}: refused with {status} ({code}): {detail}")
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


def refused(request: str, status: int, code: str, detail: str) -> MarketRefused:
    """The error of a status."""
    return _KINDS.get(status, MarketRefused)(request, status, code, detail)


_KINDS = {
    401: MarketUnauthenticated,
    403: MarketForbidden,
    404: MarketNotFound,
    409: MarketConflict,
    410: MarketConflict,
}
