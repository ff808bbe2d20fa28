"""Worlds around one order, fresh or trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from provenance.record.terms import OPEN_DELIVERY_KEY
from provenance.values import Digest
from tests.generator.node.trained import Trained, train
from tests.generator.node.world import World, new_world

MakeWorld: TypeAlias = Callable[[Path], World]


@pytest.fixture(scope="module")
def make_world() -> MakeWorld:
    return new_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return new_world(tmp_path)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Training costs a second; every test gets a copy. Not to be changed."""
    return train(new_world(tmp_path_factory.mktemp("trained")))


@pytest.fixture
def trained(trained_once: Trained, tmp_path: Path) -> Trained:
    return trained_once.copy_to(tmp_path / "copy")


@pytest.fixture
def open_delivery_key() -> Digest:
    return OPEN_DELIVERY_KEY
