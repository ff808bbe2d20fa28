"""Counting the tables of a workload, and projecting released counts to two-way tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.workload import Workload, pair_workload
from generator.privacy import noise
from generator.privacy.secure_sum import Integers, Ring, noise_share
from provenance.exact.codebook import Codes

Counts = NDArray[np.float64]


def table_counts(codes: Codes, workload: Workload) -> Counts:
    """Exact counts float64[K] of codes [n, C]. Private: add noise before they leave."""
    if codes.ndim != 2 or codes.shape[1] != len(workload.code_counts):
        raise MarginalError(f"codes have shape {codes.shape}; expected [rows, {len(workload.code_counts)}]")
    columns = np.ascontiguousarray(codes.T)
    for column, count in zip(columns, workload.code_counts, strict=True):
        if len(column) and not 0 <= column.min() <= column.max() < count:
            raise MarginalError("a code lies outside its column's codes; encode the rows with this codebook")
    counts = np.empty(workload.cells)
    for table, start, size in zip(workload.tables, workload.offsets, workload.sizes, strict=False):
        flat = columns[table[0]].astype(np.int64)
        for column in table[1:]:
            flat = flat * workload.code_counts[column] + columns[column]
        counts[start : start + size] = np.bincount(flat, minlength=size)
    return counts


def release_tables(codes: Codes, workload: Workload, noise_multiplier: float) -> Counts:
    """All tables in one release: a GaussianEvent(noise_multiplier), or exact counts when it is 0. Every count is a
    multiple of 2^table_exponent.
    """
    exponent = table_exponent(workload, noise_multiplier)
    return noise.noisy_counts(table_counts(codes, workload), _cell_stds(workload, noise_multiplier), exponent)


def table_exponent(workload: Workload, noise_multiplier: float) -> int:
    """Of the grid that released tables are on: it suits the table with the least noise on a cell."""
    return noise.step_exponent(float(_cell_stds(workload, noise_multiplier).min()))


def release_tables_share(
    codes: Codes, workload: Workload, noise_multiplier: float, contributors: int, ring: Ring
) -> Integers:
    """One contributor's part of a release whose sum alone is seen, in the ring: its counts with a part of the
    noise. Private until it is masked. Raises PrivacyError where the ring is too coarse.
    """
    std = _cell_stds(workload, noise_multiplier)
    part = ring.encode(table_counts(codes, workload)) + noise_share(std, contributors, ring)
    return np.asarray(part, dtype=ring.dtype)


def _cell_stds(workload: Workload, noise_multiplier: float) -> Counts:
    """Standard deviation of the noise on each cell, float64[K]."""
    return noise_multiplier * workload.sensitivity / np.repeat(workload.weights, workload.sizes)


def pair_tables(counts: Counts, workload: Workload) -> Counts:
    """Two-way counts float64[cells of pair_workload(workload)]: sums over the third column, averaged over the
    tables that give the same pair, the less noisy ones the more (post-processing: free of privacy cost)."""
    if counts.shape != (workload.cells,):
        raise MarginalError(f"counts have shape {counts.shape}; the workload has {workload.cells} cells")
    pairs = pair_workload(workload)
    sums = np.zeros(pairs.cells)
    precisions = np.zeros(len(pairs.tables))
    for index, p, axes, precision in _projections(workload, pairs):
        table = workload.tables[index]
        shape = tuple(workload.code_counts[column] for column in table)
        block = counts[workload.offsets[index] : workload.offsets[index + 1]].reshape(shape)
        two_way = block.sum(axis=tuple(axis for axis in range(len(table)) if axis not in axes))
        if table[axes[0]] > table[axes[1]]:
            two_way = two_way.T
        sums[pairs.offsets[p] : pairs.offsets[p + 1]] += precision * two_way.ravel()
        precisions[p] += precision
    return sums / np.repeat(precisions, pairs.sizes)


def pair_noise_variances(workload: Workload, noise_std: float) -> Counts:
    """Noise variance of a cell of each table of `pair_workload(workload)` after `pair_tables`, float64[pairs];
    `noise_std` is that of a cell of a released table of weight 1.
    """
    pairs = pair_workload(workload)
    precisions = np.zeros(len(pairs.tables))
    for _, p, _, precision in _projections(workload, pairs):
        precisions[p] += precision
    return noise_std**2 / precisions


def _projections(workload: Workload, pairs: Workload) -> Iterator[tuple[int, int, tuple[int, int], float]]:
    """Every (table, pair that it gives, the pair's axes in it, precision of a cell: 1 over its variance)."""
    position = {pair: i for i, pair in enumerate(pairs.tables)}
    for index, table in enumerate(workload.tables):
        for a, b in combinations(range(len(table)), 2):
            p = position[(min(table[a], table[b]), max(table[a], table[b]))]
            yield index, p, (a, b), workload.weights[index] ** 2 * pairs.sizes[p] / workload.sizes[index]
