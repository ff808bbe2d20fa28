"""One false row among 10,000 from stock, by one of three nodes, with a patched sampler: found off chain, proven on
chain. Who lied pays, two contributors are paid, the buyer keeps two thirds of the rows and has a third of the price
back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from provenance.chain.errors import RevertError
from provenance.chain.model_parts import store_model
from provenance.chain.ports import DatasetStatus, OrderState
from provenance.chain.writer import ChainWriter
from provenance.crypto.key_files import read_secret
from provenance.crypto.signing import Signer
from provenance.units import TOKENS
from provenance.values import Digest, sha256
from provenance.verify.dataset import verify_dataset
from provenance.verify.refutation import ChallengeEvidence, Claim, Fault, Finding, build_evidence
from tessera.client.accounts import BURN, Parties, holdings
from tessera.client.audited_dataset import AuditedDataset
from tessera.client.order_file import OrderFile
from tessera.devnet.children import Command
from tessera.devnet.network import NodeSpec
from tests.system.lying_node import FALSE_ROW
from tests.system.market import COLLECTION, LONG_SECONDS, TABLE_ROWS, Market, write_table
from tests.waiting import until

pytestmark = pytest.mark.system

ROWS = 10_000
FORGER = "alder"
FORGERS_TABLE = sum(TABLE_ROWS.values()) // 2
"""Rows of its table, a third of all: so it makes a third of what is ordered."""
CHANGE = re.compile(r"[+-]\d+")


@contextmanager
def one_more_contributor(market: Market) -> Iterator[Command]:
    """A node that leaves the market at the end. Gives its program."""
    network = market.network
    table = market.folder / f"{FORGER}.csv"
    write_table(table, FORGERS_TABLE, seed=2)
    network.start_nodes([NodeSpec(FORGER, table, FORGERS_TABLE, epsilon_cap="100")], COLLECTION)
    node = market.process(FORGER)
    network.await_contributors(COLLECTION, [FORGER])
    try:
        yield node.command
    finally:
        # Who has no free stake is asked for no order.
        account = network.account(FORGER)
        free = market.chain.stake_of(account.address).free
        ChainWriter(market.chain, account).request_withdrawal(free)
        node.kill()
        del network.nodes[FORGER]


@dataclass
class Published:
    """A data set with one false row, and who will show it."""

    market: Market
    order: OrderFile
    audited: AuditedDataset
    shard: int
    auditor: Signer
    honest: Command
    """The forger's node without the patch."""

    @property
    def writer(self) -> ChainWriter:
        return ChainWriter(self.market.chain, self.auditor)

    def challenge(self, claim: Claim, evidence: ChallengeEvidence, salt: Digest) -> None:
        audited = self.audited
        self.writer.challenge(audited.terms, audited.participants, claim, evidence, salt)

    def commit(self, claim: Claim, salt: Digest) -> None:
        """Announces a claim and waits for the block after."""
        block = self.writer.challenge_commit(claim.commitment(self.auditor.address, salt)).block
        until(lambda: self.market.chain.block_number() > block, "the next block")

    def evidence(self, row: int) -> tuple[Claim, ChallengeEvidence]:
        """Of any row of the forger's shard, true or not."""
        published = self.audited.open(self.shard)
        chunk, place = divmod(row, published.per_chunk)
        finding = Finding(Fault.ROW, self.shard, chunk, place, "")
        audited = self.audited
        evidence = build_evidence(
            published, finding, audited.model_digests, audited.shard_roots, audited.conditions
        )
        return Claim(audited.id, self.shard, chunk, place), evidence

    def command(self, *more: str) -> tuple[str, ...]:
        network = self.market.network
        where = (
            "--network",
            str(network.folder / "network.json"),
            "--wallet",
            str(network.key_file("auditor")),
        )
        key = ("--key", str(network.key_file("delivery")))
        return ("challenge", "--dataset", str(self.audited.id), *where, *key, *more)


@pytest.fixture(scope="module")
def published(market: Market) -> Iterator[Published]:
    """10,000 rows of three contributors, one of them false: from the stock of an honest order."""
    with one_more_contributor(market) as honest:
        trained = market.place(rows=300)
        market.await_state(trained, "published")
        market.await_in_stock(trained)
        node = market.process(FORGER)
        argv = ["tests.system.lying_node" if word == "tessera" else word for word in honest.argv]
        node.command = replace(honest, argv=argv)
        node.restart()
        order = market.place(rows=ROWS, challenge_seconds=LONG_SECONDS, training=trained.order_id)
        market.await_state(order, "published")
        dataset = market.chain.dataset_of_order(order.order_id)
        assert dataset is not None
        market.delivered(dataset)
        forger = market.network.account(FORGER).address
        audited = AuditedDataset(market.chain, market.buyer.content, dataset, market.buyer.delivery_key)
        shard = next(each.shard for each in audited.record.shards if each.contributor == forger)
        yield Published(market, order, audited, shard, market.network.account("auditor"), honest)


