from __future__ import annotations

import importlib.util
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors"


def test_the_committed_vectors_are_what_their_recipe_makes() -> None:
    specification = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make_vectors.py")
    assert specification is not None
    assert specification.loader is not None
    recipe = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(recipe)
    for name, text in recipe.all_vectors().items():
        assert (VECTORS / name).read_text(encoding="utf-8") == text, name
