"""The privacy ledger: every charge to a table and every release made from it, written before its noise is drawn.

File: one canonical JSON object a line, append only, each on the disk before the call returns (`files.LineFile`). A
line holds its number, the SHA-256 of the line before and one entry:

    tessera-opened/1    the first line, with random bytes, so that the head tells nothing
    tessera-charge/1    an order's plan and what it costs (`charge`), before the first of its releases
    tessera-release/1   one release (`release`), before its noise is drawn
    tessera-given/1     a task's result was stored, before it is sent
    tessera-note/1      what the owner did with the table beside its budget
    tessera-limits/1    a cap or a policy's limits, as they were and as they are from now on

A last line without its line end was never acknowledged, so no noise was drawn for it: it does not count. Any other
damage stops the node, because a lost line would be privacy spent twice. The head, number and digest of the last line,
is kept in a second place too, and signed with every shard: a ledger that does not go on from there was restored from an
older copy, or forked.

A release is known by (order, name). Recording it again is free if nothing about it changed: the step was cut off before
its result was stored, so nobody saw it, and its one result may be drawn anew. Recorded again with other figures it is
refused, and so is a task that was given once and whose result is gone: its folder is older than the ledger.
Files of earlier releases, bare `tessera-release/1` lines, are charged order by order and rewritten at the first append.
"""

from __future__ import annotations

import fcntl
import math
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from generator.errors import BudgetExceeded, PrivacyError, StateError, TaskRefused
from generator.privacy import charge as charges
from generator.privacy.charge import Charge, alone, epsilon_left, is_tail_full, keeps, total
from generator.privacy.release import FORMAT as RELEASE
from generator.privacy.release import LedgerEntry, Release, composed_epsilon, decimal
from provenance import canonical
from provenance.canonical import JsonValue
from provenance.errors import ProvenanceError
from provenance.files import LineFile, make_folder, write_whole
from provenance.record.receipts import LedgerHead
from provenance.units import E12, MICRO, round_up
from provenance.values import Digest, sha256

FORMAT: Final = "tessera-ledger/2"
OPENED: Final = "tessera-opened/1"
NODE: Final = "tessera-node/1"
GIVEN: Final = "tessera-given/1"
NOTE: Final = "tessera-note/1"
LIMITS: Final = "tessera-limits/1"
CAP: Final = "cap"
_WAIT_SECONDS: Final = 2.0
_NOTHING = Digest(bytes(32))


@dataclass(frozen=True, slots=True)
class PrivacyCap:
    """What the table's owner allows over the table's whole life.

    epsilon None: no cap, unprotected releases too. Raises PrivacyError for figures that would cap nothing.
    """

    epsilon: float | None
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if self.epsilon is not None and not 0 < self.epsilon < math.inf:
            raise PrivacyError(f"the cap's epsilon is {self.epsilon:g}, expected a finite number above 0")
        if not 0 < self.delta < 1:
            raise PrivacyError(f"the cap's delta is {self.delta:g}, expected a number between 0 and 1")

    @property
    def words(self) -> str:
        """The cap in one line."""
        return f"epsilon {'none' if self.epsilon is None else f'{self.epsilon:g}'} at delta {self.delta:g}"

    def document(self) -> dict[str, JsonValue]:
        """The canonical document, figures as decimal text."""
        return {"epsilon": None if self.epsilon is None else repr(self.epsilon), "delta": repr(self.delta)}

    @classmethod
    def parse(cls, document: JsonValue) -> PrivacyCap:
        """Read a document; StateError if it is not one."""
        if not isinstance(document, dict) or document.keys() != {"epsilon", "delta"}:
            raise StateError("privacy cap needs exactly epsilon and delta: set the node up again")
        epsilon = document["epsilon"]
        try:
            return cls(
                None if epsilon is None else decimal(epsilon, "epsilon"), decimal(document["delta"], "delta")
            )
        except ValueError as error:
            raise StateError(f"privacy cap: {error}; restore the file from a copy") from error

    def stricter(self, other: PrivacyCap) -> PrivacyCap:
        """The smaller figure of both, each."""
        given = [each for each in (self.epsilon, other.epsilon) if each is not None]
        return PrivacyCap(min(given, default=None), min(self.delta, other.delta))


