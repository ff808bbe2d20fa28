"""`tessera.fit`, `tessera.load` and what they return: a generator of exact integers, in memory.

The same engine as `tessera fit` and `tessera sample`: same model, seed and row number, same row. Rows of a
model are made with the base installation alone; a fit needs the extra `generator`.
"""

from __future__ import annotations

import functools
import inspect
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from generator.fitting.settings import option_lines
from provenance.canonical import JsonValue
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.exact.model import size_class
from provenance.exact.size_class import SizeClass
from provenance.files import READABLE, write_whole
from provenance.table.conditions_text import conditions_on_all
from provenance.table.python_cells import Cell, TableLike, python_values
from provenance.table.schema import Schema
from provenance.units import MICRO, format_fixed
from provenance.values import Digest
from tessera.errors import UsageError
from tessera.extras import needing
from tessera.local.table_file import inferred

if TYPE_CHECKING:
    from generator.federation.plan import Settings
    from generator.fitting.fit import FitProgressCallback

SEED_BYTES = 32
P = ParamSpec("P")
R = TypeVar("R")


def known_options(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with a TypeError for an unknown option that names the known ones and the nearest. Its
    signature stays visible.
    """
    parameters = inspect.signature(function).parameters
    known = [name for name, each in parameters.items() if each.kind == each.KEYWORD_ONLY]

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        for name in sorted(options.keys() - parameters.keys()):
            near = get_close_matches(name, known, n=1)
            raise TypeError(
                f"{function.__name__}() has no option {name!r}{f', did you mean {near[0]!r}?' if near else ';'} "
                f"it has {', '.join(known)}"
            )
        return function(*arguments, **options)

    return call


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """A fitted generator. `container` is the `.tsm` file as a value."""

    container: Container

    def __repr__(self) -> str:
        spent = self.privacy.get("epsilonMicro")
        epsilon = format_fixed(spent, MICRO) if isinstance(spent, int) and spent else "none"
        return (
            f"Model({self.schema.name!r}, {len(self.schema.cell_columns)} columns, family {self.family}, "
            f"epsilon {epsilon}, {self.container.model_bytes:,} bytes)"
        )

    def save(self, path: Path | str) -> None:
        """Writes the `.tsm` file, whole or not at all."""
        write_whole(Path(path), self.container.encode(), mode=READABLE)

    @known_options
    def sample(
        self,
        rows: int,
        *,
        seed: int | bytes | None = None,
        first_row: int = 0,
        threads: int = 1,
        where: Sequence[str] | str = (),
    ) -> dict[str, list[Cell]]:
        """Rows first_row .. first_row + rows - 1 as columns of Python values, None where missing.

        seed: a number from 0 (`--seed 42` of the command is 42 here) or 32 bytes; None draws one, so that the
        rows cannot be made again. where: one condition like "age=30..40" or "income=>50K", or several, which
        every row meets (docs/spec/conditions.md). Raises UsageError for another seed, RowRangeError for row
        numbers below 0, ConditionError for conditions that cannot be met.
        """
        conditions = [where] if isinstance(where, str) else where
        asked = conditions_on_all(self.schema, first_row + rows, conditions) if conditions else None
        sampler = ContainerSampler(self.container, seed_bytes(seed), conditions=asked)
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


def load(path: Path | str) -> Model:
    """A model file. Raises DocumentError, ModelError or IntegrityError if it is none or was changed."""
    return Model(Container.parse(Path(path).read_bytes()))


@known_options
def fit(
    table: Path | str | TableLike,
    schema: Schema | Path | str | None = None,
    *,
    family: str | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
    weak_privacy: bool = False,
    least_rows: int = 10,
    declared_rows: int | None = None,
    conditionable: Sequence[str] | str = (),
    contributors: int = 1,
    seconds: float | None = None,
    threads: int = 1,
    seed: int | None = None,
    settings: Settings | None = None,
    progress: FitProgressCallback | None = None,
) -> Model:
    """A generator of the rows of `table`: a CSV or Parquet file, or columns by name (a dict of lists,
    a data frame).

    schema: a document or its file; None infers it from the table, which epsilon refuses (`tessera.schema.infer`). A
    fit with epsilon is charged to the table's one privacy ledger (docs/spec/privacy-ledger.md). One without
    epsilon, from 2,000 rows, sets about one in twenty aside (1,200 at most) for `tessera.audit` to tell what leaks.

    OPTIONS
    progress: called with a FitProgress (stage, fraction, losses, epsilon) as the fit goes on.

    Raises SchemaError, TableError, FitError or PlanError, each with what was found and what to do; TypeError
    for an option that there is not.
    """
    with needing("generator", "tessera.fit"):
        from generator.fitting.aside import set_aside
        from generator.fitting.fit import check_settings
        from generator.fitting.fit import fit as fit_rows
        from generator.fitting.settings import FitSettings
        from tessera.local.owned import owned_rows

    if isinstance(schema, Path | str):
        schema = Schema.load(schema)
    elif schema is None:
        schema = inferred(table)
    options = FitSettings(
        family=family,
        epsilon=epsilon,
        delta=delta,
        weak_privacy=weak_privacy,
        contributors=contributors,
        seconds=seconds,
        threads=threads,
        seed=seed,
        least_rows=least_rows,
        declared_rows=declared_rows,
        settings=settings or {},
        conditionable=(conditionable,) if isinstance(conditionable, str) else tuple(conditionable),
    )
    check_settings(schema, options)
    owned, rows = owned_rows(table, schema)
    for near in owned.near:
        warnings.warn(near.warning, stacklevel=2)
    aside = set_aside(rows, owned.split_secret(), epsilon)
    return Model(fit_rows(rows.where(~aside), schema, options, progress, ledger=owned.ledger()))


fit.__doc__ = (fit.__doc__ or "").replace("    OPTIONS", option_lines())


def seed_bytes(seed: int | bytes | None) -> bytes:
    """The 32 bytes of a seed: of a number, big-endian; of None, drawn. Raises UsageError for anything else."""
    if seed is None:
        return secrets.token_bytes(SEED_BYTES)
    if isinstance(seed, bytes) and len(seed) == SEED_BYTES:
        return seed
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2 ** (8 * SEED_BYTES):
        return seed.to_bytes(SEED_BYTES, "big")
    raise UsageError(f"seed: found {seed!r:.40}, expected a number from 0 to 2^256 - 1 or {SEED_BYTES} bytes")
