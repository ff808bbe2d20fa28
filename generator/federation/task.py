"""What coordinator and contributor say to each other: a `Task` down, a `Result` up.

Bytes: one safetensors file whose only metadata entry, `tessera`, is canonical JSON. Never a pickle: reading
cannot run code. Both sides distrust each other, so decoding refuses unknown array types, names outside the alphabet,
unknown formats and anything over the size limits.

Arrays hold integers, on both ways: the last bits of a floating-point number can tell what noise was to hide. What is
no whole number travels as multiples of 2^-24 (`to_fixed`) or of a step that the plan fixes.

Tasks are told apart by (order, node, name); the same triple never means two different pieces of work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save as save_safetensors

from generator.errors import InvalidAnswer, TaskFormatError
from provenance import canonical
from provenance.api.message import Message
from provenance.api.tasks import RESULT_FORMAT, TASK_FORMAT, Envelope
from provenance.canonical import JsonValue
from provenance.errors import DocumentError, ProvenanceError
from provenance.values import Address, Digest, sha256

Json: TypeAlias = JsonValue
Array: TypeAlias = NDArray[Any]

MAX_BYTES = 64 << 20
MAX_META_BYTES = 4 << 20
MAX_ARRAYS = 4096

_DTYPES: dict[str, np.dtype[Any]] = {
    "I8": np.dtype("i1"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "BOOL": np.dtype("?"),
}
_SENDABLE = frozenset(_DTYPES.values())
_FIXED_BITS = 24
_ARRAY_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


@dataclass(frozen=True, slots=True, eq=False)
class _Message:
    """The common shape of tasks and results.

    order: EIP-712 digest of the order's terms. name: the step, such as "bins" or "round/0003". node: whom
    it is for or from. meta: canonical JSON (no floats). arrays: named numpy arrays of the types in `_DTYPES`.
    """

    order: Digest
    name: str
    node: Address
    meta: Mapping[str, Json] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def _format(cls) -> str:
        return RESULT_FORMAT if cls is Result else TASK_FORMAT

    @property
    def key(self) -> tuple[Digest, Address, str]:
        """The identity of the work: (order, node, name)."""
        return self.order, self.node, self.name

    def encode(self) -> bytes:
        """The bytes that travel; the same message always gives the same bytes."""
        head = {
            "format": self._format(),
            "meta": dict(self.meta),
            "name": self.name,
            "node": self.node,
            "order": self.order,
        }
        arrays = {name: _sendable(name, array) for name, array in sorted(self.arrays.items())}
        data = save_safetensors(arrays, metadata={"tessera": _envelope(head).encode().decode()})
        if len(data) > MAX_BYTES:
            raise TaskFormatError(
                f"{self.name} has {len(data)} bytes, at most {MAX_BYTES} may be sent: use fewer tables"
            )
        return data

    @classmethod
    def decode(cls, data: bytes, max_bytes: int = MAX_BYTES) -> Self:
        """Read bytes from the other side; raises TaskFormatError on anything unexpected."""
        if len(data) > max_bytes:
            raise TaskFormatError(
                f"message of {len(data)} bytes, at most {max_bytes} are accepted: refuse the sender"
            )
        head = _envelope(_read_head(data))
        if head.format != cls._format():
            raise TaskFormatError(f"expected a message of format {cls._format()}, found {head.format!r}")
        return cls(head.order, head.name, head.node, head.meta, _read_arrays(data))


@dataclass(frozen=True, slots=True, eq=False)
class Task(_Message):
    """Work for one contributor."""

    @property
    def digest(self) -> Digest:
        """SHA-256 of the encoded task: a node answers each triple for one digest only."""
        return sha256(self.encode())


@dataclass(frozen=True, slots=True, eq=False)
class Result(_Message):
    """A contributor's answer to the task with the same (order, node, name)."""


M = TypeVar("M", bound=Message)


@contextmanager
def judging(message: Task | Result) -> Iterator[None]:
    """A TaskFormatError in here is the fault of the contributor of this task: InvalidAnswer."""
    try:
        yield
    except InvalidAnswer:
        raise
    except TaskFormatError as error:
        raise InvalidAnswer(str(message.node), message.name, str(error)) from error


def result_of(task: Task, data: bytes) -> Result:
    """A contributor's answer to the task. Raises InvalidAnswer."""
    with judging(task):
        result = Result.decode(data)
        if result.key != task.key:
            raise TaskFormatError(f"it is the answer to task {result.name!r} of {result.node}")
    return result


