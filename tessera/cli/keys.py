"""`tessera key`: the buyer's two keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.cli.options import HELP_NAMES, examples
from tessera.errors import UsageError
from tessera.terminal import say

key_app = typer.Typer(help="Make and show keys.", no_args_is_help=True, context_settings=HELP_NAMES)


@key_app.command("new", epilog=examples("key new --out delivery.key", "key new --wallet --out wallet.key"))
def new(
    to: Annotated[Path, typer.Option("--out", metavar="FILE", help="where the key goes (mode 600)")],
    wallet: Annotated[
        bool,
        typer.Option(
            "--wallet", help="make a wallet key (secp256k1, pays and signs) instead of a delivery key"
        ),
    ] = False,
) -> None:
    """Make a delivery key (X25519), to which contributors seal the rows that you order.

    Only this key opens them: nobody else has a copy, the broker least of all. Lose it and what you bought
    cannot be opened again by anyone; let it be read and what was sealed to it is open for good.
    """
    if to.exists():
        raise UsageError(f"{to} exists already: a key is never overwritten; choose another name with --out")
    to.parent.mkdir(parents=True, exist_ok=True)
    if wallet:
        from provenance.crypto.signing import create_key

        signer = create_key(to)
        say(f"wallet key: {to} (mode 600)\naddress:    {signer.address}")
        say("Whoever reads this file can spend what the address holds. Keep a copy where only you reach it.")
        return
    from provenance.crypto.seal import new_delivery_key

    key = new_delivery_key(to)
    say(f"delivery key: {to} (mode 600)\npublic part:  {key.public}")
    say(
        "Only this file opens what is sealed to it. Keep a copy: if it is lost, the rows that you bought cannot be "
        "opened by anyone; if it is read by others, they can open every data set sealed to it, for good."
    )


@key_app.command("show", epilog=examples("key show delivery.key", "key show wallet.key"))
def show(file: Annotated[Path, typer.Argument(metavar="FILE", help="a key file")]) -> None:
    """Say which kind of key a file holds, and its public part."""
    from provenance.crypto.seal import load_delivery_key
    from provenance.crypto.signing import load_key

    say(f"{file} does not say its kind:")
    say(f"as a wallet key    address {load_key(file).address}")
    say(f"as a delivery key  public part {load_delivery_key(file).public}")
