"""Log-likelihood, gradient and clipped gradient of the autoregressive net, written out by hand. Needs torch.

Every weight belongs to one column, and a column's gradient of one row is an outer product; so the norm of a
row's whole gradient follows from the norms of its factors (Goodfellow 2015, arXiv:1510.01799), and the sum of
clipped gradients from scaling one factor: no row's gradient is ever stored.

A batch fixes all codes, so all columns go through each layer in one product. Codes lie along rows of memory
and batch rows along its columns where a softmax is taken, and buffers are kept between calls: small columns
and fresh pages cost more here than multiplications. Not safe for two threads on one object.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.errors import LearningError
from generator.learning.autoregressive import (
    EMBEDDING,
    HIDDEN_BIAS,
    HIDDEN_WEIGHTS,
    INPUT_BIAS,
    OUTPUT_BIAS,
    OUTPUT_WEIGHTS,
    Flat,
    NetShape,
)
from generator.learning.dp_sgd import clip_factor
from generator.privacy import noise
from provenance.exact.codebook import Codes

_NUMBERS_AT_ONCE = 2**20
_MOST_ROWS, _FEWEST_ROWS = 1024, 16
_BLOCK_ROWS = 128
"""Rows of a block, whose clipped gradients are summed before blocks are."""
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class _Forward:
    """Activations of a batch of n rows: inputs after relu [C, n, H], neurons [C, n, G], probabilities of all
    codes [D, n] and of the codes that came [C, n]. Views of buffers that the next batch overwrites."""

    active: Tensor
    neurons: Tensor
    probabilities: Tensor
    picked: Tensor

    @property
    def log_likelihood(self) -> Tensor:
        """log p of each row [n]."""
        return self.picked.clamp_min(_TINY).log().sum(0)


@dataclass(frozen=True, slots=True)
class _Backward:
    """Gradients of each row's -log p by its sums: logits [D, n], neurons [C, n, G], and the running vector
    as column c reads it [C, n, H]: through column c and all later ones."""

    by_logits: Tensor
    by_neurons: Tensor
    by_running: Tensor


class AutoregressiveGradient:
    """Reads the weights of `flat`, whose memory it shares: it follows an optimiser that works in place.

    expected_rows: of a batch whose gradients are clipped, a public figure; it sets how many go through at once.
    """

    def __init__(self, shape: NetShape, flat: Flat, expected_rows: float | None = None) -> None:
        shape.check(flat)
        self.shape = shape
        self._weights = {name: torch.from_numpy(shape.view(flat, name)) for name in shape.parts}
        self._code_counts = list(shape.code_counts)
        self._output_weights = torch.split(self._weights[OUTPUT_WEIGHTS], self._code_counts)
        self._buffers: dict[str, Tensor] = {}
        fitting = _NUMBERS_AT_ONCE // max(shape.columns * shape.width, shape.codes)
        self._rows_at_once = max(_FEWEST_ROWS, min(_MOST_ROWS, fitting))
        if expected_rows is not None:
            usual = expected_rows + 2 * math.sqrt(expected_rows)
            self._rows_at_once = math.ceil(usual / math.ceil(expected_rows / self._rows_at_once))
        self._block_rows = min(_BLOCK_ROWS, self._rows_at_once)
        self._rows_at_once = -(-self._rows_at_once // self._block_rows) * self._block_rows
        self._block_starts = torch.arange(self._rows_at_once) // self._block_rows * shape.codes

    def tensor(self, codes: Codes) -> Tensor:
        """Codes [n, C] in the layout of the other methods: [C, n], counted over all columns, in int16 where
        that holds them.
        """
        if codes.ndim != 2 or codes.shape[1] != self.shape.columns:
            raise LearningError(f"codes have shape {codes.shape}; expected [rows, {self.shape.columns}]")
        dtype = np.int16 if self.shape.codes <= np.iinfo(np.int16).max else np.int32
        counted = np.empty((self.shape.columns, len(codes)), dtype=dtype)
        np.add(codes.T, np.array(self.shape.offsets[:-1])[:, None], out=counted, casting="unsafe")
        return torch.from_numpy(counted)

    @torch.no_grad()
    def log_likelihood(self, codes: Tensor) -> NDArray[np.float64]:
        """log p of each row of [C, n], in nats: float64[n]."""
        parts = [self._forward(part).log_likelihood for part in self._split(codes)]
        return torch.cat(parts).numpy().astype(np.float64)

    @torch.no_grad()
    def summed(self, codes: Tensor) -> tuple[Flat, float]:
        """(sum over rows of the gradient of -log p, float32[P]; mean of -log p). No rows: zeros."""
        total = np.zeros(self.shape.size, dtype=np.float32)
        loss = 0.0
        for part in self._split(codes):
            if part.shape[1]:
                forward = self._forward(part)
                loss -= float(forward.log_likelihood.sum())
                backward = self._backward(part, forward)
                _add_later_columns(backward.by_running)
                self._add(part, forward, backward, total)
        return total, loss / max(codes.shape[1], 1)

    @torch.no_grad()
    def clipped_sum(self, codes: Tensor, max_grad_norm: float) -> NDArray[np.float64]:
        """Sum over rows of the gradient of -log p, each first scaled to Euclidean norm `max_grad_norm` if it is
        longer, float64[P]. No rows: zeros.

        What a row computes does not depend on the others: all go through products of one shape, the last of them filled
        up with rows that add nothing. They stand in a random order, so that a further row moves one other at most.
        Blocks of 128 are summed in float32, then those of a product, products in float64 (docs/spec/noise.md).
        """
        total = np.zeros(self.shape.size)
        order = torch.from_numpy(noise.random_order(codes.shape[1]))
        for part in self._split(codes.index_select(1, order)):
            rows = part.shape[1]
            if not rows:
                continue
            filled = part[:, torch.arange(self._rows_at_once) % rows].contiguous()
            forward = self._forward(filled)
            backward = self._backward(filled, forward)
            factor = clip_factor(self._norms_and_running(forward, backward), max_grad_norm)
            factor[rows:] = 0.0  # and of a row whose norm is not finite, which sent weights can make
            factor.nan_to_num_(0.0)
            backward.by_logits.mul_(factor)
            backward.by_neurons.mul_(factor.unsqueeze(1))
            backward.by_running.mul_(factor.unsqueeze(1))
            self._add_blocks(filled, forward, backward, total)
        return total

    @torch.no_grad()
    def norms(self, codes: Tensor) -> NDArray[np.float32]:
        """Euclidean norm of each row's gradient, float32[n]."""
        norms = []
        for part in self._split(codes):
            forward = self._forward(part)
            norms.append(self._norms_and_running(forward, self._backward(part, forward)))
        return torch.cat(norms).numpy()

    def _split(self, codes: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.long().contiguous() for part in torch.split(codes, self._rows_at_once, dim=1))

    def _buffer(self, name: str, *size: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Memory for a tensor, holding whatever it held before."""
        numbers = math.prod(size)
        kept = self._buffers.get(name)
        if kept is None or kept.numel() < numbers:
            kept = self._buffers[name] = torch.empty(numbers, dtype=dtype)
        return kept[:numbers].view(size)

    def _forward(self, codes: Tensor) -> _Forward:
        weights, shape = self._weights, self.shape
        rows = codes.shape[1]
        active = self._buffer("active", shape.columns, rows, shape.width)
        running = active.unbind(0)
        running[0].zero_()
        if shape.columns > 1:
            into = active[1:].view(-1, shape.width)
            torch.index_select(weights[EMBEDDING], 0, codes[:-1].reshape(-1), out=into)
        for before, now in pairwise(running):
            now += before
        active += weights[INPUT_BIAS].unsqueeze(1)
        active.relu_()
        neurons = self._buffer("neurons", shape.columns, rows, shape.neurons)
        torch.bmm(active, weights[HIDDEN_WEIGHTS].transpose(1, 2), out=neurons)
        neurons += weights[HIDDEN_BIAS].unsqueeze(1)
        neurons.relu_()
        probabilities = self._softmax(neurons)
        return _Forward(active, neurons, probabilities, torch.gather(probabilities, 0, codes))

    def _softmax(self, neurons: Tensor) -> Tensor:
        """Each column's probabilities, [D, n]."""
        rows = neurons.shape[1]
        values = self._buffer("logits", self.shape.codes, rows)
        parts = torch.split(values, self._code_counts)
        line = self._buffer("line", rows)
        for part, matrix, own in zip(parts, self._output_weights, neurons.unbind(0), strict=True):
            torch.mm(matrix, own.T, out=part)
        values += self._weights[OUTPUT_BIAS].unsqueeze(1)
        for part in parts:
            part -= torch.amax(part, 0, out=line)
        values.exp_()
        for part in parts:
            part /= torch.sum(part, 0, out=line)
        return values

    def _backward(self, codes: Tensor, forward: _Forward) -> _Backward:
        """Overwrites the probabilities. by_running still holds each column's own part alone."""
        by_logits = forward.probabilities
        by_logits.scatter_(0, codes, forward.picked - 1)
        by_neurons = self._buffer("by_neurons", *forward.neurons.shape)
        parts = torch.split(by_logits, self._code_counts)
        for part, matrix, into in zip(parts, self._output_weights, by_neurons.unbind(0), strict=True):
            torch.mm(part.T, matrix, out=into)
        _through_relu(by_neurons, forward.neurons)
        by_running = self._buffer("by_running", *forward.active.shape)
        torch.bmm(by_neurons, self._weights[HIDDEN_WEIGHTS], out=by_running)
        _through_relu(by_running, forward.active)
        return _Backward(by_logits, by_neurons, by_running)

    def _norms_and_running(self, forward: _Forward, backward: _Backward) -> Tensor:
        """Norms of the rows' gradients [n]; afterwards by_running holds all later columns' parts too.

        An outer product's norm is the product of norms; + 1 for the bias beside each matrix.
        """
        squares = (_squares(backward.by_neurons) * (_squares(forward.active) + 1)).sum(0)
        squares += _squares(backward.by_running).sum(0)
        _add_later_columns(backward.by_running)
        squares += _squares(backward.by_running[1:]).sum(0)
        beside = _squares(forward.neurons) + 1
        for c, part in enumerate(torch.split(backward.by_logits, self._code_counts)):
            squares += part.square().sum(0) * beside[c]
        return squares.sqrt()

    def _add(self, codes: Tensor, forward: _Forward, backward: _Backward, total: Flat) -> None:
        """Add a batch's gradient to `total` float32[P]. by_running holds all later columns' parts."""
        shape, neurons = self.shape, forward.neurons
        parts = {name: torch.from_numpy(shape.view(total, name)) for name in shape.parts}
        outputs = torch.split(parts[OUTPUT_WEIGHTS], self._code_counts)
        by_columns = torch.split(backward.by_logits, self._code_counts)
        for into, own, before in zip(outputs, by_columns, neurons.unbind(0), strict=True):
            into.addmm_(own, before)
        parts[OUTPUT_BIAS] += backward.by_logits.sum(1)
        parts[HIDDEN_WEIGHTS].baddbmm_(backward.by_neurons.transpose(1, 2), forward.active)
        parts[HIDDEN_BIAS] += backward.by_neurons.sum(1)
        sums = backward.by_running.sum(1)
        parts[INPUT_BIAS] += sums
        parts[INPUT_BIAS][:-1] -= sums[1:]
        if shape.columns > 1:
            later = backward.by_running[1:].view(-1, shape.width)
            parts[EMBEDDING].index_add_(0, codes[:-1].reshape(-1), later)

    def _add_blocks(
        self, codes: Tensor, forward: _Forward, backward: _Backward, total: NDArray[np.float64]
    ) -> None:
        """As `_add`, to float64[P]: rows of a block, and the blocks of a batch, are summed as float32."""
        shape, rows = self.shape, self._block_rows
        blocks = codes.shape[1] // rows
        parts = {name: torch.from_numpy(shape.view(total, name)) for name in shape.parts}
        neurons = forward.neurons.view(shape.columns, blocks, rows, shape.neurons)
        by_columns = torch.split(
            backward.by_logits.view(-1, blocks, rows).transpose(0, 1), self._code_counts, 1
        )
        outputs = self._buffer("outputs", blocks, shape.codes, shape.neurons)
        split = torch.split(outputs, self._code_counts, 1)
        for into, own, before in zip(split, by_columns, neurons.unbind(0), strict=True):
            torch.bmm(own, before, out=into)
        parts[OUTPUT_WEIGHTS] += outputs.sum(0)
        parts[OUTPUT_BIAS] += backward.by_logits.view(-1, blocks, rows).sum(2).sum(1)
        hidden = self._buffer("hidden", shape.columns * blocks, shape.neurons, shape.width)
        by_neurons = backward.by_neurons.view(-1, rows, shape.neurons)
        torch.bmm(by_neurons.transpose(1, 2), forward.active.view(-1, rows, shape.width), out=hidden)
        parts[HIDDEN_WEIGHTS] += hidden.view(shape.columns, blocks, shape.neurons, shape.width).sum(1)
        parts[HIDDEN_BIAS] += by_neurons.sum(1).view(shape.columns, blocks, -1).sum(1)
        # A column's bias is the difference of two sums, each longer than the bias: single precision would err by more.
        sums = backward.by_running.sum(1, dtype=torch.float64)
        parts[INPUT_BIAS] += sums
        parts[INPUT_BIAS][:-1] -= sums[1:]
        if shape.columns > 1:
            later = backward.by_running[1:].view(-1, shape.width)
            of_blocks = self._buffer("embedding", blocks, shape.codes, shape.width).zero_()
            of_blocks.view(-1, shape.width).index_add_(
                0, (codes[:-1] + self._block_starts).reshape(-1), later
            )
            parts[EMBEDDING] += of_blocks.sum(0)


def _add_later_columns(by_running: Tensor) -> None:
    columns = by_running.unbind(0)
    for later, now in zip(columns[:0:-1], columns[-2::-1], strict=True):
        now += later


def _through_relu(gradient: Tensor, output: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient, output, 0.0, grad_input=gradient)


def _squares(tensor: Tensor) -> Tensor:
    return tensor.square().sum(-1)
