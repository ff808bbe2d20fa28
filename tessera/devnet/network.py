"""One market on one machine, in one folder: chain, contracts, accounts, backend,
coordinator, contributor nodes. Chain and contracts may also be there already (`Site`).

    DIR/chain.json deployment.json network.json   the chain's state, its contracts, what a buyer pins
    DIR/keys/NAME.key                             secrets, mode 600
    DIR/backend/                                  databases; DIR/content/ what was published
    DIR/nodes/NAME/                               a contributor's own folder with its private table
    DIR/logs/NAME.log                             what each process said

Starting again in the same folder continues: nothing is deployed, funded or published twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from provenance.api.catalogue import ContributorList
from provenance.api.client import Call, HttpClient, RetryPolicy
from provenance.chain.deploy import deploy_all
from provenance.chain.deployment import Deployment, MarketParameters
from provenance.chain.finality import LATEST
from provenance.chain.market_plan import mintable_token
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.key_files import password_source
from provenance.crypto.signing import Signer, create_key, load_key
from provenance.errors import MarketError
from provenance.record.collection import Collection
from provenance.units import TOKEN, TokenUnit
from tessera.client.profile import NetworkProfile
from tessera.devnet import chain
from tessera.devnet.children import LOOPBACK, Child, Command, Supervisor, require_free
from tessera.errors import ServiceDownError, TesseraError

START_SECONDS = 600.0
"""Ends a hang only: a child that dies is told at once, and three nodes that start on a busy machine take minutes."""
CHECKOUT = Path(__file__).resolve().parent.parent.parent
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
GAS_WEI = 10**17
"""Of the chain's own coin, for each account on a chain that runs elsewhere."""


@dataclass(frozen=True, slots=True)
class Site:
    """Contracts that `tessera deploy` made on a chain that runs elsewhere.

    payer: key file of the account that gives gas and tokens to all accounts of this market.
    """

    rpc_url: str
    deployment: Path
    payer: Path


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Ports (0: any free one) and what the backend is told through its environment."""

    rpc_port: int = 0
    api_port: int = 0
    block_seconds: int = 1
    answer_seconds: int = 120
    """How long a contributor has to answer a demand on chain."""
    backend: dict[str, str] = field(default_factory=dict)
    token_decimals: int = TOKEN
    finality: str = ""
    """How deep in the chain lies what every process and the buyer act on, as `Finality.chosen` reads it."""
    site: Site | None = None
    """None: a chain and contracts of its own."""


NODE_POLICY = """\
# Of a contributor on a market with test tokens: takes every order that keeps these limits, without asking.
# `tessera node init` writes stricter rules for a real table.
default = "auto"
maximum_epsilon = "10"
maximum_epsilon_per_month = "1000"
maximum_epsilon_per_day = "1000"
minimum_price_per_row_and_epsilon_wei = "0"
trusted_partners = []
"""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A contributor: its table (any CSV of the collection's schema), its publicly declared rows
    and privacy cap."""

    name: str
    table: Path
    declared_rows: int
    epsilon_cap: str = "10"


