"""Contract interfaces from the build, and their encoding: calls, results, events, custom errors.

`npm run abi` writes abi/<Contract>.json ({"abi", "bytecode", "runtime", "immutables"}) and abi/sources.json; the
files are built, never committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError

import provenance.crypto.recursion_limit  # noqa: F401
from provenance.chain.deployment import CONTRACTS
from provenance.chain.errors import ChainError, DeploymentError
from provenance.values import Address, keccak256


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input or output: canonical type (tuples expanded), and the names of a tuple's components."""

    name: str
    kind: str
    indexed: bool
    components: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A function, event or custom error."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(each.kind for each in self.inputs)})"

    @property
    def topic(self) -> bytes:
        """keccak256 of the signature; its first four bytes are the selector."""
        return bytes(keccak256(self.signature.encode()))


@dataclass(frozen=True, slots=True)
class Interface:
    """One contract's ABI."""

    name: str
    functions: Mapping[str, Entry]
    events: Mapping[bytes, Entry]
    errors: Mapping[bytes, Entry]
    constructor: tuple[Parameter, ...]
    bytecode: bytes
    runtime: bytes
    """Code as it stands on the chain, with zeros where the constructor writes immutables."""
    immutables: tuple[tuple[int, int], ...]
    """(start, length) of each such place."""

    def is_runtime(self, code: bytes) -> bool:
        """Whether this is the contract's code on a chain, whatever its immutables are."""
        bare = bytearray(code)
        for start, length in self.immutables:
            bare[start : start + length] = bytes(length)
        return bytes(bare) == self.runtime

    def encode_call(self, function: str, arguments: Sequence[Any]) -> bytes:
        """Calldata. Raises ChainError when the arguments do not fit the function's types."""
        entry = self.functions[function]
        return entry.topic[:4] + self._encode(f"{self.name}.{function}", entry.inputs, arguments)

    def encode_deployment(self, arguments: Sequence[Any]) -> bytes:
        """Creation code with constructor arguments."""
        return self.bytecode + self._encode(f"{self.name} constructor", self.constructor, arguments)

    def decode_result(self, function: str, data: bytes) -> dict[str, Any]:
        """Output values by name (by position as text when unnamed)."""
        return decode_parameters(self.functions[function].outputs, data, f"{self.name}.{function}")

    @staticmethod
    def _encode(where: str, inputs: Sequence[Parameter], arguments: Sequence[Any]) -> bytes:
        try:
            return encode([each.kind for each in inputs], list(arguments))
        except (EncodingError, TypeError, ValueError) as error:
            raise ChainError(f"{where}: arguments do not fit the contract: {error}") from error


def decode_parameters(parameters: Sequence[Parameter], data: bytes, where: str) -> dict[str, Any]:
    """ABI-decoded values by name; tuples become dicts, addresses become Address."""
    try:
        values = decode([each.kind for each in parameters], data)
    except DecodingError as error:
        raise ChainError(
            f"{where}: the chain answered {len(data)} bytes that do not decode; "
            "use the release that this market was deployed with"
        ) from error
    return {
        each.name or str(index): _named(each, value)
        for index, (each, value) in enumerate(zip(parameters, values, strict=True))
    }


def _named(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, str) and parameter.kind == "address":
        return Address.parse(value)
    if isinstance(value, (tuple, list)) and parameter.kind.endswith("]"):
        bracket = parameter.kind.rindex("[")
        element = Parameter(parameter.name, parameter.kind[:bracket], False, parameter.components)
        return tuple(_named(element, each) for each in value)
    if isinstance(value, tuple):
        pairs = zip(parameter.components, value, strict=True)
        return {component.name: _named(component, each) for component, each in pairs}
    return value


@cache
def interface(contract: str) -> Interface:
    """The built interface of a contract. Raises DeploymentError when the contracts were not built."""
    built = read_built(contract)
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for item in built["abi"]:
        kinds.setdefault(item["type"], []).append(item)
    constructor = kinds.get("constructor", [{"inputs": []}])[0]
    return Interface(
        name=contract,
        functions={entry.name: entry for entry in map(_entry, kinds.get("function", []))},
        events={entry.topic: entry for entry in map(_entry, kinds.get("event", []))},
        errors={entry.topic[:4]: entry for entry in map(_entry, kinds.get("error", []))},
        constructor=tuple(_parameter(each) for each in constructor["inputs"]),
        bytecode=bytes.fromhex(built["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(built["runtime"].removeprefix("0x")),
        immutables=tuple((start, length) for start, length in built["immutables"]),
    )


def read_built(name: str) -> Any:
    """abi/<name>.json. Raises DeploymentError when the contracts were not built."""
    file = resources.files("provenance.chain").joinpath("abi", f"{name}.json")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DeploymentError(
            f"{name} of the contracts is not built; run `make setup` in the repository"
        ) from error


@cache
def custom_errors() -> Mapping[bytes, Entry]:
    """Every custom error of every contract by selector: a call may revert deep inside another contract."""
    names = (*CONTRACTS.values(), "MarketDeployer")
    return {selector: entry for name in names for selector, entry in interface(name).errors.items()}


def _entry(item: Mapping[str, Any]) -> Entry:
    inputs = tuple(_parameter(each) for each in item.get("inputs", []))
    return Entry(item["name"], inputs, tuple(_parameter(each) for each in item.get("outputs", [])))


def _parameter(item: Mapping[str, Any]) -> Parameter:
    components = tuple(_parameter(each) for each in item.get("components", []))
    kind: str = item["type"]
    if kind.startswith("tuple"):
        kind = f"({','.join(each.kind for each in components)}){kind.removeprefix('tuple')}"
    return Parameter(item["name"], kind, bool(item.get("indexed")), components)
