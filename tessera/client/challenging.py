"""`tessera challenge`: find a false row off chain, ask the chain's own verifier, then prove it in one transaction.

Nothing is paid before the chain's verifier agreed to the very bytes that will be sent. The claim is committed
first and shown a block later, so that nobody who watches can put his own name under it; claim and salt are in a
file before anything is sent, so that the same command goes on after a kill.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.chain.events import DatasetPublished
from provenance.chain.model_parts import CALLDATA_BYTES, store_model
from provenance.chain.ports import DatasetStatus, OrderState, TxReceipt
from provenance.values import Address, Digest
from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import Claim, Fault, Finding, build_evidence
from tessera.client.challenge_file import Intent, Market, intent_of
from tessera.client.disclosure import confirm_disclosure
from tessera.client.money_moves import Parties, holdings, in_words, table_of
from tessera.client.searching import Searched, Suspect, search
from tessera.client.session import ChainSession
from tessera.client.verdicts import require_agreement
from tessera.errors import ScriptError
from tessera.row_progress import recomputing
from tessera.terminal import err, out, remark, say

NOTHING_FALSE: Final = 0
REFUTED: Final = 3
STANDING: Final = 4
"""Exit statuses beside 1 (failed) and 2 (usage): a lie was proven on chain; a lie, or a shard that does not open,
stands."""

_NEXT_BLOCK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a challenge is made. `row`: only this row of the data set; `confirmed`: disclose without asking."""

    file: Path
    row: int | None = None
    stored: bool = False
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Lie:
    """A lie that was found, with all that is needed to show it."""

    session: ChainSession
    suspect: Suspect
    shard: PublishedShard
    finding: Finding
    options: Options

    @property
    def claim(self) -> Claim:
        return Claim(self.suspect.id, self.finding.shard, self.finding.chunk, self.finding.row)

    @property
    def parties(self) -> Parties:
        signer = self.suspect.record.shards[self.finding.shard].contributor
        return Parties(self.suspect.terms, signer, self.session.wallet.address)


def run_challenge(session: ChainSession, suspect: Suspect, options: Options) -> int:
    """The whole command; returns the exit status."""
    if suspect.record.status != DatasetStatus.VALID:
        say(f"data set {suspect.id} is not valid any more: there is nothing left to refute")
        options.file.unlink(missing_ok=True)
        return REFUTED
    if options.file.exists():
        return pursue(_kept_lie(session, suspect, options))
    with recomputing(err) as progress:
        searched = search(suspect, options.row, progress)
    return conclude(session, suspect, searched, options)


def conclude(session: ChainSession, suspect: Suspect, searched: Searched, options: Options) -> int:
    """What follows from a search."""
    for closed in searched.closed:
        if closed.demand is None:
            remark(f"shard {closed.shard} was not looked into: {closed.words}")
            continue
        row = suspect.request_row(closed.shard) + closed.row
        wish = f"--shard {closed.shard} --model" if closed.demand == "model" else f"--row {row}"
        remark(
            f"shard {closed.shard} was not looked into: {closed.words}. `tessera demand --dataset {suspect.id} {wish}` "
            "has it shown on chain"
        )
    if searched.finding is None or searched.shard is None:
        say(f"no false row found in data set {suspect.id}: {searched.rows:,} rows recomputed and equal")
        return STANDING if searched.closed else NOTHING_FALSE
    say(f"FALSE: {searched.finding.words}")
    return pursue(Lie(session, suspect, searched.shard, searched.finding, options))


def pursue(lie: Lie) -> int:
    """From a lie to a revoked data set, if it can still be judged and the challenger wants it."""
    closed = _why_too_late(lie)
    if closed:
        remark(closed)
        return STANDING
    if len(lie.shard.model) > CALLDATA_BYTES and not lie.options.stored:
        raise ScriptError(
            f"the model has {len(lie.shard.model):,} bytes, a transaction carries about {CALLDATA_BYTES:,}: give "
            "--stored, which puts it on chain in parts first"
        )
    require_agreement(lie.session.ledger, lie.suspect, lie.shard, lie.finding)
    say("the chain's own verifier agrees: it calls this false too (asked without a transaction)")
    if not confirm_disclosure(lie.suspect, lie.shard, lie.finding, confirmed=lie.options.confirmed):
        return STANDING
    _send(lie)
    return REFUTED


def _send(lie: Lie) -> None:
    ledger, path = lie.session.ledger, lie.options.file
    intent = intent_of(path, _market(lie.session), lie.finding.fault, lie.claim, _new_salt)
    before = holdings(ledger, lie.parties)
    gas = _commit(lie, intent)
    _await_next_block(lie.session, intent)
    if lie.options.stored:
        intent = _store(lie, intent)
    receipt = _reveal(lie, intent)
    say(
        f"data set {lie.suspect.id} is revoked (transaction {receipt.hash}, block {receipt.block}): gas {gas:,} for "
        f"the commitment, {receipt.gas_used:,} for the proof"
    )
    after = holdings(ledger, lie.parties)
    out.print(table_of(before, after))
    say(in_words(before, after))
    path.unlink()


