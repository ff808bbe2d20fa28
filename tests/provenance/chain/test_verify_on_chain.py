"""The auditor's program over a data set that really was published: contracts, content folder, no backend."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from backend.manifest_demands import answer_manifest_demand
from provenance.chain.disputes import DemandKind
from provenance.chain.ports import (
    Absence,
    CommittedModel,
    DatasetRecord,
    DatasetStatus,
    EvaluationRecord,
    ExcusedEvaluation,
    ShardRecord,
)
from provenance.chain.writer import ChainWriter
from provenance.crypto.permit import sign_permit
from provenance.crypto.seal import new_delivery_key
from provenance.record.manifest import Manifest, ManifestShard, SeedDraw
from provenance.record.receipts import Acceptance
from provenance.record.terms import OrderTerms, Participant
from provenance.store.folder import FolderStore
from provenance.store.unixfs import cid_of
from provenance.values import sha256
from tessera.cli.app import app
from tessera.terminal import exit_status
from tests.provenance.chain.conftest import Market
from tests.provenance.salts import committed, salts_of
from tests.provenance.verify.publication import (
    BROKER,
    BUYER,
    KEY,
    MODELS,
    NODES,
    NONE,
    ROWS,
    Builder,
    Publication,
)

ETHER = 10**18

Published: TypeAlias = tuple[int, Path, Publication]
"""Id of a data set, its content folder, and what was published."""


def verify(words: list[str]) -> int:
    """Exit status of `tessera verify`."""
    try:
        return exit_status(lambda: app(["verify", *words]))
    except SystemExit as leaving:
        return int(leaving.code or 0)


@pytest.fixture(scope="module")
def published(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """One private data set on the chain."""
    return publish(market, tmp_path_factory.mktemp("content"))


def publish(
    market: Market,
    folder: Path,
    *,
    dropped: frozenset[int] = frozenset(),
    absent: dict[int, ExcusedEvaluation] | None = None,
    **changes: Any,
) -> Published:
    """A data set on the chain, delivered by everybody but those that are dropped and fall silent. changes: of terms."""
    now = market.chain.chain_time()
    builder = Builder(
        deployment=market.chain.deployment,
        terms_changes={"match_by": now + 600, "deliver_by": now + 1200, "price": 9 * ETHER, **changes},
        dropped=dropped,
        absent=absent or {},
    )
    terms, domain = builder.terms(), market.chain.domain
    order = terms.order_id(domain)
    buyer, broker, *nodes = (market.fund(signer) for signer in (BUYER, BROKER, *NODES))
    message = market.chain.permit_message(buyer.address, terms.price, terms.match_by)
    permit = sign_permit(BUYER, market.chain.token_domain(), message)
    broker.place(terms, BUYER.sign_typed(domain, terms), permit)

    for node in nodes:
        if not market.chain.stake_of(node.address).registered:
            node.register(sha256(b"metadata"))
        node.approve(market.chain.deployment.registry, ETHER)
        node.deposit(ETHER)
    broker.approve(market.chain.deployment.escrow, ETHER)
    participants = [Participant(node.address, rows) for node, rows in zip(nodes, ROWS, strict=True)]
    acceptances = [node.sign_typed(domain, Acceptance(order, node.address, 20)) for node in NODES]
    broker.match_order(terms, participants, acceptances, [20, 20])
    for shard in dropped:
        broker.demand_step(terms, participants, shard, DemandKind.COMMITMENT)
        stay_silent(market, broker, (terms, participants, shard))

    bound = [
        CommittedModel(NONE, NONE, b"")
        if k in dropped
        else committed(node, domain, order, k, sha256(MODELS[k]))
        for k, node in enumerate(NODES)
    ]
    broker.commit(order, participants, bound)
    market.mine(3)
    salt_digests, salts = salts_of(order, len(NODES))
    broker.draw_seed(
        order,
        [each.salt_digest for each in bound] if dropped else salt_digests,
        [NONE if k in dropped else salt for k, salt in enumerate(salts)],
    )
    drawn = market.chain.commitment(order)
    block_hash = market.chain.block_hash(drawn.target_block)
    assert drawn.seed is not None
    assert block_hash is not None
    builder.draw = SeedDraw(drawn.seed, drawn.target_block, drawn.draws, block_hash, drawn.revealed)
    for shard in builder.absent:
        broker.demand_step(terms, participants, shard, DemandKind.EVALUATION)
        stay_silent(market, broker, (terms, participants, shard))

    publication = builder.build()
    broker.publish(terms, participants, record_of(publication.manifest, len(NODES)))
    store = FolderStore(folder)
    store.put(publication.manifest.encode())
    for cid in publication.contents():
        store.put(publication.store.get(cid))
    market.chain.deployment.save(folder / "deployment.json")
    dataset_id = market.chain.dataset_of_order(order)
    assert dataset_id is not None
    return dataset_id, folder, publication


def stay_silent(
    market: Market, anybody: ChainWriter, place: tuple[OrderTerms, list[Participant], int]
) -> None:
    """Lets both times of a demand pass."""
    terms, participants, shard = place
    for _ in range(2):
        market.skip(terms.answer_seconds + 1)
        anybody.expire(terms, participants, shard)


def record_of(manifest: Manifest, members: int) -> DatasetRecord:
    """As it is published: nothing of a shard that is out, and of an evaluation that is excused."""
    shards = {shard.shard: shard for shard in manifest.shards}
    nothing = ShardRecord(NONE, NONE, 0, 0, NONE, b"")
    signed = {
        each.contributor: EvaluationRecord(each.score_micro, each.signature) for each in manifest.evaluation
    }
    order = [each.contributor for each in manifest.participants]
    return DatasetRecord(
        manifest_digest=manifest.digest,
        score_digest=manifest.score.file.plain_sha256,
        parents=(),
        shares_bps=manifest.shares_bps,
        shards=tuple(_shard_record(shards[k]) if k in shards else nothing for k in range(members)),
        evaluations=tuple(signed.get(account, EvaluationRecord(0, b"")) for account in order),
    )


def _shard_record(shard: ManifestShard) -> ShardRecord:
    return ShardRecord(
        shard.model_digest,
        shard.shard_root,
        shard.epsilon_micro,
        shard.delta_e12,
        shard.content.digest,
        shard.receipt_signature,
    )


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "delivery.key"
    path.write_text("0x" + "31" * 32)
    path.chmod(0o600)
    return str(path)


def arguments(market: Market, published: Published, *more: str) -> list[str]:
    dataset_id, folder, _ = published
    return ["--dataset", str(dataset_id), "--rpc", market.rpc_url, "--store", str(folder), *more]


def test_node_that_is_down_decides_nothing(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    dataset_id, folder, _ = published
    command = ["--dataset", str(dataset_id), "--rpc", "http://127.0.0.1:9", "--store", str(folder)]
    assert verify(command) == 2
    assert "no usable answer" in capsys.readouterr().err


def test_unknown_data_set_decides_nothing(
    market: Market, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = published
    assert verify(["--dataset", "4711", "--rpc", market.rpc_url, "--store", str(folder)]) == 2
    assert "no data set 4711" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x", "-1", "eip155:1/erc721:0x12/3", "1.5"])
def test_malformed_name_decides_nothing(
    market: Market, published: Published, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = published
    assert verify([f"--dataset={name}", "--rpc", market.rpc_url, "--store", str(folder)]) == 2
    assert "expected a number or eip155" in capsys.readouterr().err


def test_missing_folder_decides_nothing(market: Market, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(["--dataset", "1", "--rpc", market.rpc_url, "--store", "/nonexistent"]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_bare_number_without_a_deployment_says_what_is_needed(
    market: Market, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(["--dataset", "1", "--rpc", market.rpc_url, "--store", str(tmp_path)]) == 2
    assert "needs a deployment file (--deployment, or " in capsys.readouterr().err


def test_name_of_another_market_decides_nothing(
    market: Market, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder, _ = published
    name = f"eip155:31337/erc721:{market.chain.deployment.token}/1"
    assert verify(["--dataset", name, "--rpc", market.rpc_url, "--store", str(folder)]) == 2
    assert "DatasetRegistry.escrow" in capsys.readouterr().err


def test_flipped_byte_in_the_folder_fails_and_the_check_is_named(
    market: Market, published: Published, tmp_path: Path, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset_id, folder, publication = published
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    cid = str(publication.manifest.shards[1].content.model.cid)
    (file,) = copy.rglob(cid)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(bytes(data))
    command = ["--dataset", str(dataset_id), "--rpc", market.rpc_url, "--store", str(copy), "--key", key_file]
    assert verify([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == ["files present", "files open"]


def test_a_wrong_key_is_no_failure_of_the_data_set_but_ends_with_status_2(
    market: Market, published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_delivery_key(tmp_path / "other.key")
    assert verify(arguments(market, published, "--key", str(tmp_path / "other.key"))) == 2
    out = capsys.readouterr().out
    assert "wrong key: " in out
    assert "FAILED" not in out


def test_true_data_set_passes_with_and_without_the_key(
    market: Market, published: Published, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert KEY.public == published[2].manifest.terms.delivery_key
    assert verify(arguments(market, published, "--key", key_file, "--threads", "2")) == 0
    out = capsys.readouterr().out
    assert "23 of 23 rows recomputed and equal" in out
    assert "trained on real data" in out
    assert verify(arguments(market, published, "--public", "--json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["notChecked"] == [
        "files open",
        "models",
        "rows",
        "shard roots",
        "score file",
        "conditions",
    ]


def test_full_name_needs_no_deployment_file(
    market: Market, published: Published, tmp_path: Path, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset_id, folder, _ = published
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "deployment.json").unlink()
    name = market.chain.deployment.dataset_name(dataset_id)
    command = ["--dataset", name, "--rpc", market.rpc_url, "--store", str(copy), "--key", key_file]
    assert verify(command) == 0
    assert "passed" in capsys.readouterr().out


def test_a_data_set_that_lost_a_shard_verifies_for_the_rest(
    market: Market, tmp_path: Path, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Demanded, silent twice: the shard is revoked on the real chain, the other stands."""
    found = publish(market, tmp_path, challenge_seconds=600, salt=sha256(b"reduced"))
    dataset, _, publication = found
    terms, members = publication.manifest.terms, list(publication.manifest.participant_list())
    buyer = market.fund(BUYER)
    buyer.approve(market.chain.deployment.demands, ETHER)
    models = market.chain.commitment(publication.manifest.order).models
    buyer.demand_model(terms, members, dataset, 0, models)
    market.skip(terms.answer_seconds + 1)
    buyer.expire(terms, members, 0)
    assert market.chain.is_warned(publication.manifest.order, 0)
    assert market.chain.dataset(dataset).status == DatasetStatus.VALID, "the first time only warns"
    market.skip(terms.answer_seconds + 1)
    buyer.expire(terms, members, 0)
    record = market.chain.dataset(dataset)
    assert (record.status, record.revoked) == (DatasetStatus.REDUCED, frozenset({0}))
    assert verify(arguments(market, found, "--key", key_file)) == 0
    out = capsys.readouterr().out
    assert "14 of 14 rows recomputed and equal" in out
    assert f"shard 0 of {NODES[0].address} was shown to be false, or withheld: its 9 rows" in out


