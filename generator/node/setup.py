"""Making a node's folder, and opening it again.

    node.toml policy.toml node.key deployment.json collection.json   what the operator set up
    table/      the table as grid indices, training state (generator.federation.state)
    orders/ approvals/ receipts.jsonl                                written while running

Table, results, models and keys of orders are sealed under a key that follows from the node's (`crypto.at_rest`).

The market's word about contracts is only a hint: chain id and code are asked of the chain, and the operator
may name a deployment file of his own instead.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from generator.errors import NetworkMismatch, SettingsError
from generator.federation.state import ContributorState
from generator.node import policy, settings
from generator.node.approvals import Approvals
from generator.node.context import APPROVALS, ORDERS, Node
from generator.node.orders import Orders
from generator.node.outbox_log import OutboxLog
from generator.node.settings import NodeSettings, secure_folder
from generator.privacy.delta import delta_for, public_rows
from generator.privacy.ledger import PrivacyCap
from generator.privacy.owner import OwnedTable, Owner
from generator.privacy.schema_release import charge_schema
from provenance import canonical
from provenance.api.catalogue import NetworkView
from provenance.api.client import RetryPolicy
from provenance.api.market import MarketClient
from provenance.chain.deployment import Deployment
from provenance.chain.fees import GWEI
from provenance.chain.finality import Finality
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.at_rest import RestKey
from provenance.crypto.key_files import password_source
from provenance.crypto.signing import Signer, create_key, load_key
from provenance.files import write_whole
from provenance.record.collection import Collection
from provenance.table.persons import read_rows
from provenance.table.schema import Schema
from provenance.table.table_csv import read_chunks
from provenance.table.unit import Unit
from provenance.units import TokenUnit

START_SECONDS = 20.0
STATE = "table"
OUTBOX = "transactions"
_MOST_DECLARED = 2
DEPLOYMENT = "deployment.json"
COLLECTION = "collection.json"


@dataclass(frozen=True, slots=True)
class Setup:
    """What `init` is told. key None: a new key in the folder. schema, deployment None: the market's.

    declared_rows: rounded down to two digits. epsilon_cap None: no cap, unprotected releases too - to be said
    explicitly. delta_cap None: the default for so many rows. owner None: the folder that the environment names.
    stake is in tokens; None: what the market asks for.
    """

    folder: Path
    backend: str
    rpc: str
    table: Path
    collection: str
    declared_rows: int
    epsilon_cap: float | None
    delta_cap: float | None = None
    owner: Path | None = None
    key: Path | None = None
    schema: Path | None = None
    deployment: Path | None = None
    stake: str | None = None
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Made:
    """What `initialise` made. rows: of the table. used: so many of them, where the collection's schema has a
    unit. table: its ledger, which may have been there before."""

    settings: NodeSettings
    signer: Signer
    rows: int
    used: int
    unit: Unit | None
    table: OwnedTable


def initialise(setup: Setup) -> Made:
    """Makes the node's folder. node.toml comes last: with it all is there."""
    folder = setup.folder
    if (folder / settings.FILE).exists():
        raise SettingsError(
            f"{folder} holds a node already: choose another --folder, or remove it with its keys"
        )
    declared = public_rows(setup.declared_rows)
    cap = PrivacyCap(setup.epsilon_cap, delta_for(setup.delta_cap, declared))
    secure_folder(folder)
    key_path = setup.key.absolute() if setup.key else folder / "node.key"
    passwords = password_source(os.environ)
    signer = load_key(key_path, passwords) if key_path.exists() else create_key(key_path)
    retry = RetryPolicy(give_up_seconds=START_SECONDS)
    with MarketClient(setup.backend, signer=signer, retry=retry) as client:
        network = client.network()
        collection = _collection(client, setup)
    deployment = Deployment.load(setup.deployment) if setup.deployment else deployment_of(network)
    with ChainReader(setup.rpc, deployment) as chain:
        chain.check()
    require_same_market(network, deployment)
    owner = Owner.of_environment() if setup.owner is None else Owner(setup.owner)
    key, schema = owner.person_key(), collection.schema
    rows = read_rows(setup.table, read_chunks(setup.table), schema, key)
    table = owner.table(rows.values, schema, setup.table.name)
    used = rows.used(schema, key)
    if schema.unit is not None and declared > _MOST_DECLARED * len(used.values):
        raise SettingsError(
            f"found {declared:,} rows to declare, expected about {public_rows(len(used.values)):,}: the collection "
            f"uses at most {schema.unit.rows:,} rows of a person"
        )
    if not (folder / STATE / "schema.json").exists():
        at_rest = RestKey.of(signer)
        ContributorState.create(folder / STATE, schema, used, cap, at_rest, owned=table)
    charge_schema(table.ledger(), schema)
    deployment.save(folder / DEPLOYMENT)
    write_whole(folder / COLLECTION, canonical.encode(collection.document()))
    if not (folder / policy.FILE).exists():
        write_whole(folder / policy.FILE, policy.default_text(deployment.unit).encode())
    made = NodeSettings.of(
        {
            "backend": setup.backend,
            "rpc": setup.rpc,
            "collection": str(collection.digest),
            "declared_rows": declared,
            "stake_wei": network.stake_wei if setup.stake is None else deployment.unit.parse(setup.stake),
            "key": str(setup.key.absolute()) if setup.key else "node.key",
            "threads": setup.threads,
        },
        "command line",
    )
    made.write(folder)
    return Made(made, signer, len(rows.values), len(used.values), schema.unit, table)


