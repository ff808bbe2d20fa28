"""The Python interface: `generator.fit(table)` and what it returns.

    import generator

    model = generator.fit("patients.csv", schema="patients.json", epsilon=1.0)
    rows = model.sample(10_000, seed=7)      # {"age": [43, ...], ...}
    model.save("patients.tsm")

The same engine as `tessera fit` and `tessera sample`: same model, seed and row number, same row.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

from generator.errors import FitError
from generator.federation.plan import Settings
from generator.fitting.fit import FitProgressCallback
from generator.fitting.fit import fit as fit_values
from generator.fitting.settings import FitSettings
from provenance.canonical import JsonValue
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.exact.size_class import SizeClass, size_class
from provenance.table.codec import encode_table
from provenance.table.conditions_text import conditions_on_all
from provenance.table.python_cells import Cell, TableLike, cell_texts, python_values
from provenance.table.schema import Schema
from provenance.table.schema_infer import infer_from_cells, infer_schema
from provenance.table.table_csv import CompactValues, read_compact
from provenance.values import Digest

SEED_BYTES = 32


class FitOptions(TypedDict, total=False):
    """The fields of `FitSettings`, which says what they mean, as keywords."""

    family: str | None
    epsilon: float | None
    delta: float
    contributors: int
    seconds: float | None
    threads: int
    seed: int | None
    schema_is_public: bool
    declared_rows: int | None
    settings: Settings
    conditionable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FittedGenerator:
    """A generator of exact integers. `container` is the `.tsm` file as a value."""

    container: Container

    @classmethod
    def load(cls, path: Path | str) -> FittedGenerator:
        """A model file. Raises DocumentError, ModelError or IntegrityError if it is none or was changed."""
        return cls(Container.parse(Path(path).read_bytes()))

    def save(self, path: Path | str) -> None:
        """Writes the `.tsm` file, whole or not at all."""
        part = Path(f"{path}.part")
        part.write_bytes(self.container.encode())
        part.replace(path)

    def sample(
        self,
        rows: int,
        *,
        seed: int | bytes | None = None,
        first_row: int = 0,
        threads: int = 1,
        where: Sequence[str] = (),
    ) -> dict[str, list[Cell]]:
        """Rows first_row .. first_row + rows - 1 as columns of Python values, None where missing.

        seed: a number from 0 or 32 bytes; None draws one, so that the rows cannot be made again. where: texts
        like "age=30..40" or "income=>50K" that every row meets (docs/spec/conditions.md). Raises FitError for
        another seed, RowRangeError for row numbers below 0, ConditionError for conditions that cannot be met.
        """
        asked = conditions_on_all(self.schema, first_row + rows, where) if where else None
        sampler = ContainerSampler(self.container, _seed(seed), conditions=asked)
        values = sampler.values(first_row, rows, threads=threads)
        return python_values(self.schema, values, first_row=first_row)

    @property
    def schema(self) -> Schema:
        """What the columns may hold."""
        return self.container.schema

    @property
    def family(self) -> str:
        """The family of the models."""
        return self.container.family

    @property
    def privacy(self) -> Mapping[str, JsonValue]:
        """The privacy statement: unit, neighbours, epsilon, delta, mechanisms, what is not covered."""
        return self.container.privacy

    @property
    def digest(self) -> Digest:
        """SHA-256 of the file."""
        return self.container.digest

    @property
    def size_class(self) -> SizeClass:
        """Whether every model is small enough for one row to be refuted in one transaction."""
        classes = {size_class(part.model_bytes) for part in self.container.parts}
        return "fraud-provable" if classes == {"fraud-provable"} else "recomputed"


def fit(
    table: Path | str | TableLike,
    schema: Schema | Path | str | None = None,
    *,
    progress: FitProgressCallback | None = None,
    **options: Unpack[FitOptions],
) -> FittedGenerator:
    """A generator of the rows of `table`: a CSV file, or columns by name (a dict of lists, a data frame).

    schema: a document or its file; None infers it from the table, which epsilon refuses unless
    `schema_is_public` vouches for what was inferred. options: see `FitSettings`. Raises SchemaError, TableError,
    FitError or PlanError, each with what was found and what to do.
    """
    settings = FitSettings(**options)
    path = Path(table) if isinstance(table, Path | str) else None
    cells = None if isinstance(table, Path | str) else cell_texts(table)
    if isinstance(schema, Path | str):
        schema = Schema.load(schema)
    elif schema is None:
        schema = (
            infer_schema(path, path.name.split(".")[0]) if path else infer_from_cells(cells or {}, "table")
        )
    values: CompactValues = read_compact(path, schema) if path else encode_table(schema, cells or {})
    return FittedGenerator(fit_values(values, schema, settings, progress))


def _seed(seed: int | bytes | None) -> bytes:
    if seed is None:
        return secrets.token_bytes(SEED_BYTES)
    if isinstance(seed, bytes) and len(seed) == SEED_BYTES:
        return seed
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2 ** (8 * SEED_BYTES):
        return seed.to_bytes(SEED_BYTES, "big")
    raise FitError(f"seed: found {seed!r:.40}, expected a number from 0 to 2^256 - 1 or {SEED_BYTES} bytes")
