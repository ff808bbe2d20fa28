"""Unsigned LEB128 as in protobuf and multiformats: seven bits a byte, low bits first, shortest form only."""

from __future__ import annotations

from provenance.errors import MalformedError

_MAX_BYTES = 9


def encode_varint(value: int) -> bytes:
    """The bytes of a number from 0 to 2^63 - 1."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """(number, position after it). Raises MalformedError if it is cut off, too long or not the shortest
    form."""
    value = 0
    for i in range(_MAX_BYTES):
        if position + i >= len(data):
            raise MalformedError(f"a number at byte {position} is cut off")
        byte = data[position + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if byte == 0 and i > 0:
                raise MalformedError(f"the number at byte {position} is not in its shortest form")
            return value, position + i + 1
    raise MalformedError(f"the number at byte {position} is longer than {_MAX_BYTES} bytes")
