"""The examples and numbers on the pages of docs/spec that this folder's code follows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from provenance.crypto.merkle import chunk_count, inclusion_proof, rows_per_chunk
from provenance.exact.reference import reference_row
from provenance.exact.tables import TABLES_DIGEST
from provenance.store.unixfs import cid_of
from provenance.table.codec import decode_values, encode_table
from provenance.table.conditions_bytes import decode_conditions, encode_conditions
from provenance.table.schema import Schema
from tests.docs.names import names_in

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / "spec" / f"{name}.md").read_text(encoding="utf-8")


def test_the_schema_example_is_canonical_and_encodes_as_printed() -> None:
    text = re.findall(r"```json\n(.*?)```", page("schema"), re.DOTALL)[0]
    schema = Schema.from_text(text)
    assert schema.document() == json.loads(text)
    cells = re.findall(r"the row `(.*?)` are (.*?)\.", page("schema"))[0]
    table = {name: [cell] for name, cell in zip(schema.cell_names, cells[0].split(", "), strict=True)}
    values = encode_table(schema, table)
    assert values.tolist() == [[int(value) for value in cells[1].split(", ")]]
    assert [column[0] for column in decode_values(schema, values).values()] == cells[0].split(", ")
    keys = re.findall(r"keys of the example's `id` are `(.*?)`, `(.*?)` and `(.*?)`", page("schema"))
    assert decode_values(schema, np.repeat(values, 3, axis=0))["id"] == list(keys[0])


def test_the_model_page_names_the_tables_and_shows_the_smallest_model() -> None:
    assert str(TABLES_DIGEST) in page("model")
    models = json.loads((ROOT / "tests" / "vectors" / "model.json").read_text(encoding="utf-8"))["models"]
    smallest = next(case for case in models if case["name"] == "one column, one code")
    assert f"({smallest['length']} bytes)" in page("model")
    shown = [line.split("   ")[0].replace(" ", "") for line in re.findall(r"```\n(.*?)```", page("model"), re.DOTALL)[0]
             .splitlines()]  # fmt: skip
    data = smallest["bytes"][2:]
    assert data.startswith(shown[0])
    assert data[160:].startswith("".join(shown[3:6]))


def test_the_row_example_is_what_the_reference_computes() -> None:
    models = json.loads((ROOT / "tests" / "vectors" / "model.json").read_text(encoding="utf-8"))["models"]
    small = next(bytes.fromhex(case["bytes"][2:]) for case in models if case["name"] == "small")
    printed = re.findall(r"the values are\n([\d, ]+) and the row bytes `0x(\w+)`", page("rows"))[0]
    values = [int(value) for value in printed[0].split(", ")]
    assert reference_row(small, bytes(32), 0, 0) == values
    assert b"".join(v.to_bytes(w, "big") for v, w in zip(values, (1, 2, 1), strict=True)).hex() == printed[1]


def test_the_conditions_page_prints_its_example_in_bytes() -> None:
    data = bytes.fromhex("".join(re.findall(r"```\n(0002.*?)```", page("conditions"), re.DOTALL)[0].split()))
    assert f"segments are {len(data)} bytes" in page("conditions")
    vectors = json.loads((ROOT / "tests" / "vectors" / "conditions.json").read_text(encoding="utf-8"))
    example = json.loads(re.findall(r"```json\n(.*?)```", page("conditions"), re.DOTALL)[0])
    assert encode_conditions(decode_conditions(data, Schema.parse(vectors["bytesSchema"]))) == data
    shown = decode_conditions(data, Schema.parse(vectors["bytesSchema"])).document()["segments"]
    assert shown == example["segments"]


def test_the_merkle_example_counts_right() -> None:
    assert "128 rows a chunk (2,560 bytes), 79 chunks, the last with 16 rows" in page("merkle")
    assert (rows_per_chunk(20), chunk_count(10_000, 20), 10_000 - 78 * 128) == (128, 79, 16)
    assert len(inclusion_proof(np.zeros(200_000, dtype=np.uint8).tobytes(), 20, 0)[1]) == 7


@pytest.mark.parametrize("data", [b"hello world\n", b""])
def test_the_content_page_prints_the_right_cids(data: bytes) -> None:
    assert f"`{cid_of(data)}`" in page("content")


PAGES = sorted(path.stem for path in (ROOT / "docs" / "spec").glob("*.md"))
KINDS = "(?:Code|Contracts|Vectors)"
SOURCES = re.compile(rf"^{KINDS}: .*?(?=\n\n|\n{KINDS}: |\n?\Z)", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([^`]+)`((?:\s+\((?:`[^`]+`,?\s*)+\))?)")


def sources(text: str) -> list[tuple[str, list[str]]]:
    """(file or folder, names in it) of the lines "Code:", "Contracts:" and "Vectors:" of a page."""
    lines = SOURCES.findall(text)
    named = [match for line in lines for match in NAMED.findall(line.partition(": ")[2])]
    return [(path, re.findall(r"`([^`]+)`", names)) for path, names in named if "/" in path]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_code_and_the_code_has_those_names(name: str) -> None:
    found = sources(page(name))
    assert any(path.startswith(("provenance/", "generator/", "backend/", "contracts/")) for path, _ in found)
    for path, names in found:
        file = ROOT / path
        assert file.exists(), path
        assert not names or set(names) <= names_in(file), (path, set(names) - names_in(file))


def test_names_and_files_that_are_not_there_are_found() -> None:
    text = "Code: `a/b.py` (`One`,\n`two`), `c/`.\nVectors: `kept` in `d/e.json`.\n\nMore `f/g.py` (`no`).\n"
    assert sources(text) == [("a/b.py", ["One", "two"]), ("c/", []), ("d/e.json", [])]
    assert "no_such_name" not in names_in(ROOT / "provenance" / "crypto" / "seal.py")
    assert "judge" in names_in(ROOT / "contracts" / "RowVerifier.sol")
