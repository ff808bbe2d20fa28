"""Drawings are well-formed and say what they were given."""

from xml.etree import ElementTree

import pytest

from tessera.local.charts import Axis, Dots, bars, dot_rows, paired_bars


@pytest.mark.parametrize(("low", "high"), [(0.43, 0.93), (12.0, 99_000.0), (-3.0, -1.0)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = Axis("x", low, high).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


def test_a_logarithmic_axis_gives_every_factor_the_same_length() -> None:
    axis = Axis("x", 0.01, 1.0, logarithmic=True)
    assert axis.share(0.1) == pytest.approx(0.5)
    assert axis.ticks() == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


def test_labels_are_escaped_and_dots_are_where_their_numbers_are() -> None:
    axes = (Axis("<first>", 0.0, 1.0), Axis("second", 0.0, 10.0))
    sections = [
        ("a & b", [Dots("low", (0.0, 10.0)), Dots("high", (1.0, 0.0))]),
        ("c", [Dots("mid", (0.5, 5.0))]),
    ]
    root = ElementTree.fromstring(dot_rows(sections, axes))
    circles = [each for each in root.iter() if each.tag.endswith("circle")]
    places = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in circles]
    low, low_second, high, high_second, middle, middle_second = places
    assert low[0] < middle[0] < high[0]
    assert high_second[0] < middle_second[0] < low_second[0]
    assert low[1] == low_second[1] < high[1] < middle[1] < float(root.attrib["height"])
    assert {"a & b", "<first>", "mid"} <= set(root.itertext())


def test_bars_of_nothing_and_of_zeros_are_drawn() -> None:
    for drawing in (bars("none", [], ""), bars("zero", [("x", 0.0)], "%"), paired_bars("p", [], [], [])):
        ElementTree.fromstring(drawing)


def test_the_longest_bar_is_the_largest_value() -> None:
    root = ElementTree.fromstring(bars("t", [("a", 1.0), ("b", 4.0)], ""))
    widths = [
        float(each.attrib["width"]) for each in root.iter() if "height" in each.attrib and "x" in each.attrib
    ]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.2)
