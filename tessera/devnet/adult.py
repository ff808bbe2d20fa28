"""The bundled table (tessera/devnet/data/SOURCES.md), split among three contributors, and the collection
that they serve."""

from __future__ import annotations

import gzip
import json
import random
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from provenance.record.collection import Collection
from provenance.table.schema import Schema
from provenance.units import TOKENS, TokenUnit
from tessera.devnet.network import NodeSpec

PARTS = {"alder": 19_000, "birch": 9_500, "cedar": 4_000}
"""Rows of each contributor. Unequal on purpose: small tables must neither vanish nor be overpaid."""
_DEAL_SEED = 1994


def data_file(name: str) -> Traversable:
    """A file of tessera/devnet/data, also from an installed package."""
    return resources.files("tessera.devnet") / "data" / name


def read_lines(name: str) -> tuple[str, list[str]]:
    """(header, rows) of a bundled table, without line ends."""
    text = gzip.decompress(data_file(name).read_bytes()).decode("utf-8")
    header, *rows = text.splitlines()
    return header, rows


def deal_tables(folder: Path) -> list[NodeSpec]:
    """Write each contributor's private part under `folder` (once; always the same parts)."""
    folder.mkdir(parents=True, exist_ok=True)
    header, rows = read_lines("adult_train.csv.gz")
    random.Random(_DEAL_SEED).shuffle(rows)
    specs, start = [], 0
    for name, count in PARTS.items():
        path = folder / f"{name}.csv"
        if not path.exists():
            path.write_text("\n".join([header, *rows[start : start + count]]) + "\n", encoding="utf-8")
        specs.append(NodeSpec(name=name, table=path, declared_rows=count))
        start += count
    return specs


def adult_schema() -> Schema:
    """The public schema of the table, written by hand."""
    return Schema.parse(json.loads(data_file("adult.schema.json").read_text(encoding="utf-8")))


def adult_collection(unit: TokenUnit = TOKENS) -> Collection:
    """What the broker of the demo offers, at the same price in tokens whatever their decimals."""
    document = json.loads(data_file("adult.collection.json").read_text(encoding="utf-8"))
    return Collection(
        name=document["name"],
        title=document["title"],
        schema=adult_schema(),
        family="fedgan",
        visibility=document["visibility"],
        min_contributors=document["minContributors"],
        price_per_row_wei=int(document["pricePerRowWei"]) * unit.one // TOKENS.one,
        epsilon_micro=document["epsilonMicro"],
        settings=document["settings"],
        standing=document["standing"],
    )


BUYER_TOKENS = 1_000
