"""Schema documents on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.errors import UsageError

if TYPE_CHECKING:
    from provenance.schema import Schema


def load_schema(path: Path) -> Schema:
    """The schema in `path`; `UsageError` when it is no JSON, `SchemaError` (provenance) when it is no schema."""
    from provenance.schema import Schema

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"{path} is not a JSON document ({error}): expected a schema as `tessera schema infer` writes"
        ) from error
    return Schema.parse(document)