def test_a_data_set_without_a_dropped_contributor_verifies(
    market: Market, tmp_path: Path, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = publish(market, tmp_path, dropped=frozenset({0}), min_contributors=1, salt=sha256(b"dropped"))
    assert verify(arguments(market, found, "--key", key_file)) == 0
    out = capsys.readouterr().out
    assert "14 of 14 rows recomputed and equal" in out
    assert f"shard 0 of {NODES[0].address} was dropped before the publication: its 9 rows" in out


def test_a_data_set_that_somebody_did_not_evaluate_verifies(
    market: Market, tmp_path: Path, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = {0: ExcusedEvaluation(Absence.SILENT)}
    found = publish(market, tmp_path, absent=silent, salt=sha256(b"silent"))
    assert verify(arguments(market, found, "--key", key_file)) == 0
    assert "signed by 1 of 2 contributors, 1 silent" in capsys.readouterr().out


def test_a_demanded_manifest_is_read_from_the_chain_when_no_store_has_it(
    market: Market, tmp_path: Path, key_file: str
) -> None:
    found = publish(market, tmp_path, challenge_seconds=600, salt=sha256(b"manifest"))
    dataset, folder, publication = found
    order, manifest = publication.manifest.order, publication.manifest.encode()
    (file,) = folder.rglob(str(cid_of(manifest)))
    file.unlink()
    assert verify(arguments(market, found, "--key", key_file)) == 1
    buyer, broker = market.fund(BUYER), market.fund(BROKER)
    buyer.approve(market.chain.deployment.demands, ETHER)
    members = list(publication.manifest.participant_list())
    assert answer_manifest_demand(market.chain, broker, order, manifest) is None
    buyer.demand_manifest(publication.manifest.terms, members, dataset)
    bond = market.chain.order(order).bond_left
    assert answer_manifest_demand(market.chain, broker, order, manifest) is not None
    assert market.chain.shown_manifest(order) == manifest
    assert market.chain.order(order).bond_left == bond
    assert verify(arguments(market, found, "--key", key_file)) == 0
