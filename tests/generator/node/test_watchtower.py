"""A node leaves sealed copies of its answers; a watchtower sends them while the node is away, and only then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from generator.errors import SettingsError
from generator.node.answers import OrderAnswers
from generator.node.outbox_log import OutboxLog
from generator.node.sample import sample_shard
from generator.node.watch_copies import WatchCopies
from provenance.chain.disputes import DemandKind
from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState, ShardsOnChain, TxReceipt
from provenance.crypto.seal import DeliveryKey
from provenance.exact.sampler import Sampler
from provenance.record.receipts import Evaluation
from provenance.values import Digest
from tessera.client.watchtower import Watchtower
from tests.generator.node.test_demands import ROWS, Chain, model_of, salt_on_chain, watch
from tests.generator.node.trained import SEED, Trained

TOWER, ANOTHER = DeliveryKey(b"\x41" * 32), DeliveryKey(b"\x42" * 32)
NONE = Digest(bytes(32))


@dataclass
class TowerChain(Chain):
    """The demands contract beside the orders that the node knows."""

    trained: Any = None

    def order(self, order: Digest) -> Any:
        return self.trained.world.chain.order(order)

    def shards(self, order: Digest) -> ShardsOnChain:
        found: ShardsOnChain = self.trained.world.chain.shards(order)
        return found

    def chain_time(self) -> int:
        now: int = self.trained.world.chain.time_seconds
        return now


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Place:
    """A node's copies and a tower over them."""

    trained: Trained
    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.chain = TowerChain(trained=self.trained)
        self.outbox = OutboxLog(self.trained.nodes[0].folder)
        self.copies = WatchCopies(self.folder, TOWER.public, self.outbox)

    def hand_over(self) -> int:
        node, order = self.trained.nodes[0], self.trained.order
        return self.copies.hand_over(
            OrderAnswers(node, order, node.accepted(order), self.trained.world.participants)
        )

    def names(self) -> list[str]:
        return sorted(path.name.partition("-")[0] for path in self.folder.rglob("*-*"))

    def tower(self, key: DeliveryKey = TOWER, patience: float = 0.0) -> Watchtower:
        return Watchtower(self.chain, self.chain, self.folder, key, patience, self.clock)


@pytest.fixture
def place(trained: Trained, tmp_path: Path) -> Place:
    folder = tmp_path / "copies"
    folder.mkdir()
    return Place(trained, folder)


def test_the_salt_is_not_copied_before_the_hash_of_the_block_is_kept(place: Place) -> None:
    salt_on_chain(place.trained)
    del place.trained.world.chain.seeds[place.trained.order]
    place.trained.world.chain.fixed.clear()
    assert place.hand_over() == 1
    assert place.names() == ["commitment"]
    place.trained.world.chain.fixed.add(place.trained.order)
    assert place.hand_over() == 1
    assert place.names() == ["commitment", "salt"]


def test_rows_and_model_are_not_copied_before_the_shard_is_signed(place: Place) -> None:
    place.hand_over()
    assert place.names() == ["commitment"]


