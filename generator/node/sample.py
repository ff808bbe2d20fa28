"""The shard: rows recomputable from the committed model and the chain's seed, sealed to the buyer, signed for.

Seed, committed models and participants are read from the chain; what the task says about them must agree.
Under conditions the shard's rows are the order's from the shard's first on; what is counted for the score is
still the shard's stream without conditions, since it measures generators, not requests. The rows and the model
are sealed under this node's own random key, on disk before its first use, and the key is wrapped to the
delivery key of the terms that this node accepted - nobody else ever can open the shard, the broker included. The
wrapped key stays here until the record is on chain (`generator.node.release`); what is signed names its digest.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from generator.errors import LedgerRestored, NotYet, TaskFormatError, TaskRefused
from generator.federation.task import Result, Task, answer, meta_of
from generator.market.evidence import DELIVERED, EVIDENCE, pair_counts
from generator.node.context import Node, shard_of
from generator.node.orders import Accepted
from generator.node.recorded_heads import require_newest_ledger
from generator.node.untrained import finished_training, order_model
from provenance.api.message import Message
from provenance.api.queue import Progress
from provenance.api.tasks import EVALUATE, SAMPLE, FinishResult, SampleResult, SampleTask
from provenance.chain.ports import CommitmentOnChain, OrderState
from provenance.crypto.merkle import shard_root
from provenance.crypto.seal import FileKind, file_label, key_commitment, seal_file, wrap_key
from provenance.errors import ConditionError, ConditionUnmetError
from provenance.exact import SPEC_VERSION
from provenance.exact.model import decode_model, model_digest
from provenance.exact.rows import encode_rows
from provenance.exact.sampler import sampler_for
from provenance.record.contribution import evidence_rows
from provenance.record.receipts import ContentFile, LedgerHead, ShardContent, ShardReceipt
from provenance.record.terms import Participant
from provenance.store.unixfs import cid_of
from provenance.table.conditions import RowConditions
from provenance.values import Digest, sha256

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)
_SIGNING = threading.Lock()
"""A task and a demand on chain may ask for the same receipt at the same moment; there is to be one."""


def read_task(kind: type[M], task: Task, name: str) -> M:
    """What a task says; TaskRefused when it says something else, or under another name: under a second name a
    release could be asked for twice.
    """
    if task.name != name:
        raise TaskRefused("bad-task", f"the task is called {task.name!r}, expected {name!r}")
    try:
        return meta_of(kind, task)
    except TaskFormatError as error:
        raise TaskRefused("bad-task", str(error)) from error


def sample_shard(node: Node, payload: bytes) -> bytes:
    """The answer to a "sample" task: receipt, its signature, content document and pair counts, of the shard
    and of the evidence rows of its stream.

    Raises TaskRefused (`wrong-model`, `seed-differs`, `not-named` ...), NotYet before the seed is drawn.
    """
    task = Task.decode(payload)
    asked = read_task(SampleTask, task, SAMPLE)
    folder = node.orders.folder(task.order)
    set_aside_replaced(node, task.order, asked.seed)
    stored = folder.answer(task.name, payload)
    if stored is not None:
        _bring_what_was_shown(node, task.order)
        return stored
    accepted = node.accepted(task.order)
    late = folder.receipt() if node.chain.order(task.order).state is OrderState.PUBLISHED else None
    if late is not None:
        upload_shard(node, task.order, late)
        return folder.store_answer(task.name, payload, answer(task, late, {}).encode())
    participants = node.matched_participants(task.order)
    shard = shard_of(participants, node.address)
    rows = participants[shard].rows
    model = order_model(node, task.order)
    seed = check_commitment(node, task.order, asked, shard, rows, model)

    draw = Draw(model, seed, shard, rows)
    node.progress(Progress(message=f"sampling {rows} rows"))
    sampler = sampler_for(SPEC_VERSION)(model, seed, shard)
    codebook = sampler.model.codebook
    stream = sampler.values(0, evidence_rows(rows), threads=node.settings.threads)
    conditions = shard_conditions(node, accepted, participants, shard)
    delivered = (
        stream[:rows] if conditions is None else rows_asked_for(draw, conditions, node.settings.threads)
    )
    signed = signed_shard(node, accepted, draw, encode_rows(delivered, codebook.value_widths))
    upload_shard(node, task.order, signed)
    counts = {
        name: pair_counts(values, codebook, node.collection.schema)
        for name, values in ((DELIVERED, stream[:rows]), (EVIDENCE, stream))
    }
    return folder.store_answer(task.name, payload, answer(task, signed, counts).encode())


@dataclass(frozen=True, slots=True)
class Draw:
    """What decides the rows of a shard, beside conditions."""

    model: bytes
    seed: Digest
    shard: int
    rows: int


def shard_conditions(
    node: Node, accepted: Accepted, participants: tuple[Participant, ...], shard: int
) -> RowConditions | None:
    """The order's conditions from the shard's first row on; None for whole tables."""
    asked = accepted.request.asked(node.collection.schema, accepted.terms.rows)
    if asked is None:
        return None
    return RowConditions(asked, sum(participant.rows for participant in participants[:shard]))


def signed_shard(node: Node, accepted: Accepted, draw: Draw, row_bytes: bytes) -> SampleResult:
    """Receipt, signature and content document of the shard: made and stored once, the same for whoever asks. Made anew
    when a reorganisation of the chain put another seed in place of the receipt's: the chain takes that alone.

    Nothing leaves here: what the receipt names lies in the order's folder until it is uploaded, so that a receipt
    can also be shown to the chain while the market does not answer.
    """
    order = accepted.terms.order_id(node.domain)
    finish = finished_training(node, order)
    folder = node.orders.folder(order)
    with _SIGNING:
        stored = folder.receipt()
        if stored is not None and _is_of(stored.receipt, draw):
            return stored
        content, files = sealed_content(node, accepted, draw, row_bytes, finish)
        receipt = ShardReceipt(
            order=order,
            shard=draw.shard,
            model_digest=model_digest(draw.model),
            seed=draw.seed,
            rows=draw.rows,
            shard_root=shard_root(row_bytes, decode_model(draw.model).codebook.row_width),
            epsilon_micro=finish.epsilon_micro,
            delta_e12=finish.delta_e12,
            content_digest=content.digest,
        )
        signature = node.signer.sign_typed(node.domain, receipt)
        signed = SampleResult(receipt=receipt, signature=signature, content=content)
        folder.store_receipt(signed, files)
        return signed


def _is_of(receipt: ShardReceipt, draw: Draw) -> bool:
    named = (receipt.seed, receipt.shard, receipt.rows, receipt.model_digest)
    return named == (draw.seed, draw.shard, draw.rows, model_digest(draw.model))


def set_aside_replaced(node: Node, order: Digest, asked: Digest) -> None:
    """Sets the answers aside that were given for another seed than `asked`, if `asked` is what the chain has now.

    The rows are then others, and so is what is scored. Training is not touched: the model is what was committed.
    """
    folder = node.orders.folder(order)
    stored = folder.stored(SAMPLE)
    if stored is None:
        return
    answered = meta_of(SampleResult, Result.decode(stored)).receipt.seed
    if answered != asked and node.chain.commitment(order).seed == asked:
        log.warning(
            "order %s: the chain replaced its seed; the shard is made and signed anew", str(order)[:12]
        )
        folder.drop_evaluation()
        folder.note_shard_sent(False)
        folder.set_aside(EVALUATE)
        folder.set_aside(SAMPLE)


def rows_asked_for(draw: Draw, conditions: RowConditions, threads: int) -> NDArray[np.int64]:
    """int64[rows, C] under the order's conditions; TaskRefused when this node's model cannot meet them."""
    try:
        sampler = sampler_for(SPEC_VERSION)(draw.model, draw.seed, draw.shard, conditions=conditions)
        return sampler.values(0, draw.rows, threads=threads)
    except (ConditionError, ConditionUnmetError) as error:
        raise TaskRefused("conditions-unmet", str(error)) from error


def check_commitment(
    node: Node, order: Digest, asked: SampleTask, shard: int, rows: int, model: bytes
) -> Digest:
    """The seed, once the chain holds this node's own model for the shard and the task agrees with chain and match."""
    committed = node.chain.commitment(order)
    check_own_model(committed, shard, model_digest(model))
    if committed.seed is None:
        raise NotYet(f"the seed of order {order} is not drawn yet")
    true = SampleTask(seed=committed.seed, draws=committed.draws, shard=shard, rows=rows)
    if asked != true:
        raise TaskRefused(
            "seed-differs", f"the task says {asked}, chain and match say {true}: nothing was sampled"
        )
    return committed.seed


