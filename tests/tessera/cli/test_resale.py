"""`tessera resale list`: what is for sale, said to people and to programs, by a market that speaks HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from provenance.chain.deployment import Deployment
from provenance.values import Address
from tessera.client.profile import NetworkProfile
from tests.provenance.api.conftest import Script
from tests.provenance.api.test_client import NETWORK, OFFER
from tests.provenance.verify.publication import BROKER, Builder
from tests.tessera.conftest import Outcome, Run

NOW = 1_800_000_000
COLLECTION = "0x" + "5a" * 32
SELLER, BUYER = (str(Address(bytes([number]) * 20)) for number in (0xA1, 0xB2))
LISTED = OFFER | {"seller": SELLER, "priceWei": "12500000000000000000", "collection": COLLECTION}
SOLD = LISTED | {"state": "sold", "buyer": BUYER, "deadline": NOW + 2 * 86_400, "dataset": 4}
COLLECTIONS = {
    "collections": [{"id": COLLECTION, "contributors": 2, "document": {"name": "[red]visits[/red]"}}]
}
List = Callable[..., Outcome]


@pytest.fixture
def deployment() -> Deployment:
    return Builder().build().chain.deployment


@pytest.fixture
def served(script: Script, deployment: Deployment, tmp_path: Path, tessera: Run) -> Iterator[List]:
    """`tessera resale list WORDS` at a market with such offers and a chain whose time is NOW."""
    with script.served() as url:
        NetworkProfile(url, url, BROKER.address, deployment).write(tmp_path / "network.json")

        def run(*words: object, offers: list[dict[str, Any]] | None = None) -> Outcome:
            for answer in (NETWORK, {"offers": offers or []}, COLLECTIONS):
                script.say(200, answer)
            script.say(200, {"jsonrpc": "2.0", "id": 0, "result": {"timestamp": hex(NOW)}})
            return tessera("resale", "list", *words, "--network", tmp_path / "network.json")

        yield run


@pytest.fixture
def script() -> Script:
    return Script()


def asked(script: Script) -> str:
    """The query of the request for offers."""
    (target,) = [target for _, target, _, _ in script.requests if target.startswith("/v1/offers")]
    return urlsplit(target).query


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--state", "open"), "found 'open', expected one of listed, sold, delivered, accepted"),
        (("--buyer", "0x12"), "Address: found 1 bytes, expected 20"),
        (("--seller", "somebody"), "Address: found"),
    ],
)
def test_a_filter_that_there_is_not_is_refused_before_the_market_is_asked(
    served: List, script: Script, words: tuple[str, ...], said: str
) -> None:
    found = served(*words)
    assert (found.status, found.out) == (2, "")
    assert said in found.err
    assert script.requests == []


def test_an_answer_of_another_version_is_named(served: List) -> None:
    found = served(offers=[LISTED | {"price": 12.5}])
    assert found.status == 1
    assert "offers[0].price: this member is not known" in found.err
    assert "another version of the interface" in found.err


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ((), "state=listed"),
        (("--state", "all"), ""),
        (("--state", "sold"), "state=sold"),
        (("--buyer", BUYER.lower()), f"buyer={BUYER}"),
        (("--seller", SELLER, "--state", "sold"), f"seller={SELLER}&state=sold"),
    ],
)
def test_the_market_is_asked_for_what_the_words_say(
    served: List, script: Script, words: tuple[str, ...], query: str
) -> None:
    assert served(*words).status == 0
    assert asked(script) == query


def test_nothing_for_sale_is_said(served: List) -> None:
    assert "offers at http" in served().out


def test_offers_are_said_in_tokens_dates_and_names(served: List) -> None:
    found = served("--state", "all", offers=[SOLD, LISTED | {"datasetStatus": "flagged"}])
    assert found.status == 0, found.err
    until = datetime.fromtimestamp(NOW + 2 * 86_400).astimezone().strftime("%Y-%m-%d %H:%M")
    (sold,) = [line for line in found.out.splitlines() if "sold" in line]
    for words in ("4", "12,000", "12.5", f"{until} (in 2 days)", SELLER, BUYER, "[red]visits[/red]"):
        assert words in sold
    (listed,) = [line for line in found.out.splitlines() if "listed" in line]
    assert "3 (flagged)" in listed
    assert BUYER not in listed


def test_a_program_reads_what_the_market_said(served: List, script: Script) -> None:
    found = served("--json", offers=[LISTED, SOLD])
    assert (found.status, json.loads(found.out)) == (0, [LISTED, SOLD])
    assert [target for _, target, _, _ in script.requests] == ["/v1/network", "/v1/offers?state=listed"]


def test_the_help_shows_commands_to_copy(tessera: Run) -> None:
    shown = tessera("resale", "list", "--help").out
    for words in ("tessera resale list --json", "--buyer 0x", "accepted"):
        assert words in shown
