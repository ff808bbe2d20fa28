"""The private files of a node's folder: an operator must look where one does not open."""

from __future__ import annotations

from pathlib import Path

from generator.errors import StateError
from provenance.crypto.at_rest import SealedFolder
from provenance.errors import SealError


class PrivateFiles(SealedFolder):
    """As `SealedFolder`, with StateError for what another key sealed, or what is damaged."""

    def read(self, path: Path) -> bytes:
        """What was written. Raises StateError, FileNotFoundError."""
        try:
            return super().read(path)
        except SealError as error:
            raise StateError(
                f"{error}. It was sealed under another key than this node's, or is damaged: name the key that the node "
                "was set up with, or restore the file from a copy"
            ) from error
