"""Counting the tables of a workload, and projecting released counts to two-way tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generator.marginals.errors import MarginalError
from generator.marginals.workload import Workload, pair_workload
from generator.privacy import noise

Counts = NDArray[np.float64]


def table_counts(codes: NDArray[np.int64], workload: Workload) -> Counts:
    """Exact counts float64[K] of codes int64[n, C]. Private: add noise before they leave."""
    if codes.ndim != 2 or codes.shape[1] != len(workload.code_counts):
        raise MarginalError(f"codes have shape {codes.shape}; expected [rows, {len(workload.code_counts)}]")
    if len(codes) and not ((codes >= 0) & (codes < np.array(workload.code_counts))).all():
        raise MarginalError("a code lies outside its column's codes; encode the rows with this codebook")
    columns = np.ascontiguousarray(codes.T)
    counts = np.empty(workload.cells)
    for table, start, size in zip(workload.tables, workload.offsets, workload.sizes, strict=False):
        flat = columns[table[0]]
        for column in table[1:]:
            flat = flat * workload.code_counts[column] + columns[column]
        counts[start : start + size] = np.bincount(flat, minlength=size)
    return counts


def release_tables(codes: NDArray[np.int64], workload: Workload, noise_multiplier: float) -> Counts:
    """All tables in one release: a GaussianEvent(noise_multiplier), or exact counts when it is 0."""
    std = noise_multiplier * workload.sensitivity
    return table_counts(codes, workload) + noise.gaussian(workload.cells, std)


def pair_tables(counts: Counts, workload: Workload) -> Counts:
    """Two-way counts float64[cells of pair_workload(workload)]: sums over the third column, averaged over the
    tables that give the same pair (post-processing: free of privacy cost)."""
    if counts.shape != (workload.cells,):
        raise MarginalError(f"counts have shape {counts.shape}; the workload has {workload.cells} cells")
    pairs = pair_workload(workload)
    position = {pair: i for i, pair in enumerate(pairs.tables)}
    sums = np.zeros(pairs.cells)
    times = np.zeros(len(pairs.tables))
    for index, table in enumerate(workload.tables):
        shape = tuple(workload.code_counts[column] for column in table)
        block = counts[workload.offsets[index] : workload.offsets[index + 1]].reshape(shape)
        for a in range(len(table)):
            for b in range(a + 1, len(table)):
                others = tuple(axis for axis in range(len(table)) if axis not in (a, b))
                two_way = block.sum(axis=others)
                if table[a] > table[b]:
                    two_way = two_way.T
                p = position[(min(table[a], table[b]), max(table[a], table[b]))]
                sums[pairs.offsets[p] : pairs.offsets[p + 1]] += two_way.ravel()
                times[p] += 1
    return sums / np.repeat(times, pairs.sizes)


def pair_noise_variances(workload: Workload, noise_std: float) -> Counts:
    """Noise variance of a cell of each table of `pair_workload(workload)` after `pair_tables`:
    float64[pairs].
    """
    pairs = pair_workload(workload)
    position = {pair: i for i, pair in enumerate(pairs.tables)}
    summed = np.zeros(len(pairs.tables))
    times = np.zeros(len(pairs.tables))
    for table, size in zip(workload.tables, workload.sizes, strict=True):
        for a in range(len(table)):
            for b in range(a + 1, len(table)):
                p = position[(min(table[a], table[b]), max(table[a], table[b]))]
                summed[p] += size / pairs.sizes[p]
                times[p] += 1
    return noise_std**2 * summed / times**2
