"""A contributor's own folder: the private table, its hold-out split, the privacy ledger, and one folder an order.

    table.safetensors * stored values [rows, columns], and     schema.json   the table's schema
                        keyed digests of whose they are
    secret.key *        decides which rows are held out        ledger.jsonl  every release ever made
    cap.json            the owner's privacy cap                lock          held while a task runs
    ledger.json         instead of ledger.jsonl: where the owner keeps the table's ledger (`generator.privacy.owner`)
    ledger.head         the head of that ledger, so that an older copy of it is noticed
    orders/<order>/     plan.json, results/ *, state/ *, model.tsm *, sum.key * until the model is made
    sealed *            says that all with a star are sealed under the folder's key (`provenance.crypto.at_rest`)

Rules. Files are whole or absent (`files.write_whole`). A result is stored before it is sent, and sent again
from the stored bytes: noise is never drawn twice for one release that anybody saw. Local state of a step
(generator, optimiser) is written under the step's name before its result, and the step before it is kept,
so a step that was cut off starts again from where it had started.

Files of earlier releases, which were not sealed, are sealed when the folder is opened.

Not covered: whoever can read this folder and has its key can read the table.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy as tensors
from numpy.typing import NDArray

from generator.errors import PrivacyError, StateError, TaskRefused
from generator.federation.plan import HOLDOUT_DIVISOR, TrainingPlan
from generator.federation.private_files import PrivateFiles
from generator.federation.task import Array, Result, Task
from generator.privacy import secure_sum
from generator.privacy.ledger import PrivacyCap, PrivacyLedger
from generator.privacy.owner import OwnedTable, Owner
from generator.privacy.units import Units
from provenance import canonical
from provenance.crypto.at_rest import RestKey
from provenance.errors import ProvenanceError
from provenance.files import make_folder, publish, sweep, write_whole
from provenance.table.persons import Digests, Rows
from provenance.table.schema import Schema
from provenance.table.table_csv import CompactValues
from provenance.values import Digest, sha256

_ROWS_AT_ONCE = 16_384
_VALUES, _PERSONS = "values", "persons"
_PLACE = "ledger.json"
_HEAD = "ledger.head"
_PRIVATE = (
    *("table.safetensors", "secret.key", "orders/*/results/*", "orders/*/state/*"),
    *("orders/*/model.tsm", "orders/*/sum.key"),
)


class TrainingState:
    """The part of the folder that belongs to one order."""

    def __init__(self, folder: Path, private: PrivateFiles) -> None:
        self.folder = folder
        self._private = private
        self._results = folder / "results"
        self._state = folder / "state"
        for part in (folder, self._results, self._state):
            make_folder(part)
            sweep(part)

    def keep_plan(self, plan: TrainingPlan) -> None:
        """Store the order's plan at its first task; refuse a different one later."""
        path = self.folder / "plan.json"
        data = canonical.encode(plan.document())
        if not path.exists():
            write_whole(path, data)
        elif path.read_bytes() != data:
            raise TaskRefused(
                "plan-changed", "this order began with another plan; nothing more is released under it"
            )

    def plan(self) -> TrainingPlan | None:
        """The stored plan, None before the first task."""
        path = self.folder / "plan.json"
        return TrainingPlan.parse(canonical.decode(path.read_bytes())) if path.exists() else None

    def stored_result(self, task: Task) -> bytes | None:
        """The bytes answered to this very task, None if it was not answered; refuses a changed task."""
        path = self._results / _file_name(task.name)
        if not path.exists():
            return None
        data = self._private.read(path)
        asked, result = Digest(data[:32]), data[32:]
        if asked != task.digest:
            raise TaskRefused(
                "task-changed",
                f"{task.name} was already answered for another payload; a release is made only once",
            )
        return result

    def store_result(self, task: Task, result: Result) -> bytes:
        """Store a result beside its task's digest, then return the bytes that may be sent."""
        data = result.encode()
        self._private.write(self._results / _file_name(task.name), task.digest + data)
        return data

    def result(self, name: str) -> Result | None:
        """What was answered under a step's name, None if nothing was."""
        path = self._results / _file_name(name)
        return Result.decode(self._private.read(path)[32:]) if path.exists() else None

    def save_arrays(self, name: str, arrays: Mapping[str, Array]) -> None:
        """Keep local arrays (never sent) under a step's name."""
        whole = {key: np.ascontiguousarray(value).reshape(np.shape(value)) for key, value in arrays.items()}
        self._private.write(self._state / _file_name(name), tensors.save(whole))

    def load_arrays(self, name: str) -> dict[str, Array] | None:
        """Local arrays of a step, None if the step never ended."""
        path = self._state / _file_name(name)
        return tensors.load(self._private.read(path)) if path.exists() else None

    def drop_arrays(self, name: str) -> None:
        """Forget a step's local arrays once a later step's result is stored."""
        (self._state / _file_name(name)).unlink(missing_ok=True)

    def sum_secret(self) -> bytes:
        """The node's secret for the order's secure sums; drawn once and on disk before its public key is shown."""
        path = self.folder / "sum.key"
        if not path.exists():
            self._private.write(path, secure_sum.new_secret())
        return self._private.read(path)

    def drop_sum_secret(self) -> None:
        """After the last sum: what nobody holds, nobody can be made to give away."""
        (self.folder / "sum.key").unlink(missing_ok=True)

    def store_model(self, data: bytes) -> Digest:
        """Store the quantised generator; returns its digest."""
        self._private.write(self.folder / "model.tsm", data)
        return sha256(data)

    def keep_head(self, ledger: PrivacyLedger) -> None:
        """Note where the ledger stood when this order's model was committed: later ones go on from there."""
        ledger.keep_head(self.folder / _HEAD)

    def model(self) -> bytes:
        """The committed model's bytes. Raises TaskRefused before the step "finish": the market may ask too early."""
        path = self.folder / "model.tsm"
        if not path.exists():
            raise TaskRefused(
                "not-trained",
                f"no model in {self.folder.name}: the order was not trained to its end on this node",
            )
        return self._private.read(path)


