"""The probability that a model's stream gives a row, from model bytes alone.

Architecture 2: the product of its columns' code probabilities, in the sampler's own integers. Architecture 1:
the same given the latent bytes, averaged over `latents` latent vectors of a fixed stream; so an estimate, but
one that is the same for everybody. A code's probability is spread evenly over its values. What differs from
the sampler: a target `(u32 * sum) >> 32` makes probabilities multiples of 2^-32; here they are weight / sum.
Reads no randomness and adds no noise: log densities of private rows are private.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError, MarginalError
from generator.marginals.bins import encode_codes
from generator.marginals.columns import columns_likelihood
from provenance.exact.codebook import Codebook, Codes
from provenance.exact.container import Container
from provenance.exact.mlp import MlpForward
from provenance.exact.model import AutoregressiveModel, MlpModel, decode_model
from provenance.exact.tables import EXP_LAST, load_tables

LATENTS: Final = 8192
_LATENTS_AT_ONCE: Final = 1024
_ROWS_AT_ONCE: Final = 8192
_LEAST: Final = 2.0**-32
"""What a code of weight 0 is taken to have: the sampler's own resolution."""

Floats = NDArray[np.float64]


def log_density(model: bytes, values: NDArray[np.int64], *, latents: int = LATENTS) -> Floats:
    """Natural log of the probability of each row, float64[n], of grid indices int64[n, C].

    Raises ModelError for bytes that are no model, EvaluationError for rows of another schema.
    """
    decoded = decode_model(model)
    book = decoded.codebook
    try:
        codes = encode_codes(values, book)
    except MarginalError as error:
        raise EvaluationError(f"the rows are not of the model's schema: {error}") from error
    if isinstance(decoded, MlpModel):
        density = _mlp(decoded, codes, latents)
    else:
        parts = [codes[at : at + _ROWS_AT_ONCE] for at in range(0, len(codes), _ROWS_AT_ONCE)]
        density = np.concatenate([np.empty(0), *(_autoregressive(decoded, part) for part in parts)])
    return density - _spread(codes, book)


def columns_log_density(model: bytes, counted: NDArray[np.int64], values: NDArray[np.int64]) -> Floats:
    """As `log_density`, under independent columns counted on other rows [m, C], in the codes of `model`."""
    book = decode_model(model).codebook
    codes = encode_codes(values, book)
    sizes = np.diff(book.offsets).tolist()
    return columns_likelihood(encode_codes(counted, book), codes, sizes) - _spread(codes, book)


def mixture_log_density(container: Container, values: NDArray[np.int64], *, latents: int = LATENTS) -> Floats:
    """`log_density` of a container: its parts' densities, averaged by their weights."""
    total = sum(part.weight for part in container.parts)
    parts = [
        np.log(part.weight / total) + log_density(part.model_bytes, values, latents=latents)
        for part in container.parts
    ]
    return np.asarray(np.logaddexp.reduce(parts, axis=0), dtype=np.float64)


def _spread(codes: Codes, book: Codebook) -> Floats:
    """Of each row, the log of how many values its codes stand for."""
    places = codes + np.array(book.offsets[:-1])
    return np.asarray(np.log(book.width.astype(np.float64))[places].sum(axis=1))


def _log_probabilities(logits: NDArray[np.floating], axis: int) -> Floats:
    """Of one column's integer logits: log(weight / sum), as the sampler weighs them."""
    distance = np.minimum(logits.max(axis=axis, keepdims=True) - logits, EXP_LAST).astype(np.intp)
    weights = load_tables().exp[distance].astype(np.float64)
    share = weights / weights.sum(axis=axis, keepdims=True)
    return np.asarray(np.log(np.maximum(share, _LEAST)))


def _autoregressive(model: AutoregressiveModel, codes: Codes) -> Floats:
    """float64[n]: integers throughout, carried exactly by float64 below 2^53."""
    running = np.zeros((len(codes), model.width))
    total = np.zeros(len(codes))
    rows = np.arange(len(codes))
    for column, step in zip(model.order, model.steps, strict=True):
        x = np.clip(running + step.input_bias, 0, model.a_max)
        sums = x @ step.hidden_weights.T.astype(np.float64) + step.hidden_bias
        x = np.clip(np.floor(np.ldexp(sums, -step.hidden_shift.astype(np.intc))), 0, model.a_max)
        sums = x @ step.output_weights.T.astype(np.float64)
        logits: Floats = np.floor(np.ldexp(sums, -step.output_shift.astype(np.intc))) + step.output_bias
        total += _log_probabilities(logits, 1)[rows, codes[:, column]]
        running += model.embedding[model.codebook.offsets[column] + codes[:, column]]
    return total


def _mlp(model: MlpModel, codes: Codes, latents: int) -> Floats:
    """float64[n]: log mean over latent vectors of the product of the columns' probabilities."""
    if latents < 1:
        raise EvaluationError(f"{latents} latent vectors were asked for, expected at least one")
    normal = load_tables().normal
    random = np.random.default_rng(0)
    forward = MlpForward(model, np.float64)
    total = np.full(len(codes), -np.inf)
    for start in range(0, latents, _LATENTS_AT_ONCE):
        count = min(_LATENTS_AT_ONCE, latents - start)
        drawn = normal[random.integers(0, 256, (model.latent, count))]
        table = _column_log_probabilities(-np.floor(forward.costs(drawn)), model.codebook)
        for at in range(0, len(codes), _ROWS_AT_ONCE):
            part = slice(at, at + _ROWS_AT_ONCE)
            given = _one_hot(codes[part], model.codebook) @ table
            peak = given.max(axis=1)
            mean = peak + np.log(np.exp(given - peak[:, None]).sum(axis=1, dtype=np.float64))
            total[part] = np.logaddexp(total[part], mean)
    return np.asarray(total - np.log(latents))


def _column_log_probabilities(logits: NDArray[np.floating], book: Codebook) -> NDArray[np.float32]:
    """float32[D, latents] of integer logits [D, latents]."""
    parts = [_log_probabilities(logits[book.column_codes(c)], 0) for c in range(book.columns)]
    return np.concatenate(parts).astype(np.float32)


def _one_hot(codes: Codes, book: Codebook) -> NDArray[np.float32]:
    hot = np.zeros((len(codes), book.codes), dtype=np.float32)
    hot[np.arange(len(codes))[:, None], codes + np.array(book.offsets[:-1])] = 1.0
    return hot
