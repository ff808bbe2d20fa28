"""Architecture 2: column after column, each seeing the codes drawn before it through a running vector.

The columns are drawn in the model's own order; codebook, noise and rows stay in the schema's. acc = 0; for
each column: a = clip(acc + input_bias, 0, a_max), g = clip((hidden_weights @ a + hidden_bias) >> hidden_shift,
0, a_max), logits = ((output_weights @ g) >> output_shift) + output_bias; a code is drawn as in architecture 1
and acc += embedding[code]. Normative text: docs/spec/rows.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ModelError
from provenance.exact.codebook import Codebook
from provenance.exact.layout import (
    Header,
    Reader,
    check_frame,
    check_layer,
    encode_codebook,
    exact_sum,
    hidden_bound,
    magnitudes,
    output_bound,
    read_codebook,
)
from provenance.exact.tables import TABLES_DIGEST
from provenance.values import Digest

ARCHITECTURE_AUTOREGRESSIVE = 2


@dataclass(frozen=True, slots=True, eq=False)
class ColumnStep:
    """One column's small network, from the running vector (H wide) over G neurons to its m codes' logits.
    input_bias int32[H], hidden_weights int8[G, H], hidden_bias int32[G], hidden_shift uint8[G],
    output_weights int8[m, G], output_shift uint8[m], output_bias int32[m]."""

    input_bias: NDArray[np.int32]
    hidden_weights: NDArray[np.int8]
    hidden_bias: NDArray[np.int32]
    hidden_shift: NDArray[np.uint8]
    output_weights: NDArray[np.int8]
    output_shift: NDArray[np.uint8]
    output_bias: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class AutoregressiveModel:
    """Architecture 2. order: the column that each step draws, a permutation of 0 .. C - 1; steps in that order;
    embedding int8[D, H] in the codebook's: a code's row joins the running vector once the code is drawn. The
    last drawn column's rows change no value; a writer leaves them 0."""

    a_max: int
    schema_digest: Digest
    codebook: Codebook
    order: tuple[int, ...]
    steps: tuple[ColumnStep, ...]
    embedding: NDArray[np.int8]
    tables_digest: Digest = TABLES_DIGEST

    @property
    def width(self) -> int:
        """Width of the running vector, H."""
        return int(self.embedding.shape[-1])

    @property
    def hidden_width(self) -> int:
        """Neurons of a column's hidden layer, G."""
        return len(self.steps[0].hidden_bias)

    @property
    def multiplications(self) -> int:
        """Multiply-adds of one row; the running vector costs additions only."""
        return sum(step.hidden_weights.size + step.output_weights.size for step in self.steps)

    @property
    def latent_words(self) -> int:
        """Noise words of a row before the columns' own: none."""
        return 0

    def encode(self) -> bytes:
        """Model bytes, without any check."""
        book = self.codebook
        header = Header(
            ARCHITECTURE_AUTOREGRESSIVE, self.a_max, book.columns, book.codes, self.width, 0,
            self.hidden_width, self.schema_digest, self.tables_digest,
        )  # fmt: skip
        order = np.array(self.order, dtype=">u2").tobytes()
        parts = [header.encode(), encode_codebook(book), order]
        for step in self.steps:
            parts += [
                step.input_bias.astype(">i4").tobytes(),
                step.hidden_weights.tobytes(),
                step.hidden_bias.astype(">i4").tobytes(),
                step.hidden_shift.tobytes(),
                step.output_weights.tobytes(),
                step.output_shift.tobytes(),
                step.output_bias.astype(">i4").tobytes(),
            ]
        return b"".join([*parts, self.embedding.tobytes()])

    def check_shapes(self) -> None:
        """Raises ModelError if an array has another shape or type, or a field an unknown value."""
        book = self.codebook
        if len(self.steps) != book.columns:
            raise ModelError(f"model: found {len(self.steps)} steps, expected one a column, {book.columns}")
        if sorted(self.order) != list(range(book.columns)):
            raise ModelError(
                f"model: found the draw order {list(self.order)}, expected each of the columns 0 to "
                f"{book.columns - 1} once"
            )
        width, neurons = self.width, self.hidden_width
        check_frame(self.a_max, self.tables_digest, inputs=width, hidden_neurons=neurons)
        if self.embedding.shape != (book.codes, width) or self.embedding.dtype != np.int8:
            raise ModelError(
                f"model: found an embedding {self.embedding.dtype.name}{list(self.embedding.shape)}, expected "
                f"int8{[book.codes, width]}"
            )
        for i, (step, column) in enumerate(zip(self.steps, self.order, strict=True)):
            codes = book.code_counts[column]
            if step.input_bias.shape != (width,) or step.input_bias.dtype != np.int32:
                raise ModelError(
                    f"step {i}: found an input bias {step.input_bias.dtype.name}"
                    f"{list(step.input_bias.shape)}, expected int32{[width]}"
                )
            check_layer(
                f"step {i}, hidden layer", step.hidden_weights, step.hidden_bias, step.hidden_shift,
                (neurons, width),
            )  # fmt: skip
            check_layer(
                f"step {i}, output layer", step.output_weights, step.output_bias, step.output_shift,
                (codes, neurons),
            )  # fmt: skip

    def prove_bound(self) -> int:
        """The largest partial sum over every choice of codes; raises ModelError from 2^24 on."""
        worst = 0
        # what the codes drawn so far can have added to the running vector, whichever they were
        reach = np.zeros(self.width, dtype=np.int64)
        sizes = magnitudes(self.embedding)
        for i, step in enumerate(self.steps):
            worst = max(
                worst,
                exact_sum(reach + magnitudes(step.input_bias), f"step {i}, running vector"),
                hidden_bound(f"step {i}, hidden layer", step.hidden_weights, step.hidden_bias, self.a_max),
                output_bound(f"step {i}, output", step.output_weights, step.output_bias, self.a_max),
            )
            reach += sizes[self.codebook.column_codes(self.order[i])].max(axis=0)
        return max(worst, exact_sum(reach, "running vector after the last step"))


def read_autoregressive(header: Header, reader: Reader) -> AutoregressiveModel:
    """The model after its header, unchecked but for lengths, depth and codebook."""
    if header.depth:
        raise ModelError(f"model: the reserved byte is {header.depth}, expected 0")
    book = read_codebook(reader, header)
    width, neurons = header.inputs, header.hidden_width
    order = tuple(reader.array(">u2", (header.columns,), "draw order").tolist())
    if max(order) >= header.columns:
        raise ModelError(
            f"model: found column {max(order)} in the draw order, expected 0 to {header.columns - 1}"
        )
    steps = tuple(
        ColumnStep(
            reader.int32(width, f"input bias of step {i}"),
            reader.int8((neurons, width), f"hidden weights of step {i}"),
            reader.int32(neurons, f"hidden bias of step {i}"),
            reader.uint8(neurons, f"hidden shift of step {i}"),
            reader.int8((codes, neurons), f"output weights of step {i}"),
            reader.uint8(codes, f"output shift of step {i}"),
            reader.int32(codes, f"output bias of step {i}"),
        )
        for i, codes in enumerate(book.code_counts[column] for column in order)
    )
    embedding = reader.int8((header.codes, width), "embedding")
    return AutoregressiveModel(
        header.a_max, header.schema_digest, book, order, steps, embedding, header.tables_digest
    )
