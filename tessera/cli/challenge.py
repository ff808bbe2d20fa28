"""`tessera challenge | demand`: showing the chain that a data set is false, or that its bytes are withheld."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.market import DEFAULT_NETWORK, DeliveryKeyFile, NetworkFile, WalletFile
from tessera.errors import UsageError

if TYPE_CHECKING:
    from tessera.client.searching import Suspect
    from tessera.client.session import ChainSession

DatasetOption = Annotated[
    str,
    typer.Option("--dataset", metavar="ID", help="a number, or eip155:<chain>/erc721:<registry>/<number>"),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="DIR", help="content folder or IPFS multiaddr instead of the market's own content"
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="disclose what is said, without asking once more")]


def add_to(app: typer.Typer) -> None:
    app.command("challenge")(challenge)
    app.command("demand")(demand)


def challenge(
    dataset: DatasetOption,
    wallet: WalletFile,
    row: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="look at this row of the data set only")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="look at every row (the default)")] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="put the model on chain in parts first: for large models")
    ] = False,
    yes: YesOption = False,
    salt_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="where claim and salt are kept until the chain has judged"),
    ] = None,
    key: DeliveryKeyFile = None,
    store: StoreOption = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Recompute the rows of a data set; prove a false one on chain: revoked, signer slashed, buyer paid back.

    Exit status: 0 no false row, 3 a lie was proven on chain, 4 a lie (or a shard that does not open) stands
    because you declined or the window is closed, 1 and 2 as everywhere. Killed between commitment and proof, the
    same command goes on.
    """
    from tessera.client.challenging import Options, default_file, run_challenge

    if row is not None and every:
        raise UsageError("--row and --all exclude each other: name one of them")
    with _suspect(dataset, network, wallet, key, store) as (session, suspect):
        file = salt_file or default_file(suspect.id, session.wallet.address)
        status = run_challenge(session, suspect, Options(file, row, stored, yes))
    raise typer.Exit(status)


def demand(
    dataset: DatasetOption,
    wallet: WalletFile,
    shard: Annotated[int | None, typer.Option(min=0, metavar="K", help="whose model is demanded")] = None,
    model: Annotated[bool, typer.Option("--model", help="demand the model of --shard")] = False,
    row: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="demand the chunk with this row of the data set")
    ] = None,
    order_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="the order's terms, when the market does not give them"),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="wait for the answer or its time to pass")
    ] = True,
    yes: YesOption = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Have a contributor show a model or rows on chain that nobody can open; silence costs it its stake.

    Exit status: 0 answered, 3 not answered and revoked, 4 open or declined, 1 and 2 as everywhere. The same
    command looks again, and ends a demand whose time ran out.
    """
    from tessera.client.demanding import Demander, Wanted, run_demand
    from tessera.client.onchain import terms_of
    from tessera.client.searching import shard_of_row
    from tessera.client.session import open_chain

    if model == (row is not None) or model != (shard is not None):
        raise UsageError("name --model with --shard K, or --row N alone")
    session = open_chain(network, wallet)
    record = session.ledger.dataset(_number(dataset, session, network))
    terms = terms_of(session, str(order_file or record.order))
    wanted = (
        Wanted(shard or 0, None, yes, wait) if row is None else Wanted(*shard_of_row(record, row), yes, wait)
    )
    raise typer.Exit(run_demand(Demander(session, record, terms), wanted))


def _number(dataset: str, session: ChainSession, network: Path) -> int:
    """The data set's number; UsageError for one of another market."""
    from provenance.verify.dataset import DatasetName

    name, deployment = DatasetName.parse(dataset), session.ledger.deployment
    asked = (name.chain_id or deployment.chain_id, name.datasets or deployment.datasets)
    if asked != (deployment.chain_id, deployment.datasets):
        raise UsageError(f"--dataset {dataset} is not of the market in {network} ({deployment.datasets})")
    return name.id


@contextmanager
def _suspect(
    dataset: str, network: Path, wallet: Path, key: Path | None, store: str | None
) -> Iterator[tuple[ChainSession, Suspect]]:
    """The data set, opened as far as the key goes; from the market's own content unless `store` names another."""
    from provenance.crypto.seal import load_delivery_key
    from tessera.cli.verify import open_store
    from tessera.client.api import BuyerApi
    from tessera.client.delivery import MarketStore
    from tessera.client.searching import Suspect
    from tessera.client.session import open_chain

    session = open_chain(network, wallet)
    number = _number(dataset, session, network)
    delivery_key = None if key is None else load_delivery_key(key)
    with BuyerApi(session.profile.api) as api:
        content = MarketStore(api) if store is None else open_store(store)
        yield session, Suspect(session.ledger, content, number, delivery_key)
