"""CARv1 archives: contents carried as a file between stores and IPFS nodes.

Import trusts nothing: every block is hashed, every root is reassembled and must have its CID in our profile,
and nothing is put into the store before the whole archive was checked. Normative text: docs/spec/content.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import BinaryIO

from provenance.errors import CarError, ContentMissingError, MalformedError
from provenance.store.ports import ContentStore
from provenance.store.unixfs import (
    check_content,
    decode_varint,
    encode_varint,
    file_blocks,
    read_file,
    verified_block,
)
from provenance.values import Cid

MAX_BLOCK_BYTES = 2**21
_CID_BYTES = 36
_MAX_HEADER_BYTES = 2**20


def export_car(store: ContentStore, roots: Sequence[Cid], stream: BinaryIO) -> None:
    """Writes a CARv1 with the contents `roots` of `store`: blocks of each root, leaves first, none twice."""
    if not roots:
        raise CarError("found no roots, expected at least one CID to export")
    write_car(roots, (pair for root in roots for pair in file_blocks(store.get(root))), stream)


def write_car(roots: Sequence[Cid], blocks: Iterable[tuple[Cid, bytes]], stream: BinaryIO) -> None:
    """Writes a CARv1 with these roots and blocks in the order given, none twice."""
    header = _encode_header(roots)
    stream.write(encode_varint(len(header)) + header)
    written: set[Cid] = set()
    for cid, block in blocks:
        if cid not in written:
            written.add(cid)
            stream.write(encode_varint(_CID_BYTES + len(block)) + cid.binary + block)


def import_car(store: ContentStore, stream: BinaryIO) -> list[Cid]:
    """Verifies a CARv1 and puts its roots into `store`; returns them.

    Raises CarError (format), ContentDamagedError (a block does not match its CID), ContentMissingError (a
    block of a root is not in the archive), UnixFsError (a root is no file).
    """
    roots, blocks = read_car(stream.read())
    contents = [check_content(root, read_file(root, block_reader(blocks))) for root in roots]
    for content in contents:
        store.put(content)
    return roots


def block_reader(blocks: Mapping[Cid, bytes]) -> Callable[[Cid], bytes]:
    """A `fetch` for `unixfs.read_file` over the blocks of one archive."""

    def fetch(cid: Cid) -> bytes:
        try:
            return blocks[cid]
        except KeyError as error:
            raise ContentMissingError(
                f"block {cid} is not in the CAR; export it again with all blocks"
            ) from error

    return fetch


def read_car(data: bytes) -> tuple[list[Cid], dict[Cid, bytes]]:
    """(roots, verified blocks by CID) of CARv1 bytes."""
    try:
        length, position = decode_varint(data, 0)
    except MalformedError as error:
        raise CarError(f"CAR header: {error}; the file is no CAR") from error
    if not 1 <= length <= min(_MAX_HEADER_BYTES, len(data) - position):
        raise CarError(f"CAR header: found a length of {length}, expected at most the file's {len(data)}")
    roots = _decode_header(data[position : position + length])
    position += length
    blocks: dict[Cid, bytes] = {}
    while position < len(data):
        start = position
        try:
            length, position = decode_varint(data, position)
            if not _CID_BYTES <= length <= MAX_BLOCK_BYTES + _CID_BYTES or position + length > len(data):
                raise CarError(f"found a length of {length}, expected {_CID_BYTES} to {len(data) - position}")
            cid = Cid.from_binary(data[position : position + _CID_BYTES])
        except MalformedError as error:
            raise CarError(f"CAR block at byte {start}: {error}") from error
        blocks[cid] = verified_block(cid, data[position + _CID_BYTES : position + length])
        position += length
    return roots, blocks


# The header is dag-cbor {"roots": [tag 42 (0x00 || CID), ...], "version": 1}; no other bytes can occur.
_CBOR_ROOTS = b"\xa2\x65roots"
_CBOR_VERSION_1 = b"\x67version\x01"
_CBOR_LINK = b"\xd8\x2a\x58\x25\x00"


def _encode_header(roots: Sequence[Cid]) -> bytes:
    links = b"".join(_CBOR_LINK + root.binary for root in roots)
    return _CBOR_ROOTS + _cbor_array_head(len(roots)) + links + _CBOR_VERSION_1


def _cbor_array_head(length: int) -> bytes:
    if length < 24:
        return bytes([0x80 + length])
    return b"\x98" + bytes([length]) if length < 256 else b"\x99" + length.to_bytes(2, "big")


def _decode_header(header: bytes) -> list[Cid]:
    size = len(_CBOR_LINK) + _CID_BYTES
    links = (len(header) - len(_CBOR_ROOTS) - len(_CBOR_VERSION_1)) // size
    start = len(header) - len(_CBOR_VERSION_1) - links * size
    if links >= 1 and start > 0:
        try:
            places = range(start + len(_CBOR_LINK), start + links * size, size)
            roots = [Cid.from_binary(header[place : place + _CID_BYTES]) for place in places]
        except MalformedError as error:
            raise CarError(f"CAR header: {error}") from error
        if _encode_header(roots) == header:
            return roots
    raise CarError("CAR header: expected version 1 and at least one root of CIDv1 over SHA-256; use CARv1")
