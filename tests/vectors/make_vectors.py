"""Writes the vectors of this folder: `PYTHONPATH=. python tests/vectors/make_vectors.py`.
 Written from docs/spec with plain Python integers and the recursive definitions, sharing with the package
only the published tables, the pure-Python Philox of `reference` (pinned here by its known answer) and the
model writer. Both the Python and the Solidity tests read the JSON; a test checks that this file still makes
exactly what is committed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from provenance.exact.codebook import Codebook
from provenance.exact.model import (
    AutoregressiveModel,
    ColumnStep,
    HiddenLayer,
    MlpModel,
    OutputLayer,
    encode_model,
)
from provenance.exact.reference import philox_block
from provenance.exact.tables import load_tables
from provenance.values import sha256

Json = dict[str, Any]
MASK = 2**64 - 1


def hex0x(data: bytes) -> str:
    return "0x" + data.hex()


def noise(count: int, tag: int) -> list[int]:
    """Reproducible 64-bit numbers to fill the vectors with."""
    words: list[int] = []
    for block in range(-(-count // 4)):
        words += philox_block((block, tag, 0, 0), (20, 26))
    return words[:count]


def canonical() -> Json:
    accepted: list[tuple[Any, str]] = [
        (None, "null"),
        ({}, "{}"),
        ([], "[]"),
        (2**53 - 1, "9007199254740991"),
        (-(2**53) + 1, "-9007199254740991"),
        ({"b": 1, "a": [True, False, None]}, '{"a":[true,false,null],"b":1}'),
        # RFC 8785 section 3.2.3: keys sort by UTF-16 code units, so U+1F600 stands before U+FB33
        ({"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5, "\u0080": 6, "\u00f6": 7},
         '{"\\r":4,"1":5,"\u0080":6,"\u00f6":7,"\u20ac":3,"\U0001f600":2,"\ufb33":1}'),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ("\b\t\n\f\r\u0000\u007f\u2028", '"\\b\\t\\n\\f\\r\\u0000\u007f\u2028"'),
    ]  # fmt: skip
    refused = {
        "white space": b'{"a": 1}',
        "trailing line end": b"1\n",
        "keys out of order": b'{"b":1,"a":2}',
        "a key twice": b'{"a":1,"a":1}',
        "a float": b"1.5",
        "a float that is an integer": b"1.0",
        "an exponent": b"1e3",
        "minus zero": b"-0",
        "NaN": b"NaN",
        "an integer of 2^53": b"9007199254740992",
        "an escape that is not needed": b'"\\u0041"',
        "an escaped slash": b'"\\/"',
        "upper-case hex": b'"\\u001F"',
        "a lone surrogate": b'"\\ud800"',
        "a byte order mark": b"\xef\xbb\xbf1",
        "no UTF-8": b'"\xff"',
        "nothing": b"",
        "two values": b"1 2",
    }
    return {
        "accepted": [{"value": value, "bytes": hex0x(text.encode())} for value, text in accepted],
        "refused": [{"name": name, "bytes": hex0x(data)} for name, data in refused.items()],
    }


def philox() -> Json:
    cases = [
        ((0, 0, 0, 0), (0, 0)),
        ((1, 0, 0, 0), (0, 0)),
        ((MASK, 0, 0, 0), (1, 2)),
        ((5, 3, 0, 0), (0x0123456789ABCDEF, 0xFEDCBA9876543210)),
        ((MASK, MASK, MASK, MASK), (MASK, MASK)),
    ]
    return {
        "note": "Philox4x64-10; words as 64-bit hexadecimal, counter word 0 first",
        "blocks": [
            {name: [f"0x{word:016x}" for word in words] for name, words in
             (("counter", counter), ("key", key), ("block", philox_block(counter, key)))}
            for counter, key in cases
        ],
    }  # fmt: skip


def int_array(count: int, tag: int, low: int, high: int) -> list[int]:
    return [low + (word >> 32) % (high - low + 1) for word in noise(count, tag)]


def make_codebook(columns: list[tuple[int, int, int]]) -> Codebook:
    low = [i * width for count, _, width in columns for i in range(count)]
    width = [width for count, _, width in columns for _ in range(count)]
    return Codebook(
        tuple(column[0] for column in columns),
        tuple(column[1] for column in columns),
        np.array(low, dtype=np.int64),
        np.array(width, dtype=np.int64),
    )


def make_model(
    a_max: int, latent: int, widths: list[int], columns: list[tuple[int, int, int]], tag: int
) -> bytes:
    """Architecture 1 with reproducible weights; columns = (codes, value width in bytes, width of each
    code)."""
    hidden = []
    inputs = latent
    for i, outputs in enumerate(widths):
        weights = np.array(int_array(outputs * inputs, 10 * tag + i, -60, 60), dtype=np.int8)
        bias = np.array(int_array(outputs, 10 * tag + i + 5, -3000, 3000), dtype=np.int32)
        shift = np.array(int_array(outputs, 10 * tag + i + 7, 4, 7), dtype=np.uint8)
        hidden.append(HiddenLayer(weights.reshape(outputs, inputs), bias, shift))
        inputs = outputs
    codes = sum(column[0] for column in columns)
    output = OutputLayer(
        np.array(int_array(codes * inputs, 10 * tag + 8, -50, 50), dtype=np.int8).reshape(codes, inputs),
        np.array(int_array(codes, 10 * tag + 9, 3, 6), dtype=np.uint8),
        np.array(int_array(codes, 10 * tag + 4, -150, 150), dtype=np.int32),
    )
    schema_digest = sha256(f"vector schema {tag}".encode())
    return encode_model(MlpModel(a_max, latent, schema_digest, make_codebook(columns), tuple(hidden), output))


def make_autoregressive(
    a_max: int, width: int, neurons: int, columns: list[tuple[int, int, int]], order: list[int], tag: int
) -> bytes:
    """Architecture 2, columns as in `make_model`, drawn in `order`."""
    steps = []
    for i, column in enumerate(order):
        codes = columns[column][0]
        first = 1000 * tag + 10 * i
        steps.append(
            ColumnStep(
                np.array(int_array(width, first, -40, 120), dtype=np.int32),
                np.array(int_array(neurons * width, first + 1, -60, 60), dtype=np.int8).reshape(
                    neurons, width
                ),
                np.array(int_array(neurons, first + 2, -3000, 3000), dtype=np.int32),
                np.array(int_array(neurons, first + 3, 3, 6), dtype=np.uint8),
                np.array(int_array(codes * neurons, first + 4, -50, 50), dtype=np.int8).reshape(
                    codes, neurons
                ),
                np.array(int_array(codes, first + 5, 3, 6), dtype=np.uint8),
                np.array(int_array(codes, first + 6, -150, 150), dtype=np.int32),
            )
        )
    book = make_codebook(columns)
    embedding = np.array(int_array(book.codes * width, 1000 * tag + 999, -90, 90), dtype=np.int8)
    embedding = embedding.reshape(book.codes, width)
    embedding[book.column_codes(order[-1])] = 0
    schema_digest = sha256(f"vector schema {tag}".encode())
    return encode_model(
        AutoregressiveModel(a_max, schema_digest, book, tuple(order), tuple(steps), embedding)
    )


def models() -> dict[str, bytes]:
    return {
        "one column, one code": make_model(127, 1, [1], [(1, 1, 1)], 1),
        "small": make_model(127, 10, [6], [(3, 1, 1), (2, 2, 300), (4, 1, 5)], 2),
        "deep, clip 255": make_model(
            255, 16, [8, 12, 5, 7], [(5, 4, 858_993_459), (2, 1, 1), (6, 3, 65_536)], 3
        ),
        "autoregressive, one column, one code": make_autoregressive(127, 1, 1, [(1, 1, 1)], [0], 4),
        "autoregressive, small": make_autoregressive(
            127, 5, 3, [(3, 1, 1), (2, 2, 300), (4, 1, 5)], [0, 1, 2], 5
        ),
        # another draw order; more states before the last columns than the sampler tabulates
        "autoregressive, clip 255": make_autoregressive(
            255,
            8,
            6,
            [(12, 1, 7), (11, 4, 300_000_000), (9, 2, 1), (5, 1, 1), (1, 1, 200), (6, 3, 65_536)],
            [4, 2, 0, 5, 1, 3],
            6,
        ),
    }


def model() -> Json:
    small = models()["small"]

    autoregressive = models()["autoregressive, small"]

    def changed(place: int, value: int, data: bytes = small) -> bytes:
        return data[:place] + bytes([value]) + data[place + 1 :]

    refused = {
        "empty": b"",
        "another magic": changed(0, 0x58),
        "architecture 3": changed(4, 3),
        "a clip of 128": changed(5, 128),
        "no hidden layer": changed(12, 0),
        "five hidden layers": changed(12, 5),
        "reserved byte set": changed(13, 1),
        "another number of codes": changed(9, small[9] + 1),
        "other tables": changed(79, small[79] ^ 1),
        "a value of 5 bytes": changed(84, 5),
        "a code beyond its bytes": changed(91, 0xFF),
        "a width of 0": changed(98, 0),
        "a shift of 32": changed(small_shift(), 32),
        "a bias beyond 2^24": changed(len(small) - 4, 0x7F),
        "architecture 1 called 2": changed(4, 2),
        "architecture 2 called 1": changed(4, 1, autoregressive),
        "autoregressive with a depth": changed(12, 1, autoregressive),
        "autoregressive with a reserved byte": changed(13, 1, autoregressive),
        "autoregressive of no width": changed(11, 0, autoregressive),
        "autoregressive of no neurons": changed(15, 0, autoregressive),
        "autoregressive of a wider vector": changed(11, 6, autoregressive),
        "a draw order that names a column twice": changed(draw_order() + 1, 1, autoregressive),
        "a draw order that names no column": changed(draw_order() + 5, 3, autoregressive),
        "autoregressive with a shift of 32": changed(first_step() + 47, 32, autoregressive),
        "an input bias beyond 2^24": changed(first_step(), 0x7F, autoregressive),
        "a negative input bias beyond 2^24": changed(first_step(), 0x80, autoregressive),
        "a hidden bias beyond 2^24": changed(first_step() + 35, 0x7F, autoregressive),
        "an autoregressive byte too many": autoregressive + b"\0",
        "an autoregressive byte too few": autoregressive[:-1],
        "a byte too many": small + b"\0",
        "a byte too few": small[:-1],
    }
    return {
        "tables": hex0x(load_tables().normal.tobytes() + load_tables().exp.astype(">u4").tobytes()),
        "models": [
            {"name": name, "bytes": hex0x(data), "digest": hex0x(sha256(data)), "length": len(data)}
            for name, data in models().items()
        ],
        "refused": [{"name": name, "bytes": hex0x(data)} for name, data in refused.items()],
    }


def small_shift() -> int:
    """Where the first shift of the small model stands: after header, widths, columns, codes, weights and
    biases."""
    return 80 + 2 + 3 * 3 + 9 * 8 + 6 * 10 + 6 * 4


def draw_order() -> int:
    """Where the draw order of the small autoregressive model starts."""
    return 80 + 3 * 3 + 9 * 8


def first_step() -> int:
    """Where the first step of the small autoregressive model starts: 20 bytes of input bias, 15 of weights,
    12 of hidden bias, 3 shifts, then the output."""
    return draw_order() + 2 * 3


def rows() -> Json:
    from provenance.exact.reference import reference_row, reference_row_bytes

    cases = []
    for name, data in models().items():
        for seed, shard, row, attempt in (
            (bytes(32), 0, 0, 0),
            (bytes(32), 1, 0, 0),
            (bytes(range(32)), 0, 1, 0),
            (bytes(range(32)), 0, 1, 1),
            (bytes(range(32)), 2**32 - 1, 2**40 + 17, 0),
        ):
            cases.append(
                {
                    "model": name, "seed": hex0x(seed), "shard": shard, "row": row, "attempt": attempt,
                    "values": reference_row(data, seed, shard, row, attempt),
                    "rowBytes": hex0x(reference_row_bytes(data, seed, shard, row, attempt)),
                }
            )  # fmt: skip
    return {"note": "models by name in model.json; attempt is 0 in version 1", "rows": cases}


def conditions() -> Json:
    from provenance.exact.reference_conditions import conditioned_row

    asked: dict[str, list[dict[int, list[tuple[int, int]]]]] = {
        "small": [{0: [(1, 2)]}, {1: [(100, 399)], 2: [(0, 0), (7, 19)]}],
        "autoregressive, small": [{0: [(2, 2)]}, {1: [(17, 17), (299, 301)]}, {0: [(0, 1)], 2: [(3, 11)]}],
        # the first 144 choices are tabulated, the fourth column drawn is met by attempts
        "autoregressive, clip 255": [
            {2: [(1, 5)], 0: [(10, 20), (83, 83)]},
            {0: [(0, 6)], 5: [(70_000, 70_001), (131_071, 300_000)]},
            {4: [(13, 50)], 1: [(0, 1_200_000_000)], 3: [(1, 4)]},
        ],
    }
    cases = []
    for name, conditions in asked.items():
        for allowed in conditions:
            for row in range(3):
                values, attempt = conditioned_row(models()[name], bytes(range(32)), 1, row, allowed)
                where = [
                    {"column": c, "ranges": [list(pair) for pair in allowed[c]]} for c in sorted(allowed)
                ]
                cases.append(
                    {"model": name, "row": row, "where": where, "attempt": attempt, "values": values}
                )
    return {
        "note": "models by name in model.json; seed 00 01 .. 1f, shard 1; columns by number",
        "seed": hex0x(bytes(range(32))), "shard": 1, "rows": cases, "segments": segments(),
        "bytesSchema": PEOPLE, "bytes": conditions_in_bytes(),
    }  # fmt: skip


PEOPLE: Json = {
    "format": "tessera-schema/1",
    "name": "people",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 17, "maximum": 90},
        {"name": "work", "type": "string", "enum": ["Private", "State"], "nullable": True, "missing": "?"},
        {"name": "income", "type": "string", "enum": ["<=50K", ">50K"]},
    ],
}


def conditions_in_bytes() -> list[Json]:
    """A second spelling of the encoder, from the document's own segments."""
    age: Json = {"column": "age", "ranges": [[13, 23], [40, 40]]}
    income: list[Json] = [{"column": "income", "ranges": [[value, value]]} for value in (0, 1)]
    asked: list[list[Json]] = [
        [{"rows": 500, "where": [age, income[1]]}, {"rows": 500, "where": [income[0]]}],
        [{"rows": 1, "where": [{"column": "work", "ranges": [[2, 2]]}]}],
        [{"rows": 2**32 - 1, "where": []}, {"rows": 1, "where": [{"column": "age", "ranges": [[0, 72]]}]}],
    ]
    places = {str(column["name"]): place for place, column in enumerate(PEOPLE["columns"])}
    result = []
    for segments_ in asked:
        data = struct.pack(">H", len(segments_))
        for segment in segments_:
            data += struct.pack(">IH", segment["rows"], len(segment["where"]))
            for where in segment["where"]:
                data += struct.pack(">HI", places[where["column"]], len(where["ranges"]))
                data += b"".join(struct.pack(">II", *pair) for pair in where["ranges"])
        digest = hashlib.sha256(data).digest()
        result.append({"segments": segments_, "bytes": hex0x(data), "digest": hex0x(digest)})
    return result


