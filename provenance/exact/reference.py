"""The row function in plain Python integers, a row at a time: short enough to be read beside docs/spec/rows.md.

Slow (some hundred rows a second). It exists to be compared with: it shares model decoding and the tables
with the fast sampler, and no arithmetic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from provenance.exact.model import AutoregressiveModel, MlpModel, Model, decode_model
from provenance.exact.philox import MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1
from provenance.exact.sampler import noise_key, words_per_row
from provenance.exact.tables import EXP_LAST, load_tables

_MASK = 2**64 - 1


def philox_block(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x64-10 of one counter."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & _MASK, (p0 >> 64) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + WEYL_0) & _MASK, (k1 + WEYL_1) & _MASK
    return c0, c1, c2, c3


def row_words(model: Model, key: tuple[int, int], row: int, attempt: int = 0) -> list[int]:
    """The noise words of row number `row`."""
    count = words_per_row(model)
    blocks = -(-count // 4)
    words: list[int] = []
    for block in range(blocks):
        words += philox_block((row * blocks + block, attempt, 0, 0), key)
    return words[:count]


def hidden(
    weights: NDArray[np.int8], bias: NDArray[np.int32], shift: NDArray[np.uint8], x: list[int], a_max: int
) -> list[int]:
    """clip((W x + b) >> shift, 0, a_max)."""
    lines = zip(weights.tolist(), bias.tolist(), shift.tolist(), strict=True)
    return [
        min(max((sum(w * a for w, a in zip(line, x, strict=True)) + b) >> s, 0), a_max)
        for line, b, s in lines
    ]


def output(
    weights: NDArray[np.int8], shift: NDArray[np.uint8], bias: NDArray[np.int32], x: list[int]
) -> list[int]:
    """((W x) >> shift) + b, logits in 1/64 nat."""
    lines = zip(weights.tolist(), shift.tolist(), bias.tolist(), strict=True)
    return [(sum(w * a for w, a in zip(line, x, strict=True)) >> s) + b for line, s, b in lines]


def weights_of(logits: list[int]) -> list[int]:
    """The weights of a column's codes."""
    exp = load_tables().exp.tolist()
    largest = max(logits)
    return [exp[min(largest - logit, EXP_LAST)] for logit in logits]


def draw(weights: list[int], word: int) -> int:
    """Which of a column's codes its noise word draws."""
    target = ((word & 0xFFFFFFFF) * sum(weights)) >> 32
    code = 0
    cumulative = weights[0]
    while cumulative <= target:
        code += 1
        cumulative += weights[code]
    return int(code)


def mlp_codes(model: MlpModel, words: list[int]) -> list[int]:
    """Architecture 1: each column's code, counted from 0 in the column."""
    normal = load_tables().normal.tolist()
    x = [normal[(words[j // 8] >> (8 * (j % 8))) & 255] for j in range(model.latent)]
    for layer in model.hidden:
        x = hidden(layer.weights, layer.bias, layer.shift, x, model.a_max)
    logits = output(model.output.weights, model.output.shift, model.output.bias, x)
    book = model.codebook
    column_words = words[model.latent_words :]
    return [draw(weights_of(logits[book.column_codes(c)]), word) for c, word in enumerate(column_words)]


def step_weights(model: AutoregressiveModel, place: int, running: list[int]) -> list[int]:
    """Architecture 2: the weights of the codes of step `place`."""
    step = model.steps[place]
    x = [min(max(a + b, 0), model.a_max) for a, b in zip(running, step.input_bias.tolist(), strict=True)]
    x = hidden(step.hidden_weights, step.hidden_bias, step.hidden_shift, x, model.a_max)
    return weights_of(output(step.output_weights, step.output_shift, step.output_bias, x))


def moved(model: AutoregressiveModel, place: int, running: list[int], code: int) -> list[int]:
    """Architecture 2: the running vector after step `place` has drawn `code`."""
    embedding = model.embedding[model.codebook.offsets[model.order[place]] + code].tolist()
    return [a + e for a, e in zip(running, embedding, strict=True)]


def autoregressive_codes(model: AutoregressiveModel, words: list[int]) -> list[int]:
    """Architecture 2: each column's code, counted from 0 in the column."""
    running = [0] * model.width
    codes = [0] * model.codebook.columns
    for place, column in enumerate(model.order):
        codes[column] = draw(step_weights(model, place, running), words[column])
        running = moved(model, place, running, codes[column])
    return codes


def reference_row(model_bytes: bytes, seed: bytes, shard_index: int, row: int, attempt: int = 0) -> list[int]:
    """The C values of one row."""
    model = decode_model(model_bytes)
    words = row_words(model, noise_key(model_bytes, seed, shard_index), row, attempt)
    codes = mlp_codes(model, words) if isinstance(model, MlpModel) else autoregressive_codes(model, words)
    book = model.codebook
    values = []
    for column, (code, word) in enumerate(zip(codes, words[model.latent_words :], strict=True)):
        place = book.offsets[column] + code
        values.append(int(book.low[place]) + (((word >> 32) * int(book.width[place])) >> 32))
    return values


def reference_row_bytes(
    model_bytes: bytes, seed: bytes, shard_index: int, row: int, attempt: int = 0
) -> bytes:
    """The bytes of one row."""
    values = reference_row(model_bytes, seed, shard_index, row, attempt)
    widths = decode_model(model_bytes).codebook.value_widths
    return b"".join(value.to_bytes(size, "big") for value, size in zip(values, widths, strict=True))
