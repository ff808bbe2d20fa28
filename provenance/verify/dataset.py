"""Verifying one data set: every check in order, each ending in passed, failed or not checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from provenance.chain.errors import ChainError
from provenance.chain.ports import ChainReads
from provenance.crypto.seal import DeliveryKey
from provenance.errors import (
    ContentMissingError,
    MalformedError,
    ProvenanceError,
    UnavailableError,
    WrongKeyError,
)
from provenance.store.ports import ContentStore
from provenance.values import Address
from provenance.verify import claim_checks, file_checks, record_checks
from provenance.verify.case import Case, NotCheckedError, Progress
from provenance.verify.certificate import Certificate, Check, Label, Status

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
    look: Callable[[Case], str]


RULES: Final = (
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
    Rule("files present", Label.RECOMPUTED, file_checks.files_present),
    Rule("sealing", Label.RECOMPUTED, file_checks.sealing),
    Rule("files open", Label.RECOMPUTED, file_checks.files_open),
    Rule("models", Label.RECOMPUTED, file_checks.models),
    Rule("rows", Label.RECOMPUTED, file_checks.rows),
    Rule("shard roots", Label.RECOMPUTED, file_checks.shard_roots),
    Rule("evaluations", Label.SIGNED, claim_checks.evaluations),
    Rule("shares", Label.RECOMPUTED, claim_checks.shares),
    Rule("score file", Label.RECOMPUTED, claim_checks.score),
    Rule("privacy within terms", Label.SIGNED, claim_checks.privacy),
    Rule("generation", Label.RECOMPUTED, record_checks.generation),
    Rule("conditions", Label.RECOMPUTED, file_checks.conditions),
)
"""The checks, in the order of their numbers (from 1). docs/spec/verification.md says what each compares."""

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
    ledger: ChainReads,
    store: ContentStore,
    dataset_id: int,
    delivery_key: DeliveryKey | None = None,
    progress: Progress | None = None,
    *,
    threads: int = 1,
) -> Certificate:
    """Checks everything that can be checked with what is given.

    Without `delivery_key` a private order's public part is checked and the rest is listed as not checked.
    A key of another order opens nothing: the same rows are not checked, and `Certificate.key_problem` says why. Who
    bought the data set from somebody gives the key that it bought with. `progress` is called with (rows recomputed,
    rows in all). Tampered bytes never raise: they fail a check.
    Raises ChainError (node down, unknown data set) and StoreUnavailableError (store down), which say nothing
    about the data.
    """
    case = Case(ledger, store, ledger.dataset(dataset_id), delivery_key, threads, progress)
    checks = [_run(number, rule, case) for number, rule in enumerate(RULES, 1)]
    for name, reason in NEVER_PROVEN:
        checks.append(Check(len(checks) + 1, name, Label.NOT_PROVEN, Status.NOT_CHECKED, reason))
    return Certificate(
        dataset=ledger.deployment.dataset_name(dataset_id),
        order=str(case.record.order),
        block=ledger.block_number(),
        checks=tuple(checks),
        key_problem=_key_problem(case),
    )


def _key_problem(case: Case) -> str:
    try:
        keys = case.keys
    except NotCheckedError:
        return ""
    return str(keys) if isinstance(keys, WrongKeyError) else ""


def _run(number: int, rule: Rule, case: Case) -> Check:
    try:
        status, detail = Status.PASSED, rule.look(case)
    except NotCheckedError as error:
        status, detail = Status.NOT_CHECKED, str(error)
    except ContentMissingError as error:
        # Bytes that are nowhere to be had cannot be what was promised to be published.
        status, detail = Status.FAILED, str(error)
    except (ChainError, UnavailableError):
        raise
    except ProvenanceError as error:
        status, detail = Status.FAILED, str(error)
    return Check(number, rule.name, rule.label, status, detail)