def test_true_rows_and_wrong_evidence_convict_nobody(published: Published) -> None:
    claim, evidence = published.evidence(FALSE_ROW + 1)
    salt = sha256(b"a true row")
    assert refusal(published, claim, evidence, salt) == "Challenges_NotCommitted"
    published.commit(claim, salt)
    assert refusal(published, claim, evidence, salt) == "Challenges_RowAgrees"
    # The same through the store: its parts are read back and judged alike, and storing again costs nothing.
    stored = list(store_model(published.market.chain, published.writer, evidence.model))
    parts = tuple(part.address for part in stored)
    assert all(part.gas > 0 for part in stored)
    assert (
        refusal(published, claim, replace(evidence, model=b"", model_parts=parts), salt)
        == "Challenges_RowAgrees"
    )
    again = store_model(published.market.chain, published.writer, evidence.model)
    assert [(part.address, part.gas) for part in again] == [(part, 0) for part in parts]
    wrong_model = evidence.model[:-1] + bytes([evidence.model[-1] ^ 1])
    assert refusal(published, claim, replace(evidence, model=wrong_model), salt) == "RowVerifier_WrongModel"
    wrong_chunk = evidence.chunk[:-1] + bytes([evidence.chunk[-1] ^ 1])
    assert (
        refusal(published, claim, replace(evidence, chunk=wrong_chunk), salt) == "Challenges_WrongChunkProof"
    )
    order = published.market.chain.order(published.order.order_id)
    assert order.state is OrderState.PUBLISHED, "the window closed before the test was through"


def refusal(published: Published, claim: Claim, evidence: ChallengeEvidence, salt: Digest) -> str | None:
    with pytest.raises(RevertError) as caught:
        published.challenge(claim, evidence, salt)
    return caught.value.name


def test_a_node_shows_the_rows_that_its_buyer_demands_and_nobody_gets_the_deposit(
    published: Published,
) -> None:
    """The answering node is another one than the forger; what it shows stands under the recorded root."""
    market, audited = published.market, published.audited
    honest = next(shard for shard in audited.record.shards if shard.shard != published.shard)
    before = [market.chain.balance(each) for each in (market.buyer.wallet.address, honest.contributor)]
    row = audited.first_row(honest.shard) + honest.rows - 1
    words = ("demand", "--dataset", str(audited.id), "--row", str(row), "--yes", *market.buyer_options())
    done = market.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answered: the chunk with row" in done.stdout
    after = [market.chain.balance(each) for each in (market.buyer.wallet.address, honest.contributor)]
    deposit = audited.terms.price * honest.rows // audited.terms.rows // 10
    assert [after[0] - before[0], after[1] - before[1]] == [-deposit, 0]
    (shown,) = market.chain.shown_chunks(published.order.order_id, honest.shard)
    opened = audited.open(honest.shard)
    assert (shown.data, shown.proof) == (opened.chunk(shown.index), opened.proof(shown.index))
    folder = market.network.node_folder(next(name for name in market.network.nodes if name != FORGER))
    left = [line for line in (folder / "receipts.jsonl").read_text().splitlines() if "chunk demanded" in line]
    assert len(left) == 1
    assert str(published.order.order_id) in left[0]


def test_the_false_row_is_found_proven_and_paid_to_the_wei(published: Published) -> None:
    market, order, audited = published.market, published.order, published.audited
    # True rows beside the false one: the same command finds nothing and spends nothing.
    first = audited.first_row(published.shard)
    clean = market.run(*published.command("--row", str(first + FALSE_ROW - 1)))
    assert (clean.returncode, "no false row" in clean.stdout) == (0, True), clean.stdout + clean.stderr

    to = market.folder / "false.csv"
    key = ("--key", str(market.network.key_file("delivery")))
    got = market.run("download", str(order.order_id), "--out", str(to), *market.buyer_options(), *key)
    assert got.returncode == 4, got.stdout + got.stderr
    assert f"row {FALSE_ROW} of shard {published.shard}" in got.stderr
    assert not to.exists()

    parties = Parties(audited.terms, market.network.account(FORGER).address, published.auditor.address)
    before = holdings(market.chain, parties)
    kept = market.folder / "salt.json"
    done = market.run(*published.command("--all", "--yes", "--salt-file", str(kept)))
    print(done.stdout)
    assert done.returncode == 3, done.stdout + done.stderr
    after = holdings(market.chain, parties)
    _assert_paid(published, before, after, done.stdout)
    assert f"FALSE: row {FALSE_ROW} of shard {published.shard}" in done.stdout
    assert "in clear into the public chain" in done.stdout
    assert not kept.exists()
    assert "Traceback" not in done.stderr

    assert market.chain.order(order.order_id).state is OrderState.PUBLISHED
    assert market.chain.shards(order.order_id).out == {published.shard}
    assert market.chain.dataset(audited.id).status == DatasetStatus.REDUCED


