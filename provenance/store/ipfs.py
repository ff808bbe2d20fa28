"""Any IPFS node over its RPC API, by multiaddr: the only file that knows ipfshttpclient.

The node is not trusted: CIDs are computed here and compared with the node's, every read is verified. Reads are
ranged, so that neither the node nor the client library buffers more than a piece. A node that is down raises
StoreUnavailableError, a CID that nobody provides ContentMissingError after at most `timeout_seconds` of silence.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import ipfshttpclient
from ipfshttpclient import exceptions

from provenance.errors import (
    ContentDamagedError,
    ContentMissingError,
    StoreUnavailableError,
    UnavailableError,
    ValueFormatError,
)
from provenance.store.car import block_reader, read_car, write_car
from provenance.store.unixfs import CHUNK_BYTES, check_content, cid_of, file_blocks, read_file
from provenance.values import RAW_CODEC, Cid

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
PIECE_BYTES = 4 * 2**20
DEFAULT_MAX_BYTES = 2**32
_T = TypeVar("_T")


class IpfsStore:
    """Contents pinned on one IPFS node. `multiaddr` for example /ip4/127.0.0.1/tcp/5001/http."""

    def __init__(self, multiaddr: str, timeout_seconds: float, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        """Connects on first use. Raises StoreUnavailableError if `multiaddr` is not an address of a node."""
        self.multiaddr = multiaddr
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        # never ipfshttpclient.connect(): it refuses the version of every node since 2021
        self._client: Any = self._call("address", lambda: ipfshttpclient.Client(multiaddr))

    def put(self, data: bytes) -> Cid:
        """Adds and pins `data` on the node with the settings of our profile."""
        expected = cid_of(data)
        answer = self._call(
            f"add of {expected}",
            lambda: self._client.add(
                io.BytesIO(data),
                cid_version=1,
                raw_leaves=True,
                chunker=f"size-{CHUNK_BYTES}",
                pin=True,
                timeout=self._timeout_seconds,
            ),
        )
        found = _as_base32(str(answer["Hash"]))
        if found != expected:
            raise ContentDamagedError(
                f"IPFS node {self.multiaddr} stored {len(data)} bytes as {found}, expected {expected}; "
                "set its import profile to unixfs-v1-2025 or use another node"
            )
        return expected

    def get(self, cid: Cid) -> bytes:
        """The bytes under `cid`, read in pieces and verified as a whole."""
        limit = CHUNK_BYTES * 2 if cid.codec == RAW_CODEC else self._max_bytes
        pieces: list[bytes] = []
        total = 0
        while True:
            piece = self._piece(cid, total)
            pieces.append(piece)
            total += len(piece)
            if len(piece) > PIECE_BYTES or total > limit:
                raise ContentDamagedError(
                    f"{cid}: the IPFS node sends more than {limit:,} bytes; use another node"
                )
            if len(piece) < PIECE_BYTES:
                return check_content(cid, b"".join(pieces))

    def has(self, cid: Cid) -> bool:
        """Whether the node pins `cid`. What it could fetch from others does not count."""
        try:
            self._call(
                f"pin of {cid}",
                lambda: self._client.pin.ls(cid, type="recursive", timeout=self._timeout_seconds),
            )
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, exceptions.ErrorResponse) and "not pinned" in str(error):
                return False
            raise
        return True

    def size(self, cid: Cid) -> int:
        """Bytes of the content under `cid`. IPFS has no cheap verified way, so this reads and checks them all."""
        return len(self.get(cid))

    def import_car(self, car: bytes) -> list[Cid]:
        """Checks every block of a CARv1 here, then imports it into the node and pins its roots."""
        # a node may accept a damaged CAR without a word
        roots, blocks = read_car(car)
        for root in roots:
            content = check_content(root, read_file(root, block_reader(blocks)))
            # one root at a time: ipfshttpclient 0.7 cannot read the answer to several
            archive = io.BytesIO()
            write_car([root], file_blocks(content), archive)
            self._import_one(root, archive.getvalue())
        absent = [root for root in roots if not self.has(root)]
        if absent:
            raise StoreUnavailableError(
                f"IPFS node {self.multiaddr}: CAR import left {absent[0]} unpinned; try again"
            )
        return roots

    def _import_one(self, root: Cid, car: bytes) -> None:
        self._call(
            f"CAR import of {root}",
            lambda: self._client.dag.imprt(io.BytesIO(car), timeout=self._timeout_seconds),
        )

    def close(self) -> None:
        """Closes kept connections."""
        self._client.close()

    def _piece(self, cid: Cid, offset: int) -> bytes:
        try:
            piece: bytes = self._call(
                f"read of {cid}",
                lambda: self._client.cat(
                    cid, offset=offset, length=PIECE_BYTES, timeout=self._timeout_seconds
                ),
            )
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, exceptions.ErrorResponse):
                raise ContentMissingError(f"{cid}: {error}; pin it on this node or import its CAR") from error
            raise
        return piece

    def _call(self, what: str, action: Callable[[], _T]) -> _T:
        """Runs one call of the client and turns what it raises into errors of this package."""
        # ipfshttpclient 0.7 still passes urllib3 an argument it ignores and warns about on every request
        warnings.filterwarnings(
            "ignore", message="The 'strict' parameter is no longer", category=FutureWarning
        )
        try:
            return action()
        except exceptions.AddressError as error:
            raise ValueFormatError(
                f"IPFS address: found {self.multiaddr!r}, expected a multiaddr such as "
                "/ip4/127.0.0.1/tcp/5001/http"
            ) from error
        except (exceptions.Error, OSError) as error:
            raise self._unavailable(what, error) from error

    def _unavailable(self, what: str, error: Exception) -> UnavailableError:
        place = f"IPFS node {self.multiaddr}: {what}"
        if isinstance(error, exceptions.TimeoutError) or "timed out" in str(error).lower():
            return ContentMissingError(
                f"{place}: no answer within {self._timeout_seconds} seconds; nobody may provide it, "
                "or the node is overloaded"
            )
        if isinstance(error, exceptions.ConnectionError):
            return StoreUnavailableError(
                f"{place}: cannot be reached; start the node or correct its address ({error})"
            )
        return StoreUnavailableError(f"{place}: {error}")


def _as_base32(text: str) -> str:
    """A CIDv1 in base58btc (z..., what js-ipfs writes) as base32; any other text as it is, to be shown."""
    if not text.startswith("z") or any(letter not in _BASE58 for letter in text):
        return text
    number = 0
    for letter in text[1:]:
        number = number * 58 + _BASE58.index(letter)
    try:
        return Cid.from_binary(number.to_bytes(-(-number.bit_length() // 8), "big"))
    except ValueFormatError:
        return text
