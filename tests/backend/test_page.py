"""The catalogue page shows what others wrote as text, never as HTML."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.page import TEMPLATES
from backend.settings import Settings
from generator.node.setup import deployment_of
from provenance.api.catalogue import NetworkView
from provenance.units import TOKENS, TokenUnit
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


def test_amounts_have_the_decimals_and_the_symbol_of_the_token(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = api.call("GET", "/v1/network").json()
    assert "token" not in plain, "18 decimals are not said: clients of before read the answer as ever"
    dollar = TokenUnit(6, "USDC")
    deployment = replace(api.chain.reader.deployment, unit=dollar)
    monkeypatch.setattr(api.chain.reader, "_deployment", deployment)
    collection = api.collection(price_per_row_wei=12_500)
    assert "<td>0.0125</td>" in api.call("GET", "/").text
    assert "Price per row (USDC)" in api.call("GET", "/").text
    answer = api.call("GET", "/v1/network")
    assert deployment_of(NetworkView.read(answer.content, "network")) == deployment
    body = {
        "collection": collection,
        "buyer": str(api.broker.address),
        "rows": 60,
        "deliveryKey": "0x" + "5a" * 32,
    }
    refused = api.call("POST", "/v1/quotes", body | {"maxPriceWei": "500000"})
    assert refused.status_code in (400, 422)
    assert "60 rows cost 0.75 USDC, more than the 0.5 USDC of maxPriceWei" in refused.text


def test_the_stake_of_an_order_is_one_token_unless_it_is_set() -> None:
    assert Settings().in_unit(TokenUnit(6)).stake_wei == 10**6
    assert Settings().in_unit(TOKENS).stake_wei == 10**18
    assert Settings(stake_wei=5).in_unit(TokenUnit(6)).stake_wei == 5


def test_templates_escape_without_being_asked() -> None:
    assert TEMPLATES.from_string("{{ text }}").render(text="<b>") == "&lt;b&gt;"
    loader = TEMPLATES.loader
    assert loader is not None
    sources = [loader.get_source(TEMPLATES, name)[0] for name in TEMPLATES.list_templates(["html"])]
    assert sources
    assert not any("|safe" in source.replace(" ", "") or "autoescape" in source for source in sources)
