"""What several commands share: options and arguments, each with one spelling and one meaning, and the client."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.errors import UsageError
from tessera.extras import require

if TYPE_CHECKING:
    from provenance.crypto.key_files import AskPassword
    from tessera.client.client import Client

HELP_NAMES = {"help_option_names": ["-h", "--help"]}
DEFAULT_NETWORK = Path("run") / "up" / "network.json"


def examples(*commands: str) -> str:
    """The end of a help page: command lines to copy."""
    return "\n\n".join(["Examples:", *(f"  tessera {command}" for command in commands)])


# Files and folders

TableFile = Annotated[
    Path, typer.Argument(metavar="TABLE", help="CSV with a header line, plain or .gz, or .parquet")
]
SchemaFile = Annotated[
    Path, typer.Option("--schema", metavar="FILE", help="schema document (`tessera schema infer` makes one)")
]
OVERWRITE = "_overwrite"  # read by `nothing_lost` alone, never by a command


def nothing_lost(context: typer.Context, to: Path | None) -> Path | None:
    """Callback of an option that names a file to write; UsageError where one is and --overwrite is not given."""
    if to is not None and to.is_file() and not context.params[OVERWRITE]:
        raise UsageError(f"{to} exists already: choose another name, or pass --overwrite to replace it")
    return to


def out_file(holds: str, name: str = "--out") -> Any:
    """The option for a file to write; its command takes `OverwriteOption` too."""
    return typer.Option(name, metavar="FILE", help=holds, callback=nothing_lost)


OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", is_eager=True, help="replace the file if there is one already")
]
ROWS_OUT = "CSV, or Parquet when the name ends in .parquet"
OutFile = Annotated[Path, out_file(ROWS_OUT)]
StoreOption = Annotated[
    str,
    typer.Option("--store", metavar="DIR", help="content folder, or multiaddr of an IPFS node (/ip4/...)"),
]
OtherStore = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="DIR", help="content folder or IPFS multiaddr instead of the market's own content"
    ),
]
DeploymentFile = Annotated[
    Path | None,
    typer.Option("--deployment", metavar="FILE", help="where the contracts are, by a file that you trust"),
]

# A market

BackendUrl = Annotated[str, typer.Option("--backend", metavar="URL", help="the market's HTTP interface")]
RpcUrl = Annotated[
    str, typer.Option("--rpc", metavar="URL", help="JSON-RPC of an Ethereum node that you trust")
]
NetworkFile = Annotated[
    Path,
    typer.Option(
        "--network",
        metavar="FILE",
        envvar="TESSERA_NETWORK",
        help="where the market is: addresses, contracts (`tessera up` writes DIR/network.json)",
    ),
]
WalletFile = Annotated[
    Path,
    typer.Option(
        "--wallet", metavar="FILE", envvar="TESSERA_WALLET", help="key that pays and signs (mode 600)"
    ),
]
MaybeWalletFile = Annotated[
    Path | None,
    typer.Option("--wallet", metavar="FILE", envvar="TESSERA_WALLET", help="only what is this wallet's"),
]
DeliveryKeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", envvar="TESSERA_KEY", help="delivery key that opens the rows (mode 600)"
    ),
]
OrderArgument = Annotated[
    str,
    typer.Argument(
        metavar="ORDER",
        help="order id (0x..., its first digits are enough), or the order file that `tessera request` wrote",
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option("--dataset", metavar="ID", help="a number, or eip155:<chain>/erc721:<registry>/<number>"),
]
YesOption = Annotated[bool, typer.Option("--yes", help="do what is said, without asking once more")]
SendChallenge = Annotated[
    bool,
    typer.Option(
        "--send-challenge",
        help="if rows are false, prove it on chain without asking (`tessera challenge` says what that discloses)",
    ),
]

# What is ordered

CollectionOption = Annotated[str, typer.Option("--collection", help="name or id of the collection")]
RowsOption = Annotated[int, typer.Option("--rows", min=1, help="synthetic rows to order")]
EpsilonOption = Annotated[
    str | None, typer.Option("--epsilon", help="privacy ceiling; left out: the collection's")
]
DeltaOption = Annotated[str, typer.Option("--delta", help="delta beside epsilon")]
MaxPrice = Annotated[str | None, typer.Option("--max-price", metavar="TOKENS", help="pay no more than this")]
MinContributors = Annotated[
    int | None, typer.Option("--min-contributors", min=1, max=128, help="fewer: no data set, money back")
]
MinScore = Annotated[
    str | None, typer.Option("--min-score", help="median score (0 to 1) below which nothing is paid")
]
Indivisible = Annotated[
    bool,
    typer.Option(
        "--indivisible",
        help="a part of the rows is worth nothing to you: one false or missing shard brings the whole price back",
    ),
]
Purpose = Annotated[
    str, typer.Option("--purpose", help="what the rows are for; contributors may decide by it")
]
FromStock = Annotated[
    bool,
    typer.Option("--from-stock", help="rows of models that are there already, in seconds (`tessera stock`)"),
]
TrainingOption = Annotated[
    str | None,
    typer.Option(
        "--training", metavar="ORDER", help="from stock, of this order's models; default: newest that fit"
    ),
]
MatchWithin = Annotated[
    int | None, typer.Option("--match-within", min=1, metavar="SECONDS", help="time until matched")
]
DeliverWithin = Annotated[
    int | None,
    typer.Option("--deliver-within", min=2, metavar="SECONDS", help="time until published, else money back"),
]
ChallengeSeconds = Annotated[
    int | None,
    typer.Option("--challenge", min=0, metavar="SECONDS", help="window between publication and payment"),
]

KeyWait = Annotated[
    int,
    typer.Option(
        "--key-wait",
        min=0,
        metavar="SECONDS",
        help="wait so long for keys, which contributors release after the publication",
    ),
]

# Conditions on rows

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="only rows of which this holds: 'age=30..40', 'age>=65', 'income=>50K', 'city=Bern|Basel', "
        "'work=missing'; repeatable, all must hold",
    ),
]
BalanceOption = Annotated[
    str | None, typer.Option("--balance", metavar="COLUMN", help="as many rows of each value of this column")
]
CountOption = Annotated[
    list[str] | None,
    typer.Option(
        "--count",
        metavar="CONDITION:N",
        help="exactly N rows of which this holds: 'income=>50K:500', 'sex=Female & age>=65:100'; they add up",
    ),
]
ConditionsFile = Annotated[
    Path | None,
    typer.Option("--conditions", metavar="FILE", help="a conditions document instead of these three"),
]

# How it is said, and how quickly it is done

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="more log lines")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=1, help="threads of the arithmetic")]


def passwords(*, new: bool = False) -> AskPassword:
    """Where the password of an encrypted wallet comes from: the environment, else whoever is at the terminal, who
    types a new one twice."""
    from provenance.crypto.key_files import password_source

    def ask(file: Path) -> str:
        return str(typer.prompt(f"password of {file}", hide_input=True, err=True, confirmation_prompt=new))

    return password_source(os.environ, ask if sys.stdin.isatty() else None)


def open_client(network: Path, wallet: Path | None = None, key: Path | None = None) -> Client:
    """The client of a command; MissingExtraError without the extra."""
    require("client", "a command that talks to a market")
    from tessera.client.client import Client

    return Client(network, wallet=wallet, key=key, ask=passwords())