def check_own_model(committed: CommitmentOnChain, shard: int, own: Digest) -> None:
    """TaskRefused unless the chain's model digest of this shard is this node's model."""
    if not committed.commit_block:
        raise NotYet("no models are committed on chain yet")
    if shard >= len(committed.models) or committed.models[shard] != own:
        committed_model = committed.models[shard] if shard < len(committed.models) else "none"
        raise TaskRefused(
            "wrong-model", f"the chain holds model {committed_model} for shard {shard}, this node's is {own}"
        )


def sealed_content(
    node: Node, accepted: Accepted, draw: Draw, row_bytes: bytes, finish: FinishResult
) -> tuple[ShardContent, dict[str, bytes]]:
    """The content document, and rows and model by name as they will be published: sealed, or plain for an open
    data set."""
    statement, order = finish.statement, accepted.terms.order_id(node.domain)
    ledger = _head_to_sign(node)
    plain = {"rows": row_bytes, "model": draw.model}
    if accepted.terms.is_open:
        described = {name: _described(data, data) for name, data in plain.items()}
        return ShardContent(described["rows"], described["model"], None, statement, ledger=ledger), plain
    key = node.orders.folder(order).content_key()
    kinds: tuple[FileKind, ...] = ("rows", "model")
    sealed: dict[str, bytes] = {
        kind: seal_file(key, plain[kind], file_label(order, draw.shard, kind)) for kind in kinds
    }
    described = {name: _described(plain[name], data) for name, data in sealed.items()}
    wrapped = node.orders.folder(order).wrapped_key(
        draw.shard, lambda: wrap_key(key, accepted.terms.delivery_key, order, draw.shard)
    )
    committed = key_commitment(key, order, draw.shard)
    content = ShardContent(
        described["rows"], described["model"], None, statement, committed, cid_of(wrapped), ledger
    )
    return content, sealed


