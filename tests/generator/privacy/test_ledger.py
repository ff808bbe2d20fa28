"""The privacy ledger: durable before the noise, never above the cap, never forgetful."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from generator.errors import BudgetExceeded, PrivacyError, StateError, TaskRefused
from generator.privacy.accountant import (
    GaussianEvent,
    SubsampledGaussianEvent,
    epsilon_of,
    noise_multiplier_for,
)
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.release import Release
from provenance.values import sha256

ORDER, OTHER = sha256(b"one"), sha256(b"two")
DELTA = 1e-5
ONE = GaussianEvent(noise_multiplier_for(1.0, DELTA))


def ledger(folder: Path, epsilon: float | None = 2.0) -> PrivacyLedger:
    return PrivacyLedger(folder / "ledger.jsonl", PrivacyCap(epsilon, DELTA))


def test_refuses_a_release_over_the_cap_and_writes_nothing(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    book.record(Release("tables", ONE), order=ORDER, delta=DELTA)
    before = book.path.read_bytes()
    with pytest.raises(BudgetExceeded, match="owner's cap is 2") as refusal:
        book.record(Release("round/0001", GaussianEvent(0.5)), order=ORDER, delta=DELTA)
    assert refusal.value.code == "privacy-cap"
    assert book.spent() <= 2.0
    assert book.path.read_bytes() == before


def test_refuses_a_plan_whose_releases_together_exceed_the_cap(tmp_path: Path) -> None:
    book = ledger(tmp_path, 1.5)
    plan = [Release("bins", ONE), Release("tables", ONE), Release("more", ONE)]
    with pytest.raises(BudgetExceeded, match="bins, tables, more"):
        book.check(plan, ORDER)
    assert not book.path.exists()


def test_refuses_an_unprotected_release_under_any_cap(tmp_path: Path) -> None:
    with pytest.raises(BudgetExceeded, match="inf"):
        ledger(tmp_path, 1e6).record(Release("bins", None), order=ORDER, delta=DELTA)


def test_refuses_the_same_release_with_other_figures(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    with pytest.raises(TaskRefused, match="release-changed"):
        book.record(Release("bins", GaussianEvent(50.0)), order=ORDER, delta=DELTA)


@pytest.mark.parametrize("damage", [b"{}\n", b"\n", b'{"format":"tessera-release/2"}\n', b"\x00\x00\n"])
def test_stops_at_a_damaged_line_that_had_been_acknowledged(tmp_path: Path, damage: bytes) -> None:
    book = ledger(tmp_path)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    book.path.write_bytes(damage + book.path.read_bytes())
    with pytest.raises(StateError, match="line 1 is damaged"):
        book.record(Release("tables", ONE), order=ORDER, delta=DELTA)


def test_a_torn_last_line_is_cut_off_wherever_it_tore(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    first = book.path.read_bytes()
    book.record(Release("tables", ONE), order=ORDER, delta=DELTA)
    both = book.path.read_bytes()
    for end in range(len(first), len(both)):
        book.path.write_bytes(both[:end])
        assert [e.release.name for e in book.entries()] == ["bins"]
        book.record(Release("tables", ONE), order=ORDER, delta=DELTA)
        assert book.path.read_bytes() == both


def test_a_line_is_on_the_disk_before_record_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = ledger(tmp_path)
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(book.path.stat().st_size)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    assert book.path.stat().st_size in synced


def test_an_unchanged_release_is_counted_once(tmp_path: Path) -> None:
    book = ledger(tmp_path, 1.0)
    first = book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    assert book.record(Release("bins", ONE), order=ORDER, delta=DELTA) == first
    assert len(book.entries()) == 1
    book.check([Release("bins", ONE)], ORDER)
    with pytest.raises(BudgetExceeded):
        book.check([Release("bins", ONE)], OTHER)


def test_all_orders_of_a_table_count_towards_its_cap(tmp_path: Path) -> None:
    book = ledger(tmp_path, 1.2)
    book.record(Release("bins", ONE), order=ORDER, delta=DELTA)
    with pytest.raises(BudgetExceeded):
        book.record(Release("bins", ONE), order=OTHER, delta=DELTA)
    assert book.spent(order=OTHER) == 0.0


def test_training_and_holdout_rows_are_disjoint_so_the_larger_counts(tmp_path: Path) -> None:
    book = ledger(tmp_path, 1.0)
    book.record(Release("tables", ONE), order=ORDER, delta=DELTA)
    book.record(Release("score", ONE, "holdout"), order=ORDER, delta=DELTA)
    assert book.spent() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(BudgetExceeded):
        book.record(Release("again", GaussianEvent(30.0), "holdout"), order=ORDER, delta=DELTA)


def test_spent_is_the_accountant_s_composition_and_survives_reopening(tmp_path: Path) -> None:
    steps = SubsampledGaussianEvent(1.1, 0.02, 7)
    book = ledger(tmp_path, None)
    entry = book.record(Release("bins", ONE), order=ORDER, delta=DELTA, request="0xabc")
    book.record(Release("round/0001", steps), order=ORDER, delta=DELTA)
    again = ledger(tmp_path, None)
    assert again.entries() == book.entries()
    assert again.entries()[0] == entry
    assert entry.request == "0xabc"
    assert again.spent() == epsilon_of([ONE, steps], DELTA)


def test_without_a_cap_unprotected_releases_are_written_down_as_infinite(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    entry = book.record(Release("bins", None), order=ORDER, delta=DELTA)
    assert entry.epsilon == math.inf
    assert ledger(tmp_path, None).spent() == math.inf


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [
        (math.nan, 1e-5),
        (math.inf, 1e-5),
        (0.0, 1e-5),
        (-1.0, 1e-5),
        (1.0, math.nan),
        (1.0, 0.0),
        (1.0, 1.0),
        (1.0, 2.0),
    ],
)
def test_a_cap_that_would_cap_nothing_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(PrivacyError, match="the cap's"):
        PrivacyCap(epsilon, delta)
    with pytest.raises(StateError, match="privacy cap"):
        PrivacyCap.parse({"epsilon": repr(epsilon), "delta": repr(delta)})
