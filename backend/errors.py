"""What the backend refuses, and why. The HTTP status lives on the class; one handler writes problem+json.

`StartupError` ends the process with one line. `ApiError` answers one request. `Stopping` unwinds a workflow thread when
the process leaves, so that the workflow engine keeps the step as not done.
"""

from __future__ import annotations


class BackendError(Exception):
    """Root of the errors that this package raises on purpose."""


class StartupError(BackendError):
    """The process cannot start; the message says what to change."""


class OrderFailedError(BackendError):
    """An order cannot be delivered; the message is shown to the buyer, the money goes back."""


class Stopping(BaseException):
    """The process is leaving. Not an Exception: a durable step that raises it counts as never finished."""


class ApiError(BackendError):
    """An answer that is not 2xx."""

    status = 500
    code = "internal"
    title = "The backend failed"

    def __init__(self, detail: str, fields: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields


class UnauthenticatedError(ApiError):
    status = 401
    code = "unauthenticated"
    title = "The request is not signed as it must be"


class ForbiddenError(ApiError):
    status = 403
    code = "forbidden"
    title = "This key may not do this"


class NodeWithoutStakeError(ForbiddenError):
    code = "node-without-stake"
    title = "The node has no free stake"


class NotFoundError(ApiError):
    status = 404
    code = "not-found"
    title = "Not found"


class ConflictError(ApiError):
    status = 409
    code = "conflict"
    title = "Something else is already stored under this name"


class LeaseLostError(ConflictError):
    code = "lease-lost"
    title = "The lease is not held"


class TooLargeError(ApiError):
    status = 413
    code = "too-large"
    title = "The body is too large"


class InvalidRequestError(ApiError):
    status = 422
    code = "invalid-request"
    title = "The request is malformed"


class BidBelowQuoteError(InvalidRequestError):
    code = "bid-below-quote"
    title = "The bid is below the quote"


class TermsRefusedError(InvalidRequestError):
    code = "terms-refused"
    title = "The broker does not accept these terms"


class PermitNonceError(InvalidRequestError):
    code = "permit-nonce"
    title = "The permit is for another nonce"


class SignatureInvalidError(InvalidRequestError):
    code = "signature-invalid"
    title = "A signature does not hold"


class ContentDamagedError(ApiError):
    status = 502
    code = "content-damaged"
    title = "The content store returned other bytes"


class ChainUnavailableError(ApiError):
    status = 503
    code = "chain-unavailable"
    title = "The chain does not answer"


class StoreUnavailableError(ApiError):
    status = 503
    code = "store-unavailable"
    title = "The content store does not answer"


class DatabaseUnavailableError(ApiError):
    status = 503
    code = "database-unavailable"
    title = "The database does not answer"
