"""`tessera claim | payout | royalties`: what the market owes, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.units import BASIS_POINTS, percent
from tessera.cli.options import (
    DEFAULT_NETWORK,
    HELP_NAMES,
    NetworkFile,
    OverwriteOption,
    WalletFile,
    examples,
    open_client,
    out_file,
)
from tessera.terminal import say

if TYPE_CHECKING:
    from provenance.values import Address
    from tessera.client.rewards import Rewards

payout_app = typer.Typer(
    no_args_is_help=True, help="Where the rewards of an account go.", context_settings=HELP_NAMES
)
royalties_app = typer.Typer(
    no_args_is_help=True,
    help="What a data set earned by derived data sets and resale.",
    context_settings=HELP_NAMES,
)
DEFAULT_VALID_SECONDS = 86_400
CLAIM_EXAMPLES = examples("claim --wallet me.key", "claim --wallet relayer.key --for 0x...")
Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="address (0x…)")]
Dataset = Annotated[int, typer.Argument(metavar="DATASET", min=1, help="number of the data set")]
NewAddress = Annotated[str, typer.Option("--to", metavar="ADDRESS", help="where rewards go from then on")]
OldAccount = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="ADDRESS", help="whose rewards; left out: those of the wallet's own address"
    ),
]


def add_to(tessera: typer.Typer) -> None:
    tessera.command("claim", rich_help_panel="Owed and resold", epilog=CLAIM_EXAMPLES)(claim)
    tessera.add_typer(payout_app, name="payout", rich_help_panel="Owed and resold")
    tessera.add_typer(royalties_app, name="royalties", rich_help_panel="Owed and resold")


def claim(
    wallet: WalletFile,
    account: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="ADDRESS", help="relay: whose money is sent; your wallet pays the gas only"
        ),
    ] = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Have what the market owes sent to its payout address: pay, fees, compensations, and deposits that wait."""
    rewards = _rewards(network, wallet)
    claimed, unit = rewards.claim(None if account is None else _parse(account)), rewards.chain.deployment.unit
    if not claimed.receipts:
        say(f"nothing to claim for {claimed.account}")
        return
    hashes = ", ".join(str(receipt.hash) for receipt in claimed.receipts)
    if claimed.rewards_wei:
        say(f"claimed {unit.shown(claimed.rewards_wei)} of {claimed.account}, sent to {claimed.payout}")
    if claimed.deposit_wei:
        say(f"{unit.shown(claimed.deposit_wei)} of a demand's deposit are back at {claimed.account}")
    say(f"transaction {hashes}")


@payout_app.command(epilog=examples("payout show 0x..."))
def show(account: Account, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Say where the rewards of an account go, and how much waits."""
    address = _parse(account)
    with open_client(network) as client:
        chain = client.chain
        waiting = client.unit.shown(chain.claimable(address))
        say(f"rewards of {address} go to {chain.payout_of(address)}; {waiting} wait")


@payout_app.command("set", epilog=examples("payout set --to 0x... --wallet old.key"))
def set_payout(
    to: NewAddress, wallet: WalletFile, account: OldAccount = None, network: NetworkFile = DEFAULT_NETWORK
) -> None:
    """Name another address for rewards, those earned before included. The wallet is the
    present payout address."""
    rewards = _rewards(network, wallet)
    signed = rewards.sign_payout(_address(account, rewards), _parse(to), DEFAULT_VALID_SECONDS)
    receipt = rewards.send_payout(signed)
    say(f"rewards of {signed.message.account} go to {signed.message.payout} now (transaction {receipt.hash})")


@payout_app.command(epilog=examples("payout sign --to 0x... --wallet old.key --out rotation.json"))
def sign(
    to: NewAddress,
    file: Annotated[Path, out_file("what to hand to whoever sends it")],
    wallet: WalletFile,
    account: OldAccount = None,
    valid: Annotated[
        int, typer.Option(min=60, metavar="SECONDS", help="how long it counts")
    ] = DEFAULT_VALID_SECONDS,
    _overwrite: OverwriteOption = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Sign a rotation without sending it: a wallet without coin for gas hands the file to a relayer."""
    rewards = _rewards(network, wallet)
    rewards.sign_payout(_address(account, rewards), _parse(to), valid).write(file)
    say(f"{file}: anybody may send it with `tessera payout send {file}`")


@payout_app.command(epilog=examples("payout send rotation.json --wallet relayer.key"))
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a rotation that `tessera payout sign` wrote")],
    wallet: WalletFile,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Bring a signed rotation to the chain; your wallet pays the gas and nothing else."""
    from tessera.client.rewards import SignedPayout

    signed = SignedPayout.read(file)
    receipt = _rewards(network, wallet).send_payout(signed)
    say(f"rewards of {signed.message.account} go to {signed.message.payout} now (transaction {receipt.hash})")


@royalties_app.command("show", epilog=examples("royalties show 3"))
def show_royalties(dataset: Dataset, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Say what waits in a data set's pot and at its royalty address (ERC-2981)."""
    with open_client(network) as client:
        chain = client.chain
        record, receiver = chain.dataset(dataset), chain.royalty_receiver(dataset)
        say(f"royalty        {percent(record.royalty_bps, BASIS_POINTS)} of a derived order or of a resale")
        say(f"in the pot     {client.unit.shown(chain.dataset_balance(dataset))}")
        say(f"at {receiver}  {client.unit.shown(chain.balance(receiver))}")


@royalties_app.command(epilog=examples("royalties divide 3 --wallet me.key"))
def divide(dataset: Dataset, wallet: WalletFile, network: NetworkFile = DEFAULT_NETWORK) -> None:
    """Collect what marketplaces paid, and credit the whole pot to the contributors in the shares
    that they signed.

    Anybody may. The contributors fetch it with `tessera claim`.
    """

    rewards = _rewards(network, wallet)
    rewards.collect_royalties(dataset)
    before = rewards.chain.dataset_balance(dataset)
    receipt = rewards.divide_royalties(dataset)
    divided = rewards.chain.deployment.unit.shown(before - rewards.chain.dataset_balance(dataset))
    say(f"{divided} of data set {dataset} are credited to its contributors (transaction {receipt.hash})")


def _rewards(network: Path, wallet: Path) -> Rewards:
    return open_client(network, wallet).rewards


def _address(account: str | None, rewards: Rewards) -> Address:
    return rewards.signer.address if account is None else _parse(account)


def _parse(text: str) -> Address:
    from provenance.values import Address

    return Address.parse(text)
