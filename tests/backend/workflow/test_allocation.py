"""Dividing rows: proportional, whole, within limits, nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backend.workflow.allocation import Offer, allocate, choose
from provenance.values import Address, Signature


def offer(number: int, declared: int, most: int) -> Offer:
    return Offer(Address(number.to_bytes(20, "big")), declared, most, Signature(b""))


def test_too_few_offers_make_no_match() -> None:
    assert choose([offer(1, 10, 100)], 60, 2, 5) is None


def test_too_small_limits_make_no_match() -> None:
    assert choose([offer(1, 10, 20), offer(2, 10, 20)], 60, 2, 5) is None


def test_the_largest_tables_are_chosen() -> None:
    chosen = choose([offer(1, 10, 99), offer(2, 30, 99), offer(3, 20, 99)], 60, 2, 2)
    assert chosen is not None
    assert [each.declared_rows for each in chosen] == [30, 20]


def test_no_more_are_chosen_than_there_are_rows() -> None:
    chosen = choose([offer(i, 10, 9) for i in range(5)], 3, 1, 5)
    assert chosen is not None
    assert len(chosen) == 3


def test_rows_follow_the_declared_rows_by_largest_remainder() -> None:
    assert allocate(10, [offer(1, 1, 99), offer(2, 1, 99), offer(3, 1, 99)]) == (4, 3, 3)
    assert allocate(60, [offer(1, 2000, 99), offer(2, 1000, 99)]) == (40, 20)


def test_a_limit_passes_its_rows_to_the_others() -> None:
    assert allocate(100, [offer(1, 1000, 10), offer(2, 10, 200)]) == (10, 90)


offers = st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 1000)), min_size=1, max_size=12)


@given(offers, st.data())
def test_every_row_is_given_and_nobody_gets_none_or_too_many(
    entries: list[tuple[int, int]], data: st.DataObject
) -> None:
    made = [offer(i, declared, most) for i, (declared, most) in enumerate(entries)]
    rows = data.draw(st.integers(len(made), max(len(made), sum(each.max_rows for each in made))))
    if rows > sum(each.max_rows for each in made):
        return
    given_rows = allocate(rows, made)
    assert sum(given_rows) == rows
    assert all(1 <= got <= each.max_rows for got, each in zip(given_rows, made, strict=True))
