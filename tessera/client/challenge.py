"""Proving on chain that a published data set is false: found off chain, asked of the chain's
own verifier, shown.

Nothing is paid before the chain's verifier agreed to the very bytes that will be sent. The claim is committed
first and shown a block later, so that nobody who watches can put his own name under it; claim and salt are in
a file before anything is sent, so that the same call goes on after a kill.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.chain.disputes import Verdict
from provenance.chain.events import DatasetPublished
from provenance.chain.model_parts import CALLDATA_BYTES, StoredPart, store_model
from provenance.chain.ports import OrderState, TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.units import local_time
from provenance.values import Address, Digest
from provenance.verify.refutation import Claim, Fault, Finding, build_evidence, query_of
from tessera.client.accounts import Parties, holdings
from tessera.client.attempt_steps import AttemptSteps, TellAttempts
from tessera.client.audited_dataset import AuditedDataset, Refutation, Searched
from tessera.client.challenge_file import Intent, Market, intent_of
from tessera.errors import TesseraError

_NEXT_BLOCK_SECONDS: Final = 120.0

Tell = Callable[[StoredPart], None]
"""Called with each part of a model as soon as it stands on chain."""


@dataclass(frozen=True, slots=True)
class Conviction:
    """A data set was revoked. stored_gas: of the model's and the attempts' parts. before, after: token wei of every
    account that this touched."""

    receipt: TxReceipt
    commit_gas: int
    stored_gas: int
    before: Mapping[str, int]
    after: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One wallet against one data set. file: where claim and salt are kept until the chain has judged.
    stored: put the model on chain in parts first, for models that no transaction carries."""

    chain: ChainReader
    writer: ChainWriter
    challenger: Address
    dataset: AuditedDataset
    file: Path
    stored: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to refute: the data set is revoked, or the shard that an interrupted challenge is
        about."""
        record = self.dataset.record
        return not record.stands or (self.is_kept and Intent.read(self.file).claim.shard in record.revoked)

    @property
    def is_kept(self) -> bool:
        """Whether an earlier call was interrupted and `resume` goes on with it."""
        return self.file.exists()

    def forget(self) -> None:
        """Removes the file of a challenge that somebody else's ended."""
        self.file.unlink(missing_ok=True)

    def resume(self) -> Refutation:
        """What the challenge in the file is about. Raises UsageError for a file of another challenge."""
        kept = Intent.read(self.file)
        intent = intent_of(
            self.file, self._market, kept.fault, kept.claim, _new_salt, dataset=self.dataset.id
        )
        claim = intent.claim
        words = f"shard {claim.shard}, chunk {claim.chunk}, row {claim.row} of it"
        finding = Finding(intent.fault, claim.shard, claim.chunk, claim.row, words)
        return Refutation(self.dataset.open(claim.shard), finding)

    def why_too_late(self) -> str:
        """Empty while the data set can be judged."""
        order = self.chain.order(self.dataset.record.order)
        if order.state is not OrderState.PUBLISHED:
            return (
                f"the order is {order.state.name.lower()}: its window is closed and the chain judges it no more. The "
                "evidence stands, for whoever reads it"
            )
        length = self.dataset.terms.challenge_seconds
        ends, now = self.chain.end_of(order.window_ends(length), length), self.chain.chain_time()
        if now > ends and not order.open_demands:
            return f"the challenge window ended at {local_time(ends, now)}: nothing can be sent any more"
        return ""

    def check(self, refutation: Refutation) -> None:
        """Raises TesseraError when the chain would not convict, or no transaction carries the model: nothing
        may be spent then."""
        model = len(refutation.shard.model)
        if model > CALLDATA_BYTES and not self.stored:
            raise TesseraError(
                f"the model has {model:,} bytes, a transaction carries about {CALLDATA_BYTES:,}: have "
                "it put on chain in parts first (stored=)"
            )
        shard, finding = refutation.shard, refutation.finding
        if finding.fault is Fault.MODEL:
            terms = self.dataset.terms
            sound = self.chain.model_verdict(shard.model, terms.schema_digest, terms.size_class)
            if sound is Verdict.AGREES:
                raise _disagreement("the chain takes the bytes for a sound model", finding)
            return
        query = query_of(shard, finding, self.dataset.request_row(finding.shard))
        verdict = self.chain.verdict(shard.model, self.dataset.conditions, query, shard.chunk(finding.chunk))
        if verdict is Verdict.AGREES and finding.fault is not Fault.PLACE:
            raise _disagreement("the chain's verifier makes the same row", finding)

    def disclosure(self, refutation: Refutation) -> str:
        """In plain words, what everybody can read for ever once the challenge is on chain."""
        dataset, shard, finding = self.dataset, refutation.shard, refutation.finding
        if dataset.terms.is_open:
            return "this data set is open: a challenge makes nothing public that is not public already"
        others = len(dataset.record.standing) - 1
        ends = (
            "The data set is revoked: its token then stands for nothing"
            if dataset.terms.indivisible or not others
            else "The shard is revoked, the others stand"
        )
        chunk = 0 if finding.fault is Fault.MODEL else len(shard.chunk(finding.chunk)) // shard.row_width
        rows = f" It also shows {chunk} published rows in clear (chunk {finding.chunk})." if chunk else ""
        return (
            f"this data set is sealed to its buyer. A challenge writes the model of shard {shard.shard} "
            f"({len(shard.model):,} bytes) in clear into the public chain, for everybody and for ever; with the seed, "
            f"which is public, it makes all {shard.rows:,} rows that this shard should have had.{rows} The other "
            f"{others} shard(s) and the delivery key stay secret. {ends}"
        )

    def send(
        self, refutation: Refutation, tell: Tell | None = None, tell_attempts: TellAttempts | None = None
    ) -> Conviction:
        """Commit, store the model if asked, show, a conditioned row of many attempts in parts. What stands on chain
        already is not sent again."""
        signer = self.dataset.record.shard(refutation.finding.shard).contributor
        parties = Parties(self.dataset.terms, signer, self.challenger)
        finding = refutation.finding
        claim = Claim(self.dataset.id, finding.shard, finding.chunk, finding.row)
        intent = intent_of(self.file, self._market, finding.fault, claim, _new_salt)
        before = holdings(self.chain, parties)
        commit_gas = self._commit(intent)
        self._await_next_block(intent)
        stored_gas = 0
        if self.stored:
            intent, stored_gas = self._store(refutation, intent, tell)
        if finding.fault is Fault.ROW and self.dataset.conditions:
            stored_gas += self._attempts(refutation, intent).show(tell_attempts)
        receipt = self._reveal(refutation, intent)
        after = holdings(self.chain, parties)
        self.file.unlink()
        return Conviction(receipt, commit_gas, stored_gas, before, after)

    def _commit(self, intent: Intent) -> int:
        """Gas of the commitment; 0 when it is on chain already."""
        if self.chain.challenge_committed_at(intent.commitment):
            return 0
        return self.writer.challenge_commit(intent.commitment).gas_used

    def _await_next_block(self, intent: Intent) -> None:
        """The proof must stand in a later block than the commitment."""
        committed = self.chain.challenge_committed_at(intent.commitment)
        give_up = time.monotonic() + _NEXT_BLOCK_SECONDS
        while self.chain.block_number() <= committed:
            if time.monotonic() > give_up:
                raise TesseraError(
                    f"no block came after {committed} within {_NEXT_BLOCK_SECONDS:.0f} s: give the same command again, "
                    "it goes on from its file"
                )
            time.sleep(0.2)

    def _store(self, refutation: Refutation, intent: Intent, tell: Tell | None) -> tuple[Intent, int]:
        """Puts the model on chain in parts; the file knows each part as soon as it is there."""
        gas = 0
        for part in store_model(self.chain, self.writer, refutation.shard.model, len(intent.model_parts)):
            gas += part.gas
            intent = intent.with_parts((*intent.model_parts, part.address))
            intent.write(self.file)
            if tell is not None:
                tell(part)
        return intent, gas

    def _attempts(self, refutation: Refutation, intent: Intent) -> AttemptSteps:
        query = query_of(refutation.shard, refutation.finding, self.dataset.request_row(intent.claim.shard))
        model = b"" if intent.model_parts else refutation.shard.model
        committed = self.chain.challenge_committed_at(intent.commitment)
        return AttemptSteps(
            self.chain, self.writer, query, self.dataset.conditions, model, intent.model_parts, committed
        )

    def _reveal(self, refutation: Refutation, intent: Intent) -> TxReceipt:
        dataset, finding = self.dataset, refutation.finding
        evidence = build_evidence(
            refutation.shard,
            finding,
            dataset.model_digests,
            dataset.shard_roots,
            dataset.conditions,
            intent.model_parts,
        )
        descendants = descendants_of(self.chain, dataset.id)
        if finding.fault is Fault.MODEL:
            return self.writer.challenge_model(
                dataset.terms,
                dataset.participants,
                dataset.id,
                finding.shard,
                evidence.model_digests,
                evidence.model,
                evidence.model_parts,
                intent.salt,
                descendants,
            )
        return self.writer.challenge(
            dataset.terms, dataset.participants, intent.claim, evidence, intent.salt, descendants
        )

    @property
    def _market(self) -> Market:
        deployment = self.chain.deployment
        return Market(deployment.chain_id, deployment.challenges, self.challenger)


