"""The generators whose rows are refuted: fitted to the demo's tables as the demo fits them, or random ones."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.random_models import RandomModels
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from provenance.exact.model import decode_model
from provenance.units import MICRO, to_float
from tessera.devnet.adult import PARTS, adult_collection, deal_tables
from tessera.local.table_file import read_table

_COLUMNS = 15
_WIDTHS = (64, 128, 128)
_CODES, _SMALL_CODES = 16, 8  # a column; the second makes 39,936 multiplications a row
_RANDOM_SEED = 4


@dataclass(frozen=True)
class Generator:
    """Model bytes of every shard of an order, made in the same way."""

    name: str
    models: tuple[bytes, ...]

    @cached_property
    def multiplications(self) -> int:
        """Of one row of the second shard, the one that is refuted."""
        return decode_model(self.models[1]).multiplications

    def __str__(self) -> str:
        return f"{self.name}: {len(self.models[1]):,} bytes, {self.multiplications:,} multiplications a row"


def fitted() -> list[Generator]:
    """The demo's generator first, then what `tessera fit` makes of the same table, then one of each architecture
    of 40,000 multiplications; about a minute and a half of one core."""
    collection = adult_collection()
    with tempfile.TemporaryDirectory(prefix="tessera-gas-") as folder:
        tables = [read_table(spec.table, collection.schema).values for spec in deal_tables(Path(folder))]
    values = np.concatenate(tables)
    owners = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    demo = FitSettings(
        family=collection.family,
        epsilon=to_float(collection.epsilon_micro, MICRO),
        contributors=len(PARTS),
        settings=collection.settings,
    )
    federated = fit(values, collection.schema, demo, owners=owners)
    alone = fit(values, collection.schema, FitSettings())
    return [
        Generator(
            f"the demo's, {federated.family}, epsilon {demo.epsilon:g}",
            tuple(part.model_bytes for part in federated.parts),
        ),
        Generator(f"of `tessera fit`, {alone.family}", (alone.parts[0].model_bytes,) * len(PARTS)),
        _random_mlp("random, small MLP", _SMALL_CODES),
        _random_autoregressive(),
    ]


def unfitted() -> list[Generator]:
    """Random models of about the same shapes, at once."""
    return [
        _random_mlp("random, MLP", _CODES),
        _random_mlp("random, small MLP", _SMALL_CODES),
        _random_autoregressive(),
    ]


def _random_mlp(name: str, codes: int) -> Generator:
    """Of as many hidden layers as the families fit, and so many codes a column."""
    draw = RandomModels(_RANDOM_SEED)
    return Generator(name, tuple(draw.sized_mlp(_WIDTHS, (codes,) * _COLUMNS)[1] for _ in PARTS))


def _random_autoregressive() -> Generator:
    draw = RandomModels(_RANDOM_SEED)
    codes = (*((19,) * (_COLUMNS - 1)), 24)
    models = tuple(draw.sized_autoregressive(64, 32, codes)[1] for _ in PARTS)
    return Generator("random, autoregressive", models)
