"""`tessera demand`: have a contributor show a model or a chunk of rows on chain, or lose its stake for keeping it.

Needs neither manifest nor files: terms by their digest, the rest from the chain. One demand of a shard is open at
a time and the chain knows it, so the command may be given again at any time: it looks, waits, or ends what ran out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import typer

from provenance.chain.disputes import DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderState
from provenance.record.terms import OrderTerms
from provenance.verify.refutation import shard_proof
from tessera.client.money_moves import Parties, holdings, in_words, table_of
from tessera.client.order_request import tokens
from tessera.client.session import ChainSession
from tessera.errors import ScriptError, UsageError
from tessera.terminal import err, out, remark, say

ANSWERED: Final = 0
ENDED: Final = 3
STANDING: Final = 4
DEPOSIT_PART: Final = 100
"""A demand costs this part of the price, kept by who answers it."""
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is demanded of a shard: its model, or the chunk that holds `row` of the shard."""

    shard: int
    row: int | None
    confirmed: bool = False
    wait: bool = True

    @property
    def words(self) -> str:
        if self.row is None:
            return f"the model of shard {self.shard}"
        return f"the chunk with row {self.row} of shard {self.shard}"


@dataclass(frozen=True, slots=True)
class Demander:
    """A wallet, a data set and the terms it was ordered under."""

    session: ChainSession
    record: DatasetOnChain
    terms: OrderTerms

    def __post_init__(self) -> None:
        found = self.terms.order_id(self.session.ledger.deployment.domain)
        if found != self.record.order:
            raise UsageError(
                f"these terms are those of order {found}, data set {self.record.id} delivered {self.record.order}: "
                "name its own order file"
            )

    def open_demand(self, shard: int) -> DemandOnChain:
        return self.session.ledger.demand(self.record.order, shard)


def run_demand(demander: Demander, wanted: Wanted) -> int:
    """The whole command; returns the exit status."""
    shards = len(demander.record.shards)
    if not 0 <= wanted.shard < shards:
        raise UsageError(
            f"--shard {wanted.shard}: data set {demander.record.id} has shards 0 to {shards - 1}"
        )
    if demander.record.status != DatasetStatus.VALID:
        say(f"data set {demander.record.id} is not valid any more: there is nothing left to demand")
        return ENDED
    demand = demander.open_demand(wanted.shard)
    if demand.is_open and not _gives_way(demander, demand):
        say(
            f"a demand for the {demand.kind.name.lower()} of shard {wanted.shard} is open since earlier, by "
            f"{demand.demander}"
        )
    elif not _send(demander, wanted):
        return STANDING
    return _follow(demander, wanted)


def _gives_way(demander: Demander, demand: DemandOnChain) -> bool:
    """Whether the buyer's own demand may take the place of this one: somebody else's, in its time."""
    me, ledger = demander.session.wallet.address, demander.session.ledger
    is_anothers = me == demander.terms.buyer != demand.demander
    return is_anothers and ledger.chain_time() <= demand.answer_by


def _send(demander: Demander, wanted: Wanted) -> bool:
    """Pays the deposit and demands; False when the person declined."""
    session, record, terms = demander.session, demander.record, demander.terms
    ledger, writer, me = session.ledger, session.writer, session.wallet.address
    if ledger.order(record.order).state is not OrderState.PUBLISHED:
        raise ScriptError(
            f"data set {record.id} is settled or ended: its window is closed, nothing can be demanded"
        )
    if not terms.is_open and me != terms.buyer:
        raise ScriptError(
            f"data set {record.id} is sealed to {terms.buyer}: only that account may demand, not {me}"
        )
    deposit = terms.price // DEPOSIT_PART
    if not _confirmed(demander, wanted, deposit):
        return False
    demands = ledger.deployment.demands
    if ledger.allowance(me, demands) < deposit:
        writer.approve(demands, deposit)
    participants = ledger.participants(record.order)
    if wanted.row is None:
        models = ledger.commitment(record.order).models
        receipt = writer.demand_model(terms, participants, record.id, wanted.shard, models)
    else:
        roots = [shard.shard_root for shard in record.shards]
        proof, root = shard_proof(roots, wanted.shard), roots[wanted.shard]
        receipt = writer.demand_chunk(terms, participants, record.id, wanted.shard, root, proof, wanted.row)
    say(f"demanded {wanted.words} (transaction {receipt.hash}, gas {receipt.gas_used:,})")
    return True


def _confirmed(demander: Demander, wanted: Wanted, deposit: int) -> bool:
    private = "" if demander.terms.is_open else ", for everybody and for ever, although the order is private"
    say(
        f"what this does: contributor {demander.record.shards[wanted.shard].contributor} must show {wanted.words} in "
        f"clear on the public chain{private}. Your deposit of {tokens(deposit)} tokens goes to who answers; without "
        "an answer in time it comes back, the data set is revoked and you are paid back"
    )
    if wanted.confirmed:
        return True
    if not err.is_terminal:
        raise UsageError("nobody is there to agree to that: pass --yes to send the demand")
    if typer.confirm("Send the demand?", err=True):
        return True
    remark("nothing was sent")
    return False


def _follow(demander: Demander, wanted: Wanted) -> int:
    """Waits for the answer, or ends the demand when its time ran out."""
    ledger, told = demander.session.ledger, False
    while True:
        demand = demander.open_demand(wanted.shard)
        if not demand.is_open:
            return _outcome(demander, wanted)
        if ledger.chain_time() > demand.answer_by:
            return _end(demander, wanted)
        if not told:
            say(f"to be answered by chain time {demand.answer_by}, it is {ledger.chain_time()}")
            told = True
        if not wanted.wait:
            remark("the same command looks again, and ends the demand when its time ran out")
            return STANDING
        time.sleep(_LOOK_SECONDS)


def _outcome(demander: Demander, wanted: Wanted) -> int:
    record = demander.session.ledger.dataset(demander.record.id)
    if record.status != DatasetStatus.VALID:
        say(f"data set {record.id} was revoked")
        return ENDED
    say(
        f"answered: {wanted.words} is on chain and the window is open once more; `tessera challenge --dataset "
        f"{record.id}` reads it from there if the files do not open"
    )
    return ANSWERED


def _end(demander: Demander, wanted: Wanted) -> int:
    """Nobody answered: deposit back, data set revoked, signer slashed, buyer paid back."""
    session, record = demander.session, demander.record
    signer = record.shards[wanted.shard].contributor
    parties = Parties(demander.terms, signer, session.wallet.address)
    participants = session.ledger.participants(record.order)
    before = holdings(session.ledger, parties)
    try:
        receipt = session.writer.expire(demander.terms, participants, wanted.shard)
    except RevertError:
        # Whoever looks may end it, and the broker looks too.
        if demander.open_demand(wanted.shard).is_open:
            raise
        return _outcome(demander, wanted)
    after = holdings(session.ledger, parties)
    say(
        f"not answered in time: data set {record.id} is revoked (transaction {receipt.hash}, gas {receipt.gas_used:,})"
    )
    out.print(table_of(before, after))
    say(in_words(before, after))
    return ENDED
