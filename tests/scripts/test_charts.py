"""Drawings are well-formed and say what they were given."""

from xml.etree import ElementTree

import pytest

from scripts.charts import Axis, Mark, bars, paired_bars, scatter


@pytest.mark.parametrize(("low", "high"), [(0.43, 0.93), (12.0, 99_000.0), (-3.0, -1.0)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = Axis("x", low, high).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


def test_a_logarithmic_axis_gives_every_factor_the_same_length() -> None:
    axis = Axis("x", 0.01, 1.0, logarithmic=True)
    assert axis.share(0.1) == pytest.approx(0.5)
    assert axis.ticks() == pytest.approx([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


def test_labels_are_escaped_and_points_are_where_their_numbers_are() -> None:
    axis = Axis("<t>", 0.0, 1.0)
    drawing = scatter("a & b", [Mark(0.0, 0.0, "low"), Mark(1.0, 1.0, "high")], axis, axis)
    root = ElementTree.fromstring(drawing)
    circles = [each for each in root.iter() if each.tag.endswith("circle")]
    places = [(float(each.attrib["cx"]), float(each.attrib["cy"])) for each in circles]
    assert places[0][0] < places[1][0]
    assert places[0][1] > places[1][1]
    assert "a & b" in "".join(root.itertext())


def test_bars_of_nothing_and_of_zeros_are_drawn() -> None:
    for drawing in (bars("none", [], ""), bars("zero", [("x", 0.0)], "%"), paired_bars("p", [], [], [])):
        ElementTree.fromstring(drawing)


def test_the_longest_bar_is_the_largest_value() -> None:
    root = ElementTree.fromstring(bars("t", [("a", 1.0), ("b", 4.0)], ""))
    widths = [
        float(each.attrib["width"]) for each in root.iter() if "height" in each.attrib and "x" in each.attrib
    ]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.2)
