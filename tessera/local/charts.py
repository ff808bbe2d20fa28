"""Small charts as SVG text: no library, no fonts, no scripts, so that they can stand in a page
or a repository."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#1f5aa6", "#c4551a", "#2f7d4f", "#7a4fa3", "#8a6d1c", "#555555", "#a33b5e", "#1c8794")
_FONT = "font-family='Helvetica, Arial, sans-serif'"


@dataclass(frozen=True, slots=True)
class Dots:
    """A labelled row with one value an axis; `group` chooses the colour."""

    label: str
    values: tuple[float, ...]
    group: int = 0


@dataclass(frozen=True, slots=True)
class Axis:
    """A title and the inclusive range shown; logarithmic where the range spans several sizes (low above 0)."""

    title: str
    low: float
    high: float
    logarithmic: bool = False

    @classmethod
    def around(cls, title: str, values: Sequence[float], *, logarithmic: bool = False) -> Axis:
        """The range of `values` with a margin."""
        low, high = min(values), max(values)
        if logarithmic:
            return cls(title, low / 1.25, high * 1.25, logarithmic=True)
        margin = 0.08 * (high - low) or 0.05
        return cls(title, low - margin, high + margin)

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """A few round numbers."""
        if self.logarithmic:
            powers = range(_exponent(self.low), _exponent(self.high) + 1)
            every = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return [tick for tick in every if self.low <= tick <= self.high]
        step = 10.0 ** _exponent((self.high - self.low) / 5)
        for factor in (1, 2, 5, 10):
            if (self.high - self.low) / (step * factor) <= 6:
                step *= factor
                break
        first = int(self.low // step) + 1
        return [k * step for k in range(first, int(self.high // step) + 1)]


def dot_rows(sections: Sequence[tuple[str, Sequence[Dots]]], axes: Sequence[Axis], width: int = 920) -> str:
    """Titled sections of rows, a label at the left and a dot for each axis; the axes are the same for all."""
    label_width, gap, step, top = 250, 24, 17, 24
    panel = (width - label_width - gap * len(axes)) / len(axes)
    lefts = [label_width + k * (panel + gap) for k in range(len(axes))]
    height = top + sum(34 + len(rows) * step for _, rows in sections)
    parts = [_text(left, 16, axis.title, size=12) for left, axis in zip(lefts, axes, strict=True)]
    for title, rows in sections:
        first, last = top + 22, top + 22 + len(rows) * step
        parts.append(_text(8, top + 14, title, size=13, weight="bold"))
        for left, axis in zip(lefts, axes, strict=True):
            for tick in axis.ticks():
                across = left + axis.share(tick) * panel
                parts.append(_line(across, first, across, last, "#e4e4e4"))
                parts.append(_text(across, last + 10, f"{tick:.3g}", anchor="middle", size=10))
        for position, row in enumerate(rows):
            middle = first + (position + 0.5) * step
            colour = COLOURS[row.group % len(COLOURS)]
            parts.append(_text(label_width - 10, middle + 4, row.label, anchor="end", size=11, colour=colour))
            for left, axis, value in zip(lefts, axes, row.values, strict=True):
                parts.append(_line(left, middle, left + panel, middle, "#f2f2f2"))
                across = left + axis.share(value) * panel
                parts.append(f"<circle cx='{across:.1f}' cy='{middle:.1f}' r='4' fill='{colour}'/>")
        top = last + 12
    return svg(width, height, parts)


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str, width: int = 560) -> str:
    """Horizontal bars, one a row, the value behind each; the longest fills the width."""
    longest = max([value for _, value in rows] or [0.0]) or 1.0
    label_width, bar_width, step = 210, width - 210 - 80, 20
    parts = [_text(8, 18, title, size=14, weight="bold")]
    for position, (label, value) in enumerate(rows):
        top = 30 + position * step
        shown = label if len(label) <= 34 else label[:33] + "…"
        parts.append(_text(label_width - 6, top + 12, shown, anchor="end", size=11))
        length = max(1.0, bar_width * value / longest)
        parts.append(
            f"<rect x='{label_width}' y='{top + 2}' width='{length:.1f}' height='13' fill='{COLOURS[0]}'/>"
        )
        parts.append(_text(label_width + length + 5, top + 12, f"{value:.3g}{unit}", size=11))
    return svg(width, 38 + len(rows) * step, parts)


def paired_bars(
    title: str, labels: Sequence[str], first: Sequence[float], second: Sequence[float], width: int = 270
) -> str:
    """Shares of two tables side by side as vertical bars: the first filled, the second as an outline."""
    height, left, bottom, top = 150, 8, 30, 26
    most = max([*first, *second, 1e-12])
    step = (width - 2 * left) / max(len(labels), 1)
    parts = [_text(left, 16, title if len(title) <= 36 else title[:35] + "…", size=12, weight="bold")]
    for position, (a, b) in enumerate(zip(first, second, strict=True)):
        x = left + position * step
        for value, style in (
            (a, f"fill='{COLOURS[0]}' fill-opacity='.45'"),
            (b, f"fill='none' stroke='{COLOURS[1]}' stroke-width='1.5'"),
        ):
            tall = (height - top - bottom) * value / most
            parts.append(
                f"<rect x='{x + 1:.1f}' y='{height - bottom - tall:.1f}' width='{max(step - 2, 1):.1f}' "
                f"height='{tall:.1f}' {style}/>"
            )
    for position in sorted({0, len(labels) - 1}) if labels else ():
        anchor = "start" if position == 0 else "end"
        at = left if position == 0 else width - left
        parts.append(_text(at, height - 14, labels[position][:20], anchor=anchor, size=10))
    return svg(width, height, parts)


def svg(width: float, height: float, parts: Sequence[str]) -> str:
    """A drawing with a white ground, so that it can be read on a dark page."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' role='img'><rect width='100%' height='100%' fill='#fff'/>{''.join(parts)}</svg>"
    )


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal",
    colour: str = "#222",
) -> str:  # fmt: skip
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' font-weight='{weight}' "
        f"{_FONT} fill='{colour}'>{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}'/>"
