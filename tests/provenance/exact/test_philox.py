from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.exact.philox import BlockStream, scattered_blocks
from provenance.exact.reference import philox_block

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "philox.json").read_text(encoding="utf-8"))
U64 = st.integers(0, 2**64 - 1)


def test_gives_the_known_answer_for_key_0_counter_0() -> None:
    words = " ".join(f"{word:016x}" for word in BlockStream((0, 0), 0).take(1)[0].tolist())
    assert words == "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"


@pytest.mark.parametrize("case", VECTORS["blocks"], ids=lambda case: case["counter"][0])
def test_agrees_with_the_vectors(case: dict[str, Any]) -> None:
    counter, key, block = ([int(word, 16) for word in case[name]] for name in ("counter", "key", "block"))
    c0, c1, c2, c3 = counter
    assert philox_block((c0, c1, c2, c3), (key[0], key[1])) == tuple(block)
    if c2 == c3 == 0:
        assert BlockStream((key[0], key[1]), c0, c1).take(1)[0].tolist() == block
        assert scattered_blocks((key[0], key[1]), np.array([c0], dtype=np.uint64), c1)[0].tolist() == block


@given(U64, U64, st.integers(0, 2**64 - 6), st.integers(0, 2**32 - 1))
def test_numpy_scattered_and_plain_python_agree(k0: int, k1: int, first: int, attempt: int) -> None:
    run = BlockStream((k0, k1), first, attempt).take(5)
    scattered = scattered_blocks((k0, k1), np.arange(5, dtype=np.uint64) + np.uint64(first), attempt)
    assert run.tolist() == scattered.tolist()
    assert run.tolist() == [list(philox_block((first + i, attempt, 0, 0), (k0, k1))) for i in range(5)]