def test_a_tower_with_another_key_answers_nothing(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    place.chain.ask(place.trained.order, DemandKind.MODEL)
    assert place.tower(ANOTHER).look() == 0
    assert place.chain.answers == []
    assert "its contributor must" in caplog.text


def test_nothing_is_sent_that_is_not_demanded_or_whose_shard_is_out(place: Place) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    tower = place.tower()
    assert tower.look() == 0
    place.chain.ask(place.trained.order, DemandKind.MODEL, shard=1)
    assert tower.look() == 0, "there are no copies of that shard"
    place.chain.ask(place.trained.order, DemandKind.MODEL)
    place.trained.world.chain.out[place.trained.order] = ShardsOnChain(out=frozenset({0}))
    assert tower.look() == 0
    place.trained.world.chain.out.clear()
    place.trained.world.chain.states[place.trained.order] = OrderState.SETTLED
    assert tower.look() == 0
    assert place.chain.answers == []


def test_the_contributor_is_waited_for_until_somebody_warned(place: Place) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    tower = place.tower(patience=300.0)
    place.chain.ask(place.trained.order, DemandKind.MODEL)
    assert tower.look() == 0
    place.clock.now = 299.0
    assert tower.look() == 0
    place.chain.warned.add((place.trained.order, 0))
    assert tower.look() == 1
    assert place.chain.answers == [(model_of(place.trained),)]


def test_after_the_second_time_nothing_is_sent(place: Place) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    place.chain.ask(
        place.trained.order, DemandKind.MODEL, answer_by=place.trained.world.chain.time_seconds - 1
    )
    place.chain.warned.add((place.trained.order, 0))
    assert place.tower().look() == 0
    assert place.chain.answers == []


def test_junk_in_the_folder_stops_nobody(place: Place) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    own = place.folder / place.trained.order.hex() / "0"
    (own / "model-zzzz").write_bytes(b"junk, and the newest")
    (place.folder / "notes.txt").write_text("mine")
    (place.folder / "not-an-order").mkdir()
    place.chain.ask(place.trained.order, DemandKind.MODEL)
    assert place.tower().look() == 1


def test_a_copy_that_the_chain_refuses_is_followed_by_the_next_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two evaluations the newest is the true one, but the other is an answer too."""
    place.trained.score()
    place.hand_over()
    taken: list[Evaluation] = []

    def picky(_shard: int, evaluation: Evaluation, _signature: bytes) -> TxReceipt:
        taken.append(evaluation)
        if len(taken) == 1:
            raise RevertError("refused", name="Demands_InvalidSignature")
        return TxReceipt(NONE, 1, 1)

    monkeypatch.setattr(place.chain, "answer_evaluation", picky)
    place.chain.ask(place.trained.order, DemandKind.EVALUATION)
    assert place.tower().look() == 1
    assert [each.dataset_root == NONE for each in taken] == [False, True]


def test_half_of_the_settings_or_a_key_that_is_none_is_refused(place: Place) -> None:
    node, deployment = place.trained.nodes[0], place.trained.world.chain.deployment
    assert WatchCopies.of(node.settings, deployment, place.outbox) is None
    for key, folder in (
        ("0x" + "11" * 32, ""),
        ("", "copies"),
        ("0x12", "copies"),
        ("0x" + "00" * 32, "copies"),
    ):
        settings = node.settings.model_copy(
            update={"watchtower_key": key, "watchtower_folder": folder and str(place.folder)}
        )
        with pytest.raises(SettingsError, match="watchtower"):
            WatchCopies.of(settings, deployment, place.outbox)


def test_a_folder_that_is_gone_is_said_and_tried_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    copies = replace(place.copies, folder=place.folder / "file" / "below")
    (place.folder / "file").write_text("no folder")
    node, order = place.trained.nodes[0], place.trained.order
    answers = OrderAnswers(node, order, node.accepted(order), place.trained.world.participants)
    assert copies.hand_over(answers) == 0
    assert "cannot be written" in caplog.text


def test_every_demand_is_answered_for_a_node_that_is_away(place: Place) -> None:
    salt = salt_on_chain(place.trained)
    result = place.trained.score()
    assert place.hand_over() == 7
    assert place.hand_over() == 0, "once"
    copied = [entry.kind for entry in place.outbox.entries() if entry.to == "watchtower"]
    assert len(copied) == 7
    order, tower = place.trained.order, place.tower()
    shown: dict[DemandKind, tuple[Any, ...]] = {}
    for kind in DemandKind:
        if kind in (DemandKind.NONE, DemandKind.MANIFEST):
            continue
        place.chain.ask(order, kind, row=ROWS - 1)
        assert tower.look() == 1, kind
        shown[kind] = place.chain.answers[-1]
    assert shown[DemandKind.SALT] == (salt,)
    assert shown[DemandKind.MODEL] == (model_of(place.trained),)
    assert shown[DemandKind.RECEIPT][0].shard_root == result.shards[0].shard_root
    assert shown[DemandKind.EVALUATION][0].dataset_root == result.dataset_root
    width, index, chunk = shown[DemandKind.CHUNK][:3]
    rows = Sampler(model_of(place.trained), SEED, 0).row_bytes(0, ROWS)
    assert rows[index * len(chunk) :].startswith(chunk) or rows.endswith(chunk)
    assert len(rows) == ROWS * width


def test_a_node_that_was_never_asked_to_evaluate_leaves_an_evaluation_of_nothing(place: Place) -> None:
    sample_shard(place.trained.nodes[0], place.trained.sample_task())
    place.hand_over()
    place.chain.ask(place.trained.order, DemandKind.EVALUATION)
    assert place.tower().look() == 1
    assert place.chain.answers[0][0] == Evaluation(place.trained.order, NONE, 0, NONE, NONE)


def test_copies_go_with_the_order(place: Place) -> None:
    looking = watch(place.trained, place.chain)
    looking.copies = place.copies
    looking.look()
    assert place.names() == ["commitment"]
    place.trained.world.chain.states[place.trained.order] = OrderState.SETTLED
    looking.look()
    assert place.names() == []
