"""Verifying one data set: evidence is fetched, then judged, every check in order.

`verify_dataset` does both. By hand, with a `chain` as in `provenance.chain.ports`, a `store` as in
`provenance.store.ports` and the buyer's delivery `key`:

    >>> evidence = fetch_evidence(chain, store, 7, key)             # asks chain and store
    >>> certificate = judge(evidence, fetch_shards(evidence, store))  # asks nobody
    >>> certificate.passed, certificate.unchecked
    (True, ())
    >>> certificate.check("rows").detail
    '23 of 23 rows recomputed and equal'

Each check ends in passed, failed or not checked. Normative text: docs/spec/verification.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from provenance.chain.ports import ChainReads, DatasetStatus
from provenance.crypto.seal import DeliveryKey
from provenance.errors import MalformedError, ProvenanceError, WrongKeyError
from provenance.record.manifest import Manifest
from provenance.store.ports import ContentStore
from provenance.values import Address
from provenance.verify import claim_checks, file_checks, record_checks
from provenance.verify.certificate import Certificate, Check, Label, NotCheckedError, Status
from provenance.verify.evidence import Evidence, ShardFiles, fetch_evidence, fetch_shards
from provenance.verify.file_checks import Effort, ShardCheck
from provenance.verify.score import ScoreFile
from provenance.verify.seed_origin import SeedOrigin
from provenance.verify.training_check import NAME, reused_training

Progress = Callable[[int, int], None]
"""Called with (rows recomputed so far, rows in all)."""
_SEED_NEEDS: Final = {"manifest form", "participants", "models committed before the seed", "seed"}
_CAIP_19 = re.compile(r"eip155:([0-9]{1,15})/erc721:(0x[0-9a-fA-F]{40})/([0-9]{1,15})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class DatasetName:
    """How people name a data set: a number, or a CAIP-19 identifier. `chain_id` and `datasets` are None for a bare
    number, which needs a deployment file."""

    id: int
    chain_id: int | None
    datasets: Address | None

    @classmethod
    def parse(cls, text: str) -> DatasetName:
        """Raises MalformedError."""
        if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            return cls(int(text), None, None)
        match = _CAIP_19.match(text)
        if match is None:
            raise MalformedError(
                f"data set {text!r}: expected a number or eip155:<chain>/erc721:<registry address>/<number>"
            )
        return cls(int(match[3]), int(match[1]), Address.parse(match[2]))


@dataclass(frozen=True, slots=True)
class Rule:
    """A named check: `look` returns what was compared, or raises."""

    name: str
    label: Label
    look: Callable[[Evidence], str]


@dataclass(frozen=True, slots=True)
class ShardRule:
    """A named check over the files of the shards, one after another."""

    name: str
    label: Label
    start: Callable[[Evidence, Effort], ShardCheck]


RULES: Final[tuple[Rule | ShardRule, ...]] = (
    Rule("record on chain", Label.RECOMPUTED, record_checks.record_on_chain),
    Rule("manifest digest", Label.RECOMPUTED, record_checks.manifest_digest),
    Rule("manifest form", Label.RECOMPUTED, record_checks.manifest_form),
    Rule("order terms", Label.RECOMPUTED, record_checks.order_terms),
    Rule("buyer's signature", Label.SIGNED, record_checks.terms_signature),
    Rule("collection and request", Label.RECOMPUTED, record_checks.collection_and_request),
    Rule("participants", Label.SIGNED, record_checks.participants),
    Rule("models committed before the seed", Label.RECOMPUTED, record_checks.models_committed),
    Rule("seed", Label.RECOMPUTED, record_checks.seed),
    Rule("shard records", Label.RECOMPUTED, record_checks.shard_records),
    Rule("shard receipts", Label.SIGNED, record_checks.receipts),
    Rule("data-set root", Label.RECOMPUTED, file_checks.whole_root),
    ShardRule("files present", Label.RECOMPUTED, file_checks.FilesPresent),
    Rule("sealing", Label.RECOMPUTED, file_checks.sealing),
    ShardRule("files open", Label.RECOMPUTED, file_checks.FilesOpen),
    ShardRule("models", Label.RECOMPUTED, file_checks.Models),
    ShardRule("rows", Label.RECOMPUTED, file_checks.Rows),
    ShardRule("shard roots", Label.RECOMPUTED, file_checks.ShardRoots),
    Rule("evaluations", Label.SIGNED, claim_checks.evaluations),
    Rule("shares", Label.RECOMPUTED, claim_checks.shares),
    ShardRule("score file", Label.RECOMPUTED, ScoreFile),
    Rule("privacy within terms", Label.SIGNED, claim_checks.privacy),
    Rule("generation", Label.RECOMPUTED, record_checks.generation),
    ShardRule("conditions", Label.RECOMPUTED, file_checks.RowsMeetConditions),
)
"""The checks, in the order of their numbers (from 1). docs/spec/verification.md says what each compares. A data set
from stock has one more, behind what is never proven."""

NEVER_PROVEN: Final = (
    ("trained on real data", "rests on the contributors' signatures, stake and audits; no proof exists"),
    (
        "noise was added",
        "the epsilon is what contributors signed; that noise was really drawn cannot be seen",
    ),
    (
        "real-data fraction",
        "the part of the rows that come from real tables directly is declared; only what parents add is computed",
    ),
    ("distinct people", "a person in the tables of several contributors is not covered by one epsilon"),
)
"""What no certificate proves. Always listed."""


def verify_dataset(
    chain: ChainReads,
    store: ContentStore,
    dataset_id: int,
    delivery_key: DeliveryKey | None = None,
    progress: Progress | None = None,
    *,
    threads: int = 1,
) -> Certificate:
    """Checks everything that can be checked with what is given.

    Without `delivery_key` a private order's public part is checked and the rest is listed as not checked. A key of
    another order opens nothing: the same checks are not made, and `Certificate.key_problem` says why. Who bought the
    data set from somebody gives the key that it bought with. `progress` is called with (rows recomputed, rows in all).

    Tampered bytes never raise: they fail a check. Raises ChainError (node down, unknown data set) and
    StoreUnavailableError (store down), which say nothing about the data.
    """
    evidence = fetch_evidence(chain, store, dataset_id, delivery_key)
    return judge(evidence, fetch_shards(evidence, store), progress, threads=threads)


def judge(
    evidence: Evidence, shards: Iterable[ShardFiles], progress: Progress | None = None, *, threads: int = 1
) -> Certificate:
    """The verdict over evidence in hand. Pure: it asks nobody. `shards` are the files of every shard that stands, in
    order; each is let go before the next is taken.
    """
    effort = Effort(threads, _Tally(evidence.standing_rows, progress).add)
    running = {
        number: _Running(rule, evidence, effort)
        for number, rule in enumerate(RULES, 1)
        if isinstance(rule, ShardRule)
    }
    for shard in shards:
        for each in running.values():
            each.look(shard)
        del shard
    checks = []
    for number, rule in enumerate(RULES, 1):
        if isinstance(rule, Rule):
            status, detail = _outcome(partial(rule.look, evidence))
        else:
            status, detail = running[number].end()
        checks.append(Check(number, rule.name, rule.label, status, detail))
    checks = [replace(check, label=_label(check, checks, evidence)) for check in checks]
    for name, reason in NEVER_PROVEN:
        checks.append(Check(len(checks) + 1, name, Label.NOT_PROVEN, Status.NOT_CHECKED, reason))
    if evidence.training is not None:
        # Last, so that every other check has the number that it has for a data set made to order.
        found = _outcome(partial(reused_training, evidence))
        checks.append(Check(len(checks) + 1, NAME, Label.RECOMPUTED, *found))
    return Certificate(
        dataset=evidence.deployment.dataset_name(evidence.record.id),
        order=str(evidence.record.order),
        block=evidence.block,
        checks=tuple(checks),
        key_problem=str(evidence.keys) if isinstance(evidence.keys, WrongKeyError) else "",
        remarks=tuple(_remarks(evidence)),
        seed=_seed(checks, evidence),
    )


def _label(check: Check, checks: Sequence[Check], evidence: Evidence) -> Label:
    """Rows can be refuted on chain where the terms promise the size class and every model was found inside it."""
    if check.name != "rows" or check.status is not Status.PASSED:
        return check.label
    models = next(each for each in checks if each.name == "models")
    in_class = models.status is Status.PASSED and evidence.manifest.terms.size_class == 1
    return Label.FRAUD_PROVABLE if in_class else check.label


def _seed(checks: Sequence[Check], evidence: Evidence) -> SeedOrigin | None:
    """Who could have influenced the seed, where all that it follows from was found to be so."""
    passed = {check.name for check in checks if check.status is Status.PASSED}
    if not passed >= _SEED_NEEDS:
        return None
    return SeedOrigin.of(evidence.manifest, evidence.commitment.models, evidence.rules)


def _remarks(evidence: Evidence) -> Iterator[str]:
    """What is not there of all that was ordered, by chain and manifest."""
    record = evidence.record
    if record.status == DatasetStatus.REDUCED:
        for shard in record.shards:
            if shard.shard in record.revoked:
                yield (
                    f"shard {shard.shard} of {shard.contributor} was shown to be false, or withheld: its "
                    f"{shard.rows:,} rows are not part of the data set, and nothing of them was checked"
                )
    manifest = evidence.parsed_manifest
    if isinstance(manifest, Manifest):
        for entry in evidence.standing:
            if not entry.is_delivered:
                yield (
                    f"shard {entry.shard} of {entry.contributor} was published by its receipt alone: its "
                    f"{entry.rows:,} rows are not in score and shares, and it is paid its floor"
                )
        published = {shard.shard for shard in record.shards}
        for number, member in enumerate(manifest.participants):
            if number not in published:
                yield (
                    f"shard {number} of {member.contributor} was dropped before the publication: its {member.rows:,} "
                    "rows were not delivered, and not paid"
                )


class _Running:
    """One check over shards under way. A failure stands, whatever comes later; "not checked" unless a failure comes."""

    def __init__(self, rule: ShardRule, evidence: Evidence, effort: Effort) -> None:
        self._check: ShardCheck | None = None
        self._found: tuple[Status, str] | None = None
        try:
            self._check = rule.start(evidence, effort)
        except ProvenanceError as error:
            self._found = _verdict(error)

    def look(self, shard: ShardFiles) -> None:
        if self._check is None or (self._found is not None and self._found[0] is Status.FAILED):
            return
        try:
            self._check.look(shard)
        except ProvenanceError as error:
            found = _verdict(error)
            if self._found is None or found[0] is Status.FAILED:
                self._found = found

    def end(self) -> tuple[Status, str]:
        if self._found is not None:
            return self._found
        assert self._check is not None, "a check that did not start has found why"
        return _outcome(self._check.detail)


def _outcome(say: Callable[[], str]) -> tuple[Status, str]:
    try:
        return Status.PASSED, say()
    except ProvenanceError as error:
        return _verdict(error)


def _verdict(error: ProvenanceError) -> tuple[Status, str]:
    """What an error says of a check. Evidence is in hand, so there is nothing left that could be out of reach."""
    return (Status.NOT_CHECKED if isinstance(error, NotCheckedError) else Status.FAILED), str(error)


class _Tally:
    """Counts recomputed rows and tells them."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done = 0
        self._total = total
        self._progress = progress

    def add(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(self._done, self._total)