def segments() -> list[Json]:
    """Rule 4 with plain integers."""
    result = []
    for counts in ([1], [3, 4], [100, 1, 27], [50, 50], [2**31, 2**31]):
        total = sum(counts)
        stride = max(1, total * 40_503 // 65_536)
        while math.gcd(stride, total) > 1:
            stride += 1
        rows = sorted({0, 1 % total, total // 3, total - 1})
        places = [row * stride % total for row in rows]
        found = [next(i for i in range(len(counts)) if place < sum(counts[: i + 1])) for place in places]
        result.append({"counts": counts, "rows": rows, "segments": found})
    return result


def tree(leaves: list[bytes]) -> bytes:
    """RFC 9162's recursive definition."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def path(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 9162's recursive audit path, from the leaf upward."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(leaves[:split], index), tree(leaves[split:])]
    return [*path(leaves[split:], index - split), tree(leaves[:split])]


def leaf(index: int, data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + index.to_bytes(8, "big") + data).digest()


def merkle() -> Json:
    shards = []
    for number, (rows_, width) in enumerate(
        ((1, 1), (1, 5000), (3, 5000), (4096, 1), (4097, 1), (100, 300), (7 * 128, 20))
    ):
        data = b"".join(word.to_bytes(8, "big") for word in noise(-(-rows_ * width // 8), number))[
            : rows_ * width
        ]
        per_chunk = 1
        while 2 * per_chunk * width <= 4096:
            per_chunk *= 2
        size = per_chunk * width
        leaves = [leaf(i, data[s : s + size]) for i, s in enumerate(range(0, len(data), size))]
        shards.append(
            {
                "rows": rows_, "rowWidth": width, "rowsPerChunk": per_chunk, "rowBytes": hex0x(data),
                "leaves": [hex0x(each) for each in leaves], "root": hex0x(tree(leaves)),
                "proofs": [
                    {"chunk": i, "path": [hex0x(each) for each in path(leaves, i)]} for i in range(len(leaves))
                ],
            }
        )  # fmt: skip
    dataset_roots = []
    for count in (1, 2, 3, 4, 5, 7, 8, 13):
        roots = [hashlib.sha256(f"shard root {count} {i}".encode()).digest() for i in range(count)]
        root = tree([leaf(i, each) for i, each in enumerate(roots)])
        dataset_roots.append({"shardRoots": [hex0x(each) for each in roots], "root": hex0x(root)})
    return {"datasetRoots": dataset_roots, "shards": shards}


def cid() -> Json:
    """Roots of files byte i = i % 251, by a second, direct spelling of UnixFS for at most 1,024 chunks."""

    def varint(value: int) -> bytes:
        return bytes([value & 0x7F | (0x80 if value > 0x7F else 0)]) + (
            varint(value >> 7) if value > 0x7F else b""
        )

    def text(codec: int, block: bytes) -> str:
        binary = bytes([1, codec, 0x12, 0x20]) + hashlib.sha256(block).digest()
        return "b" + base64.b32encode(binary).decode().lower().rstrip("=")

    files = []
    for size in (0, 1, 262_144, 2**20, 2**20 + 1, 5 * 2**20, 5 * 2**20 + 7):
        data = (bytes(range(251)) * (size // 251 + 1))[:size]
        chunks = [data[i : i + 2**20] for i in range(0, size, 2**20)] or [b""]
        root = text(0x55, chunks[0])
        if len(chunks) > 1:
            links = b""
            for chunk in chunks:
                link = b"\x0a\x24\x01\x55\x12\x20" + hashlib.sha256(chunk).digest()
                link += b"\x12\x00\x18" + varint(len(chunk))
                links += b"\x12" + varint(len(link)) + link
            unixfs = b"\x08\x02\x18" + varint(size) + b"".join(b"\x20" + varint(len(c)) for c in chunks)
            root = text(0x70, links + b"\x0a" + varint(len(unixfs)) + unixfs)
        files.append({"size": size, "sha256": hex0x(hashlib.sha256(data).digest()), "cid": root})
    return {"profile": "unixfs-v1-2025", "content": "byte i is i % 251", "files": files}


def all_vectors() -> dict[str, str]:
    """File name -> JSON text."""
    made = {f.__name__: f() for f in (canonical, philox, model, rows, conditions, merkle, cid)}
    return {f"{name}.json": json.dumps(value, indent=1) + "\n" for name, value in made.items()}


if __name__ == "__main__":
    for file_name, content in all_vectors().items():
        Path(__file__).with_name(file_name).write_text(content, encoding="utf-8")
