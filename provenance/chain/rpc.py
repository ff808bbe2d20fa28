"""JSON-RPC to one Ethereum node. Foreign exceptions end here: callers see ChainError and its kin."""

from __future__ import annotations

from typing import Any, Final, cast

import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.providers.rpc.utils import ExceptionRetryConfiguration
from web3.types import RPCEndpoint

import provenance.crypto.recursion_limit  # noqa: F401
from provenance.chain.abi import custom_errors, decode_parameters
from provenance.chain.errors import ChainError, ChainUnavailableError, RevertError
from provenance.printable import shown_url
from provenance.values import Address

_REVERT_CODE = 3
_EXPECTED = "expected a JSON-RPC node; check the URL and that the node runs"
_REASON: Final = bytes.fromhex("08c379a0")  # Error(string)
_PANIC: Final = bytes.fromhex("4e487b71")  # Panic(uint256)


class Rpc:
    """One connection pool to one node, usable from several threads."""

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self.url = shown_url(url)
        """For errors: an address may hold the key of an account."""
        self._session = requests.Session()
        retry = ExceptionRetryConfiguration(
            errors=(requests.ConnectionError, requests.Timeout), retries=3, backoff_factor=0.1
        )
        self._provider = HTTPProvider(
            url,
            request_kwargs={"timeout": timeout_seconds},
            session=self._session,
            exception_retry_configuration=retry,
        )

    def close(self) -> None:
        """Closes idle connections. The object may be used again afterwards."""
        self._session.close()

    def request(self, method: str, *params: Any, action: str = "") -> Any:
        """The `result` of one JSON-RPC call. `action` says in errors what was tried."""
        try:
            answer = self._provider.make_request(cast(RPCEndpoint, method), list(params))
        except (requests.RequestException, Web3Exception, OSError, ValueError) as error:
            raise ChainUnavailableError(
                f"{self.url}: no usable answer to {method} ({type(error).__name__}); {_EXPECTED}"
            ) from error
        if not isinstance(answer, dict):
            raise ChainUnavailableError(f"{self.url}: answered {method} with no JSON object; {_EXPECTED}")
        failure = answer.get("error")
        if failure is not None:
            raise self._failure(failure, action or method)
        return answer.get("result")

    def call(self, to: Address, data: bytes, *, action: str = "eth_call") -> bytes:
        """eth_call. Raises RevertError with the decoded custom error."""
        transaction = {"to": str(to), "data": "0x" + data.hex()}
        return unhex(self.request("eth_call", transaction, "latest", action=action))

    def integer(self, method: str, *params: Any) -> int:
        """A call whose result is a 0x-quantity."""
        return int(self.request(method, *params), 16)

    def _failure(self, failure: Any, action: str) -> ChainError:
        details = failure if isinstance(failure, dict) else {"message": str(failure)}
        message, data = str(details.get("message", "")), details.get("data")
        if isinstance(data, dict):  # some nodes nest the revert bytes
            data = data.get("data")
        if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
            return revert_error(unhex(data), action, message)
        if details.get("code") == _REVERT_CODE or "revert" in message.lower():
            return RevertError(f"{action}: the contract refused without a reason ({message})")
        return ChainError(f"{action}: the node at {self.url} refused: {message}")


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
