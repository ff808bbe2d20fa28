"""How long, in which batches and with how much decay: tables of public figures."""

from __future__ import annotations

from itertools import starmap

from generator.learning.recipes import federated_recipe, local_recipe


def test_recipes_follow_from_rows_alone_and_stay_bounded() -> None:
    rows = [1, 100, 1000, 5000, 20_000, 100_000, 10**7]
    local = [local_recipe(n) for n in rows]
    assert [r.decay for r in local] == sorted((r.decay for r in local), reverse=True)
    assert max(r.steps for r in local) <= 1600
    federated = list(starmap(federated_recipe, [(n, 256, 2048) for n in rows]))
    assert max(r.steps for r in federated) == 256
    assert max(r.batch for r in federated) == 2048
    assert local[4].rate_at(0.0) < local[4].rate_at(0.02) > local[4].rate_at(0.9) > 0
