"""A refusal as the market says it: application/problem+json (RFC 9457)."""

from __future__ import annotations

from typing import Final

from provenance.api.message import Message, Several, optional

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
