"""The row function in plain Python integers, a row at a time: short enough to be read beside
docs/spec/rows.md.
 Slow (some hundred rows a second). It exists to be compared with: it shares model decoding and the tables
with the fast sampler, and no arithmetic.
"""

from __future__ import annotations

from provenance.exact.model import MlpModel, decode_model
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


def row_words(model: MlpModel, key: tuple[int, int], row: int, attempt: int = 0) -> list[int]:
    """The noise words of row number `row`."""
    count = words_per_row(model)
    blocks = -(-count // 4)
    words: list[int] = []
    for block in range(blocks):
        words += philox_block((row * blocks + block, attempt, 0, 0), key)
    return words[:count]


def row_logits(model: MlpModel, latent: list[int]) -> list[int]:
    """The D logits of the latent inputs, in 1/64 nat."""
    x = latent
    for layer in model.hidden:
        x = [
            min(max((sum(w * a for w, a in zip(line, x, strict=True)) + bias) >> shift, 0), model.a_max)
            for line, bias, shift in zip(
                layer.weights.tolist(), layer.bias.tolist(), layer.shift.tolist(), strict=True
            )
        ]
    output = model.output
    return [
        (sum(w * a for w, a in zip(line, x, strict=True)) >> shift) + bias
        for line, bias, shift in zip(
            output.weights.tolist(), output.bias.tolist(), output.shift.tolist(), strict=True
        )
    ]


def draw(logits: list[int], low: list[int], width: list[int], word: int) -> int:
    """One column's value from its codes' logits and its noise word."""
    exp = load_tables().exp.tolist()
    largest = max(logits)
    weights = [exp[min(largest - logit, EXP_LAST)] for logit in logits]
    target = ((word & 0xFFFFFFFF) * sum(weights)) >> 32
    code = 0
    cumulative = weights[0]
    while cumulative <= target:
        code += 1
        cumulative += weights[code]
    return int(low[code] + (((word >> 32) * width[code]) >> 32))


def reference_row(model_bytes: bytes, seed: bytes, shard_index: int, row: int, attempt: int = 0) -> list[int]:
    """The C values of one row."""
    model = decode_model(model_bytes)
    words = row_words(model, noise_key(model_bytes, seed, shard_index), row, attempt)
    normal = load_tables().normal.tolist()
    latent = [normal[(words[j // 8] >> (8 * (j % 8))) & 255] for j in range(model.latent)]
    logits = row_logits(model, latent)
    book = model.codebook
    column_words = words[len(words) - book.columns :]
    values = []
    for column, word in enumerate(column_words):
        codes = book.column_codes(column)
        values.append(draw(logits[codes], book.low[codes].tolist(), book.width[codes].tolist(), word))
    return values


def reference_row_bytes(
    model_bytes: bytes, seed: bytes, shard_index: int, row: int, attempt: int = 0
) -> bytes:
    """The bytes of one row."""
    values = reference_row(model_bytes, seed, shard_index, row, attempt)
    widths = decode_model(model_bytes).codebook.value_widths
    return b"".join(value.to_bytes(size, "big") for value, size in zip(values, widths, strict=True))
