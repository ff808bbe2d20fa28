"""JSON-RPC to one Ethereum node. Foreign exceptions end here: callers see ChainError and its kin."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

import provenance.crypto.recursion_limit  # noqa: F401
from provenance.chain.abi import custom_errors, decode_parameters
from provenance.chain.errors import ChainError, ChainUnavailableError, LogRangeError, RevertError
from provenance.printable import shown_url
from provenance.values import Address

T = TypeVar("T")
_REVERT_CODE = 3
_EXPECTED = "expected a JSON-RPC node; check the URL and that the node runs"
_PAUSES: Final = (0.1, 0.2, 0.4, 0.8)
"""Seconds before each further attempt. The one retry policy of the chain; longer waits are for callers."""
_BUSY: Final = ("rate limit", "too many requests", "limit exceeded", "request limit", "capacity", "is busy")
_BEHIND: Final = (
    "beyond current head",
    "header not found",
    "unknown block",
    "block not found",
    "blockoutofrange",
)
"""What a node says that has not seen a block yet which another one told of."""
_BUSY_CODES: Final = (429, -32005, -32016)
_RANGE: Final = (
    *("range", "more than", "response size", "too large", "timeout", "timed out", "at most", "limited to"),
    *("limit exceeded", "max results", "too many results", "too many blocks"),
)
"""What public nodes say when logs are asked of too many blocks."""
_REASON: Final = bytes.fromhex("08c379a0")  # Error(string)
_PANIC: Final = bytes.fromhex("4e487b71")  # Panic(uint256)


class Rpc:
    """One connection pool to one node, usable from several threads."""

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self.url = shown_url(url)
        """For errors: an address may hold the key of an account."""
        self._session = requests.Session()
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout_seconds},
            session=self._session,
            exception_retry_configuration=None,  # `request` retries, for busy nodes too
        )

    def close(self) -> None:
        """Closes idle connections. The object may be used again afterwards."""
        self._session.close()

    def request(self, method: str, *params: Any, action: str = "") -> Any:
        """The `result` of one JSON-RPC call. `action` says in errors what was tried."""
        return self._patiently(lambda: self.attempt(method, params, action))

    def _patiently(self, attempt: Callable[[], T]) -> T:
        for pause in _PAUSES:
            try:
                return attempt()
            except ChainUnavailableError:
                time.sleep(pause)
        return attempt()

    def _required(self, method: str, *params: Any, action: str = "") -> Any:
        """As `request`, of what must be there: a node behind the others answers null for a while."""

        def attempt() -> Any:
            result = self.attempt(method, params, action)
            if result is None:
                raise ChainUnavailableError(f"{self.url}: answered {method} with null; {_EXPECTED}")
            return result

        return self._patiently(attempt)

    def attempt(self, method: str, params: tuple[Any, ...], action: str) -> Any:
        """`request` once, without a second try."""
        try:
            answer: Any = self._provider.make_request(cast(RPCEndpoint, method), list(params))
        except (requests.RequestException, Web3Exception, OSError, ValueError) as error:
            refusal = _refusal_in(error)
            if refusal is None:
                raise ChainUnavailableError(
                    f"{self.url}: no usable answer to {method} ({type(error).__name__}); {_EXPECTED}"
                ) from error
            answer = refusal
        if not isinstance(answer, dict):
            raise ChainUnavailableError(f"{self.url}: answered {method} with no JSON object; {_EXPECTED}")
        failure = answer.get("error")
        if failure is not None:
            raise self._failure(failure, method, action or method)
        return answer.get("result")

    def call(self, to: Address, data: bytes, *, action: str = "eth_call", block: str = "latest") -> bytes:
        """eth_call. Raises RevertError with the decoded custom error."""
        transaction = {"to": str(to), "data": "0x" + data.hex()}
        return unhex(self._required("eth_call", transaction, block, action=action))

    def integer(self, method: str, *params: Any) -> int:
        """A call whose result is a 0x-quantity."""
        return int(self._required(method, *params), 16)

    def block(self, which: str) -> dict[str, Any]:
        """A block that the chain has, without its transactions: a 0x-number, or a word such as "latest"."""
        return cast(dict[str, Any], self._required("eth_getBlockByNumber", which, False))

    def _failure(self, failure: Any, method: str, action: str) -> ChainError:
        details = failure if isinstance(failure, dict) else {"message": str(failure)}
        message, data = str(details.get("message", "")), details.get("data")
        if isinstance(data, dict):  # some nodes nest the revert bytes
            data = data.get("data")
        if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
            return revert_error(unhex(data), action, message)
        if details.get("code") == _REVERT_CODE or "revert" in message.lower():
            return RevertError(f"{action}: the contract refused without a reason ({message})")
        words = message.lower()
        if any(complaint in words for complaint in _BEHIND):
            return ChainUnavailableError(f"{action}: the node at {self.url} is behind the others: {message}")
        if method == "eth_getLogs" and any(complaint in words for complaint in _RANGE):
            return LogRangeError(f"{action}: the node at {self.url} refused: {message}")
        if details.get("code") in _BUSY_CODES or any(complaint in words for complaint in _BUSY):
            return ChainUnavailableError(f"{action}: the node at {self.url} is busy: {message}")
        return ChainError(f"{action}: the node at {self.url} refused: {message}")


def _refusal_in(error: Exception) -> dict[str, Any] | None:
    """The JSON-RPC error that some nodes send with an HTTP status of 400 or 413; None when there is none."""
    response = error.response if isinstance(error, requests.HTTPError) else None
    if response is None or response.status_code not in (400, 413):
        return None
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and answer.get("error") is not None else None


def unhex(text: str) -> bytes:
    """Bytes of a node's 0x-hex."""
    return bytes.fromhex(text.removeprefix("0x"))


def revert_error(data: bytes, action: str, fallback: str) -> RevertError:
    """A revert in words: the contract's custom error with name and arguments, or Solidity's own reason.

    `data` are the revert bytes, `action` is what was tried, `fallback` the node's own words.
    """
    entry = custom_errors().get(data[:4])
    if entry is not None:
        arguments = decode_parameters(entry.inputs, data[4:], entry.name)
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in arguments.items())
        message = f"{action}: the contract refused with {entry.name}({shown})"
        return RevertError(message, name=entry.name, arguments=arguments)
    if data[:4] == _REASON and len(data) >= 68:
        length = int.from_bytes(data[36:68], "big")
        reason = data[68 : 68 + length].decode("utf-8", "replace")
        return RevertError(
            f"{action}: the contract refused: {reason}", name="Error", arguments={"reason": reason}
        )
    if data[:4] == _PANIC:
        code = int.from_bytes(data[4:36], "big")
        return RevertError(
            f"{action}: the contract panicked (0x{code:02x})", name="Panic", arguments={"code": code}
        )
    return RevertError(f"{action}: the contract refused without a reason ({fallback})")


def _shown(value: Any) -> str:
    return "0x" + value.hex() if type(value) is bytes else str(value)
