"""The catalogue page shows what others wrote as text, never as HTML."""

from __future__ import annotations

import pytest

from backend.page import TEMPLATES
from tests.backend.conftest import Api


@pytest.mark.parametrize(
    "title", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & </td></table>"]
)
def test_a_hostile_collection_title_is_text(api: Api, title: str) -> None:
    api.collection(title=title)
    answer = api.call("GET", "/")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    (cell,) = [part for part in answer.text.split("<td>") if part.endswith("(people)</td>")]
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")
    assert cell == f"{escaped} (people)</td>"
    assert "<script" not in answer.text
    assert "<img" not in answer.text


def test_templates_escape_without_being_asked() -> None:
    assert TEMPLATES.from_string("{{ text }}").render(text="<b>") == "&lt;b&gt;"
    loader = TEMPLATES.loader
    assert loader is not None
    sources = [loader.get_source(TEMPLATES, name)[0] for name in TEMPLATES.list_templates(["html"])]
    assert sources
    assert not any("|safe" in source.replace(" ", "") or "autoescape" in source for source in sources)