class ContributorState:
    """A contributor's folder. Open with `open`, or make a new one with `create`."""

    def __init__(self, private: PrivateFiles, schema: Schema, ledger: PrivacyLedger) -> None:
        self.folder = private.folder
        self.schema = schema
        self.ledger = ledger
        self._private = private

    @classmethod
    def create(
        cls,
        folder: Path,
        schema: Schema,
        rows: Rows | CompactValues,
        cap: PrivacyCap,
        key: RestKey,
        *,
        hold_out: bool = True,
        owned: OwnedTable | None = None,
    ) -> ContributorState:
        """Make the folder for a table of stored values [rows, columns], any signed integers; StateError if
        it holds one. key: what its private files are sealed under.

        rows: those that may be used (`Rows.used`); values alone where the schema names no unit. hold_out: False
        lets every row train, for fits that are not scored on the table itself. owned: the table's ledger, kept
        by its owner; None keeps one in the folder, for a folder that is gone after a fit.
        """
        if (folder / "schema.json").exists():
            raise StateError(f"{folder} already holds a table: open it, or choose another folder")
        values, persons = (rows.values, rows.persons) if isinstance(rows, Rows) else (rows, None)
        if values.ndim != 2 or values.shape[1] != len(schema.columns) or not len(values):
            raise StateError(
                f"table has shape {values.shape}, expected at least one row of {len(schema.columns)} columns"
            )
        limits = np.array([column.cardinality for column in schema.columns], dtype=np.int64)
        if bool((values < 0).any()) or bool((values >= limits).any()):
            raise StateError("table holds grid indices outside its schema: encode it with this schema first")
        try:
            Units.of(schema, len(values), persons)
        except PrivacyError as error:
            raise StateError(f"{folder} cannot hold the table: {error}") from error
        make_folder(folder)
        make_folder(folder / "orders")
        sweep(folder)
        secret = secrets.token_bytes(32)
        if owned is not None:
            owned.tighten(cap)
            secret = owned.split_secret()
            _point(folder, owned)
        arrays: dict[str, NDArray[np.integer[Any]]] = {_VALUES: np.ascontiguousarray(values)}
        if schema.unit is not None and persons is not None:
            arrays[_PERSONS] = np.ascontiguousarray(persons)
            secret = _secret_of_persons(secret, persons)
        private = PrivateFiles(folder, key)
        private.begin()
        private.write(folder / "secret.key", secret if hold_out else b"")
        write_whole(folder / "cap.json", canonical.encode(cap.document()))
        private.write(folder / "table.safetensors", tensors.save(arrays))
        # Last, because its presence says that the folder is complete.
        write_whole(folder / "schema.json", canonical.encode(schema.document()))
        return cls.open(folder, key)

    @classmethod
    def open(cls, folder: Path, key: RestKey) -> ContributorState:
        """Open an existing folder; StateError says what is missing or damaged, or that it was sealed under a
        key other than `key`.
        """
        try:
            schema = Schema.parse(canonical.decode((folder / "schema.json").read_bytes()))
            cap = PrivacyCap.parse(canonical.decode((folder / "cap.json").read_bytes()))
        except FileNotFoundError as error:
            raise StateError(
                f"{folder} holds no table ({error.filename} is missing): set the node up first"
            ) from error
        except (ProvenanceError, json.JSONDecodeError) as error:
            raise StateError(f"{folder} is damaged: {error}") from error
        sweep(folder)
        private = PrivateFiles(folder, key)
        private.seal_all(path for pattern in _PRIVATE for path in folder.glob(pattern))
        return cls(private, schema, _ledger(folder, cap, _split_name(private)))

    def hand_ledger_to(self, owner: Owner, name: str) -> ContributorState:
        """The folder with its ledger kept by `owner`, which takes over what this folder spent; twice is as once.

        Folders of earlier releases kept their own ledger, which a copied table did not find.
        """
        if (self.folder / _PLACE).exists():
            return self
        with self.exclusive():
            table = owner.table(self.values, self.schema, name)
            table.tighten(self.ledger.cap)
            mine = self.ledger
            table.ledger(_split_name(self._private), cap=mine.cap, head=self.folder / _HEAD).take_over(mine)
            _point(self.folder, table)
        if mine.path.exists():
            publish(mine.path, mine.path.with_suffix(".handed-over"))
        return ContributorState.open(self.folder, self._private.key)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the folder's lock; StateError if another process works in it. Freed by the system at a kill."""
        with (self.folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError(
                    f"{self.folder} is in use by another process: let it end, or stop it"
                ) from error
            with self.ledger.exclusive():
                yield

    def order(self, order: Digest) -> TrainingState:
        """The folder of one order, made at first use."""
        return TrainingState(self.folder / "orders" / order.hex(), self._private)

    def ledgers(self) -> Iterator[PrivacyLedger]:
        """This table's ledger, then those of its owner's other tables."""
        yield self.ledger
        if (owned := self.owned) is not None:
            yield from (
                table.ledger() for table in owned.owner.tables() if table.fingerprint != owned.fingerprint
            )

    @property
    def owned(self) -> OwnedTable | None:
        """The table at its owner; None where the folder itself keeps the ledger. StateError for a lost one."""
        return _owned(self.folder)

    @cached_property
    def values(self) -> CompactValues:
        """The whole private table as it is used, [rows, columns] in the integers it was stored in."""
        table = self._arrays[_VALUES]
        if table.dtype.kind != "i":
            raise StateError(f"{self.folder} is damaged: its table holds {table.dtype}, expected integers")
        return table

    @property
    def training(self) -> CompactValues:
        """The rows that train, about nine in ten, or all of them: [rows, columns]; not to be written to."""
        held_out = self._held_out
        return self.values[~held_out] if held_out.any() else self.values

    @property
    def holdout(self) -> CompactValues:
        """The rows that never train, [rows, columns]: they score, and tell what a small net learnt by heart."""
        return self.values[self._held_out]

    @property
    def training_units(self) -> Units:
        """Whose the rows of `training` are. No unit has rows in both parts."""
        return self._units.of_rows(~self._held_out)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return tensors.load(self._private.read(self.folder / "table.safetensors"))

    @cached_property
    def _units(self) -> Units:
        return Units.of(self.schema, len(self.values), self._arrays.get(_PERSONS))

    @cached_property
    def _held_out(self) -> NDArray[np.bool_]:
        secret = self._private.read(self.folder / "secret.key")
        if self.schema.unit is None:
            return held_out(self.values, secret)
        return _held_out_persons(self._arrays[_PERSONS], secret)


def _ledger(folder: Path, cap: PrivacyCap, split: str) -> PrivacyLedger:
    """The owner's ledger of the folder's table, or the folder's own."""
    owned = _owned(folder)
    if owned is None:
        return PrivacyLedger(folder / "ledger.jsonl", cap, split=split)
    kept = sorted((folder / "orders").glob(f"*/{_HEAD}"))
    return owned.ledger(split, cap=cap, head=folder / _HEAD, kept=kept)


def _owned(folder: Path) -> OwnedTable | None:
    """The folder's table at its owner; None where the folder keeps the ledger. StateError for a lost one."""
    if not (folder / _PLACE).exists():
        return None
    try:
        place = canonical.decode_object((folder / _PLACE).read_bytes())
        owner, table = Owner(folder / str(place["owner"])), str(place["table"])
    except (ProvenanceError, KeyError) as error:
        raise StateError(f"{folder / _PLACE} is damaged ({error}): restore it from a copy") from error
    return owner.known(table)


def _point(folder: Path, table: OwnedTable) -> None:
    """Note where the table's ledger is kept: relative to the folder where both move together."""
    place, near = table.owner.folder.absolute(), folder.absolute().parent
    named = os.path.relpath(place, folder.absolute()) if place.is_relative_to(near) else str(place)
    write_whole(folder / _PLACE, canonical.encode({"owner": named, "table": table.fingerprint}))


def _split_name(private: PrivateFiles) -> str:
    """A name of the secret that parts the rows: the same for the same parts."""
    return sha256(b"split" + private.read(private.folder / "secret.key")).hex()[:16]


def _secret_of_persons(secret: bytes, persons: Digests) -> bytes:
    """The secret that parts these persons. Releases on both parts compose in parallel under one secret; it is another
    one where rows are parted, or where another reading of the table knows other persons."""
    different = np.unique(persons, axis=0).astype("<i8").tobytes()
    return hmac.digest(secret, b"persons" + different, "sha256")


def rows_held_out(rows: Rows, secret: bytes, divisor: float) -> NDArray[np.bool_]:
    """Which rows are held out, bool[rows]: as the folder of a table whose owner has this secret parts them, but about
    one row, or one person, in `divisor`."""
    if rows.persons is None:
        return held_out(rows.values, secret, divisor)
    return _held_out_persons(rows.persons, _secret_of_persons(secret, rows.persons), divisor)


def _held_out_persons(persons: Digests, secret: bytes, divisor: float = HOLDOUT_DIVISOR) -> NDArray[np.bool_]:
    """Which rows are held out: those of about one person in `divisor`, by a keyed hash of the person alone."""
    if not secret:
        return np.zeros(len(persons), dtype=np.bool_)
    different, inverse = np.unique(persons, axis=0, return_inverse=True)
    limit = int((1 << 64) / divisor)
    small = [int.from_bytes(digest, "big") < limit for digest in _digests(different, secret, 8)]
    return np.array(small, dtype=np.bool_)[inverse.ravel()]


def held_out(values: CompactValues, secret: bytes, divisor: float = HOLDOUT_DIVISOR) -> NDArray[np.bool_]:
    """Which rows are held out: bool[rows], about one in `divisor`; those of a larger one are among those of a smaller.

    Decided row by row, by a keyed hash of the row's values and of how many equal rows came before it. So
    adding or removing a row moves no other row (of equal rows, which are exchangeable, only the last), and
    the two parts are disjoint data sets for the privacy accountant.
    """
    if not secret:
        return np.zeros(len(values), dtype=np.bool_)
    # equal rows by a digest of 16 bytes, which sorts faster than rows and takes less memory
    kind = np.frombuffer(b"".join(_digests(values, secret, 16)), dtype="<u8").reshape(-1, 2)
    by_kind = np.lexsort(kind.T)
    ordered = kind[by_kind]
    starts = np.flatnonzero(np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)])
    before = np.empty(len(values), dtype=np.int64)
    before[by_kind] = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    limit = int((1 << 64) / divisor)
    small = (int.from_bytes(digest, "big") < limit for digest in _digests(values, secret, 8, before))
    return np.fromiter(small, dtype=np.bool_, count=len(values))


def _digests(
    values: CompactValues, secret: bytes, size: int, beside: NDArray[np.int64] | None = None
) -> Iterator[bytes]:
    """Keyed digests of `size` bytes of rows, each as little-endian int64 with its number of `beside` behind it."""
    for start in range(0, len(values), _ROWS_AT_ONCE):
        rows = values[start : start + _ROWS_AT_ONCE].astype("<i8")
        if beside is not None:
            rows = np.column_stack([rows, beside[start : start + _ROWS_AT_ONCE]])
        for row in rows:
            yield hashlib.blake2b(row.tobytes(), digest_size=size, key=secret).digest()


def _file_name(step: str) -> str:
    return step.replace("/", "-") + ".safetensors"