def _head_to_sign(node: Node) -> LedgerHead | None:
    """Where the table's ledger stands; None for one that was put back since the order was accepted. The shard is owed
    all the same, but a line that the true ledger never had would be on chain for good, and the newest copy refused too.
    """
    try:
        require_newest_ledger(node, asks_market=False)
    except LedgerRestored as restored:
        log.error("a shard is signed without the ledger's head. %s", restored.figures)
        return None
    except NotYet:
        pass  # A receipt waits for no market, which need not answer when the chain asks for it.
    return node.state.ledger.published_head()


def _described(plain: bytes, data: bytes) -> ContentFile:
    return ContentFile(cid_of(data), len(data), sha256(data), sha256(plain), len(plain))


def upload_shard(node: Node, order: Digest, signed: SampleResult) -> None:
    """Brings the files that the receipt names; and the document that names them, where the receipt was shown on chain:
    the record may have been made without either. The files stay here until the order ends: the market keeps what it did
    not record only so long, and sealed again they would be others."""
    for name, data in node.orders.folder(order).files().items():
        _upload(node, name, data)
    if node.chain.answered_receipt(order, signed.receipt.shard) is not None:
        _upload(node, "content document", signed.content.encode())


def _bring_what_was_shown(node: Node, order: Digest) -> None:
    """What a stored answer names was brought before it was stored; but by a receipt that was shown on chain since, by
    this node or a watchtower, the shard may be published without: then all has to be brought again, with the document.
    """
    signed = node.orders.folder(order).receipt()
    if signed is not None and node.chain.answered_receipt(order, signed.receipt.shard) is not None:
        upload_shard(node, order, signed)


def _upload(node: Node, name: str, data: bytes) -> None:
    """Uploads `data` and compares the CID that the market claims with the true one."""
    cid = cid_of(data)
    claimed = node.upload(data)
    if claimed != cid:
        raise TaskRefused(
            "cid-differs",
            f"the market stored the {name} ({len(data)} bytes) under {claimed}, their CID is {cid}",
        )