class Head(NamedTuple):
    """Number and digest of a ledger's last line; (0, zeros) of an empty one. The digest tells nothing of the table."""

    number: int
    digest: Digest

    def document(self) -> dict[str, JsonValue]:
        """The canonical document."""
        return {"number": self.number, "digest": str(self.digest)}

    @classmethod
    def parse(cls, data: bytes, where: Path) -> Head:
        """Read a file that holds a head; StateError if it does not."""
        try:
            document = canonical.decode_object(data)
            number = document["number"]
            if not isinstance(number, int) or number < 0:
                raise StateError("number is not a whole number")
            return cls(number, Digest.parse(str(document["digest"])))
        except (ProvenanceError, KeyError, StateError) as error:
            raise StateError(f"{where} is damaged ({error}): restore it from a copy") from error


class Trail(NamedTuple):
    """The digests of a ledger's lines, which tell nothing of the table."""

    digests: tuple[Digest, ...]

    @property
    def name(self) -> Digest | None:
        """The same as long as a ledger goes on, and in its copies: by the random bytes of its first line. None of an
        empty one."""
        return sha256(b"tessera/ledger-name/1" + self.digests[0]) if self.digests else None

    def goes_on_from(self, published: LedgerHead) -> bool:
        """Whether the ledger has the line that a head names."""
        return self.digests[published.entries - 1 : published.entries] == (published.head,)


@dataclass(slots=True)
class _Book:
    """A ledger's file as it was read."""

    lines: list[bytes] = field(default_factory=list)
    releases: list[LedgerEntry] = field(default_factory=list)
    charged: list[Charge] = field(default_factory=list)
    given: set[tuple[Digest, str]] = field(default_factory=set)
    """Orders and names of tasks whose results were stored."""
    nodes: dict[Digest, str] = field(default_factory=dict)
    """By order, the node that answers for the table."""
    notes: list[dict[str, JsonValue]] = field(default_factory=list)
    limits: list[dict[str, JsonValue]] = field(default_factory=list)
    is_old: bool = False

    @property
    def head(self) -> Head:
        return Head(len(self.lines), sha256(self.lines[-1])) if self.lines else Head(0, _NOTHING)

    def add(self, document: dict[str, JsonValue]) -> None:
        """Take one entry in."""
        kind = document["format"]
        if kind == RELEASE:
            self.releases.append(LedgerEntry.parse(document))
        elif kind == charges.FORMAT:
            self.charged.append(Charge.parse(document))
        elif kind == NODE:
            self.nodes[Digest.parse(str(document["order"]))] = str(document["node"])
        elif kind == GIVEN:
            self.given.add((Digest.parse(str(document["order"])), str(document["task"])))
        elif kind == NOTE:
            self.notes.append(document)
        elif kind == LIMITS:
            self.limits.append(document)
        elif kind != OPENED:
            raise StateError(f"entry of format {kind!r} is unknown to this version: update")


