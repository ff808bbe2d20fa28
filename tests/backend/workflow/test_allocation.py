"""Dividing rows: proportional, whole, within limits, nothing lost, and a declaration alone is worth little."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backend.workflow.allocation import Offer, Place, Wanted, allocate, choose
from provenance.values import Address, Signature

STRANGER = 2**53 - 1


def offer(number: int, declared: int, most: int, delivered: int = 0) -> Offer:
    return Offer(Address(number.to_bytes(20, "big")), declared, most, Signature(b""), delivered)


def place(number: int, weight: int, most: int) -> Place:
    return Place(offer(number, weight, most), most, weight)


def wanted(rows: int, minimum: int = 2, maximum: int = 5) -> Wanted:
    return Wanted(rows, minimum, maximum, newcomer_bps=2_500)


def rows_of(rows: int, offers: list[Offer]) -> dict[int, int]:
    """Rows by the number of the offer."""
    places = choose(offers, wanted(rows))
    assert places is not None
    given_rows = allocate(rows, places)
    return {
        int.from_bytes(each.offer.contributor, "big"): got
        for each, got in zip(places, given_rows, strict=True)
    }


def test_too_few_offers_make_no_match() -> None:
    assert choose([offer(1, 10, 100)], wanted(60)) is None
    assert choose([], wanted(60)) is None


def test_too_small_limits_make_no_match() -> None:
    assert choose([offer(1, 10, 20), offer(2, 10, 20)], wanted(60)) is None


def test_the_largest_tables_are_chosen() -> None:
    chosen = choose([offer(1, 10, 99), offer(2, 30, 99), offer(3, 20, 99)], wanted(60, 2, 2))
    assert chosen is not None
    assert [each.offer.declared_rows for each in chosen] == [30, 20]


def test_no_more_are_chosen_than_there_are_rows() -> None:
    chosen = choose([offer(i, 10, 9) for i in range(5)], wanted(3, 1))
    assert chosen is not None
    assert len(chosen) == 3


def test_m3_a_stranger_gets_at_most_the_newcomers_part_whatever_it_declares() -> None:
    """Before: 997 of 1,000 rows, and one row for each of the honest."""
    honest = [offer(1, 2000, 1000, delivered=600), offer(2, 1000, 1000, delivered=300)]
    rows = rows_of(1000, [*honest, offer(9, STRANGER, 1000)])
    assert rows[9] == 250
    assert rows[1] == 2 * rows[2] == 500


def test_m3_many_strangers_get_no_more_than_one() -> None:
    honest = [offer(1, 2000, 1000, delivered=600), offer(2, 1000, 1000, delivered=300)]
    strangers = [offer(number, STRANGER, 1000) for number in range(7, 10)]
    rows = rows_of(1000, [*honest, *strangers])
    assert sum(rows[number] for number in range(7, 10)) <= 250


def test_m3_strangers_are_not_matched_in_place_of_those_who_delivered() -> None:
    honest = [offer(number, 10, 1000, delivered=5) for number in range(1, 4)]
    chosen = choose([*(offer(n, STRANGER, 1000) for n in range(10, 20)), *honest], wanted(1000, 2, 3))
    assert chosen is not None
    assert {each.offer for each in chosen} == set(honest)


def test_m3_a_row_that_was_delivered_vouches_for_ten_declared_ones() -> None:
    """Who has delivered a little cannot become large by announcing again."""
    rows = rows_of(1000, [offer(1, 2000, 1000, delivered=600), offer(9, STRANGER, 1000, delivered=10)])
    assert rows == {1: 952, 9: 48}


def test_m3_among_newcomers_alone_nobody_is_given_more_than_two_equal_parts() -> None:
    rows = rows_of(900, [offer(1, 2000, 900), offer(2, 1000, 900), offer(9, STRANGER, 900)])
    assert rows[9] == 600


def test_newcomers_of_a_new_market_share_by_their_declared_rows() -> None:
    assert rows_of(60, [offer(1, 2000, 60), offer(2, 1000, 60)]) == {1: 40, 2: 20}


def test_newcomers_take_what_the_others_do_not_accept() -> None:
    rows = rows_of(100, [offer(1, 1000, 20, delivered=50), offer(2, 1000, 100), offer(3, 1000, 100)])
    assert rows[1] <= 20
    assert sum(rows.values()) == 100


def test_rows_follow_the_weights_by_largest_remainder() -> None:
    assert allocate(10, [place(1, 1, 99), place(2, 1, 99), place(3, 1, 99)]) == (4, 3, 3)
    assert allocate(60, [place(1, 2000, 99), place(2, 1000, 99)]) == (40, 20)


def test_a_limit_passes_its_rows_to_the_others() -> None:
    assert allocate(100, [place(1, 1000, 10), place(2, 10, 200)]) == (10, 90)


offers = st.lists(
    st.tuples(st.integers(1, STRANGER), st.integers(1, 1000), st.integers(0, 3)), min_size=1, max_size=12
)


@given(offers, st.integers(1, 3000))
def test_every_row_is_given_and_nobody_gets_none_or_too_many(
    entries: list[tuple[int, int, int]], rows: int
) -> None:
    made = [offer(i, declared, most, delivered) for i, (declared, most, delivered) in enumerate(entries)]
    places = choose(made, replace(wanted(rows), minimum=1, maximum=12))
    if places is None:
        return
    given_rows = allocate(rows, places)
    assert sum(given_rows) == rows
    assert all(
        1 <= got <= each.limit <= each.offer.max_rows for got, each in zip(given_rows, places, strict=True)
    )
