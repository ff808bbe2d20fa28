"""Files as UnixFS of the profile unixfs-v1-2025 (IPIP-499): CIDv1, raw leaves, SHA-256, 1 MiB chunks, 1,024 links.

A file of at most 1 MiB is one raw block (the empty file too), so its CID follows from its SHA-256 alone. A larger
one is a balanced tree of dag-pb nodes over raw leaves. `read_file` accepts such trees of any chunking and checks
every size it is told; blocks are verified by whoever supplies them (`verified_block`). Normative text:
docs/spec/content.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from provenance.errors import ContentDamagedError, MalformedError, UnixFsError
from provenance.values import DAG_PB_CODEC, RAW_CODEC, Cid, Digest, sha256

CHUNK_BYTES = 2**20
MAX_LINKS = 1024
MAX_DEPTH = 8
_TYPE_FILE = 2
_TYPE_RAW = 0
_MAX_VARINT_BYTES = 9


@dataclass(frozen=True, slots=True)
class Link:
    """A child of a dag-pb node. file_bytes: content below it; dag_bytes: blocks below it, its own included."""

    cid: Cid
    file_bytes: int
    dag_bytes: int


def file_blocks(
    data: bytes, *, chunk_bytes: int = CHUNK_BYTES, max_links: int = MAX_LINKS
) -> Iterator[tuple[Cid, bytes]]:
    """The blocks of a file, leaves first and the root last."""
    view = memoryview(data)
    level: list[Link] = []
    for start in range(0, max(len(data), 1), chunk_bytes):
        block = bytes(view[start : start + chunk_bytes])
        cid = Cid.of_digest(sha256(block), RAW_CODEC)
        level.append(Link(cid, len(block), len(block)))
        yield cid, block
    while len(level) > 1:
        parents: list[Link] = []
        for start in range(0, len(level), max_links):
            children = level[start : start + max_links]
            block = encode_node(children)
            cid = Cid.of_digest(sha256(block), DAG_PB_CODEC)
            parents.append(
                Link(
                    cid,
                    sum(child.file_bytes for child in children),
                    len(block) + sum(child.dag_bytes for child in children),
                )
            )
            yield cid, block
        level = parents


def file_cid(data: bytes) -> Cid:
    """The CID of a file with these bytes."""
    return [cid for cid, _ in file_blocks(data)][-1]


def cid_of_digest(digest: bytes) -> Cid:
    """The CID of the file of at most 1 MiB whose SHA-256 is `digest` (a manifest's, from the chain)."""
    return Cid.of_digest(Digest(digest), RAW_CODEC)


def cid_of(data: bytes) -> Cid:
    """The CID of a file with these bytes, of any size."""
    return cid_of_digest(sha256(data)) if len(data) <= CHUNK_BYTES else file_cid(data)


def check_content(cid: Cid, data: bytes) -> bytes:
    """`data` if a file with these bytes has the CID `cid` in our profile, else ContentDamagedError."""
    found = cid_of(data)
    if found != cid:
        raise ContentDamagedError(
            f"{cid}: found {len(data)} bytes whose CID is {found}; the content was changed or is of another "
            "profile than unixfs-v1-2025; fetch it from another store"
        )
    return data


def encode_node(children: Sequence[Link]) -> bytes:
    """The dag-pb block of a file node: links first, then the UnixFS data, as dag-pb demands."""
    links = b"".join(_field(2, _encode_link(child)) for child in children)
    total = sum(child.file_bytes for child in children)
    unixfs = _number_field(1, _TYPE_FILE) + _number_field(3, total)
    unixfs += b"".join(_number_field(4, child.file_bytes) for child in children)
    return links + _field(1, unixfs)


def read_file(root: Cid, fetch: Callable[[Cid], bytes], *, max_bytes: int = 2**34) -> bytes:
    """The content of the file under `root`. `fetch` returns verified blocks (see `verified_block`).

    Raises UnixFsError for directories, symbolic links, wrong sizes, or more than `max_bytes`.
    """
    parts: list[bytes] = []
    _collect(root, fetch, parts, max_bytes, 0)
    return b"".join(parts)


def verified_block(cid: Cid, block: bytes) -> bytes:
    """`block` if it hashes to `cid`, else ContentDamagedError."""
    found = sha256(block)
    if found != cid.digest:
        raise ContentDamagedError(
            f"block {cid}: found {len(block)} bytes of digest {found}, expected {cid.digest}; "
            "fetch it elsewhere"
        )
    return block


def _collect(cid: Cid, fetch: Callable[[Cid], bytes], parts: list[bytes], max_bytes: int, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise UnixFsError(f"{cid}: found more than {MAX_DEPTH} levels, which no file needs")
    block = fetch(cid)
    if cid.codec == RAW_CODEC:
        parts.append(block)
        return len(block)
    children, inline, total = _decode_node(cid, block)
    if total > max_bytes:
        raise UnixFsError(f"{cid}: found a file of {total:,} bytes, expected at most {max_bytes:,}")
    if inline:
        parts.append(inline)
    for child, expected in children:
        found = _collect(child, fetch, parts, max_bytes, depth + 1)
        if found != expected:
            raise UnixFsError(f"{child}: found {found} bytes of content, its parent says {expected}")
    return total


def _decode_node(cid: Cid, block: bytes) -> tuple[list[tuple[Cid, int]], bytes, int]:
    """((child, content bytes) list, inline data, total content bytes) of a dag-pb file node."""
    try:
        fields = _fields(block)
        links = [_decode_link(value) for number, value in fields if number == 2 and isinstance(value, bytes)]
        data = [value for number, value in fields if number == 1 and isinstance(value, bytes)]
        if len(data) != 1 or len(links) + 1 != len(fields):
            raise UnixFsError("expected links and exactly one data field")
        inner = _fields(data[0])
    except (MalformedError, ValueError) as error:
        raise UnixFsError(f"{cid}: not a dag-pb file node ({error})") from error
    kinds = [value for number, value in inner if number == 1]
    inline = b"".join(value for number, value in inner if number == 2 and isinstance(value, bytes))
    sizes = [value for number, value in inner if number == 4 and isinstance(value, int)]
    totals = [value for number, value in inner if number == 3 and isinstance(value, int)]
    if kinds not in ([_TYPE_FILE], [_TYPE_RAW]):
        raise UnixFsError(
            f"{cid}: found UnixFS type {kinds}, expected a file; directories are not content here"
        )
    total = len(inline) + sum(sizes)
    if len(sizes) != len(links) or (totals and totals != [total]):
        raise UnixFsError(f"{cid}: the sizes in the node contradict each other")
    return list(zip(links, sizes, strict=True)), inline, total


def _encode_link(child: Link) -> bytes:
    return _field(1, child.cid.binary) + _field(2, b"") + _number_field(3, child.dag_bytes)


def _decode_link(data: bytes) -> Cid:
    hashes = [value for number, value in _fields(data) if number == 1 and isinstance(value, bytes)]
    if len(hashes) != 1:
        raise UnixFsError(f"found {len(hashes)} hashes in a link, expected 1")
    return Cid.from_binary(hashes[0])


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + encode_varint(len(data)) + data


def _number_field(number: int, value: int) -> bytes:
    return bytes([number << 3]) + encode_varint(value)


def _fields(data: bytes) -> list[tuple[int, bytes | int]]:
    """(number, value) of each protobuf field; only numbers and byte strings occur in dag-pb and UnixFS files."""
    result: list[tuple[int, bytes | int]] = []
    position = 0
    while position < len(data):
        key, position = decode_varint(data, position)
        value, position = decode_varint(data, position)
        if key & 7 == 0:
            result.append((key >> 3, value))
        elif key & 7 == 2 and position + value <= len(data):
            result.append((key >> 3, data[position : position + value]))
            position += value
        else:
            raise UnixFsError(
                f"a protobuf field of kind {key & 7} at byte {position} that does not belong here"
            )
    return result


def encode_varint(value: int) -> bytes:
    """The bytes of a number from 0 to 2^63 - 1: unsigned LEB128 as in protobuf and multiformats, seven bits a byte,
    low bits first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """(number, position after it). Raises MalformedError if it is cut off, too long or not the shortest form."""
    value = 0
    for i in range(_MAX_VARINT_BYTES):
        if position + i >= len(data):
            raise MalformedError(f"a number at byte {position} is cut off")
        byte = data[position + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if byte == 0 and i > 0:
                raise MalformedError(f"the number at byte {position} is not in its shortest form")
            return value, position + i + 1
    raise MalformedError(f"the number at byte {position} is longer than {_MAX_VARINT_BYTES} bytes")
