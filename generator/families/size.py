"""How large the default families' models become for a schema, before any table is seen.

Numbers count with the quantile bins they get, categories with one code each up to their limit, so a table with
heavy single values may come out a little larger. What decides is the finished model (`size_class`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.learning.capacity import number_bins
from generator.marginals.code_limits import category_codes, quantile_bins
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    encode_model,
)
from provenance.exact.size_class import SizeClass, class_of_size
from provenance.schema import Schema

_MANY_ROWS = 1_000_000
_WIDTH, _NEURONS = 64, 32
_LATENT, _HIDDEN = 64, 128


@dataclass(frozen=True, slots=True)
class ExpectedSize:
    """Multiply-adds of a row, bytes of the model."""

    family: str
    multiplications: int
    model_bytes: int

    @property
    def size_class(self) -> SizeClass:
        """Whether one transaction could make a row again."""
        return class_of_size(self.multiplications, self.model_bytes)


def expected_sizes(schema: Schema) -> tuple[ExpectedSize, ...]:
    """Of the families that are the default without and with epsilon."""
    columns = len(schema.columns)
    fine = _codebook(schema, number_bins(schema, _MANY_ROWS, _WIDTH, _NEURONS))
    coarse = _codebook(schema, quantile_bins(columns))
    return (
        _size("autoregressive", _empty_autoregressive(schema, fine)),
        _size("marginal", _empty_mlp(schema, coarse)),
    )


def _size(family: str, model: AutoregressiveModel | MlpModel) -> ExpectedSize:
    return ExpectedSize(family, model.multiplications, len(encode_model(model)))


def _codebook(schema: Schema, bins: int) -> Codebook:
    limit = category_codes(len(schema.columns))
    counts = tuple(
        min(column.grid_size, bins if column.is_numeric else limit) + column.nullable
        for column in schema.columns
    )
    low = np.concatenate([np.arange(count, dtype=np.int64) for count in counts])
    return Codebook(counts, schema.value_widths, low, np.ones(sum(counts), dtype=np.int64))


def _empty_autoregressive(schema: Schema, book: Codebook) -> AutoregressiveModel:
    steps = tuple(
        ColumnStep(
            np.zeros(_WIDTH, np.int32), np.zeros((_NEURONS, _WIDTH), np.int8), np.zeros(_NEURONS, np.int32),
            np.zeros(_NEURONS, np.uint8), np.zeros((count, _NEURONS), np.int8), np.zeros(count, np.uint8),
            np.zeros(count, np.int32),
        )
        for count in book.code_counts
    )  # fmt: skip
    embedding = np.zeros((book.codes, _WIDTH), np.int8)
    return AutoregressiveModel(255, schema.digest, book, tuple(range(book.columns)), steps, embedding)


def _empty_mlp(schema: Schema, book: Codebook) -> MlpModel:
    hidden = tuple(
        HiddenLayer(
            np.zeros((_HIDDEN, fan_in), np.int8), np.zeros(_HIDDEN, np.int32), np.zeros(_HIDDEN, np.uint8)
        )
        for fan_in in (_LATENT, _HIDDEN)
    )
    output = OutputLayer(
        np.zeros((book.codes, _HIDDEN), np.int8),
        np.zeros(book.codes, np.uint8),
        np.zeros(book.codes, np.int32),
    )
    return MlpModel(255, _LATENT, schema.digest, book, hidden, output)
