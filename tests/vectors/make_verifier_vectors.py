"""Writes verifier.json: `PYTHONPATH=. python tests/vectors/make_verifier_vectors.py`.

Rows for the contract RowVerifier, made by the plain-integer references, with conditions in bytes: the models of
make_vectors.py, and some whose layers are wider than the verifier's inner loops, saturate, or tie. An empty
`rowBytes` says that there is no such row.
"""

from __future__ import annotations

import importlib.util
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from provenance.errors import ConditionUnmetError
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    decode_model,
    encode_model,
)
from provenance.exact.reference import reference_row_bytes
from provenance.exact.reference_conditions import conditioned_row, factor
from provenance.values import sha256

FOLDER = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("make_vectors", FOLDER / "make_vectors.py")
assert _spec is not None
assert _spec.loader is not None
_vectors = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_vectors)

Allowed = dict[int, list[tuple[int, int]]]
Segments = list[tuple[int, Allowed]]
SEED = bytes(range(32))
EDGES = ("256 states", "narrow")
"""Models at the edges of the prefix steps; only their conditioned rows are of interest."""


def extremes(shape: tuple[int, int], tag: int, low: int, high: int) -> Any:
    """int8 weights between two bounds, reproducible."""
    numbers = _vectors.int_array(shape[0] * shape[1], tag, low, high)
    return np.array(numbers, dtype=np.int8).reshape(shape)


def mlp(a_max: int, widths: list[int], low: int, high: int, shift: int, tag: int) -> bytes:
    """Architecture 1 with layers of `widths`, the first being the latent inputs."""
    book = _vectors.make_codebook([(3, 1, 1), (9, 2, 700), (2, 4, 2**31 - 1)])
    hidden = tuple(
        HiddenLayer(
            extremes((outputs, inputs), tag + i, low, high),
            np.array(_vectors.int_array(outputs, tag + 20 + i, -70_000, 70_000), dtype=np.int32),
            np.full(outputs, shift, dtype=np.uint8),
        )
        for i, (inputs, outputs) in enumerate(pairwise(widths))
    )
    output = OutputLayer(
        extremes((book.codes, widths[-1]), tag + 40, low, high),
        np.array(_vectors.int_array(book.codes, tag + 41, 6, 12), dtype=np.uint8),
        np.array(_vectors.int_array(book.codes, tag + 42, -300, 300), dtype=np.int32),
    )
    digest = sha256(f"verifier schema {tag}".encode())
    return bytes(encode_model(MlpModel(a_max, widths[0], digest, book, hidden, output)))


COLUMNS = [(4, 1, 1), (7, 2, 900), (3, 4, 2**30)]


def autoregressive(
    a_max: int,
    width: int,
    neurons: int,
    largest: int,
    tag: int,
    columns: list[tuple[int, int, int]] = COLUMNS,
) -> bytes:
    """Architecture 2 with weights between -largest and largest; 0 makes every code of a column tie.

    The first column is drawn last.
    """
    book = _vectors.make_codebook(columns)
    order = (*range(1, len(columns)), 0)
    steps = []
    for i, column in enumerate(order):
        codes, first = book.code_counts[column], tag + 10 * i
        steps.append(
            ColumnStep(
                np.array(_vectors.int_array(width, first, -90, 250), dtype=np.int32),
                extremes((neurons, width), first + 1, -largest, largest),
                np.array(_vectors.int_array(neurons, first + 2, -3000, 3000), dtype=np.int32),
                np.array(_vectors.int_array(neurons, first + 3, 0, 9), dtype=np.uint8),
                extremes((codes, neurons), first + 4, -largest, largest),
                np.array(_vectors.int_array(codes, first + 5, 3, 8), dtype=np.uint8),
                np.zeros(codes, dtype=np.int32),
            )
        )
    embedding = extremes((book.codes, width), tag + 99, -128, 127)
    digest = sha256(f"verifier schema {tag}".encode())
    return bytes(encode_model(AutoregressiveModel(a_max, digest, book, order, tuple(steps), embedding)))


def models() -> dict[str, bytes]:
    return {
        "saturated": mlp(255, [33, 40, 9], 100, 127, 0, 7100),
        "all negative": mlp(127, [16, 31], -128, -90, 3, 7200),
        "one word, two words, four words": mlp(127, [32, 64, 100], -60, 60, 6, 7300),
        "wider than the page": mlp(255, [129, 20, 130], -40, 60, 7, 7400),
        "ties": autoregressive(127, 12, 5, 0, 7500),
        "wide running vector": autoregressive(255, 70, 34, 80, 7600),
        # EDGES: the states before the last step are as many as a prefix may have;
        "256 states": autoregressive(127, 6, 4, 90, 7700, [(3, 1, 1), (16, 1, 1), (16, 1, 1)]),
        # one value of 2^31, then one code of four: a share that rounds to nothing.
        "narrow": autoregressive(127, 4, 3, 0, 7800, [(4, 1, 1), (2, 4, 2**31 - 1)]),
    }


