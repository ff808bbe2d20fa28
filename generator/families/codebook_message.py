"""The codebook as it travels: arrays of a task, and what a node takes for one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from generator.errors import MarginalError
from generator.federation.step import Step
from generator.federation.task import Array
from provenance.errors import ProvenanceError
from provenance.exact.codebook import Codebook
from provenance.table.schema import Schema


def codebook_arrays(codebook: Codebook) -> dict[str, Array]:
    """A codebook as arrays of a message; `codebook_of` is the inverse."""
    return {
        "code_counts": np.array(codebook.code_counts, dtype=np.int64),
        "low": codebook.low.astype(np.int64),
        "width": codebook.width.astype(np.int64),
    }


def codebook_of(arrays: Mapping[str, Array], schema: Schema) -> Codebook:
    """The codebook of a message; MarginalError if it is none of this schema."""
    try:
        codebook = Codebook(
            code_counts=tuple(int(count) for count in arrays["code_counts"]),
            value_widths=schema.value_widths,
            low=arrays["low"].astype(np.int64),
            width=arrays["width"].astype(np.int64),
        )
        codebook.check_schema(schema)
    except (KeyError, ProvenanceError) as error:
        raise MarginalError(f"the codebook does not fit the schema: {error}") from error
    _require_partition(codebook, schema)
    return codebook


def read_codebook(step: Step) -> Codebook:
    """The codebook that came with a task."""
    return codebook_of(step.task.arrays, step.plan.schema)


def _require_partition(codebook: Codebook, schema: Schema) -> None:
    """Every value of every column has one code. A codebook with gaps would make a node fail on some tables and
    not on others: the failure alone would tell the coordinator, without noise, whether a value is there.
    """
    for column, values in enumerate(schema.cardinalities):
        own = codebook.column_codes(column)
        edges = np.append(codebook.low[own], values)
        if edges[0] != 0 or not np.array_equal(edges[:-1] + codebook.width[own], edges[1:]):
            raise MarginalError(
                f"the codebook's ranges do not cover the {values} values of column {column} once each"
            )
