"""Fixed-point units are read exactly or refused, and written as people read them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import ValueFormatError
from provenance.units import (
    BASIS_POINTS,
    E12,
    MICRO,
    TOKEN,
    TOKENS,
    TokenUnit,
    duration,
    format_fixed,
    grouped,
    local_time,
    nearest,
    parse_fixed,
    percent,
    round_down,
    round_up,
    to_float,
    utc_time,
)

PLACES = st.sampled_from([0, BASIS_POINTS, MICRO, E12, TOKEN])


@pytest.mark.parametrize(
    ("text", "places", "amount"),
    [
        ("3", MICRO, 3_000_000),
        ("1e-5", E12, 10_000_000),
        ("0.000001", MICRO, 1),
        ("12.50", TOKEN, 12_500_000_000_000_000_000),
        ("0.30000000", BASIS_POINTS, 3000),
        ("0e-400", MICRO, 0),
        ("1" + "0" * 59, TOKEN, 10**77),
        (
            "123456789012345678901234567890.123456789012345678",
            TOKEN,
            123456789012345678901234567890123456789012345678,
        ),
    ],
)
def test_a_decimal_is_read_exactly(text: str, places: int, amount: int) -> None:
    assert parse_fixed(text, places) == amount


@pytest.mark.parametrize("text", ["0.0000001", "1e-7", "1.0000005", "1e-400", "3.14159265"])
def test_a_decimal_finer_than_its_unit_is_refused_not_rounded(text: str) -> None:
    with pytest.raises(ValueFormatError, match="at most 6 decimal places"):
        parse_fixed(text, MICRO)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e99", "1e999999999", "²", "٣", "1,5", "one"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueFormatError, match="expected a decimal of at least 0"):
        parse_fixed(text, MICRO)


@given(st.integers(0, 2**256 - 1), PLACES)
def test_what_is_written_reads_back(amount: int, places: int) -> None:
    assert parse_fixed(format_fixed(amount, places), places) == amount


def test_words_for_people() -> None:
    assert TOKENS.shown(10**18) == "1 token"
    assert TOKENS.shown(1_234_500_000_000_000_000_000) == "1,234.5 tokens"
    assert TOKENS.shown(1) == "0.000000000000000001 tokens"
    assert percent(750, BASIS_POINTS) == "7.5 %"
    assert percent(1_000_000, MICRO) == "100 %"
    assert format_fixed(-2_500_000, MICRO) == "-2.5"
    assert utc_time(1_795_919_439) == "2026-11-29 02:30:39 UTC"
    assert utc_time(2**64 - 1) == "18446744073709551615 seconds after 1970"


def test_amounts_follow_the_decimals_of_the_token() -> None:
    dollar = TokenUnit(6, "USDC")
    assert dollar.parse("12.5") == 12_500_000
    assert dollar.shown(1_234_500_000) == "1,234.5 USDC"
    assert dollar.plain(1_234_500_000) == "1234.5"
    assert dollar.one == dollar.parse("1")
    with pytest.raises(ValueFormatError, match="expected at most 6 decimal places"):
        dollar.parse("0.0000001")


@pytest.mark.parametrize(
    ("value", "up", "down", "middle"),
    [
        (2.0000005, 2_000_001, 2_000_000, 2_000_000),
        (2.0000009, 2_000_001, 2_000_000, 2_000_001),
        (1e-7, 1, 0, 0),
        (0.0, 0, 0, 0),
    ],
)
def test_the_spent_is_rounded_up_the_permitted_down_the_measured_to_the_nearest(
    value: float, up: int, down: int, middle: int
) -> None:
    assert (round_up(value, MICRO), round_down(value, MICRO), nearest(value, MICRO)) == (up, down, middle)


@given(st.integers(0, 2**40), st.sampled_from([MICRO, E12]))
def test_floating_point_error_moves_no_amount(amount: int, places: int) -> None:
    value = to_float(amount, places)
    for near in (math.nextafter(value, 0), value, math.nextafter(value, math.inf)):
        assert round_up(near, places) == round_down(near, places) == nearest(near, places) == amount


@given(st.floats(0, 1e4))
def test_no_direction_is_off_by_a_unit(value: float) -> None:
    assert -1.001 < round_down(value, MICRO) - value * 1e6 < 0.002
    assert -0.002 < round_up(value, MICRO) - value * 1e6 < 1.001


def test_thousands_stand_apart() -> None:
    assert grouped(1_234_567_890_000, MICRO) == "1,234,567.89"
    assert grouped(-500_000, MICRO) == "-0.5"


def test_nobody_scales_by_hand() -> None:
    """Where terms, policies and records are read, written or told, units.py alone knows the factors."""
    root = Path(__file__).resolve().parents[2]
    rooms = (
        "backend",
        "tessera",
        "provenance/record",
        "provenance/verify",
        "generator/node",
        "generator/market",
    )
    more = ("generator/federation", "generator/fitting", "generator/privacy", "generator/evaluation")
    by_hand = re.compile(r"[/*] ?(?:1e4|1e6|1e12|1e18|10_000|1_000_000|10 ?\*\* ?-?(?:6|12|18))\b|\.scaleb\(")
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for room in (*rooms, *more)
        for path in sorted((root / room).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if by_hand.search(line) and " MB" not in line
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["1_5", " 1", "1\n", "+1", "-0", "٣", "1__0", "_1", ".", "1e", "1e+", "0x1", "1." + "0" * 5000]
)
def test_what_only_python_takes_for_a_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueFormatError, match="expected a decimal of at least 0"):
        parse_fixed(text, TOKEN)


@pytest.mark.parametrize(("text", "amount"), [("1.", 10_000), (".5", 5_000), ("2E0", 20_000)])
def test_a_point_at_either_end_and_a_capital_exponent_are_read(text: str, amount: int) -> None:
    assert parse_fixed(text, BASIS_POINTS) == amount


NOW = 1_795_919_439


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "90 seconds"),
        (60, "1 minute"),
        (120, "2 minutes"),
        (3_600, "1 hour"),
        (604_782, "7 days"),
        (5.4 * 3_600, "5 hours"),
        (-86_400, "1 day"),
    ],
)
def test_a_length_of_time_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_moment_is_a_local_date_and_how_far_it_is() -> None:
    assert local_time(NOW + 6 * 86_400, NOW).endswith("(in 6 days)")
    assert local_time(NOW - 7_200, NOW).endswith("(2 hours ago)")
    assert local_time(NOW, NOW)[:4] == "2026"
    assert "beyond the calendar" in local_time(2**63, NOW)
