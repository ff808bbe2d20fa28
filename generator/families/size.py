"""How large the default families' models become for a schema, before any table is seen.

Numbers count with the quantile bins they get, categories with one code each up to their limit, so a table with
heavy single values may come out a little larger. What decides is the finished model (`size_class`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.families.autoregressive_schedule import WIDTH
from generator.families.settings import MarginalSettings
from generator.marginals.code_limits import category_codes, number_bins, quantile_bins
from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    encode_model,
    model_size,
)
from provenance.exact.size_class import ModelSize, SizeClass
from provenance.table.schema import Schema

_MANY_ROWS = 1_000_000
_NEURONS = WIDTH // 2
_NET = MarginalSettings.parse({})


@dataclass(frozen=True, slots=True)
class ExpectedSize:
    """How large the model of a family will be."""

    family: str
    size: ModelSize

    @property
    def multiplications(self) -> int:
        """Multiply-adds of a row."""
        return self.size.multiplications

    @property
    def model_bytes(self) -> int:
        return self.size.model_bytes

    @property
    def size_class(self) -> SizeClass:
        """Whether one transaction could make a row again."""
        return self.size.size_class


def expected_sizes(schema: Schema) -> tuple[ExpectedSize, ...]:
    """Of the families that are the default without and with epsilon."""
    columns = len(schema.columns)
    fine = _codebook(schema, number_bins(schema, _MANY_ROWS, WIDTH, _NEURONS))
    coarse = _codebook(schema, quantile_bins(columns))
    return (
        _size("autoregressive", _empty_autoregressive(schema, fine)),
        _size("marginal", _empty_mlp(schema, coarse)),
    )


def _size(family: str, model: AutoregressiveModel | MlpModel) -> ExpectedSize:
    return ExpectedSize(family, model_size(model, len(encode_model(model))))


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
            np.zeros(WIDTH, np.int32), np.zeros((_NEURONS, WIDTH), np.int8), np.zeros(_NEURONS, np.int32),
            np.zeros(_NEURONS, np.uint8), np.zeros((count, _NEURONS), np.int8), np.zeros(count, np.uint8),
            np.zeros(count, np.int32),
        )
        for count in book.code_counts
    )  # fmt: skip
    embedding = np.zeros((book.codes, WIDTH), np.int8)
    return AutoregressiveModel(255, schema.digest, book, tuple(range(book.columns)), steps, embedding)


def _empty_mlp(schema: Schema, book: Codebook) -> MlpModel:
    width = _NET.hidden_width
    inputs = [_NET.latent_bytes, *[width] * (_NET.hidden_layers - 1)]
    hidden = tuple(
        HiddenLayer(np.zeros((width, fan_in), np.int8), np.zeros(width, np.int32), np.zeros(width, np.uint8))
        for fan_in in inputs
    )
    output = OutputLayer(
        np.zeros((book.codes, width), np.int8),
        np.zeros(book.codes, np.uint8),
        np.zeros(book.codes, np.int32),
    )
    return MlpModel(255, _NET.latent_bytes, schema.digest, book, hidden, output)