def deployment_of(network: NetworkView) -> Deployment:
    """The contracts that the market names."""
    token = network.token
    unit = TokenUnit() if token is None else TokenUnit(token.decimals, token.symbol)
    return Deployment(chain_id=network.chain_id, **dict(network.deployment), unit=unit)


def require_same_market(network: NetworkView, deployment: Deployment) -> None:
    """NetworkMismatch unless market and deployment file name the same contracts on the same chain."""
    told = deployment_of(network)
    found, expected = ((each.chain_id, each.contracts(), each.unit.decimals) for each in (told, deployment))
    if found[2] != expected[2]:
        raise NetworkMismatch(
            f"the market counts its token with {found[2]} decimals, the deployment file with {expected[2]}: amounts "
            "would be wrong by powers of ten. Ask the token, and mend the one that is wrong"
        )
    if found != expected:
        raise NetworkMismatch(
            f"the market works with escrow {told.escrow} on chain {told.chain_id}, the deployment file names "
            f"{deployment.escrow} on chain {deployment.chain_id}: they are two markets"
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A node's folder in use: ports connected lazily, nothing sent yet."""

    settings: NodeSettings
    signer: Signer
    collection: Collection
    chain: ChainReader
    state: ContributorState
    outbox: OutboxLog
    folder: Path

    @property
    def orders(self) -> Orders:
        """What the node keeps of its orders."""
        return Orders(self.folder / ORDERS, RestKey.of(self.signer))

    @property
    def approvals(self) -> Approvals:
        """Orders that wait for the operator."""
        return Approvals(self.folder / APPROVALS)

    def writer(self) -> ChainWriter:
        """Transactions of the node's account; what is on its way lies in the folder."""
        ceiling = self.settings.max_fee_gwei * 10**GWEI
        return ChainWriter(self.chain, self.signer, outbox=self.folder / OUTBOX, max_fee_wei=ceiling)

    def client(
        self, stop: threading.Event, note: Callable[[str], None], give_up_seconds: float = float("inf")
    ) -> MarketClient:
        """A client of the node's market whose every message is put down in the outbox log before it leaves."""
        retry = RetryPolicy(give_up_seconds=give_up_seconds)
        return MarketClient(
            self.settings.backend,
            signer=self.signer,
            retry=retry,
            stop=stop,
            note=note,
            leaving=self.outbox.record,
        )

    def node(self, client: MarketClient) -> Node:
        """Everything the handlers need; contents go to the market and come from it by `client`."""
        return Node(
            self.folder,
            self.settings,
            self.signer,
            self.collection,
            self.state,
            self.chain,
            client.upload,
            client.content,
        )


def open_node(folder: Path, overrides: dict[str, str | int | None] | None = None) -> Opened:
    """Opens what `initialise` made.  Raises SettingsError, StateError or a ProvenanceError that names the file."""
    chosen = NodeSettings.read(folder, overrides)
    policy.Policy.read(folder)
    deployment = Deployment.load(folder / DEPLOYMENT)
    try:
        collection = Collection.parse(canonical.decode((folder / COLLECTION).read_bytes()))
    except OSError as error:
        raise SettingsError(
            f"{folder / COLLECTION}: {error.strerror}; run `init` again in a new folder"
        ) from error
    signer = load_key(chosen.key_path(folder), password_source(os.environ))
    state = ContributorState.open(folder / STATE, RestKey.of(signer))
    Orders(folder / ORDERS, RestKey.of(signer)).seal_all()
    state = state.hand_ledger_to(Owner.of_environment(), folder.absolute().name)
    if state.owned is not None:
        charge_schema(state.owned.ledger(), collection.schema)
    return Opened(
        chosen,
        signer,
        collection,
        ChainReader(chosen.rpc, deployment, finality=Finality.chosen(chosen.finality)),
        state,
        OutboxLog(folder),
        folder,
    )


def _collection(client: MarketClient, setup: Setup) -> Collection:
    listed = client.collection(setup.collection)
    collection = Collection.parse(listed.document)
    if collection.digest != listed.id:
        raise NetworkMismatch(
            f"the market calls {listed.id} what has the digest {collection.digest}: do not join it"
        )
    if setup.schema is not None:
        own = read_schema(setup.schema)
        if own.digest != collection.schema.digest:
            raise SettingsError(
                f"{setup.schema} has the digest {own.digest}, the collection's schema "
                f"{collection.schema.digest}: "
                "bring the table into the collection's schema, or join another collection"
            )
    return collection


def read_schema(path: Path) -> Schema:
    """A schema file as an operator wrote it."""
    try:
        return Schema.parse(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; name the schema file with --schema") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not a schema: {error}") from error