def _assert_paid(published: Published, before: dict[str, int], after: dict[str, int], told: str) -> None:
    """The rules of the escrow, in the figures of the chain and in those that the command printed."""
    terms, rows = published.audited.terms, published.audited.record.shard(published.shard).rows
    slashed = terms.stake_of(rows)
    reward, held = slashed // 2, slashed // 4
    changes = {name.split(" 0x")[0]: after[name] - before[name] for name in before}
    assert {name: change for name, change in changes.items() if change} == {
        "challenger": reward,
        "signer's stake": -slashed,
        "damages in escrow, for the buyer": held,
        "burned": slashed - reward - held,
    }
    assert sum(changes.values()) == 0
    assert f"burned {BURN}" in before
    assert "adds up to the wei" in told
    printed = [int(each) for each in CHANGE.findall(told)]
    assert [change for change in printed if change] == [change for change in changes.values() if change]


def test_a_convicted_shard_cannot_be_challenged_again_and_the_others_verify(
    published: Published,
) -> None:
    market = published.market
    claim, evidence = published.evidence(FALSE_ROW)
    salt = sha256(b"once more")
    published.commit(claim, salt)
    assert refusal(published, claim, evidence, salt) == "OrderEscrow_ShardOut"
    again = market.run(*published.command("--all", "--yes"))
    assert again.returncode == 0, again.stdout + again.stderr
    store = market.buyer.content
    certificate = verify_dataset(market.chain, store, published.audited.id, market.buyer.delivery_key)
    assert certificate.failed == ()
    assert any(f"shard {published.shard} of" in remark for remark in certificate.remarks)


def test_the_buyer_keeps_two_thirds_and_has_a_third_back_and_the_others_are_paid(
    published: Published,
) -> None:
    market, order, record = published.market, published.order, published.audited.record
    to = market.folder / "true.csv"
    key = ("--key", str(market.network.key_file("delivery")))
    got = market.run("download", str(order.order_id), "--out", str(to), *market.buyer_options(), *key)
    assert got.returncode == 0, got.stdout + got.stderr
    false = record.shard(published.shard)
    assert (len(record.shards), false.rows) == (3, ROWS // 3)
    assert len(to.read_text().splitlines()) == 1 + ROWS - ROWS // 3

    before = _money(published)
    damages = market.chain.shards(order.order_id).damages
    market.skip(LONG_SECONDS)
    market.await_state(order, "settled")
    after = _money(published)
    terms = order.terms
    fee = terms.price * terms.broker_fee_bps // 10_000
    parts = [(terms.price - fee) * share // 10_000 for share in record.shares_bps]
    parts[-1] += terms.price - fee - sum(parts)
    third = terms.price * false.rows // terms.rows
    back = parts[false.shard] + min(damages, max(0, third - parts[false.shard]))
    assert back >= third
    honest = {str(each.contributor): parts[each.shard] for each in record.shards if each.shard != false.shard}
    assert len(honest) == 2
    assert all(part > 0 for part in honest.values())
    assert {name: after[name] - before[name] for name in before} == {
        **honest,
        str(false.contributor): 0,
        "broker": fee + terms.bond,
        "buyer": back,
        "burned": damages + parts[false.shard] - back,
    }


def _money(published: Published) -> dict[str, int]:
    """Token wei: what contributors, by address, and the broker may claim, what the buyer holds, and what is burned."""
    chain, terms = published.market.chain, published.order.terms
    owed = {
        str(each.contributor): chain.claimable(each.contributor) for each in published.audited.record.shards
    }
    broker = chain.claimable(terms.broker)
    return {
        **owed,
        "broker": broker,
        "buyer": chain.balance(terms.buyer),
        "burned": chain.balance(BURN),
    }


def test_the_slashed_node_starts_again_with_the_stake_that_is_left(published: Published) -> None:
    market = published.market
    address = market.network.account(FORGER).address
    left = market.chain.stake_of(address)
    assert market.chain.balance(address) == 0, "it cannot make good what was slashed"
    node = market.process(FORGER)
    node.command = published.honest
    said = len(node.command.log.read_text())
    node.restart()

    def announced() -> bool:
        assert node.exit_status is None, node.death_notice()
        return "announced" in node.command.log.read_text()[said:]

    until(announced, "the node's announcement")
    assert f"Going on with a free stake of {TOKENS.shown(left.free)}" in node.command.log.read_text()[said:]


def test_no_log_holds_a_key_a_model_or_a_row(published: Published) -> None:
    network = published.market.network
    logs = b"".join(file.read_bytes() for file in (network.folder / "logs").iterdir())
    assert len(logs) > 1000
    secrets = {file.name: read_secret(file) for file in (network.folder / "keys").glob("*.key")}
    for shard in published.audited.record.shards:
        opened = published.audited.open(shard.shard)
        secrets[f"model of shard {shard.shard}"] = opened.model[120:152]
        secrets[f"rows of shard {shard.shard}"] = opened.row_bytes[:32]
    assert len(secrets) > 6
    for name, secret in secrets.items():
        assert secret not in logs, name
        assert secret.hex().encode() not in logs.lower(), name
