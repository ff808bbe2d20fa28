"""The ledger's chain and lock: no older copy, no fork, no second process, no kill makes it count less."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from generator.errors import BudgetExceeded, StateError, TaskRefused
from generator.privacy.accountant import GaussianEvent, noise_multiplier_for
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.release import LedgerEntry, Release
from provenance import canonical
from provenance.values import sha256

ORDER, OTHER = sha256(b"one"), sha256(b"two")
DELTA = 1e-5
ONE = GaussianEvent(noise_multiplier_for(1.0, DELTA))
HALF = GaussianEvent(ONE.noise_multiplier * 2**0.5)
PLAN = (Release("bins", HALF), Release("tables", HALF))


def ledger(folder: Path, epsilon: float | None = 1.0) -> PrivacyLedger:
    return PrivacyLedger(folder / "l" / "ledger.jsonl", PrivacyCap(epsilon, DELTA), heads=[folder / "head"])


def test_refuses_an_older_copy(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    old = book.path.read_bytes()
    book.record(PLAN[1], order=ORDER, delta=DELTA)
    book.path.write_bytes(old)
    with pytest.raises(StateError, match="older copy"):
        book.record(PLAN[1], order=ORDER, delta=DELTA)
    with pytest.raises(StateError, match="older copy"):
        book.charged_epsilon()


def test_refuses_a_ledger_that_is_gone(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    book.path.unlink()
    with pytest.raises(StateError, match="older copy"):
        book.record(PLAN[0], order=OTHER, delta=DELTA)


def test_refuses_a_fork_of_the_same_length(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    fork = PrivacyLedger(tmp_path / "fork" / "ledger.jsonl", PrivacyCap(None))
    fork.path.parent.mkdir()
    fork.path.write_bytes(book.path.read_bytes())
    for each, order in ((book, ORDER), (fork, OTHER)):
        each.record(PLAN[1], order=order, delta=DELTA)
    assert book.head().number == fork.head().number
    book.path.write_bytes(fork.path.read_bytes())
    with pytest.raises(StateError, match="belongs to another folder"):
        book.entries()


def test_refuses_a_ledger_behind_the_head_that_was_committed(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    old, head = book.path.read_bytes(), (tmp_path / "head").read_bytes()
    book.record(PLAN[1], order=ORDER, delta=DELTA)
    book.keep_head(tmp_path / "committed")
    book.path.write_bytes(old)
    (tmp_path / "head").write_bytes(head)
    with pytest.raises(StateError, match="older copy"):
        PrivacyLedger(book.path, book.cap, kept=[tmp_path / "committed"]).entries()


@pytest.mark.parametrize("line", [1, 2, 3])
def test_refuses_a_line_that_was_taken_out_or_changed(tmp_path: Path, line: int) -> None:
    book = PrivacyLedger(tmp_path / "ledger.jsonl", PrivacyCap(None))
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    book.record(PLAN[1], order=OTHER, delta=DELTA)
    lines = book.path.read_bytes().splitlines(keepends=True)
    book.path.write_bytes(b"".join(lines[: line - 1] + lines[line:]))
    with pytest.raises(StateError, match=f"line {line} is damaged"):
        book.entries()
    changed = lines[line - 1].replace(b'"entry":{', b'"entry":{"a":0,')
    book.path.write_bytes(b"".join([*lines[: line - 1], changed, *lines[line:]]))
    with pytest.raises(StateError, match=f"line {line + 1} is damaged"):
        book.entries()


def test_a_kill_between_ledger_and_head_goes_on(tmp_path: Path) -> None:
    book = ledger(tmp_path, None)
    book.record(PLAN[0], order=ORDER, delta=DELTA)
    head = (tmp_path / "head").read_bytes()
    book.record(PLAN[1], order=ORDER, delta=DELTA)
    (tmp_path / "head").write_bytes(head)
    again = ledger(tmp_path, None)
    assert len(again.entries()) == 2
    again.note("went on")
    assert again.head().number == 6


def test_the_head_tells_nothing_of_what_is_in_it(tmp_path: Path) -> None:
    heads = set()
    for name in ("a", "b"):
        book = ledger(tmp_path / name)
        book.record(PLAN[0], order=ORDER, delta=DELTA)
        heads.add(book.head().digest)
    assert len(heads) == 2


HOLD = """
import sys, time
from pathlib import Path
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
with PrivacyLedger(Path(sys.argv[1]), PrivacyCap(1.0)).exclusive():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(book.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StateError, match="in use by another process"), book.exclusive(wait_seconds=0.1):
            pass
        assert not (tmp_path / "head").exists()
    finally:
        other.kill()
        other.wait()
        other.stdout.close()  # type: ignore[union-attr]
    book.record(PLAN[0], order=ORDER, delta=DELTA)


