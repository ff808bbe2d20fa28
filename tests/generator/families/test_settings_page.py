"""docs/spec/settings.md shows the settings as they are defined."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from generator.families.settings import FAMILIES, settings_of
from generator.fitting.settings import FIT_OPTIONS

PAGE = Path(__file__).parents[3] / "docs" / "spec" / "settings.md"


def table(rows: Iterable[tuple[str, str, object, str]]) -> str:
    """A Markdown table of (name, what is expected, default, help)."""
    lines = ["| name | takes | default | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{name}` | {expected} | {shown(default)} | {help} |" for name, expected, default, help in rows
    ]
    return "\n".join(lines) + "\n"


def shown(default: object) -> str:
    return "none" if default in (None, (), {}) else f"`{str(default).lower()}`"


@pytest.mark.parametrize("family", FAMILIES)
def test_page_shows_every_setting_of_a_family(family: str) -> None:
    expected = table((s.name, s.expected, s.default, s.help) for s in settings_of(family))
    assert expected in PAGE.read_text("utf-8"), (
        f"docs/spec/settings.md, family {family}, should hold\n{expected}"
    )


def test_page_shows_every_option_of_a_fit() -> None:
    expected = table((o.name, o.expected, o.default, o.help) for o in FIT_OPTIONS.values())
    assert expected in PAGE.read_text("utf-8"), f"docs/spec/settings.md, options, should hold\n{expected}"