@dataclass(frozen=True, slots=True)
class ChallengeResult:
    """How a challenge ended. searched: None for one that went on from its file. refutation: None when
    nothing is false. disclosure: what sending it would make public, or has. standing: why nothing was
    sent, empty otherwise."""

    searched: Searched | None
    refutation: Refutation | None
    disclosure: str
    conviction: Conviction | None
    standing: str


def descendants_of(chain: ChainReader, dataset: int) -> tuple[int, ...]:
    """Every data set derived from this one, parents before children."""
    found, tainted = [], {dataset}
    for event in chain.events(chain.deployment.block, chain.block_number()):
        if isinstance(event, DatasetPublished) and tainted & set(event.parents):
            tainted.add(event.id)
            found.append(event.id)
    return tuple(found)


def default_file(dataset: int, challenger: Address) -> Path:
    """Where a challenge is kept unless told otherwise."""
    return Path(f"challenge-{dataset}-{str(challenger)[2:10]}.json")


def _disagreement(found: str, finding: Finding) -> TesseraError:
    return TesseraError(
        f"{finding.words} - but {found}. Nothing was sent. This release and the contracts disagree: one of them has "
        "a defect; please report it with the data set's number"
    )


def _new_salt() -> Digest:
    return Digest(secrets.token_bytes(32))