def condition_bytes(segments: Segments) -> bytes:
    """docs/spec/conditions.md, "In bytes"."""
    data = len(segments).to_bytes(2, "big")
    for rows, allowed in segments:
        data += rows.to_bytes(4, "big") + len(allowed).to_bytes(2, "big")
        for column, ranges in sorted(allowed.items()):
            data += column.to_bytes(2, "big") + len(ranges).to_bytes(4, "big")
            data += b"".join(edge.to_bytes(4, "big") for pair in ranges for edge in pair)
    return data


def row_bytes(model: bytes, shard: int, row: int, request_row: int, segments: Segments) -> bytes:
    """The row; empty if there is none."""
    if not segments:
        return reference_row_bytes(model, SEED, shard, row)
    total = sum(rows for rows, _ in segments)
    if request_row + row >= total:
        return b""
    stride = max(1, total * 40_503 // 65_536)
    while math.gcd(stride, total) > 1:
        stride += 1
    place = (request_row + row) * stride % total
    number = 0
    while place >= segments[number][0]:
        place -= segments[number][0]
        number += 1
    allowed = segments[number][1]
    book = decode_model(model).codebook
    codes = {column: range(book.code_counts[column]) for column in allowed}
    if not all(any(factor(book, column, code, allowed) for code in codes[column]) for column in allowed):
        return b""
    try:
        values, _ = conditioned_row(model, SEED, shard, row, allowed)
    except ConditionUnmetError:
        return b""
    return b"".join(v.to_bytes(size, "big") for v, size in zip(values, book.value_widths, strict=True))


def asked() -> list[tuple[str, Segments]]:
    """Models and conditions."""
    both: Segments = [(3, {0: [(1, 2)]}), (9, {1: [(100, 399)], 2: [(0, 0), (7, 19)]})]
    clip: Segments = [
        (5, {2: [(1, 5)], 0: [(10, 20), (83, 83)]}),
        (4, {0: [(0, 6)], 5: [(70_000, 70_001), (131_071, 300_000)]}),
        (3, {4: [(13, 50)], 1: [(0, 1_200_000_000)], 3: [(1, 4)]}),
    ]
    return [
        ("small", both),
        ("autoregressive, small", both),
        ("autoregressive, clip 255", clip),
        ("ties", [(100, {1: [(5, 5), (899, 901), (6299, 6299)], 0: [(3, 3)]})]),
        ("wide running vector", [(60, {}), (40, {1: [(0, 800), (1000, 6000)], 0: [(0, 1)]})]),
        ("small", [(50, {1: [(599, 599)]})]),
        ("small", [(50, {0: [(3, 3)]})]),
        ("256 states", [(50, {0: [(1, 1)]})]),
        ("narrow", [(50, {0: [(2, 2)], 1: [(5, 5)]})]),
    ]


def verifier() -> dict[str, Any]:
    known = {**_vectors.models(), **models()}
    cases = []
    requests: list[tuple[str, Segments, range]] = [
        (name, [], range(2)) for name in known if name not in EDGES
    ]
    requests += [(name, segments, range(0, 10, 3)) for name, segments in asked()]
    for name, segments, rows in requests:
        for row in rows:
            cases.append(
                {
                    "model": name, "shard": 5, "requestRow": 2, "row": row,
                    "conditions": "0x" + (condition_bytes(segments) if segments else b"").hex(),
                    "rowBytes": "0x" + row_bytes(known[name], 5, row, 2, segments).hex(),
                }
            )  # fmt: skip
    return {
        "note": "seed 00 01 .. 1f; a shard whose row 0 is row `requestRow` of the request",
        "seed": "0x" + SEED.hex(),
        "models": [{"name": name, "bytes": "0x" + data.hex()} for name, data in known.items()],
        "rows": cases,
    }


def all_vectors() -> dict[str, str]:
    """File name -> JSON text."""
    return {"verifier.json": json.dumps(verifier(), indent=1) + "\n"}


if __name__ == "__main__":
    for file_name, content in all_vectors().items():
        (FOLDER / file_name).write_text(content, encoding="utf-8")