class PrivacyLedger:
    """The ledger file of one table with its owner's cap.

    split: a name of the secret that parts the table's rows; charges under different ones add up. heads: files that
    hold the head too, written after each append. kept: files that hold the head of some moment. The ledger has to go
    on from all of them.
    """

    def __init__(
        self,
        path: Path,
        cap: PrivacyCap,
        *,
        split: str = "",
        heads: Sequence[Path] = (),
        kept: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self.cap = cap
        self._split = split
        self._heads = tuple(heads)
        self._kept = tuple(kept)
        self._file = LineFile(path)
        self._held = False

    @contextmanager
    def exclusive(self, wait_seconds: float = _WAIT_SECONDS) -> Iterator[None]:
        """Hold the ledger; StateError if another process does for longer. Freed by the system at a kill."""
        if self._held:
            yield
            return
        make_folder(self.path.parent)
        with self.path.with_name("ledger.lock").open("w") as lock:
            give_up = time.monotonic() + wait_seconds
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= give_up:
                        raise StateError(
                            f"the privacy ledger of this table ({self.path.parent}) is in use by another process, a "
                            "node or a fit: let it end, or stop it, and try again"
                        ) from error
                    time.sleep(0.05)
            self._held = True
            try:
                yield
            finally:
                self._held = False

    # -- reading ------------------------------------------------------------------------------------------------

    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every acknowledged release, oldest first; StateError if a line is damaged or the ledger is not the newest."""
        return tuple(self._read().releases)

    def charged(self) -> tuple[Charge, ...]:
        """Every charge, oldest first."""
        return tuple(self._read().charged)

    def notes(self) -> tuple[dict[str, JsonValue], ...]:
        """What the owner did beside the budget, oldest first."""
        return tuple(self._read().notes)

    def limits(self) -> tuple[dict[str, JsonValue], ...]:
        """Every change of the cap and of policies' limits, oldest first."""
        return tuple(self._read().limits)

    def head(self) -> Head:
        """Number and digest of the last line: what a signature under it would fix."""
        return self._read().head

    def trail(self) -> Trail:
        """The digests of all lines, for heads that were published."""
        return Trail(tuple(sha256(line) for line in self._read().lines))

    def published_head(self) -> LedgerHead | None:
        """The head as a receipt names it, with what was charged until now; None of an empty ledger."""
        book = self._read()
        name = Trail(tuple(sha256(line) for line in book.lines[:1])).name
        if name is None:
            return None
        spent = _charged_epsilon(book, self.cap.delta)
        micro = None if math.isinf(spent) else round_up(spent, MICRO)
        return LedgerHead(name, *book.head, micro, round_up(self.cap.delta, E12))

    def spent(self, further: Sequence[Release] = (), *, order: Digest | None = None) -> float:
        """Epsilon at the cap's delta of the releases that were made (of one order, if given) and `further` ones.

        Composed as if planned at once, so at most what was charged. Infinite where an unprotected one is among them.
        """
        releases = [entry.release for entry in self.entries() if order is None or entry.order == order]
        return composed_epsilon([*releases, *further], self.cap.delta)

    def charged_epsilon(self) -> float:
        """Epsilon at the cap's delta of all that was charged: what the filter holds against the cap."""
        return _charged_epsilon(self._read(), self.cap.delta)

    def epsilon_left(self) -> float:
        """The most epsilon of one more order that the cap bears; infinite without a cap."""
        if self.cap.epsilon is None:
            return math.inf
        return epsilon_left(self.charged(), self.cap.epsilon, self.cap.delta)

    def keep_head(self, path: Path) -> None:
        """Write the head of now to a place that a signature or a copy is made from."""
        write_whole(path, canonical.encode(self.head().document()))

    def uncharged(self, releases: Iterable[Release], order: Digest) -> list[Release]:
        """Those of `releases` that no charge of the order covers yet."""
        return _uncharged(self._read(), releases, order)

    def training_releases(self, order: Digest) -> tuple[Release, ...]:
        """What an order's training released so far, oldest first."""
        return tuple(
            each.release
            for each in self.entries()
            if each.order == order and each.release.split == "training"
        )

    def check(self, releases: Sequence[Release], order: Digest) -> None:
        """Raise BudgetExceeded if the table cannot afford `releases` for `order`. Reads no row, spends nothing.

        Releases of the order that are charged already are not counted twice.
        """
        self.check_all([(order, releases)])

    def check_all(self, wanted: Iterable[tuple[Digest, Sequence[Release]]]) -> None:
        """As `check`, for the releases of several orders, the last of which is asked about."""
        book = self._read()
        new = [(order, _uncharged(book, releases, order)) for order, releases in wanted]
        self._require_room(book, [self._charge(order, releases) for order, releases in new if releases])

    # -- writing ------------------------------------------------------------------------------------------------

    def record(
        self,
        release: Release,
        *,
        order: Digest,
        delta: float,
        request: str = "",
        plan: Sequence[Release] = (),
    ) -> LedgerEntry:
        """Write a release down, durably, before its noise is drawn; returns the entry.

        delta: at which the order counts. plan: the releases that are charged together with this one, at the first of
        them. Raises BudgetExceeded over the cap; TaskRefused if the same release was recorded with other figures.
        Recording an unchanged release again returns the old entry.
        """
        with self.exclusive():
            book = self._read()
            for entry in book.releases:
                if (entry.order, entry.release.name) == (order, release.name):
                    if entry.release != release:
                        raise TaskRefused(
                            "release-changed",
                            f"{release.name} was recorded with other figures; it is made once",
                        )
                    return entry
            if _uncharged(book, [release], order):
                self._charge_for(book, order, _uncharged(book, plan, order) if release in plan else [release])
            entry = LedgerEntry(order, release, request, composed_epsilon([release], delta), delta)
            self._append(book, entry.document())
            return entry

    def charge(self, releases: Sequence[Release], order: Digest, *, is_made: bool = False) -> None:
        """Charge a plan that is carried out whole, before any of it is; raises BudgetExceeded over the cap.

        is_made: the releases were made already, so no cap refuses them. Charging the same again is free.
        """
        with self.exclusive():
            book = self._read()
            new = _uncharged(book, releases, order)
            if new and is_made:
                self._append_charge(book, self._charge(order, new))
            elif new:
                self._charge_for(book, order, new)

    def bind(self, order: Digest, node: str) -> None:
        """Write down, durably, which node answers an order for the table. TaskRefused for another one: noise that two
        of them drew for one charge would be two releases."""
        with self.exclusive():
            book = self._read()
            bound = book.nodes.get(order)
            if bound is None:
                self._append(book, {"format": NODE, "order": str(order), "node": node})
            elif bound != node:
                raise TaskRefused("same-table", "another node of this table's owner answers the order for it")

    def given(self, order: Digest, task: str) -> None:
        """Write down, durably, that a task's result is on the disk; must come before it is sent."""
        with self.exclusive():
            book = self._read()
            if (order, task) not in book.given:
                self._append(book, {"format": GIVEN, "order": str(order), "task": task})

    def require_not_given(self, order: Digest, task: str) -> None:
        """TaskRefused for a task whose result was given, and is gone: its noise is not drawn twice."""
        if (order, task) in self._read().given:
            raise TaskRefused(
                "result-lost",
                f"{task} was answered, and the answer is gone: the node's folder is older than its privacy ledger",
            )

    def note(self, did: str, about: str = "") -> None:
        """Write down what the owner did beside the budget, such as a fit without privacy. about: file or figures."""
        with self.exclusive():
            document: dict[str, JsonValue] = {
                "format": NOTE,
                "did": did,
                "about": about,
                "time": int(time.time()),
            }
            self._append(self._read(), document)

    def note_limits(self, what: str, now: str) -> None:
        """Write down, durably, a cap or a policy's limits where they are not as they were last noted."""
        with self.exclusive():
            self._note_limits(self._read(), what, now)

    def take_over(self, other: PrivacyLedger) -> None:
        """Charge and record all that another ledger holds about the same table; twice is as once.

        No cap refuses what was spent already.
        """
        with self.exclusive():
            book = self._read()
            theirs = other._read()
            for each in theirs.charged:
                if each not in book.charged:
                    self._append(book, each.document())
            known = {(entry.order, entry.release.name) for entry in book.releases}
            for entry in theirs.releases:
                if (entry.order, entry.release.name) not in known:
                    self._append(book, entry.document())

    # -- inside -------------------------------------------------------------------------------------------------

    def _charge_for(self, book: _Book, order: Digest, releases: Sequence[Release]) -> None:
        made = self._charge(order, releases)
        self._require_room(book, [made])
        self._append_charge(book, made)

    def _append_charge(self, book: _Book, made: Charge) -> None:
        """Under a cap that is noted: it may have been changed by hand."""
        if book.limits or self.cap.epsilon is not None:
            self._note_limits(book, CAP, self.cap.words)
        self._append(book, made.document())

    def _note_limits(self, book: _Book, what: str, now: str) -> None:
        before = next((str(each["now"]) for each in reversed(book.limits) if each["what"] == what), "")
        if before != now:
            self._append(
                book,
                {"format": LIMITS, "what": what, "before": before, "now": now, "time": int(time.time())},
            )

    def _charge(self, order: Digest, releases: Sequence[Release]) -> Charge:
        return Charge.of(order, releases, self._split, self.cap.delta)

    def _require_room(self, book: _Book, new: Sequence[Charge]) -> None:
        cap = self.cap
        if cap.epsilon is None or not new:
            return
        together = [*book.charged, *new]
        if keeps(together, cap.epsilon, cap.delta):
            return
        spent = total(together)
        if is_tail_full(spent, cap.delta):
            raise BudgetExceeded(
                f"thresholds and subsampled steps of this table would take {spent.tail:.3g} of its delta "
                f"{cap.delta:g}, of which a hundredth may go there: it bears no more of them, whatever its cap"
            )
        names = ", ".join(release.name for release in new[-1].releases)
        would = min(total(together).epsilon(cap.delta), alone(together, cap.delta))
        before = _charged_epsilon(book, cap.delta)
        raise BudgetExceeded(
            f"{names} would take this table to epsilon {would:.4g} at delta {cap.delta:g}, its owner's cap is "
            f"{cap.epsilon:g} ({before if book.charged else 0:.4g} are charged, {len(new) - 1} more orders promised): "
            "raise the cap or decline the order"
        )

    def _append(self, book: _Book, document: dict[str, JsonValue]) -> None:
        """One entry more, on the disk in both places."""
        if book.is_old:
            write_whole(self.path, b"".join(line + b"\n" for line in book.lines))
            book.is_old = False
        opened: dict[str, JsonValue] = {"format": OPENED, "random": secrets.token_hex(32)}
        for each in [document] if book.lines else [opened, document]:
            line = _line(book.head, each)
            self._file.append(line)
            book.lines.append(line)
            book.add(each)
        for path in self._heads:
            write_whole(path, canonical.encode(book.head.document()))

    def _read(self) -> _Book:
        # Heads first: who reads without the lock may have a line appended meanwhile, and then lines reach further.
        heads = [
            (path, Head.parse(path.read_bytes(), path))
            for path in (*self._heads, *self._kept)
            if path.exists()
        ]
        lines = self._file.lines()
        book = _Book()
        if lines and b'"format":"tessera-ledger/' not in lines[0]:
            book = self._old(lines)
        else:
            for number, line in enumerate(lines, 1):
                with self._damage(number):
                    book.add(_entry(line, book.head))
                    book.lines.append(line)
        for path, kept in heads:
            self._require_on_chain(book, path, kept)
        return book

    def _old(self, lines: Sequence[bytes]) -> _Book:
        """Lines of an earlier release: each order is charged what it released, as one plan."""
        book = _Book(is_old=True)
        found = []
        for number, line in enumerate(lines, 1):
            with self._damage(number):
                found.append(LedgerEntry.parse(canonical.decode(line)))
        documents: list[dict[str, JsonValue]] = [{"format": OPENED, "random": sha256(lines[0]).hex()}]
        for order in dict.fromkeys(entry.order for entry in found):
            own = [entry.release for entry in found if entry.order == order]
            documents.append(self._charge(order, own).document())
        for document in (*documents, *(entry.document() for entry in found)):
            line = _line(book.head, document)
            book.lines.append(line)
            book.add(document)
        return book

    @contextmanager
    def _damage(self, number: int) -> Iterator[None]:
        try:
            yield
        except (ProvenanceError, PrivacyError, StateError, KeyError, ValueError, TypeError) as error:
            raise StateError(
                f"{self.path} line {number} is damaged ({error}): what was spent is no longer known, "
                "restore the file from a copy before releasing anything"
            ) from error

    def _require_on_chain(self, book: _Book, path: Path, kept: Head) -> None:
        if kept.number == 0:
            return
        if kept.number > len(book.lines) or sha256(book.lines[kept.number - 1]) != kept.digest:
            raise StateError(
                f"{self.path} does not go on from what {path} says was written to it ({kept.number} lines, found "
                f"{len(book.lines)}): it was restored from an older copy, or belongs to another folder. Bring back the "
                "newest ledger; without it nothing more may be released from this table"
            )


def _charged_epsilon(book: _Book, delta: float) -> float:
    return min(total(book.charged).epsilon(delta), alone(book.charged, delta))


def _uncharged(book: _Book, releases: Iterable[Release], order: Digest) -> list[Release]:
    covered = {release for charge in book.charged if charge.order == order for release in charge.releases}
    return [release for release in releases if release not in covered]


def _line(head: Head, entry: dict[str, JsonValue]) -> bytes:
    return canonical.encode(
        {"format": FORMAT, "number": head.number + 1, "previous": str(head.digest), "entry": entry}
    )


def _entry(line: bytes, head: Head) -> dict[str, JsonValue]:
    """The entry of a line that follows on `head`."""
    document = canonical.decode_object(line)
    if document["format"] != FORMAT:
        raise StateError(f"expected a line of format {FORMAT}")
    if document["number"] != head.number + 1 or document["previous"] != str(head.digest):
        raise StateError("it does not follow on the line before")
    entry = document["entry"]
    if not isinstance(entry, dict):
        raise StateError("its entry is not an object")
    return entry
