"""Reverts in words: a contract's custom error with its name and arguments, or Solidity's own reasons."""

from __future__ import annotations

from typing import Any, Final

from provenance.chain.abi import custom_errors, decode_parameters
from provenance.chain.errors import RevertError

_REASON: Final = bytes.fromhex("08c379a0")  # Error(string)
_PANIC: Final = bytes.fromhex("4e487b71")  # Panic(uint256)


def revert_error(data: bytes, action: str, fallback: str) -> RevertError:
    """The error for revert bytes `data`; `action` is what was tried, `fallback` the node's own words."""
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
