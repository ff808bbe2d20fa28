"""Log-likelihood, gradient and clipped gradient of the autoregressive net, written out by hand. Needs torch.

Every weight belongs to one column, and a column's gradient of one row is an outer product; so the norm of a
row's whole gradient follows from the norms of its factors (Goodfellow 2015, arXiv:1510.01799), and the sum of
clipped gradients from scaling one factor: no row's gradient is ever stored. About twice as fast as autograd.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

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
from generator.learning.errors import LearningError

_ROWS_AT_ONCE = 1024
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class _Forward:
    """Activations of a batch, column-major: inputs after relu [C, n, H], neurons [C, n, G], probabilities of
    each column [n, m] and of the codes that came [C, n]."""

    active: Tensor
    neurons: Tensor
    probabilities: list[Tensor]
    picked: Tensor

    @property
    def log_likelihood(self) -> Tensor:
        """log p of each row [n]."""
        return self.picked.clamp_min(_TINY).log().sum(0)


class AutoregressiveGradient:
    """Reads the weights of `flat`, whose memory it shares: it follows an optimiser that works in place."""

    def __init__(self, shape: NetShape, flat: Flat) -> None:
        shape.check(flat)
        self.shape = shape
        self._weights = {name: torch.from_numpy(shape.view(flat, name)) for name in shape.parts}
        self._spans = tuple(slice(a, b) for a, b in pairwise(shape.offsets))
        self._offsets = torch.tensor(shape.offsets[:-1])

    def tensor(self, codes: NDArray[np.int64]) -> Tensor:
        """Codes int64[n, C] in the layout of the other methods: int64[C, n], counted over all columns."""
        if codes.ndim != 2 or codes.shape[1] != self.shape.columns:
            raise LearningError(f"codes have shape {codes.shape}; expected [rows, {self.shape.columns}]")
        return (torch.from_numpy(codes) + self._offsets).T.contiguous()

    @torch.no_grad()
    def log_likelihood(self, codes: Tensor) -> NDArray[np.float64]:
        """log p of each row of int64[C, n], in nats: float64[n]."""
        parts = [self._forward(part).log_likelihood for part in torch.split(codes, _ROWS_AT_ONCE, dim=1)]
        return torch.cat(parts).numpy().astype(np.float64)

    @torch.no_grad()
    def summed(self, codes: Tensor, clip: float | None = None) -> tuple[Flat, float]:
        """(sum over rows of the gradient of -log p, float32[P]; mean of -log p).

        clip: each row's gradient is first scaled to Euclidean norm `clip` if it is longer. No rows: zeros.
        """
        total = np.zeros(self.shape.size, dtype=np.float32)
        loss = 0.0
        for part in torch.split(codes, _ROWS_AT_ONCE, dim=1):
            if part.shape[1]:
                forward = self._forward(part)
                loss -= float(forward.log_likelihood.sum())
                self._add(part, forward, clip, total)
        return total, loss / max(codes.shape[1], 1)

    @torch.no_grad()
    def norms(self, codes: Tensor) -> NDArray[np.float32]:
        """Euclidean norm of each row's gradient, float32[n]."""
        forward = self._forward(codes)
        return self._norms(forward, *self._backward(codes, forward)).numpy()

    def _forward(self, codes: Tensor) -> _Forward:
        weights, shape = self._weights, self.shape
        rows = codes.shape[1]
        active = torch.empty(shape.columns, rows, shape.width)
        neurons = torch.empty(shape.columns, rows, shape.neurons)
        running = torch.zeros(rows, shape.width)
        picked = torch.empty(shape.columns, rows)
        probabilities = []
        for c, own in enumerate(self._spans):
            torch.add(running, weights[INPUT_BIAS][c], out=active[c]).relu_()
            if c + 1 < shape.columns:
                running += functional.embedding(codes[c], weights[EMBEDDING])
            torch.addmm(
                weights[HIDDEN_BIAS][c], active[c], weights[HIDDEN_WEIGHTS][c].T, out=neurons[c]
            ).relu_()
            logits = torch.addmm(weights[OUTPUT_BIAS][own], neurons[c], weights[OUTPUT_WEIGHTS][own].T)
            probabilities.append(logits.softmax(1))
            torch.gather(probabilities[c], 1, (codes[c] - own.start).unsqueeze(1), out=picked[c].unsqueeze(1))
        return _Forward(active, neurons, probabilities, picked)

    def _backward(self, codes: Tensor, forward: _Forward) -> tuple[list[Tensor], Tensor, Tensor, Tensor]:
        """Gradients of each row's -log p by its sums: logits [n, m] a column, neurons [C, n, G], inputs
        [C, n, H], and by the running vector after each column [C, n, H]. Overwrites the probabilities."""
        weights, shape = self._weights, self.shape
        by_neurons = torch.empty_like(forward.neurons)
        by_inputs = torch.empty_like(forward.active)
        by_running = torch.zeros_like(forward.active)
        for c in range(shape.columns - 1, -1, -1):
            own = self._spans[c]
            by_logits = forward.probabilities[c]
            by_logits.scatter_(1, (codes[c] - own.start).unsqueeze(1), (forward.picked[c] - 1).unsqueeze(1))
            reached = by_logits @ weights[OUTPUT_WEIGHTS][own]
            _through_relu(reached, forward.neurons[c], by_neurons[c])
            _through_relu(by_neurons[c] @ weights[HIDDEN_WEIGHTS][c], forward.active[c], by_inputs[c])
            if c:
                torch.add(by_running[c], by_inputs[c], out=by_running[c - 1])
        return forward.probabilities, by_neurons, by_inputs, by_running

    def _norms(
        self, forward: _Forward, by_logits: list[Tensor], by_neurons: Tensor, by_inputs: Tensor,
        by_running: Tensor,
    ) -> Tensor:  # fmt: skip
        """An outer product's norm is the product of norms; + 1 for the bias beside each matrix."""
        squares = (_squares(by_neurons) * (_squares(forward.active) + 1)).sum(0)
        squares += _squares(by_inputs).sum(0) + _squares(by_running).sum(0)
        beside = _squares(forward.neurons) + 1
        for c, own in enumerate(by_logits):
            squares += _squares(own) * beside[c]
        return squares.sqrt()

    def _add(self, codes: Tensor, forward: _Forward, clip: float | None, total: Flat) -> None:
        shape = self.shape
        parts = {name: torch.from_numpy(shape.view(total, name)) for name in shape.parts}
        by_logits, by_neurons, by_inputs, by_running = self._backward(codes, forward)
        if clip is not None:
            norms = self._norms(forward, by_logits, by_neurons, by_inputs, by_running)
            factor = (clip / norms.clamp_min(1e-12)).clamp_max(1.0).unsqueeze(1)
            for tensor in (by_neurons, by_inputs, by_running, *by_logits):
                tensor.mul_(factor)
        ones = torch.ones(codes.shape[1])
        for c, own in enumerate(self._spans):
            parts[OUTPUT_WEIGHTS][own].addmm_(by_logits[c].T, forward.neurons[c])
            parts[OUTPUT_BIAS][own].addmv_(by_logits[c].T, ones)
            parts[HIDDEN_WEIGHTS][c].addmm_(by_neurons[c].T, forward.active[c])
            parts[HIDDEN_BIAS][c].addmv_(by_neurons[c].T, ones)
            parts[INPUT_BIAS][c].addmv_(by_inputs[c].T, ones)
            if c + 1 < shape.columns:
                parts[EMBEDDING].index_add_(0, codes[c], by_running[c])


def _through_relu(gradient: Tensor, output: Tensor, into: Tensor) -> None:
    torch.ops.aten.threshold_backward.grad_input(gradient, output, 0.0, grad_input=into)


def _squares(tensor: Tensor) -> Tensor:
    return tensor.square().sum(-1)
