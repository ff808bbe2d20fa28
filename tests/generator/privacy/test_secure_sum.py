"""Secure sums: what a single vector tells, when masks cancel, and how much noise is in what is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import PrivacyError
from generator.privacy.secure_sum import (
    Ring,
    add,
    honest_contributors,
    mask,
    new_secret,
    noise_share,
    public_of,
    summed_std,
)

RING = Ring(64, 24)
CONTEXT = bytes(32)
LOW_ORDER_KEY = bytes(32)


def masks(secrets: list[bytes], ring: Ring, count: int, context: bytes = CONTEXT) -> list[np.ndarray]:
    keys = [public_of(secret) for secret in secrets]
    return [mask(secret, keys, context, ring, count) for secret in secrets]


def test_refuses_keys_that_are_not_all_different_or_not_its_own() -> None:
    own, other = new_secret(), new_secret()
    for keys in ([public_of(other)], [public_of(own), public_of(other), public_of(other)]):
        with pytest.raises(PrivacyError, match="must all differ"):
            mask(own, keys, CONTEXT, RING, 4)


def test_refuses_a_key_that_everybody_could_agree_with() -> None:
    own = new_secret()
    with pytest.raises(PrivacyError, match="not a usable key"):
        mask(own, [public_of(own), LOW_ORDER_KEY], CONTEXT, RING, 4)


@pytest.mark.parametrize("vector", [np.zeros(3, dtype="<u8"), np.zeros(4, dtype="<i8"), np.empty(0)])
def test_refuses_a_sum_in_which_one_vector_is_missing_and_names_it(vector: np.ndarray) -> None:
    with pytest.raises(PrivacyError, match="b sent"):
        add({"a": np.zeros(4, dtype="<u8"), "b": vector}, RING, 4)


def test_refuses_noise_that_the_grid_is_too_coarse_for() -> None:
    with pytest.raises(PrivacyError, match="at least 256 are needed"):
        noise_share(np.array([1.0, 1e-6]), 3, Ring(32, 16))


def test_two_who_were_told_different_things_do_not_cancel() -> None:
    secrets = [new_secret() for _ in range(3)]
    keys = [public_of(secret) for secret in secrets]
    told = [bytes(32), bytes(32), b"\x01" * 32]
    parts = [mask(secret, keys, context, RING, 50) for secret, context in zip(secrets, told, strict=True)]
    total = np.sum(parts, axis=0, dtype=RING.dtype)
    assert np.abs(RING.decode(total)).min() > 1.0


@given(
    contributors=st.integers(1, 6), count=st.integers(0, 40), bits=st.sampled_from([32, 64]), data=st.data()
)
def test_the_sum_of_all_is_exact_and_every_smaller_sum_is_masked(
    contributors: int, count: int, bits: int, data: st.DataObject
) -> None:
    ring = Ring(bits, 8)
    counts = [
        np.array(data.draw(st.lists(st.integers(-1000, 1000), min_size=count, max_size=count)), dtype=float)
        for _ in range(contributors)
    ]
    shown = {
        str(place): ring.encode(own) + masked
        for place, (own, masked) in enumerate(
            zip(counts, masks([new_secret() for _ in counts], ring, count), strict=True)
        )
    }
    assert np.array_equal(add(shown, ring, count), np.sum(counts, axis=0))
    if contributors > 1 and count > 8:
        partial = {**shown, "0": np.zeros(count, dtype=ring.dtype)}
        assert not np.array_equal(add(partial, ring, count), np.sum(counts[1:], axis=0))


def test_a_masked_vector_looks_the_same_whatever_it_hides() -> None:
    """All bits of a masked vector are fair coins; of the counts themselves most are zero."""
    count = 20_000
    for value in (0.0, 37.0):
        own = masks([new_secret(), new_secret()], RING, count)[0]
        shown = RING.encode(np.full(count, value)) + own
        ones = np.unpackbits(shown.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 5 * 0.5 / np.sqrt(64 * count)


def test_a_mask_is_the_same_when_a_killed_contributor_makes_it_again() -> None:
    secrets = [new_secret() for _ in range(3)]
    first, again = masks(secrets, RING, 16), masks(secrets, RING, 16)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(("contributors", "honest"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (10, 6)])
def test_the_noise_is_whole_without_a_minority_and_without_oneself(contributors: int, honest: int) -> None:
    assert honest_contributors(contributors) == honest


def test_no_contributors_make_no_sum() -> None:
    with pytest.raises(PrivacyError, match="at least one"):
        honest_contributors(0)


@pytest.mark.parametrize("contributors", [1, 2, 4, 7])
def test_honest_parts_have_the_whole_noise_and_all_parts_what_is_said_of_them(contributors: int) -> None:
    """Two-sided, 200,000 draws: a standard deviation is measured to 0.16 %, five of which are allowed."""
    count, std = 200_000, 12.5
    parts = [RING.decode(noise_share(np.full(count, std), contributors, RING)) for _ in range(contributors)]
    tolerance = 5 / np.sqrt(2 * count)
    honest = np.sum(parts[: honest_contributors(contributors)], axis=0)
    assert honest.std() == pytest.approx(std, rel=tolerance)
    assert abs(honest.mean()) < 5 * std / np.sqrt(count)
    assert np.sum(parts, axis=0).std() == pytest.approx(summed_std(std, contributors), rel=tolerance)


def test_noise_follows_each_number_s_own_deviation() -> None:
    std = np.repeat([3.0, 300.0], 50_000)
    drawn = RING.decode(noise_share(std, 1, RING))
    assert drawn[:50_000].std() == pytest.approx(3.0, rel=0.02)
    assert drawn[50_000:].std() == pytest.approx(300.0, rel=0.02)


def test_no_noise_is_asked_for_and_none_is_drawn() -> None:
    assert not noise_share(np.zeros(5), 3, RING).any()
