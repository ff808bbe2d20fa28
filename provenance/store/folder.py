"""A content store in a folder: one file a CID, real IPFS CIDs, no daemon.

A file appears under its name only when it is complete and on disk (temporary file, fsync, rename), so a kill at any
moment leaves either the whole content or none. Every read is verified. Several processes may share a folder.
"""

from __future__ import annotations

from pathlib import Path

from provenance.errors import ContentMissingError, StoreUnavailableError
from provenance.files import READABLE, TEMPORARY, sweep, write_whole
from provenance.store.unixfs import check_content, cid_of
from provenance.values import Cid

_LEFT_SECONDS = 3600.0


class FolderStore:
    """Contents under `path`/<last two characters of the CID>/<CID>."""

    def __init__(self, path: Path | str) -> None:
        """The folder is made when the first content is put."""
        self.path = Path(path)

    def sweep(self) -> None:
        """Remove what killed writers left behind a while ago; others may be writing now."""
        for part in self.path.glob("??"):
            sweep(part, older_than_seconds=_LEFT_SECONDS)

    def cids(self) -> list[Cid]:
        """Of all contents."""
        names = (file.name for file in self.path.glob("??/*"))
        return [Cid(name) for name in names if not name.startswith(TEMPORARY)]

    def put(self, data: bytes) -> Cid:
        """Keeps `data`; a damaged earlier copy is replaced."""
        cid = cid_of(data)
        target = self._file(cid)
        try:
            if target.is_file() and target.read_bytes() == data:
                return cid
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, data, mode=READABLE)
        except OSError as error:
            raise StoreUnavailableError(
                f"content folder {self.path}: cannot be written ({error}); check free space and permissions"
            ) from error
        return cid

    def get(self, cid: Cid) -> bytes:
        """The bytes under `cid`, verified."""
        try:
            data = self._file(cid).read_bytes()
        except FileNotFoundError as error:
            raise self._missing(cid) from error
        except OSError as error:
            raise self._unreadable(error) from error
        return check_content(cid, data)

    def has(self, cid: Cid) -> bool:
        """Whether the folder holds a file for `cid`."""
        return self._file(cid).is_file()

    def drop(self, cid: Cid) -> None:
        """Forgets `cid`; nothing happens when the folder does not hold it."""
        try:
            self._file(cid).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailableError(
                f"content folder {self.path}: {cid} cannot be removed ({error}); check its permissions"
            ) from error

    def size(self, cid: Cid) -> int:
        """Bytes of the file for `cid`."""
        try:
            return self._file(cid).stat().st_size
        except FileNotFoundError as error:
            raise self._missing(cid) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def _file(self, cid: Cid) -> Path:
        # the CID is validated text (base32), so it cannot leave the folder
        checked = Cid(cid)
        return self.path / checked[-2:] / checked

    def _missing(self, cid: Cid) -> ContentMissingError:
        return ContentMissingError(
            f"{cid}: not in the content folder {self.path}; import its CAR or ask another store"
        )

    def _unreadable(self, error: OSError) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"content folder {self.path}: cannot be read ({error}); check its permissions"
        )