def order_until(fatal: int, folder: Path) -> None:
    """Charge, record, draw, store, send; killed for good at the system call number `fatal` of those that write."""
    calls = iter(range(1, 1000))
    for name in ("open", "write", "fsync", "replace", "ftruncate"):
        real = getattr(os, name)

        def call(*args: object, real: Callable[..., object] = real, **kwargs: object) -> object:
            if next(calls) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, call)
    book = ledger(folder)
    book.record(PLAN[0], order=ORDER, delta=DELTA, plan=PLAN)
    (folder / "noise-was-drawn").touch()
    book.given(ORDER, "bins")
    (folder / "was-sent").touch()


def in_a_process_of_its_own(work: Callable[[], None]) -> int:
    """How it ended: its exit status, or less than 0 for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing may return into the test that was forked
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_any_write_it_never_counts_less_than_was_drawn_or_sent(tmp_path: Path) -> None:
    seen = set()
    for fatal in range(1, 80):
        folder = tmp_path / str(fatal)
        (folder / "l").mkdir(parents=True)
        status = in_a_process_of_its_own(partial(order_until, fatal, folder))
        book = ledger(folder)
        drawn, sent = ((folder / name).exists() for name in ("noise-was-drawn", "was-sent"))
        charged = book.charged_epsilon()
        assert charged in (0.0, pytest.approx(1.0, abs=1e-6))
        if drawn:
            assert charged > 0
            with pytest.raises(BudgetExceeded):
                book.record(PLAN[0], order=OTHER, delta=DELTA)
        if sent:
            with pytest.raises(TaskRefused, match="result-lost"):
                book.require_not_given(ORDER, "bins")
        else:
            assert book.record(PLAN[0], order=ORDER, delta=DELTA, plan=PLAN).release == PLAN[0]
        assert book.charged_epsilon() == pytest.approx(1.0, abs=1e-6)
        seen.add((status, drawn, sent, charged > 0))
        if status == 0:
            break
    assert seen == {
        (-signal.SIGKILL, False, False, False),
        (-signal.SIGKILL, False, False, True),
        (-signal.SIGKILL, True, False, True),
        (0, True, True, True),
    }


def old_lines(*releases: tuple[bytes, Release]) -> bytes:
    entries = (LedgerEntry(sha256(order), release, "0xab", 1.0, DELTA) for order, release in releases)
    return b"".join(canonical.encode(entry.document()) + b"\n" for entry in entries)


def test_a_ledger_of_an_earlier_release_counts_and_is_carried_over(tmp_path: Path) -> None:
    book = ledger(tmp_path)
    book.path.parent.mkdir()
    book.path.write_bytes(old_lines((b"one", PLAN[0]), (b"one", PLAN[1])))
    before = book.path.read_bytes()
    assert [entry.release for entry in book.entries()] == list(PLAN)
    assert book.charged_epsilon() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(BudgetExceeded):
        book.record(PLAN[0], order=OTHER, delta=DELTA)
    assert book.path.read_bytes() == before, "reading and refusing changes nothing"
    book.note("looked")
    assert b'"format":"tessera-ledger/2"' in book.path.read_bytes().splitlines()[0]
    assert [entry.release for entry in ledger(tmp_path).entries()] == list(PLAN)
    assert ledger(tmp_path).charged_epsilon() == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(BudgetExceeded):
        ledger(tmp_path).record(PLAN[0], order=OTHER, delta=DELTA)


def test_a_ledger_is_taken_over_once(tmp_path: Path) -> None:
    old = PrivacyLedger(tmp_path / "old.jsonl", PrivacyCap(1.0, DELTA))
    old.path.write_bytes(old_lines((b"one", PLAN[0])))
    book = ledger(tmp_path)
    book.take_over(old)
    once = book.path.read_bytes()
    book.take_over(old)
    assert book.path.read_bytes() == once
    assert [entry.release for entry in book.entries()] == [PLAN[0]]
    assert book.charged_epsilon() == old.charged_epsilon() > 0


def test_entries_of_a_later_version_stop_it(tmp_path: Path) -> None:
    book = PrivacyLedger(tmp_path / "ledger.jsonl", PrivacyCap(None))
    book.note("looked")
    line = canonical.decode_object(book.path.read_bytes().splitlines()[-1])
    later = {**line, "entry": {"format": "tessera-later/9"}}
    book.path.write_bytes(
        book.path.read_bytes().splitlines(keepends=True)[0] + canonical.encode(later) + b"\n"
    )
    with pytest.raises(StateError, match="unknown to this version"):
        book.entries()
    assert os.path.exists(book.path)
