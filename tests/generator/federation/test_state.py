"""The contributor's folder: whole or absent files, one hold-out split, one user at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generator.errors import StateError, TaskRefused
from generator.federation.plan import TrainingPlan
from generator.federation.private_files import PrivateFiles
from generator.federation.state import ContributorState, held_out
from generator.federation.task import Task, answer
from generator.privacy.ledger import PrivacyCap
from generator.privacy.owner import Owner
from provenance.files import TEMPORARY, write_whole
from provenance.table.persons import Rows, numbered
from provenance.table.schema import Schema
from provenance.table.unit import Unit
from provenance.values import Address, sha256
from tests.generator.rest_key import REST_KEY

ORDER = sha256(b"an order")
MakeState = Callable[..., ContributorState]


class KilledError(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


def task(name: str = "bins", **meta: int) -> Task:
    return Task(ORDER, name, Address(b"\x01" * 20), dict(meta))


def test_refuses_a_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="set the node up"):
        ContributorState.open(tmp_path, REST_KEY)


def test_refuses_to_put_a_second_table_into_a_folder(make_state: MakeState) -> None:
    make_state()
    with pytest.raises(StateError, match="already holds a table"):
        make_state()


@pytest.mark.parametrize("bad", [-1, 50])
def test_refuses_values_outside_the_schema(
    tmp_path: Path, schema: Schema, values: np.ndarray, bad: int
) -> None:
    values[3, 0] = bad
    with pytest.raises(StateError, match="outside its schema"):
        ContributorState.create(tmp_path / "n", schema, values, PrivacyCap(1.0), REST_KEY)


def test_refuses_a_second_process_while_a_task_runs(make_state: MakeState) -> None:
    state = make_state()
    with state.exclusive(), pytest.raises(StateError, match="in use"), state.exclusive():
        pass
    with state.exclusive():
        pass


def test_refuses_a_changed_plan_and_a_changed_task(
    make_state: MakeState, make_plan: Callable[..., TrainingPlan]
) -> None:
    order = make_state().order(ORDER)
    order.keep_plan(make_plan(1))
    order.keep_plan(make_plan(1))
    with pytest.raises(TaskRefused, match="plan-changed"):
        order.keep_plan(make_plan(2))
    order.store_result(task(), answer(task(), {}))
    with pytest.raises(TaskRefused, match="task-changed"):
        order.stored_result(task(more=1))


def test_a_kill_at_any_write_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    real = {name: getattr(os, name) for name in ("open", "fsync", "replace")}
    seen = set()
    for fatal in range(12):
        calls = iter(range(100))

        def dying(name: str, fatal: int = fatal, calls: Iterator[int] = calls) -> Callable[..., object]:
            def call(*args: object, **kwargs: object) -> object:
                if next(calls) == fatal:
                    raise KilledError
                return real[name](*args, **kwargs)

            return call

        with monkeypatch.context() as patched:
            for name in real:
                patched.setattr(os, name, dying(name))
            try:
                write_whole(path, b"new, and longer")
            except KilledError:
                seen.add(path.read_bytes())
            else:
                break
        path.write_bytes(b"old")
    assert fatal == 5  # open, fsync, replace, open folder, fsync folder; then it went through
    assert seen == {b"old", b"new, and longer"}


def test_what_a_killed_writer_left_is_swept_at_the_next_start(make_state: MakeState) -> None:
    state = make_state()
    left = [
        state.folder / f"{TEMPORARY}table-1",
        state.order(ORDER).folder / "results" / f"{TEMPORARY}bins-2",
    ]
    for file in left:
        file.write_bytes(b"half")
    again = ContributorState.open(state.folder, REST_KEY)
    again.order(ORDER)
    assert not any(file.exists() for file in left)


def test_a_folder_killed_while_it_was_made_can_be_made_again(
    tmp_path: Path, schema: Schema, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace
    for fatal in range(10):
        count = iter(range(100))

        def replace(a: Path, b: Path, fatal: int = fatal, count: Iterator[int] = count) -> None:
            if next(count) == fatal:
                raise KilledError
            real(a, b)

        folder = tmp_path / str(fatal)
        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", replace)
            try:
                ContributorState.create(folder, schema, values, PrivacyCap(1.0), REST_KEY)
            except KilledError:
                pass
            else:
                break
        with pytest.raises(StateError):
            ContributorState.open(folder, REST_KEY)
        state = ContributorState.create(folder, schema, values, PrivacyCap(1.0), REST_KEY)
        assert np.array_equal(state.values, values)
    assert fatal == 5


def test_stored_results_arrays_and_models_come_back(make_state: MakeState) -> None:
    state = make_state()
    order = state.order(ORDER)
    assert order.stored_result(task()) is None
    with pytest.raises(TaskRefused, match="not trained"):
        order.model()
    data = order.store_result(task(), answer(task(), {"a": 1}, {"x": np.arange(3)}))
    order.save_arrays("round/0001", {"w": np.eye(2, dtype=np.float32), "scalar": np.array(3.0)})
    digest = order.store_model(b"model")
    again = ContributorState.open(state.folder, REST_KEY).order(ORDER)
    assert again.stored_result(task()) == data
    result = again.result("bins")
    assert result is not None
    assert result.encode() == data
    loaded = again.load_arrays("round/0001")
    assert loaded is not None
    assert loaded["w"].tolist() == [[1, 0], [0, 1]]
    assert loaded["scalar"] == 3
    assert (again.model(), digest) == (b"model", sha256(b"model"))
    again.drop_arrays("round/0001")
    assert again.load_arrays("round/0001") is None


def test_about_a_tenth_is_held_out_and_the_parts_are_the_whole(
    make_state: MakeState, values: np.ndarray
) -> None:
    state = make_state()
    assert len(state.training) + len(state.holdout) == len(values)
    assert 15 <= len(state.holdout) <= 80
    again = ContributorState.open(state.folder, REST_KEY)
    assert np.array_equal(state.holdout, again.holdout)


def test_adding_a_row_moves_no_other_row(values: np.ndarray) -> None:
    secret = b"s" * 32
    before = held_out(values, secret)
    for place in (0, 17, len(values)):
        new = np.insert(values, place, [49, 3, 1], axis=0)
        after = held_out(new, secret)
        for mark in (False, True):
            old_part = sorted(map(tuple, values[before == mark].tolist()))
            new_part = sorted(map(tuple, new[after == mark].tolist()))
            assert len(new_part) - len(old_part) in (0, 1)
            assert not [row for row in set(old_part) if old_part.count(row) > new_part.count(row)]


def test_equal_rows_are_split_like_others_and_another_secret_splits_otherwise() -> None:
    rows = np.zeros((5000, 2), dtype=np.int64)
    share = held_out(rows, b"k" * 32).mean()
    assert 0.08 < share < 0.12
    assert not np.array_equal(held_out(rows, b"k" * 32), held_out(rows, b"l" * 32))


def persons_of(values: np.ndarray, rows: int = 4) -> np.ndarray:
    """Digests of persons of so many rows each."""
    numbers = np.random.default_rng(8).permutation(np.arange(len(values)) // rows)
    return np.stack([numbers * 7_919, numbers], axis=1)


def with_unit(schema: Schema, rows: int) -> Schema:
    return replace(schema, unit=Unit("patient", rows))


def test_no_person_is_parted_between_training_and_held_out_rows(
    tmp_path: Path, schema: Schema, values: np.ndarray
) -> None:
    persons = persons_of(values)
    state = ContributorState.create(
        tmp_path / "n", with_unit(schema, 4), Rows(values, persons), PrivacyCap(1.0), REST_KEY
    )
    assert len(state.training) + len(state.holdout) == 400
    assert 0 < len(state.holdout) < 120
    units = state.training_units
    assert (units.rows, units.most) == (len(state.training), 4)
    assert units.number is not None
    assert set(np.bincount(units.number).tolist()) == {0, 4}, "all of a person's rows train, or none"
    again = ContributorState.open(tmp_path / "n", REST_KEY)
    assert np.array_equal(again.holdout, state.holdout)


def test_the_parts_are_the_same_in_another_order_and_have_another_name_than_those_of_rows(
    tmp_path: Path, schema: Schema, values: np.ndarray
) -> None:
    owner, known, persons = Owner(tmp_path / "owner"), with_unit(schema, 4), persons_of(values)
    table = owner.table(values, schema, "t.csv")
    order = np.random.default_rng(4).permutation(len(values))
    states = [
        ContributorState.create(tmp_path / name, each, rows, PrivacyCap(1.0), REST_KEY, owned=table)
        for name, each, rows in (
            ("a", known, Rows(values, persons)),
            ("b", known, Rows(values[order], persons[order])),
            ("c", schema, Rows(values)),
            ("d", known, Rows(values, persons[order])),
        )
    ]
    held = [sorted(state.holdout.tolist()) for state in states]
    assert held[0] == held[1]
    secrets = [PrivateFiles(state.folder, REST_KEY).read(state.folder / "secret.key") for state in states]
    assert secrets[0] == secrets[1] != secrets[2]
    assert secrets[3] == secrets[0], "the same persons, whatever rows are theirs"
    assert numbered(persons).max() == 99


def test_a_table_without_its_persons_or_with_too_many_rows_of_one_is_refused(
    tmp_path: Path, schema: Schema, values: np.ndarray
) -> None:
    known = with_unit(schema, 3)
    with pytest.raises(StateError, match="was not read with the rows"):
        ContributorState.create(tmp_path / "n", known, values, PrivacyCap(1.0), REST_KEY)
    with pytest.raises(StateError, match="found 4 rows of one person, expected at most 3"):
        ContributorState.create(
            tmp_path / "n", known, Rows(values, persons_of(values)), PrivacyCap(1.0), REST_KEY
        )
