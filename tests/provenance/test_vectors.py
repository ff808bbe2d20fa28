from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.mark.parametrize("name", ["make_vectors", "make_verifier_vectors"])
def test_the_committed_vectors_are_what_their_recipe_makes(name: str) -> None:
    specification = importlib.util.spec_from_file_location(name, VECTORS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    recipe = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(recipe)
    for file_name, text in recipe.all_vectors().items():
        assert (VECTORS / file_name).read_text(encoding="utf-8") == text, file_name