class LocalNetwork:
    """Builds the market step by step; the supervisor that it was given ends it."""

    def __init__(self, folder: Path, supervisor: Supervisor, settings: NetworkSettings) -> None:
        self.folder = folder.resolve()
        self._supervisor = supervisor
        self._settings = settings
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "keys").mkdir(mode=0o700, exist_ok=True)
        supervisor.hold(take_folder(self.folder))
        # Both ports are asked for before anything starts: a taken one costs no half-started market.
        if settings.site is None:
            self._rpc_port = require_free(settings.rpc_port, service="chain", option="--rpc-port")
            self.rpc_url = f"http://{LOOPBACK}:{self._rpc_port}"
        else:
            self.rpc_url = settings.site.rpc_url
        self._api_port = require_free(settings.api_port, service="REST interface", option="--api-port")
        self.api_url = f"http://{LOOPBACK}:{self._api_port}"
        self.nodes: dict[str, Child] = {}
        self.chain: Child | None = None
        self.backend: Child | None = None
        self.coordinator: Child | None = None

    # -- chain and accounts ------------------------------------------------------------------------------

    def start_chain(self) -> None:
        """anvil, then the contracts unless this folder's chain has them; nothing of both where they are already."""
        if self._settings.site is not None:
            Deployment.load(self._settings.site.deployment).save(self.deployment_file)
            self.reader().check()
            return
        command = chain.anvil_command(
            chain.find_anvil(CHECKOUT),
            folder=self.folder,
            port=self._rpc_port,
            block_seconds=self._settings.block_seconds,
        )
        self.chain = self._supervisor.start(command)
        self._supervisor.wait_until(
            lambda: chain.answers(self.rpc_url),
            child=self.chain,
            seconds=START_SECONDS,
            what="the chain's RPC",
        )
        if self.deployment_file.exists():
            escrow = str(self.deployment.escrow)
            if not chain.has_code(self.rpc_url, escrow):
                raise ServiceDownError(
                    f"{self.deployment_file} names an escrow at {escrow}, but the chain in this folder has no code "
                    "there: the state does not belong together. Choose a new folder with --folder"
                )
            return
        deployer = self.account("deployer")
        parameters = MarketParameters.local()
        deployment = deploy_all(self.rpc_url, deployer, parameters, decimals=self._settings.token_decimals)
        deployment.save(self.deployment_file)

    @property
    def deployment_file(self) -> Path:
        return self.folder / "deployment.json"

    @property
    def deployment(self) -> Deployment:
        return Deployment.load(self.deployment_file)

    @property
    def unit(self) -> TokenUnit:
        """How amounts of the market's token are written."""
        return self.deployment.unit

    @property
    def _stake_wei(self) -> int:
        """Of each contributor: enough for several orders at the same time."""
        return 1_000 * self.unit.one

    def key_file(self, name: str) -> Path:
        return self.folder / "keys" / f"{name}.key"

    def account(self, name: str) -> Signer:
        """The signer of that name: a key file (made once) with gas money."""
        path = self.key_file(name)
        signer = load_key(path) if path.exists() else create_key(path)
        if chain.gas_balance(self.rpc_url, str(signer.address)):
            return signer
        if self._settings.site is not None:
            self._payer(self._settings.site).send_ether(signer.address, GAS_WEI)
        else:
            chain.give_gas(self.rpc_url, str(signer.address))
            self._await_gas(signer)
        return signer

    def _await_gas(self, signer: Signer) -> None:
        assert self.chain is not None
        self._supervisor.wait_until(
            lambda: chain.gas_balance(self.rpc_url, str(signer.address)) > 0,
            child=self.chain,
            seconds=START_SECONDS,
            what=f"gas for {signer.address}",
        )

    def fund(self, name: str, tokens_wei: int) -> Signer:
        """The named account with at least `tokens_wei`: of the test token, or else of the payer's."""
        signer = self.account(name)
        reader = self.reader()
        missing = tokens_wei - reader.balance(signer.address)
        if missing > 0 and self._has_test_token:
            ChainWriter(reader, signer).mint(signer.address, missing)
        elif missing > 0:
            assert self._settings.site is not None
            payer, unit = self._payer(self._settings.site), self.unit
            if (held := reader.balance(payer.address)) < missing:
                raise TesseraError(
                    f"{payer.address}, who pays, holds {unit.shown(held)}; {unit.shown(missing)} are needed for the "
                    f"{name}: send it more of the token {self.deployment.token}"
                )
            payer.transfer(signer.address, missing)
        return signer

    @property
    def _has_test_token(self) -> bool:
        return self.deployment.token == mintable_token(self.unit.decimals).address

    def _payer(self, site: Site) -> ChainWriter:
        """Does not wait until blocks are deep: a gift that goes away with its block is missed at once."""
        chain = ChainReader(self.rpc_url, self.deployment, finality=LATEST)
        return ChainWriter(chain, load_key(site.payer, password_source(os.environ)))

    def reader(self) -> ChainReader:
        return ChainReader(self.rpc_url, self.deployment)

    # -- the broker --------------------------------------------------------------------------------------

    @property
    def store_folder(self) -> Path:
        return self.folder / "content"

    def start_backend(self) -> None:
        """The REST interface over its own databases, with the broker's key funded for bonds."""
        self.fund("broker", 10_000 * self.unit.one)
        environment = {
            **SINGLE_THREAD,
            "TESSERA_STATE_DIR": str(self.folder / "backend"),
            "TESSERA_HOST": LOOPBACK,
            "TESSERA_PORT": str(self._api_port),
            "TESSERA_RPC_URL": self.rpc_url,
            "TESSERA_DEPLOYMENT_FILE": str(self.deployment_file),
            "TESSERA_KEY_FILE": str(self.key_file("broker")),
            "TESSERA_STORE": str(self.store_folder),
            "TESSERA_ANSWER_SECONDS": str(self._settings.answer_seconds),
            "TESSERA_FINALITY": self._settings.finality,
            **self._settings.backend,
        }
        # Beside the content, so that a verifier takes a bare number for a data set's name.
        self.deployment.save(self.store_folder / "deployment.json")
        self.backend = self._start_python("backend", "backend.main", env=environment)
        self.await_backend()

    def await_backend(self) -> None:
        """Wait for /health, after a start or a restart."""
        assert self.backend is not None
        self._supervisor.wait_until(
            self._backend_answers,
            child=self.backend,
            seconds=START_SECONDS,
            what=f"the backend at {self.api_url}",
        )

    def _backend_answers(self) -> bool:
        try:
            self._ask(Call("GET", "/health"), RetryPolicy(give_up_seconds=0))
        except MarketError:
            return False
        return True

    def _ask(self, call: Call, retry: RetryPolicy | None = None) -> bytes:
        """What the backend answers to the broker."""
        signer = load_key(self.key_file("broker"))
        with closing(HttpClient(self.api_url, signer=signer, retry=retry)) as client:
            return client.send(call).content

    def publish(self, collection: Collection) -> None:
        """Offer the collection, signed by the broker; the same document again changes nothing."""
        body = json.dumps(collection.document()).encode()
        self._ask(Call("POST", "/v1/collections", body))

    def start_coordinator(self) -> None:
        arguments = (
            "--backend",
            self.api_url,
            "--rpc",
            self.rpc_url,
            "--broker-key",
            str(self.key_file("broker")),
            "--finality",
            self._settings.finality,
        )
        self.coordinator = self._start_python(
            "coordinator", "tessera", "coordinator", *arguments, env=SINGLE_THREAD
        )

    # -- contributors ------------------------------------------------------------------------------------

    def node_folder(self, name: str) -> Path:
        return self.folder / "nodes" / name

    def start_nodes(self, specs: Sequence[NodeSpec], collection: Collection) -> None:
        """Contributor nodes beside their tables: set up once (all at the same time), then running."""
        fresh = [spec for spec in specs if not (self.node_folder(spec.name) / "node.toml").exists()]
        for spec in specs:
            self.fund(spec.name, self._stake_wei)
        with ThreadPoolExecutor(max(1, len(fresh))) as pool:
            for _ in pool.map(lambda spec: self._initialise_node(spec, collection), fresh):
                pass
        for spec in specs:
            self.nodes[spec.name] = self._start_python(
                spec.name,
                "tessera",
                *("node", "run", "--folder", str(self.node_folder(spec.name))),
                env={**SINGLE_THREAD, "TESSERA_NODE_FINALITY": self._settings.finality},
            )

    def _initialise_node(self, spec: NodeSpec, collection: Collection) -> None:
        folder = self.node_folder(spec.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "policy.toml").write_text(NODE_POLICY, encoding="utf-8")
        arguments = {
            "--folder": folder,
            "--backend": self.api_url,
            "--rpc": self.rpc_url,
            "--table": spec.table,
            "--collection": collection.digest,
            "--declared-rows": spec.declared_rows,
            "--epsilon-cap": spec.epsilon_cap,
            "--node-key": self.key_file(spec.name),
            "--deployment": self.deployment_file,
            "--stake": self.unit.plain(self._stake_wei),
            # each contributor is another owner, and none is the user whose machine this is
            "--owner": folder / "owner",
        }
        words = [word for name, value in arguments.items() for word in (name, str(value))]
        run_to_end(
            [sys.executable, "-m", "tessera", "node", "init", *words],
            what=f"setting up node {spec.name}",
        )

    def await_contributors(self, collection: Collection, names: Iterable[str] | None = None) -> None:
        """Wait until the nodes called `names` (None: all) have announced themselves at the backend."""
        for name in self.nodes if names is None else names:
            child = self.nodes[name]
            address = str(self.account(name).address)
            self._supervisor.wait_until(
                lambda address=address: address in self._announced(collection),  # type: ignore[misc]
                child=child,
                seconds=START_SECONDS,
                what=f"the announcement of node {name}",
            )

    def _announced(self, collection: Collection) -> set[str]:
        call = Call("GET", "/v1/contributors", query={"collection": str(collection.digest)})
        listed = ContributorList.read(self._ask(call), call.name)
        return {str(each.contributor) for each in listed.contributors}

    def replaceable(self) -> dict[str, Child]:
        """Every process that goes on where it was when it is started again: all but the chain."""
        named = (self.backend, self.coordinator, *self.nodes.values())
        return {child.command.name: child for child in named if child is not None}

    def check_chain(self) -> None:
        """Raises ServiceDownError when the chain has ended by itself."""
        if self.chain is not None and self.chain.exit_status is not None:
            raise ServiceDownError(
                f"{self.chain.death_notice()}\nthe same command goes on from what it had written"
            )

    def profile(self) -> NetworkProfile:
        """What a buyer pins; also written to network.json."""
        profile = NetworkProfile(
            api=self.api_url,
            rpc=self.rpc_url,
            broker=self.account("broker").address,
            deployment=self.deployment,
            finality=self._settings.finality,
        )
        profile.write(self.folder / "network.json")
        return profile

    def _start_python(self, name: str, module: str, *arguments: str, env: dict[str, str]) -> Child:
        return self._supervisor.start(
            Command(
                name=name,
                argv=[sys.executable, "-u", "-m", module, *arguments],
                log=self.folder / "logs" / f"{name}.log",
                env={**python_path(), **env},
                cwd=self.folder,
            )
        )


def take_folder(folder: Path) -> TextIO:
    """The folder's lock, held until this process ends; `TesseraError` when another market runs in there."""
    lock = (folder / "lock").open("w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise TesseraError(
            f"{folder} is in use by another `tessera up`: stop that one first, or choose another folder with --folder"
        ) from error
    return lock


def python_path() -> dict[str, str]:
    """Our environment with this checkout importable: a child need not be started inside it."""
    path = os.pathsep.join(part for part in (str(CHECKOUT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path}


def run_to_end(argv: Sequence[str], *, what: str) -> str:
    """A short program; `ServiceDownError` with its words when it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=START_SECONDS, env=python_path())
    except subprocess.TimeoutExpired as error:
        raise ServiceDownError(f"{what} did not end within {START_SECONDS:.0f} s") from error
    if done.returncode:
        raise ServiceDownError(f"{what} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
