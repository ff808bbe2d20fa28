"""What nodes sent for an order is deleted some time after its end, and what others are shown of it stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from backend.database.models import OrderRow, TaskRow
from backend.ports import Ports
from backend.tasks.retention import delete_old_results
from backend.workflow.order_log import OrderLog
from provenance.api.orders import OrderState
from provenance.crypto.signing import Signer
from tests.backend.conftest import Api, Clock
from tests.backend.test_tasks import lease, post, put

MARK = b"counts of somebody's rows, " * 400


@pytest.fixture
def sent(api: Api, buyer: Signer, two_nodes: list[Signer]) -> tuple[str, int]:
    """An order, and the task whose payload and result hold the mark."""
    order = api.order(buyer, api.collection())
    task = int(post(api, order, two_nodes[0], "bins", body=MARK).json()["id"])
    assert lease(api, two_nodes[0]).status_code == 200
    assert put(api, two_nodes[0], task, MARK).status_code == 201
    return order, task


def held(ports: Ports, order: str) -> list[tuple[bytes, bytes | None]]:
    query = select(TaskRow).where(TaskRow.order == order, TaskRow.name == "bins")
    with ports.database.read() as session:
        rows = session.scalars(query.options(undefer(TaskRow.payload), undefer(TaskRow.result))).all()
        return [(row.payload, row.result) for row in rows]


def end(api: Api, order: str, state: OrderState = OrderState.REFUNDED) -> None:
    OrderLog(api.ports, order).enter(state)


@pytest.mark.parametrize("state", [OrderState.OPEN, OrderState.PUBLISHED])
def test_nothing_is_deleted_of_an_order_that_is_not_over(
    api: Api, sent: tuple[str, int], clock: Clock, state: OrderState
) -> None:
    end(api, sent[0], state)
    clock.now += 10 * api.ports.settings.task_retention_seconds
    assert delete_old_results(api.ports) == 0
    assert held(api.ports, sent[0]) == [(MARK, MARK)]


@pytest.mark.parametrize("state", [OrderState.SETTLED, OrderState.REFUNDED, OrderState.REVOKED])
def test_what_nodes_sent_is_deleted_when_its_time_is_over_and_not_before(
    api: Api, sent: tuple[str, int], clock: Clock, two_nodes: list[Signer], tmp_path: Path, state: OrderState
) -> None:
    order, task = sent
    end(api, order, state)
    clock.now += api.ports.settings.task_retention_seconds - 1
    assert delete_old_results(api.ports) == 0
    assert api.call("GET", f"/v1/tasks/{task}/result", by=api.broker).content == MARK
    clock.now += 2
    assert delete_old_results(api.ports) == 1
    assert held(api.ports, order) == [(b"", None)]
    answer = api.call("GET", f"/v1/tasks/{task}/result", by=api.broker)
    assert answer.status_code == 404
    assert "was deleted after its order's end" in answer.text
    (shown,) = api.call("GET", f"/v1/tasks?order={order}", by=api.broker).json()["tasks"]
    assert (shown["state"], shown["name"]) == ("done", "bins")
    assert shown["resultDigest"]
    assert put(api, two_nodes[0], task, MARK).status_code == 200, (
        "a node that sends it again is told it was there"
    )
    assert held(api.ports, order) == [(b"", None)]
    assert delete_old_results(api.ports) == 0
    with api.ports.database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert MARK[:200] not in (tmp_path / "backend.sqlite").read_bytes(), "overwritten, not only forgotten"


def test_without_retention_it_is_deleted_at_once(api: Api, sent: tuple[str, int]) -> None:
    end(api, sent[0])
    settings = api.ports.settings.model_copy(update={"task_retention_seconds": 0})
    assert delete_old_results(replace(api.ports, settings=settings)) == 1
    assert held(api.ports, sent[0]) == [(b"", None)]


def test_keys_stay_for_they_are_owed_when_everybody_is_paid(
    api: Api, sent: tuple[str, int], clock: Clock, two_nodes: list[Signer]
) -> None:
    order, _ = sent
    assert post(api, order, two_nodes[1], "release", kind="release", body=b"asked").status_code == 201
    end(api, order)
    clock.now += 2 * api.ports.settings.task_retention_seconds
    assert delete_old_results(api.ports) == 1
    leased = lease(api, two_nodes[1]).json()["task"]
    assert api.call("GET", f"/v1/tasks/{leased['id']}/payload", by=two_nodes[1]).content == b"asked"


def test_an_order_whose_models_are_sold_keeps_its_results(
    api: Api, sent: tuple[str, int], clock: Clock, buyer: Signer
) -> None:
    order = api.order(buyer, api.collection(), purpose="from stock")
    with api.ports.database.write() as session:
        session.get_one(OrderRow, order).training = sent[0]
    end(api, sent[0])
    clock.now += 2 * api.ports.settings.task_retention_seconds
    assert delete_old_results(api.ports) == 0
    assert held(api.ports, sent[0]) == [(MARK, MARK)]
    end(api, order)
    assert delete_old_results(api.ports) == 1


def test_a_pass_that_was_killed_is_made_again(
    api: Api, sent: tuple[str, int], clock: Clock, buyer: Signer, two_nodes: list[Signer]
) -> None:
    other = api.order(buyer, api.collection())
    assert post(api, other, two_nodes[1], "bins", body=MARK).status_code == 201
    for order in (sent[0], other):
        end(api, order)
    clock.now += 2 * api.ports.settings.task_retention_seconds
    left = [1]

    @contextmanager
    def dies_at_the_second() -> Iterator[Session]:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        with api.ports.database.write() as session:
            yield session

    killed = type(
        "Killed", (), {"read": api.ports.database.read, "write": staticmethod(dies_at_the_second)}
    )()
    with pytest.raises(KeyboardInterrupt):
        delete_old_results(replace(api.ports, database=killed))
    assert delete_old_results(api.ports) == 1
    assert held(api.ports, sent[0]) == [(b"", None)]
    assert held(api.ports, other)[0][0] == b""
