"""`tessera evaluate`: refusals first, then what is shown and saved."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from provenance.table.schema import Schema
from provenance.table.table_csv import write_csv

SCHEMA = {
    "format": "tessera-schema/1",
    "name": "people",
    "target": "rich",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 18, "maximum": 90, "nullable": True, "missing": "?"},
        {"name": "<town>", "type": "string", "enum": ["A&B", "C"]},
        {"name": "rich", "type": "boolean"},
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    schema = Schema.parse(SCHEMA)
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    found = {"schema": tmp_path / "s.json"}
    for seed, name in enumerate(("real", "synthetic", "test")):
        random = np.random.default_rng(seed)
        age = random.integers(0, 74, 120)
        rich = (age + random.normal(0, 10, 120) > 40).astype(np.int64)
        found[name] = tmp_path / f"{name}.csv"
        write_csv(found[name], schema, np.stack([age, random.integers(0, 2, 120), rich], axis=1))
    return found


def arguments(files: dict[str, Path]) -> list[Any]:
    return [
        "evaluate",
        files["real"],
        files["synthetic"],
        "--schema",
        files["schema"],
        "--test",
        files["test"],
    ]


def test_refuses_rows_of_another_schema(tessera: Any, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    ended = tessera("evaluate", files["real"], tmp_path / "other.csv", "--schema", files["schema"])
    assert ended.status != 0
    assert "other.csv: found the columns a, b, expected those of schema 'people'" in ended.err


def test_refuses_a_report_of_an_unknown_kind(tessera: Any, files: dict[str, Path], tmp_path: Path) -> None:
    ended = tessera(*arguments(files), "--out", tmp_path / "r.pdf")
    assert ended.status == 2
    assert ".html or .json" in ended.err


def test_shows_the_figures_and_saves_them_as_json(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    text = files["synthetic"].read_text(encoding="utf-8").splitlines()
    text[1] = "17,C,true"
    files["synthetic"].write_text("\n".join(text) + "\n", encoding="utf-8")
    ended = tessera(*arguments(files), "--out", tmp_path / "r.json")
    assert ended.status == 0, ended.err
    assert "not private" in ended.out
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert document["outside"] == [
        {
            "column": "age",
            "cells": 1,
            "example": "17",
            "expected": "expected an integer from 18 to 90 in steps of 1",
        }
    ]
    assert document["utility"]["real_auc"] > 0.8
    assert f"{document['tvd2']:.4f}" in ended.out


def test_the_saved_page_stands_alone_and_escapes_names(
    tessera: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    assert tessera(*arguments(files), "--out", tmp_path / "r.html").status == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<town>" not in page
    assert "&lt;town&gt;" in page
    assert not re.search(r"<(script|link|img)|https?://(?!www\.w3\.org/2000/svg)", page)
    drawings = re.findall(r"<svg.*?</svg>", page)
    assert len(drawings) >= 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)
