"""A whole order over tables with planted rows: no message, file or receipt of it holds what is one row's alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from generator.families.family import family_of
from generator.federation.coordinator import Coordinator
from generator.federation.state import ContributorState
from generator.federation.task import Result, Task
from generator.market.score import ScorePhase
from generator.market.transport import QueueTransport
from generator.privacy.ledger import PrivacyCap
from provenance.crypto.at_rest import RestKey
from provenance.exact.sampler import Sampler
from provenance.record.collection import DISTRIBUTED
from provenance.record.receipts import ShardContent
from provenance.table.codec import decode_values
from provenance.values import Digest
from tests.canaries import SCHEMA, found_in, found_in_model, found_in_rows, values
from tests.generator.node.world import World

SETTINGS: dict[str, dict[str, int]] = {
    "marginal": {"steps": 40, "batch": 32, "hiddenWidth": 16, "hiddenLayers": 1},
    "fedgan": {
        "steps": 40,
        "batch": 32,
        "hiddenWidth": 16,
        "hiddenLayers": 1,
        "rounds": 2,
        "discriminatorSteps": 3,
        "discriminatorWidth": 16,
    },
    "autoregressive": {"rounds": 6, "privateSteps": 6, "width": 16, "neurons": 8},
}


@pytest.mark.parametrize(
    ("family", "epsilon_micro"),
    [*((family, 1_000_000) for family in SETTINGS), ("marginal", 0), ("autoregressive", 0)],
)
def test_an_order_published_in_clear_holds_no_planted_value(
    world: World, open_delivery_key: Digest, tmp_path: Path, family: str, epsilon_micro: int,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    settings: dict[str, int | str | bool] = {**SETTINGS[family]}
    if not epsilon_micro:
        settings["noise"] = DISTRIBUTED
    world.collection = replace(
        world.collection, schema=SCHEMA, family=family, settings=settings, visibility="open"
    )
    for number in (0, 1):
        table, key = world.folder / f"node{number}" / "table", RestKey.of(world.signer(number))
        ContributorState.create(table, SCHEMA, values(tmp_path / "t.csv"), PrivacyCap(None), key)
    terms = world.terms(delivery_key=open_delivery_key, epsilon_micro=epsilon_micro)
    nodes = [world.node(number, cap=None, policy=world.policy_without_privacy()) for number in (0, 1)]
    for node in nodes:
        world.market.nodes[node.address] = node
        world.accept(node, terms)
    order, plan = world.match(terms), world.plan(terms)
    transport = QueueTransport(world.client, poll_seconds=0.001)
    outcome = Coordinator(plan, transport, family_of(plan.family)).run()
    world.chain.committed[order] = tuple(model.model_digest for model in outcome.models)
    world.chain.seeds[order] = Digest(bytes([9]) * 32)
    domain = world.chain.deployment.domain
    phase = ScorePhase(domain, transport, world.market.fetch, world.market.upload, lambda _text: None)
    result = phase.run(world.job("score", terms), outcome, world.chain.commitment(order))

    assert found_in(result.encode()) == []
    assert len(world.market.content) >= 4, "rows of two shards, their models, the score file"
    for data in (*world.market.content.values(), *_messages(world)):
        assert found_in(data) == []
    for number, node in enumerate(nodes):
        sent = world.market.results[order, node.address, "sample"]
        content = ShardContent.parse(Result.decode(sent).meta["content"])
        model = world.market.fetch(content.model.cid)
        assert found_in_model(model) == []
        rows = Sampler(model, bytes([9]) * 32, number).values(0, 300)
        assert found_in_rows(rows) == []
        assert len(decode_values(SCHEMA, rows)["account"]) == 300
    captured = capfd.readouterr()
    assert found_in((captured.out + captured.err).encode()) == []


def _messages(world: World) -> Iterator[bytes]:
    """Every task and every answer, and each of their arrays as raw bytes."""
    for _kind, body in world.market.posted.values():
        yield body
        try:
            task = Task.decode(body)
        except ValueError:  # an offer is JSON
            continue
        yield from (array.tobytes() for array in task.arrays.values())
    for data in world.market.results.values():
        yield data
        yield from (array.tobytes() for array in Result.decode(data).arrays.values())
