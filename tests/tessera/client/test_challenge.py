"""`tessera challenge` against a chain in memory: what is found, what is sent in which order, and what a kill leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from provenance.chain import model_parts
from provenance.chain.disputes import Verdict
from provenance.chain.errors import ChainUnavailableError
from provenance.chain.ports import DatasetStatus, OrderState, ShownChunk, StakeOnChain, TxReceipt
from provenance.crypto.merkle import directed_proof, leaf_hash, root_of_path, rows_per_chunk, shard_leaves
from provenance.crypto.signing import Signer
from provenance.errors import ContentMissingError
from provenance.exact.model import decode_model
from provenance.exact.reference import reference_row_bytes
from provenance.values import Address, Digest, keccak256, sha256
from provenance.verify.refutation import Claim
from tessera.cli.disputes import DONE, PROVEN, STANDING, pursue
from tessera.client import challenge as challenging
from tessera.client.accounts import BURN
from tessera.client.audited_dataset import AuditedDataset
from tessera.client.challenge import Challenge
from tessera.client.challenge_file import Intent
from tessera.errors import TesseraError, UsageError
from tests.memory import MemoryStore
from tests.provenance.verify.publication import (
    BUYER,
    CODEBOOK,
    DATASET,
    KEY,
    MODELS,
    NODES,
    ROWS,
    Builder,
    Publication,
    ShardDraft,
)

WIDTH = CODEBOOK.row_width
CHALLENGER = Signer(b"\x51" * 32)
PRICE, BOND, STAKE = 230, 6, 8


def lie(drafts: list[ShardDraft]) -> None:
    """Row 5 of the second shard is not what its model makes."""
    rows = drafts[1].rows
    drafts[1].rows = rows[: 5 * WIDTH] + bytes([rows[5 * WIDTH] ^ 1]) + rows[5 * WIDTH + 1 :]


def break_model(drafts: list[ShardDraft]) -> None:
    drafts[1].model = BROKEN


BROKEN = MODELS[1][:5] + b"\x01" + MODELS[1][6:]
"""a_max is neither 127 nor 255."""


@dataclass
class Chain:
    """A market in memory that judges: what the contracts do with a challenge, in plain Python."""

    published: Publication
    disagree: bool = False
    calls: list[str] = field(default_factory=list)
    commitments: dict[Digest, int] = field(default_factory=dict)
    stored: dict[Address, bytes] = field(default_factory=dict)
    model_shown: bytes | None = None
    chunks_shown: tuple[ShownChunk, ...] = ()
    fail: Callable[[str], None] = lambda _call: None

    def __post_init__(self) -> None:
        memory = self.published.chain
        manifest = self.published.manifest
        memory.matched[manifest.order] = manifest.participant_list()
        memory.time_seconds = 1505
        memory.balances |= {BUYER.address: 1000, CHALLENGER.address: 50}
        for node in NODES:
            memory.stakes[node.address] = StakeOnChain(3, STAKE, 2, 0, True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.published.chain, name)

    # --- reads

    def verdict(self, model: bytes, conditions: bytes, query: Any, chunk: bytes) -> Verdict:
        assert sha256(model) == query.model_digest
        if self.disagree:
            return Verdict.AGREES
        number = query.chunk * rows_per_chunk(WIDTH) + query.row
        true = reference_row_bytes(model, query.seed, query.shard, number)
        shown = chunk[query.row * WIDTH : (query.row + 1) * WIDTH]
        return Verdict.AGREES if shown == true else Verdict.DIFFERS

    def model_verdict(self, model: bytes, schema_digest: Digest, size_class: int) -> Verdict:
        try:
            found = decode_model(model)
        except ValueError:
            return Verdict.MALFORMED
        return Verdict.AGREES if found.schema_digest == schema_digest else Verdict.OTHER_SCHEMA

    def challenge_committed_at(self, commitment: Digest) -> int:
        return self.commitments.get(commitment, 0)

    def model_part(self, part: bytes) -> Address:
        return Address(keccak256(part)[:20])

    def is_contract(self, account: Address) -> bool:
        return account in self.stored

    def shown_models(self, order: Digest) -> dict[int, bytes]:
        return {} if self.model_shown is None else {1: self.model_shown}

    def shown_chunks(self, order: Digest, shard: int) -> tuple[ShownChunk, ...]:
        return self.chunks_shown if shard == 1 else ()

    # --- transactions

    def _mined(self, call: str) -> TxReceipt:
        self.calls.append(call)
        self.published.chain.block += 1
        return TxReceipt(sha256(call.encode()), self.published.chain.block, 21_000)

    def challenge_commit(self, commitment: Digest) -> TxReceipt:
        self.fail("commit")
        receipt = self._mined("commit")
        self.commitments[commitment] = receipt.block
        self.published.chain.block += 1
        return receipt

    def store_model_part(self, part: bytes) -> TxReceipt:
        self.fail("store")
        self.stored[self.model_part(part)] = part
        return self._mined("store")

    def challenge(
        self,
        terms: Any,
        participants: Any,
        claim: Claim,
        evidence: Any,
        salt: Digest,
        descendants: Sequence[int],
    ) -> TxReceipt:
        self.fail("reveal")
        self._require_commitment(claim, salt)
        record = self.published.chain.datasets[DATASET]
        leaf = leaf_hash(claim.shard, evidence.shard_root)
        root = root_of_path(leaf, claim.shard, len(participants), evidence.shard_proof)
        assert root == record.dataset_root
        chunk = bytes(leaf_hash(claim.chunk, evidence.chunk))
        for k, sibling in enumerate(evidence.chunk_proof.siblings):
            pair = sibling + chunk if evidence.chunk_proof.path >> k & 1 else chunk + sibling
            chunk = hashlib.sha256(b"\x01" + pair).digest()
        assert chunk == evidence.shard_root
        model = evidence.model or b"".join(self.stored[part] for part in evidence.model_parts)
        assert sha256(model) == evidence.model_digests[claim.shard]
        return self._punish(terms, participants[claim.shard].contributor, "reveal")

    def challenge_model(
        self, terms: Any, participants: Any, dataset: int, shard: int, models: Any, model: bytes, parts: Any,
        salt: Digest, descendants: Sequence[int],
    ) -> TxReceipt:  # fmt: skip
        self._require_commitment(Claim(dataset, shard, 2**64 - 1, 0), salt)
        assert self.model_verdict(model, terms.schema_digest, terms.size_class) is not Verdict.AGREES
        return self._punish(terms, participants[shard].contributor, "reveal model")

    def _require_commitment(self, claim: Claim, salt: Digest) -> None:
        committed = self.commitments[claim.commitment(CHALLENGER.address, salt)]
        assert committed < self.published.chain.block

    def _punish(self, terms: Any, signer: Address, call: str) -> TxReceipt:
        memory = self.published.chain
        order = self.published.manifest.order
        memory.datasets[DATASET] = replace(memory.datasets[DATASET], status=DatasetStatus.REVOKED)
        memory.orders[order] = replace(memory.orders[order], state=OrderState.REVOKED, bond_left=0)
        memory.stakes[signer] = replace(memory.stakes[signer], reserved=0)
        refund = PRICE + min(BOND, STAKE // 4)
        memory.balances[terms.buyer] += refund
        memory.balances[CHALLENGER.address] += STAKE // 2
        memory.balances[BURN] = PRICE + BOND + STAKE - refund - STAKE // 2
        return self._mined(call)


@dataclass
class World:
    """A challenger before a published data set."""

    chain: Chain
    file: Path
    key: Any = KEY

    def challenge(self, *, stored: bool = False) -> Challenge:
        chain: Any = self.chain
        dataset = AuditedDataset(chain, self.chain.published.store, DATASET, self.key)
        return Challenge(chain, chain, CHALLENGER.address, dataset, self.file, stored)

    def run(self, *, row: int | None = None, stored: bool = False, confirmed: bool = True) -> int:
        return pursue(self.challenge(stored=stored), row, confirmed=confirmed)


def world(tmp_path: Path, edit: Callable[[list[ShardDraft]], None] = lie, **builder: Any) -> World:
    chain = Chain(Builder(edit_drafts=edit, state=OrderState.PUBLISHED, **builder).build())
    return World(chain, tmp_path / "challenge.json")


def test_true_rows_are_counted_and_nothing_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = world(tmp_path, edit=lambda drafts: None)
    assert true.run() == DONE
    assert f"no false row found in data set {DATASET}: {sum(ROWS)} rows recomputed" in capsys.readouterr().out
    assert true.chain.calls == []
    assert not true.file.exists()


@pytest.mark.parametrize("is_open", [False, True])
def test_a_false_row_is_committed_proven_and_paid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_open: bool
) -> None:
    false = world(tmp_path, is_open=is_open)
    false.key = None if is_open else KEY
    kept: list[dict[str, Any]] = []

    def at_commit(call: str) -> None:
        if call == "commit":
            assert false.file.stat().st_mode & 0o077 == 0
            kept.append(json.loads(false.file.read_text()))

    false.chain.fail = at_commit
    assert false.run() == PROVEN
    assert false.chain.calls == ["commit", "reveal"]
    claim = (kept[0]["dataset"], kept[0]["shard"], kept[0]["chunk"], kept[0]["row"])
    assert claim == (DATASET, 1, "0", 5)
    assert not false.file.exists(), "nothing is left to continue"
    out = capsys.readouterr().out
    assert "FALSE: row 5 of shard 1" in out
    assert "adds up to the wei" in out
    assert f"buyer {BUYER.address}" in out.replace("\n", "") or str(BUYER.address)[:20] in out
    assert f"+{PRICE + 2}" in out
    assert f"-{STAKE}" in out


def test_a_single_row_is_looked_at_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    false = world(tmp_path)
    assert false.run(row=ROWS[0] + 4) == DONE
    assert "1 rows recomputed" in capsys.readouterr().out
    assert false.run(row=0) == DONE
    assert false.chain.calls == []
    assert false.run(row=ROWS[0] + 5) == PROVEN


def test_refuses_a_row_that_the_data_set_has_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"has rows 0 to {sum(ROWS) - 1}"):
        world(tmp_path).run(row=sum(ROWS))


def test_nothing_is_spent_when_the_chain_would_not_convict(tmp_path: Path) -> None:
    false = world(tmp_path)
    false.chain.disagree = True
    with pytest.raises(TesseraError, match="Nothing was sent"):
        false.run()
    assert false.chain.calls == []
    assert not false.file.exists()


def test_nothing_is_disclosed_that_nobody_agreed_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    false = world(tmp_path)
    with pytest.raises(UsageError, match="pass --yes"):
        false.run(confirmed=False)
    assert false.chain.calls == []
    out = capsys.readouterr().out
    assert f"the model of shard 1 ({len(MODELS[1]):,} bytes) in clear into the public chain" in out
    assert f"all {ROWS[1]} rows" in out


def test_an_open_data_set_has_nothing_left_to_disclose(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    false = world(tmp_path, is_open=True)
    assert false.run() == PROVEN
    assert "makes nothing public that is not public already" in capsys.readouterr().out


@pytest.mark.parametrize("killed_at", ["commit", "reveal"])
def test_a_killed_challenge_goes_on_with_the_same_salt(tmp_path: Path, killed_at: str) -> None:
    false = world(tmp_path)

    def kill(call: str) -> None:
        if call == killed_at:
            raise ChainUnavailableError("gone")

    false.chain.fail = kill
    with pytest.raises(ChainUnavailableError):
        false.run()
    kept = Intent.read(false.file)
    false.chain.fail = lambda _call: None
    assert false.run() == PROVEN
    assert false.chain.calls == ["commit", "reveal"]
    assert list(false.chain.commitments) == [kept.commitment]


def test_a_proof_that_was_mined_while_the_process_died_is_not_sent_again(tmp_path: Path) -> None:
    false = world(tmp_path)
    reveal = false.chain.challenge

    def mined_then_gone(*arguments: Any) -> TxReceipt:
        reveal(*arguments)
        raise ChainUnavailableError("gone")

    with patch.object(false.chain, "challenge", mined_then_gone):
        with pytest.raises(ChainUnavailableError):
            false.run()
        assert false.file.exists()
        assert false.run() == PROVEN
    assert false.chain.calls == ["commit", "reveal"]
    assert not false.file.exists()


def test_a_stored_model_goes_on_chain_in_parts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_parts, "PART_BYTES", 60)
    false = world(tmp_path)
    parts = -(-len(MODELS[1]) // 60)
    assert parts >= 3

    def kill_at_third(call: str) -> None:
        if call == "store" and false.chain.calls.count("store") == 2:
            raise ChainUnavailableError("gone")

    false.chain.fail = kill_at_third
    with pytest.raises(ChainUnavailableError):
        false.run(stored=True)
    assert len(Intent.read(false.file).model_parts) == 2
    false.chain.fail = lambda _call: None
    assert false.run(stored=True) == PROVEN
    assert false.chain.calls == ["commit", *["store"] * parts, "reveal"]
    assert b"".join(false.chain.stored.values()) == MODELS[1]
    assert f"part {parts} of {parts} of the model stored" in capsys.readouterr().out


def test_parts_that_somebody_stored_are_used(tmp_path: Path) -> None:
    false = world(tmp_path)
    false.chain.stored[false.chain.model_part(MODELS[1])] = MODELS[1]
    assert false.run(stored=True) == PROVEN
    assert false.chain.calls == ["commit", "reveal"]


def test_a_model_too_large_for_a_transaction_must_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(challenging, "CALLDATA_BYTES", 60)
    false = world(tmp_path)
    with pytest.raises(TesseraError, match=r"in parts first \(stored=\)"):
        false.run()
    assert false.run(stored=True) == PROVEN


def test_bytes_that_are_no_model_are_challenged_as_such(tmp_path: Path) -> None:
    false = world(tmp_path, edit=break_model)
    memory, order = false.chain.published.chain, false.chain.published.manifest.order
    committed = (sha256(MODELS[0]), sha256(BROKEN))
    memory.commitments[order] = replace(memory.commitments[order], models=committed)
    assert false.run() == PROVEN
    assert false.chain.calls == ["commit", "reveal model"]


@pytest.mark.parametrize(
    ("state", "time", "words"),
    [
        (OrderState.SETTLED, 1505, "the order is settled"),
        (OrderState.PUBLISHED, 1511, "(1 second ago): nothing can be sent any more"),
    ],
)
def test_after_the_window_a_false_row_stands_and_nothing_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: OrderState, time: int, words: str
) -> None:
    false = world(tmp_path)
    memory = false.chain.published.chain
    order = false.chain.published.manifest.order
    memory.orders[order] = replace(memory.orders[order], state=state)
    memory.time_seconds = time
    assert false.run() == STANDING
    seen = capsys.readouterr()
    assert "FALSE: row 5" in seen.out
    assert words in seen.err
    assert false.chain.calls == []


def test_a_file_of_another_challenge_is_not_taken_over(tmp_path: Path) -> None:
    false = world(tmp_path)
    false.chain.fail = lambda call: (_ for _ in ()).throw(ChainUnavailableError("gone"))
    with pytest.raises(ChainUnavailableError):
        false.run()
    document = json.loads(false.file.read_text())
    false.file.write_text(json.dumps(document | {"dataset": 8}))
    with pytest.raises(UsageError, match="holds another challenge"):
        false.run()
    false.file.write_text(json.dumps(document | {"challenger": str(BUYER.address)}))
    with pytest.raises(UsageError, match="holds another challenge"):
        false.run()
    false.file.write_text("{}")
    with pytest.raises(UsageError, match="is no challenge"):
        false.run()


def test_a_sealed_data_set_needs_the_delivery_key(tmp_path: Path) -> None:
    closed = world(tmp_path)
    closed.key = None
    with pytest.raises(UsageError, match="name the delivery key"):
        closed.run()


def test_a_shard_that_does_not_open_is_named_with_what_to_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    true = world(tmp_path, edit=lambda drafts: None)
    missing = true.chain.published.manifest.shards[0].content.model.cid
    store = true.chain.published.store
    get = store.get

    def some(cid: Any) -> bytes:
        if cid == missing:
            raise ContentMissingError(f"{cid} is nowhere")
        return get(cid)

    monkeypatch.setattr(store, "get", some)
    assert true.run() == STANDING
    seen = capsys.readouterr()
    assert f"tessera demand --dataset {DATASET} --shard 0 --model" in seen.err
    assert f"{ROWS[1]} rows recomputed" in seen.out


def without_files(false: World, shard: int, *kinds: str) -> None:
    """The files of a shard are nowhere to be had."""
    content = false.chain.published.manifest.shards[shard].content
    gone = {{"rows": content.rows, "model": content.model}[kind].cid for kind in kinds}
    published, store = false.chain.published, MemoryStore()
    for cid in published.contents():
        if cid not in gone:
            store.put(published.store.get(cid))
    store.put(published.manifest.encode())
    published.store = store


@pytest.mark.parametrize("kinds", [("model",), ("rows",), ("rows", "model")])
def test_what_was_shown_on_chain_stands_in_for_files_that_are_gone(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    false = world(tmp_path)
    rows = AuditedDataset(false.chain, false.chain.published.store, DATASET, KEY).open(1).row_bytes
    without_files(false, 1, *kinds)
    assert false.run() == STANDING, "nothing is shown yet"
    false.chain.model_shown = MODELS[1]
    if "rows" in kinds:
        leaves = shard_leaves(rows, WIDTH)
        false.chain.chunks_shown = (ShownChunk(0, rows, directed_proof(leaves, 0)),)
    assert false.run() == PROVEN
    assert false.chain.calls == ["commit", "reveal"]


@pytest.mark.parametrize(
    ("kinds", "asked"), [(("rows",), f"--row {ROWS[0]}"), (("model",), "--shard 1 --model")]
)
def test_what_is_missing_is_what_may_be_demanded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kinds: tuple[str, ...], asked: str
) -> None:
    false = world(tmp_path)
    without_files(false, 1, *kinds)
    assert false.run() == STANDING
    assert f"tessera demand --dataset {DATASET} {asked}" in capsys.readouterr().err


def test_rows_that_are_not_the_committed_ones_are_demanded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    false = world(tmp_path)
    record = false.chain.published.chain.datasets[DATASET]
    shards = (record.shards[0], replace(record.shards[1], shard_root=sha256(b"other")))
    false.chain.published.chain.datasets[DATASET] = replace(record, shards=shards)
    assert false.run() == STANDING
    assert f"tessera demand --dataset {DATASET} --row {ROWS[0]}" in capsys.readouterr().err


def test_a_revoked_data_set_is_judged_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    false = world(tmp_path)
    assert false.run() == PROVEN
    assert false.run() == PROVEN
    assert "nothing left to refute" in capsys.readouterr().out
    assert false.chain.calls == ["commit", "reveal"]