def _commit(lie: Lie, intent: Intent) -> int:
    """Gas of the commitment; 0 when it is on chain already."""
    if lie.session.ledger.challenge_committed_at(intent.commitment):
        return 0
    return lie.session.writer.challenge_commit(intent.commitment).gas_used


def _await_next_block(session: ChainSession, intent: Intent) -> None:
    """The reveal must stand in a later block than the commitment."""
    committed = session.ledger.challenge_committed_at(intent.commitment)
    give_up = time.monotonic() + _NEXT_BLOCK_SECONDS
    while session.ledger.block_number() <= committed:
        if time.monotonic() > give_up:
            raise ScriptError(
                f"no block came after {committed} within {_NEXT_BLOCK_SECONDS:.0f} s: give the same command again, it "
                "goes on from its file"
            )
        time.sleep(0.2)


def _store(lie: Lie, intent: Intent) -> Intent:
    """Puts the model on chain in parts; the file knows each part as soon as it is there."""
    session, total = lie.session, 0
    known = len(intent.model_parts)
    for part in store_model(session.ledger, session.writer, lie.shard.model, known):
        total += part.gas
        paid = (
            f"stored at {part.address}: gas {part.gas:,}"
            if part.gas
            else f"is there already, at {part.address}"
        )
        say(f"part {part.number} of {part.count} of the model {paid}")
        intent = intent.with_parts((*intent.model_parts, part.address))
        intent.write(lie.options.file)
    say(f"gas of storing the model: {total:,}")
    return intent


def _reveal(lie: Lie, intent: Intent) -> TxReceipt:
    suspect, writer = lie.suspect, lie.session.writer
    evidence = build_evidence(
        lie.shard,
        lie.finding,
        suspect.model_digests,
        suspect.shard_roots,
        suspect.conditions,
        intent.model_parts,
    )
    descendants = descendants_of(lie.session, suspect.id)
    if lie.finding.fault is Fault.MODEL:
        return writer.challenge_model(
            suspect.terms,
            suspect.participants,
            suspect.id,
            lie.finding.shard,
            evidence.model_digests,
            evidence.model,
            evidence.model_parts,
            intent.salt,
            descendants,
        )
    return writer.challenge(
        suspect.terms, suspect.participants, intent.claim, evidence, intent.salt, descendants
    )


def descendants_of(session: ChainSession, dataset: int) -> tuple[int, ...]:
    """Every data set derived from this one, parents before children."""
    ledger = session.ledger
    found, tainted = [], {dataset}
    for event in ledger.events(ledger.deployment.block, ledger.block_number()):
        if isinstance(event, DatasetPublished) and tainted & set(event.parents):
            tainted.add(event.id)
            found.append(event.id)
    return tuple(found)


def _kept_lie(session: ChainSession, suspect: Suspect, options: Options) -> Lie:
    """The lie of the challenge that the file keeps."""
    kept = Intent.read(options.file)
    intent = intent_of(options.file, _market(session), kept.fault, kept.claim, _new_salt, dataset=suspect.id)
    claim = intent.claim
    words = f"shard {claim.shard}, chunk {claim.chunk}, row {claim.row} of it"
    say(f"continuing the challenge of {words}, kept in {options.file}")
    finding = Finding(intent.fault, claim.shard, claim.chunk, claim.row, words)
    return Lie(session, suspect, suspect.open(claim.shard), finding, options)


def _why_too_late(lie: Lie) -> str:
    """Empty while the data set can be judged."""
    suspect, ledger = lie.suspect, lie.session.ledger
    order = ledger.order(suspect.record.order)
    if order.state is not OrderState.PUBLISHED:
        return (
            f"the order is {order.state.name.lower()}: its window is closed and the chain judges it no more. The "
            "evidence stands, for whoever reads it"
        )
    ends, now = order.window_ends(suspect.terms.challenge_seconds), ledger.chain_time()
    if now > ends and not order.open_demands:
        return f"the challenge window ended at chain time {ends}, it is {now}: nothing can be sent any more"
    return ""


def _market(session: ChainSession) -> Market:
    deployment = session.ledger.deployment
    return Market(deployment.chain_id, deployment.challenges, session.wallet.address)


def _new_salt() -> Digest:
    return Digest(secrets.token_bytes(32))


def default_file(dataset: int, challenger: Address) -> Path:
    """Where a challenge is kept unless told otherwise."""
    return Path(f"challenge-{dataset}-{str(challenger)[2:10]}.json")
