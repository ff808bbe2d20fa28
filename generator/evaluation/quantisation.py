"""What integers cost: rows of one autoregressive net before and after quantisation. Needs torch.

The net is trained in one place without privacy, as `tessera fit` trains it, so the two tables differ by
quantisation and by the luck of the draw alone. For benchmarks; it reads every row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.learning.autoregressive import NetShape, initial_weights, sample_codes
from generator.learning.capacity import number_bins, ordered_codes
from generator.learning.draw_order import DrawOrder
from generator.learning.fit_autoregressive import choose_decay, train
from generator.learning.quantise_autoregressive import quantise_autoregressive
from generator.learning.recipes import local_recipe
from generator.marginals.bins import base_grid, build_codebook, encode_codes, release_bins
from provenance.exact.codebook import Codebook
from provenance.exact.sampler import Sampler
from provenance.schema import Schema
from provenance.values import sha256

Values = NDArray[np.int64]
_WIDTH, _NEURONS = 64, 32


@dataclass(frozen=True, slots=True)
class BothRows:
    """Grid indices int64[rows, C] drawn from the float net and from the model's integers."""

    floats: Values
    integers: Values


def float_and_integer_rows(table: Values, schema: Schema, rows: int, *, seed: int) -> BothRows:
    """Train on grid indices int64[n, C] of `schema`, quantise, and draw `rows` rows from each."""
    bins = number_bins(schema, len(table), _WIDTH, _NEURONS)
    codebook = build_codebook(schema, release_bins(table, base_grid(schema), 0.0), bins)
    shape = NetShape(codebook.code_counts, _WIDTH, _NEURONS, ordered_codes(schema, codebook))
    codes = encode_codes(table, codebook)
    random = np.random.default_rng(seed)
    one_way = np.concatenate(
        [np.bincount(codes[:, c], minlength=m) / len(codes) for c, m in enumerate(shape.code_counts)]
    )
    start = initial_weights(shape, one_way, random)
    recipe = choose_decay(codes, shape, start, local_recipe(len(table)), seed=seed)
    weights = train(codes, shape, start, recipe, seed=seed)
    model = quantise_autoregressive(shape, weights, codebook, DrawOrder.of(codebook, ()), schema.digest)
    integers = Sampler(model, sha256(b"quantisation/%d" % seed), 0).values(0, rows)
    return BothRows(_values(sample_codes(shape, weights, rows, random), codebook, random), integers)


def _values(codes: Values, codebook: Codebook, random: np.random.Generator) -> Values:
    """A value of each code int64[n, C], uniform over the code's range."""
    flat = codes + np.array(codebook.offsets[:-1])
    return np.asarray(codebook.low[flat] + random.integers(0, codebook.width[flat]), dtype=np.int64)
