"""`tessera demo` (`make demo`): the whole life of an order on real parts, on one machine, and what an
auditor makes of it.

Nothing in it is prepared: each run splits the table anew among fresh keys on a fresh chain in a folder under
./run, and ends with an error when anything that it shows does not hold. It measures, it does not tune:
figures differ between runs because privacy noise and seeds do.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from provenance.api.orders import OrderState, StateEvent
from provenance.chain.deployment import Deployment
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import load_key
from provenance.record.collection import Collection
from provenance.table.codec import decode_values
from provenance.units import E12, MICRO, TOKEN, duration, format_fixed, to_float
from provenance.values import Digest
from tessera.client.client import Client
from tessera.client.delivery import Delivery, KeyPatience, fetch
from tessera.client.order_file import OrderFile, order_path
from tessera.client.order_request import Quote
from tessera.client.party import PATIENCE_SECONDS
from tessera.devnet.adult import PARTS, adult_collection
from tessera.devnet.children import Supervisor, stop_on_signals
from tessera.devnet.demo_checks import (
    Auditor,
    Holders,
    QualityView,
    Snapshot,
    forge,
    judge_rows,
    money_table,
    require_same_total,
)
from tessera.devnet.network import LocalNetwork, NetworkSettings, Site
from tessera.devnet.up import start_market
from tessera.errors import TesseraError
from tessera.order_display import OrderDisplay, show_terms
from tessera.terminal import out, remark, say

CHALLENGE_SECONDS = 15
MATCH_SECONDS = 600
DELIVER_SECONDS = 3600
SHOWN_ROWS = 6
RULE_COLUMNS = 100
SHOWN_COLUMNS = 8


def run_demo(
    *, rows: int, epsilon: float, keep: bool, token_decimals: int = TOKEN, site: Site | None = None
) -> int:
    """Run it; 0 when everything held. The run folder is removed then, unless `keep`; after a
    failure it stays, and so it does with keys that hold something on the chain of a `site`."""
    runs = Path("run")
    runs.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=runs))
    started = time.monotonic()
    say(f"everything of this run is in {folder}")
    with stop_on_signals(), Supervisor() as supervisor:
        try:
            settings = NetworkSettings(token_decimals=token_decimals, site=site)
            Demo(folder, supervisor, rows, Decimal(str(epsilon)), settings).play()
        except Exception:
            remark(f"the run did not hold; its files and logs stay in {folder}")
            raise
    if not keep and site is None:
        shutil.rmtree(folder)
    say(f"\nEverything held. {time.monotonic() - started:.0f} s, nothing is left running.")
    return 0


@dataclass(slots=True)
class Demo:
    """One run; `play` tells it in order."""

    folder: Path
    supervisor: Supervisor
    rows: int
    epsilon: Decimal
    settings: NetworkSettings
    console: Console = out
    _started: float = field(default_factory=time.monotonic)

    @property
    def challenge_seconds(self) -> int:
        """As short as the contracts allow: for them to stay open that long is what `tessera deploy` was told."""
        deployment = None if self.settings.site is None else Deployment.load(self.settings.site.deployment)
        parameters = deployment and deployment.parameters
        return max(CHALLENGE_SECONDS, parameters.min_challenge_seconds if parameters else 0)

    def play(self) -> None:
        network = self._market()
        holders = self._holders(network)
        before = holders.snapshot()
        profile, keys = network.folder / "network.json", network.key_file
        with Client(profile, wallet=keys("buyer"), key=keys("delivery")) as client:
            self._chapter("The order")
            quote = self._quote(client, adult_collection(network.unit))
            show_terms(quote)
            order = client.order(quote, order_path(self.folder / "rows.csv"))
            say("terms and permit are signed; the broker relays them, the buyer pays no gas\n")
            display = OrderDisplay(self.console, self._names(network))
            with display.shown():
                client.watch(order, display.take)
            delivered = self._deliver(client, order, display)
            self._quality(network, delivered)
            self._money(network, holders, before, client, order)
            self._papers(network, client, order, delivered)
            self._from_stock(network, client, order)
        self._audit(network, delivered)

    def _market(self) -> LocalNetwork:
        self._chapter("A market on this machine")
        backend = {
            "TESSERA_CHALLENGE_SECONDS": str(self.challenge_seconds),
            "TESSERA_LEAST_CHALLENGE_SECONDS": str(self.challenge_seconds),
            "TESSERA_ACCEPT_SECONDS": "8",
            "TESSERA_DELIVER_SECONDS": str(DELIVER_SECONDS),
        }
        network = LocalNetwork(self.folder, self.supervisor, replace(self.settings, backend=backend))
        start_market(network, say)
        where = f"chain {network.rpc_url} ({network.deployment.chain_id})"
        say(f"{where}, REST interface {network.api_url}, one coordinator")
        for name, rows in PARTS.items():
            say(
                f"contributor {name}: own process, own key {network.account(name).address}, {rows:,} private rows"
            )
        if self.settings.site is None:
            say("A local chain's operator makes its blocks and could choose among seeds.")
        return network

    def _quote(self, client: Client, collection: Collection, training: Digest | None = None) -> Quote:
        return client.quote(
            collection.name,
            self.rows,
            epsilon=self.epsilon,
            training=None if training is None else str(training),
            min_contributors=len(PARTS),
            purpose="demonstration",
            match_within_seconds=MATCH_SECONDS,
            deliver_within_seconds=DELIVER_SECONDS,
            challenge_seconds=self.challenge_seconds,
        )

    def _names(self, network: LocalNetwork) -> dict[str, str]:
        return {str(network.account(name).address).lower(): name for name in PARTS}

    def _holders(self, network: LocalNetwork) -> Holders:
        people = {name: network.account(name).address for name in ("buyer", "broker", *PARTS)}
        return Holders(network.reader(), people)

    def _deliver(self, client: Client, order: OrderFile, display: OrderDisplay) -> Delivery:
        self._chapter("The rows")
        rounds = {number for _, number in display.rounds_seen if number}
        if order.collection.family == "fedgan" and not rounds:
            raise TesseraError(
                "no round of averaged discriminators was seen in the order's events, expected several"
            )
        dataset_id = client.chain.dataset_of_order(order.order_id)
        if dataset_id is None:
            raise TesseraError(
                f"order {order.order_id} says it is published, but the chain has no data set of it"
            )
        patience = KeyPatience(PATIENCE_SECONDS)
        found = fetch(client.chain, client.content, dataset_id, client.delivery_key, patience)
        certificate = found.verify(client.chain)
        if not certificate.passed:
            raise TesseraError(
                f"the delivered rows do not verify: {', '.join(c.name for c in certificate.failed)}"
            )
        path = self.folder / "rows.csv"
        written = found.write(path)
        if written != self.rows:
            raise TesseraError(f"{written} rows came, {self.rows} were ordered")
        say(
            f"opened with the buyer's key, every one of {written:,} rows recomputed from model and seed: {path}"
        )
        self.console.print(self._sample(found))
        return found

    def _sample(self, found: Delivery) -> Table:
        schema = found.manifest.collection.schema
        picks = [next(found.shard_values(entry.shard))[: SHOWN_ROWS // 3] for entry in found.shards]
        cells = decode_values(schema, np.concatenate(picks))
        names = [*schema.cell_names[: SHOWN_COLUMNS - 1], schema.cell_names[-1]]
        table = Table(title="Synthetic rows, two of each contributor", title_justify="left")
        for name in names:
            table.add_column(name)
        for i in range(len(cells[names[0]])):
            table.add_row(*(cells[name][i] for name in names))
        return table

    def _quality(self, network: LocalNetwork, found: Delivery) -> None:
        values = np.concatenate(list(found.values()))
        report = judge_rows(values, found.manifest.collection.schema)
        self.console.print(QualityView(found.manifest, report, self._names(network)).table())
        table = Table(title="Privacy spent, per contributor's row", title_justify="left")
        for heading in ("contributor", "epsilon", "ceiling", "delta", "synthetic rows"):
            table.add_column(heading, justify="right" if heading != "contributor" else "left")
        names, ceiling = self._names(network), found.manifest.terms.epsilon_micro
        for shard in found.shards:
            if shard.epsilon_micro > ceiling:
                raise TesseraError(
                    f"shard {shard.shard} spent {shard.epsilon_micro} millionths, ceiling {ceiling}"
                )
            table.add_row(
                names[str(shard.contributor).lower()],
                f"{to_float(shard.epsilon_micro, MICRO):.3f}",
                format_fixed(ceiling, MICRO),
                format_fixed(shard.delta_e12, E12),
                f"{shard.rows:,}",
            )
        self.console.print(table)

    def _money(
        self,
        network: LocalNetwork,
        holders: Holders,
        before: Snapshot,
        client: Client,
        order: OrderFile,
    ) -> None:
        self._chapter("The money")
        say(f"the challenge window of {duration(order.terms.challenge_seconds)} runs out, then escrow pays")
        self._await_settled(client, order)
        settled = holders.snapshot()
        reader = network.reader()
        for name in ("broker", *PARTS):
            if settled.claimable[name]:
                ChainWriter(reader, load_key(network.key_file(name))).claim()
        claimed = holders.snapshot()
        self.console.print(money_table(before, settled, claimed, client.unit))
        require_same_total(before, settled, claimed)
        shown = client.unit.shown
        paid = before.balances["buyer"] - claimed.balances["buyer"]
        if paid != order.terms.price:
            raise TesseraError(f"the buyer paid {shown(paid)}, the price was {shown(order.terms.price)}")
        earned = sum(claimed.balances[name] - before.balances[name] for name in ("broker", *PARTS))
        if earned != paid:
            raise TesseraError(f"{shown(paid)} were paid, {shown(earned)} arrived")
        say(
            f"the buyer paid {shown(paid)}, broker and contributors received {shown(earned)}: it adds up to the last "
            "wei"
        )

    def _await_settled(self, client: Client, order: OrderFile) -> None:
        for event in client.events(order):
            if isinstance(event.data, StateEvent) and event.data.state is OrderState.SETTLED:
                return
        state = client.status(order).state
        if state is not OrderState.SETTLED:
            raise TesseraError(f"the order ended {state}, expected settled")

    def _papers(self, network: LocalNetwork, client: Client, order: OrderFile, found: Delivery) -> None:
        self._chapter("Where it is written")
        view = client.status(order)
        chain = Table(title="Transactions", title_justify="left")
        for heading in ("step", "hash", "block", "gas"):
            chain.add_column(heading, overflow="fold")
        for entry in view.transactions:
            gas = "" if entry.gas_used is None else f"{entry.gas_used:,}"
            chain.add_row(entry.step, str(entry.hash), str(entry.block), gas)
        self.console.print(chain)
        contents = Table(title="Content (CIDs, profile unixfs-v1-2025)", title_justify="left")
        for heading in ("what", "CID", "bytes"):
            contents.add_column(heading, overflow="fold")
        names = self._names(network)
        contents.add_row("manifest", str(view.manifest_cid), f"{len(found.manifest.encode()):,}")
        for shard in found.shards:
            name = names[str(shard.contributor).lower()]
            for kind, file in (("rows", shard.content.rows), ("model", shard.content.model)):
                contents.add_row(f"{kind} of {name}, sealed", str(file.cid), f"{file.size:,}")
        score = found.manifest.score.file
        contents.add_row("score file, sealed", str(score.cid), f"{score.size:,}")
        self.console.print(contents)
        say(f"data set {network.deployment.dataset_name(found.dataset_id)}")

    def _from_stock(self, network: LocalNetwork, client: Client, trained: OrderFile) -> None:
        """As many rows again, of the models that are there: other ones, in seconds, and free of privacy."""
        self._chapter("A second order, from stock")
        spent, began = self._ledgers(network), client.chain.chain_time()
        quote = self._quote(client, trained.collection, trained.order_id)
        order = client.order(quote, order_path(self.folder / "more-rows.csv"))
        client.watch(order)
        dataset_id = client.chain.dataset_of_order(order.order_id)
        if dataset_id is None:
            raise TesseraError(
                f"order {order.order_id} says it is published, but the chain has no data set of it"
            )
        seconds = client.chain.dataset(dataset_id).published_at - began
        found = fetch(
            client.chain, client.content, dataset_id, client.delivery_key, KeyPatience(PATIENCE_SECONDS)
        )
        certificate = found.verify(client.chain)
        if not certificate.passed or certificate.unchecked:
            names = ", ".join(each.name for each in (*certificate.failed, *certificate.unchecked))
            raise TesseraError(f"the rows from stock do not verify whole: {names}")
        if self._ledgers(network) != spent:
            raise TesseraError("a privacy ledger changed for an order from stock, expected the same bytes")
        say(
            f"{quote.supply}\n{self.rows:,} other rows, recorded {seconds} chain seconds after they were asked for and "
            f"all recomputed; no privacy ledger changed. {certificate.checks[-1].detail}"
        )

    def _ledgers(self, network: LocalNetwork) -> dict[str, list[bytes]]:
        return {
            name: [file.read_bytes() for file in sorted(network.node_folder(name).rglob("ledger.jsonl"))]
            for name in PARTS
        }

    def _audit(self, network: LocalNetwork, found: Delivery) -> None:
        self._chapter("The audit: chain and files only")
        self._stop_all_but_the_chain(network)
        say("backend, coordinator and nodes are stopped; `tessera verify` in a process of its own:\n")
        auditor = Auditor(
            network.deployment.dataset_name(found.dataset_id), network.rpc_url, network.key_file("delivery")
        )
        audit = auditor.run(network.store_folder)
        self.console.print(audit.text, markup=False, soft_wrap=True)
        if audit.status:
            raise TesseraError(f"the verifier ended with {audit.status} over the true files, expected 0")
        self._chapter("A forgery")
        shard = found.shards[-1]
        file, offset = shard.content.rows, shard.content.rows.size // 2
        old, new = forge(network.store_folder, self.folder / "forged-store", file.cid, offset)
        say(
            f"in a copy of the store byte {offset:,} of {file.cid} is {new:#04x} instead of {old:#04x}. The "
            "verifier says:"
        )
        failed = auditor.failed_checks(self.folder / "forged-store")
        if not failed:
            raise TesseraError("the verifier ended with 1 over the forged copy but named no failed check")
        for line in failed:
            self.console.print(f"  failed: {line}", markup=False, style="red", soft_wrap=True)

    def _stop_all_but_the_chain(self, network: LocalNetwork) -> None:
        for child in (*network.nodes.values(), network.coordinator, network.backend):
            if child is not None:
                child.stop()

    def _chapter(self, title: str) -> None:
        self.console.print()
        rule = Rule(f"{title}  ({time.monotonic() - self._started:.0f} s)", align="left")
        self.console.print(rule, width=min(self.console.width, RULE_COLUMNS))
