"""Philox4x64-10 (Salmon, Moraes, Dror, Shaw 2011) by counter: contiguous blocks through numpy, scattered ones here.

A block is four 64-bit words, the output for one 256-bit counter (block number, attempt, 0, 0) and 128-bit key.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

WORDS_PER_BLOCK = 4
ROUNDS = 10
MULTIPLIER_0 = 0xD2E7470EE14C6C93
MULTIPLIER_1 = 0xCA5A826395121157
WEYL_0 = 0x9E3779B97F4A7C15
WEYL_1 = 0xBB67AE8584CAA73B
_MASK_64 = 2**64 - 1
_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)


class BlockStream:
    """Consecutive blocks from number `first_block` on; they must stay below 2^64."""

    def __init__(self, key: tuple[int, int], first_block: int, attempt: int = 0) -> None:
        # numpy increments the counter before the first block, so it starts one below
        counter = (first_block + (attempt << 64) - 1) % 2**256
        self._generator = np.random.Philox(counter=counter, key=np.array(key, dtype=np.uint64))

    def take(self, blocks: int) -> Words:
        """uint64[blocks, 4]: the next blocks."""
        words = self._generator.random_raw(blocks * WORDS_PER_BLOCK)
        return np.asarray(words, dtype=np.uint64).reshape(blocks, WORDS_PER_BLOCK)


def scattered_blocks(key: tuple[int, int], numbers: Words, attempts: Words | int = 0) -> Words:
    """uint64[n, 4] for any block numbers uint64[n] and attempts (one for all, or uint64[n])."""
    c0 = numbers.astype(np.uint64)
    c1 = np.zeros_like(c0) + np.asarray(attempts, dtype=np.uint64)
    c2, c3 = np.zeros_like(c0), np.zeros_like(c0)
    k0, k1 = key
    for _ in range(ROUNDS):
        high_0, low_0 = _multiply(c0, MULTIPLIER_0)
        high_1, low_1 = _multiply(c2, MULTIPLIER_1)
        c0, c1, c2, c3 = high_1 ^ c1 ^ np.uint64(k0), low_1, high_0 ^ c3 ^ np.uint64(k1), low_0
        k0, k1 = (k0 + WEYL_0) & _MASK_64, (k1 + WEYL_1) & _MASK_64
    return np.stack([c0, c1, c2, c3], axis=1)


def _multiply(values: Words, factor: int) -> tuple[Words, Words]:
    """High and low 64 bits of the 128-bit products, by 32-bit halves (numpy has no wider integer)."""
    low, high = values & _LOW_32, values >> _SHIFT_32
    f_low, f_high = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32)
    middle = low * f_high + ((low * f_low) >> _SHIFT_32)
    cross = high * f_low + (middle & _LOW_32)
    return high * f_high + (middle >> _SHIFT_32) + (cross >> _SHIFT_32), values * np.uint64(factor)
