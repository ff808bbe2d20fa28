"""Refusals as application/problem+json (RFC 9457), by one handler; bodies that are too large. Nothing foreign leaks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import (
    ApiError,
    ChainUnavailableError,
    ContentDamagedError,
    InvalidRequestError,
    NotFoundError,
    StoreUnavailableError,
    TooLargeError,
)
from provenance.api.errors import PROBLEM_TYPE, FieldProblem, Problem
from provenance.api.message import faults
from provenance.errors import ContentDamagedError as Damaged
from provenance.errors import ContentMissingError, MalformedError, UnavailableError
from provenance.errors import StoreUnavailableError as StoreDown

_LOG = logging.getLogger("backend.http")
_BYTES_PREFIXES = ("/v1/content", "/v1/tasks")


def install(app: FastAPI) -> None:
    """Registers the handlers. Any error that is not listed is a 500 without its words; the log has them."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(MalformedError, _malformed)
    app.add_exception_handler(UnavailableError, _unavailable)
    app.add_exception_handler(Damaged, _damaged)
    app.add_exception_handler(Exception, _unexpected)


def problem(
    status: int, code: str, title: str, detail: str, fields: Sequence[tuple[str, str]] = ()
) -> JSONResponse:
    """The document of one refusal."""
    errors = tuple(FieldProblem(field=field, message=message) for field, message in fields)
    document = Problem.of_code(status, code, title, detail, errors or None)
    return JSONResponse(document.to_document(), status, media_type=PROBLEM_TYPE)


def api_problem(error: ApiError) -> JSONResponse:
    return problem(error.status, error.code, error.title, error.detail, error.fields)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return api_problem(error)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = []
    for each in error.errors():
        # The first part says body, query or path.
        part, *place = each["loc"]
        found.append({**each, "loc": place or [part]})
    fields = faults(found)
    detail = "; ".join(f"{place}: {words}" if place else words for place, words in fields)
    return api_problem(InvalidRequestError(detail, tuple(fields)))


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    response = problem(error.status_code, phrase.lower().replace(" ", "-"), phrase, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _malformed(_request: Request, error: Exception) -> JSONResponse:
    return api_problem(InvalidRequestError(str(error)))


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, ContentMissingError):
        return api_problem(NotFoundError(str(error)))
    if isinstance(error, StoreDown):
        return api_problem(StoreUnavailableError(str(error)))
    return api_problem(ChainUnavailableError(str(error)))


async def _damaged(_request: Request, error: Exception) -> JSONResponse:
    return api_problem(ContentDamagedError(str(error)))


async def _unexpected(request: Request, _error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed", request.method, request.url.path)
    return problem(500, "internal", "The backend failed", "unexpected; the operator's log has the reason")


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """ASGI middleware. Content and tasks may carry `content_bytes`, everything else `json_bytes`.

    Decided from Content-Length before anything is read; a body without a stated length is refused.
    """

    app: ASGIApp
    json_bytes: int
    content_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers:
            response = problem(411, "length-required", "Length required", "send a Content-Length header")
            await response(scope, receive, send)
            return
        limit = self.content_bytes if scope["path"].startswith(_BYTES_PREFIXES) else self.json_bytes
        # The HTTP server has checked that this is a number and that the body has exactly this length.
        length = int(headers.get(b"content-length", b"0"))
        if length > limit:
            refusal = api_problem(TooLargeError(f"the body has {length} bytes, expected at most {limit}"))
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)