def meta_of(kind: type[M], message: Task | Result) -> M:
    """The meta of a message from the other side as `kind`. Raises TaskFormatError that names every wrong entry, of a
    result InvalidAnswer."""
    try:
        return kind.of(message.meta, f"{message.name} of {message.node}")
    except DocumentError as error:
        if isinstance(message, Result):
            raise InvalidAnswer(str(message.node), message.name, str(error)) from error
        raise TaskFormatError(str(error)) from error


def answer(
    task: Task, meta: Message | Mapping[str, Json], arrays: Mapping[str, Array] | None = None
) -> Result:
    """The result that belongs to `task`; the meta of a `Message` is its document."""
    if isinstance(meta, Message):
        meta = meta.to_document()
    return Result(task.order, task.name, task.node, meta, arrays or {})


def to_fixed(values: NDArray[np.floating[Any]], dtype: type[np.signedinteger[Any]] = np.int64) -> Array:
    """Finite numbers as multiples of 2^-24, rounded to the nearest, cut to what `dtype` (int32 or int64) holds."""
    if not bool(np.isfinite(values).all()):
        raise TaskFormatError("numbers that are not finite cannot be sent: the training diverged")
    steps = np.rint(np.ldexp(np.asarray(values, dtype=np.float64), _FIXED_BITS))
    largest = 2.0 ** (8 * np.dtype(dtype).itemsize - 2)
    return np.clip(steps, -largest, largest).astype(dtype)


def from_fixed(steps: Array) -> NDArray[np.float64]:
    """The numbers that `to_fixed` sent; TaskFormatError for an array of other numbers than int32 or int64."""
    if steps.dtype not in (np.dtype(np.int32), np.dtype(np.int64)):
        raise TaskFormatError(f"numbers came as {steps.dtype}, expected multiples of 2^-24 as int32 or int64")
    return np.ldexp(steps.astype(np.float64), -_FIXED_BITS)


def _envelope(head: Json | Mapping[str, object]) -> Envelope:
    try:
        return Envelope.of(head, "message")
    except DocumentError as error:
        raise TaskFormatError(str(error)) from error


def _sendable(name: str, array: Array) -> Array:
    if not _ARRAY_NAME.fullmatch(name):
        raise TaskFormatError(f"array name {name!r} has characters outside A-Za-z0-9_.:/-")
    little = np.ascontiguousarray(array).reshape(np.shape(array))
    if little.dtype not in _SENDABLE:
        raise TaskFormatError(
            f"array {name} has type {little.dtype}, expected one of {sorted(_DTYPES)}: convert it"
        )
    return little


def _read_head(data: bytes) -> dict[str, Json]:
    """The canonical metadata. safetensors itself does not return it for bytes, so the header is parsed here."""
    size = int.from_bytes(data[:8], "little") if len(data) >= 8 else -1
    if not 0 < size <= min(MAX_META_BYTES, len(data) - 8):
        raise TaskFormatError(f"not a safetensors message: header length {size} in {len(data)} bytes")
    try:
        canonical.check_depth(data[8 : 8 + size])
        header = json.loads(data[8 : 8 + size])
        text = header["__metadata__"]["tessera"]
        entries = len(header["__metadata__"])
        head = canonical.decode(text.encode())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ProvenanceError) as error:
        raise TaskFormatError(f"message header is not canonical metadata: {error}") from error
    if entries != 1 or not isinstance(head, dict) or len(header) - 1 > MAX_ARRAYS:
        raise TaskFormatError(f"message needs one metadata object and at most {MAX_ARRAYS} arrays")
    return head


def _read_arrays(data: bytes) -> dict[str, Array]:
    try:
        parts: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise TaskFormatError(f"message arrays cannot be read: {error}") from error
    arrays: dict[str, Array] = {}
    for name, part in parts:
        dtype = _DTYPES.get(part["dtype"])
        if dtype is None or not _ARRAY_NAME.fullmatch(name):
            raise TaskFormatError(
                f"array {name!r} of type {part['dtype']} is not accepted, only {sorted(_DTYPES)}"
            )
        raw = bytes(part["data"])
        if part["dtype"] == "BOOL" and raw.strip(b"\x00\x01"):
            raise TaskFormatError(f"array {name} of type BOOL holds bytes other than 0 and 1")
        arrays[name] = np.frombuffer(raw, dtype=dtype).reshape(part["shape"])
    return arrays
