"""`tessera draw`: anybody draws an order's seed when its broker does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import (
    DEFAULT_NETWORK,
    NetworkFile,
    OrderArgument,
    WalletFile,
    examples,
    open_client,
)
from tessera.errors import UsageError
from tessera.terminal import remark, say

if TYPE_CHECKING:
    from provenance.values import Digest
    from tessera.client.client import Client

DRAW_EXAMPLES = examples(
    "draw 0x12ab --wallet wallet.key",
    "draw rows.csv.order.json --wallet wallet.key --salt 1=0x...",
)


def add_to(app: typer.Typer) -> None:
    app.command("draw", rich_help_panel="Checking", epilog=DRAW_EXAMPLES)(draw)


def draw(
    order: OrderArgument,
    wallet: WalletFile,
    salt: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARD=0x...", help="a salt that its contributor told you; may be repeated"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="appoint another block when the draw was missed")
    ] = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Draw an order's seed: fix the hash of its block, gather everybody's salts, draw. Costs gas only.

    The broker does this by itself; whoever waits for the rows need not depend on it. Salts come from the chain, from
    the market, or by --salt. Says whose is missing.
    """
    from tessera.client.draw import MissedDrawError, SeedDraw

    given = dict(map(_salt, salt or ()))
    with open_client(network, wallet) as client:
        drawing = SeedDraw(client.chain, client.writer, client.find(order))
        try:
            fixed = drawing.fix()
        except MissedDrawError:
            if not again:
                raise
            receipt = drawing.again()
            block = drawing.commitment().target_block
            say(
                f"another block is appointed: {block} (transaction {receipt.hash}). Draw again when it has a successor"
            )
            return
        if fixed is not None:
            say(f"the hash of the seed's block is fixed (transaction {fixed.hash})")
        salts = drawing.salts(given, lambda: _told(client, drawing.order))
        seed, receipt_of_draw = drawing.draw(salts)
        by = "somebody else" if receipt_of_draw is None else f"transaction {receipt_of_draw.hash}"
        say(f"the seed of order {drawing.order} is {seed}, drawn by {by}")


def _told(client: Client, order: Digest) -> dict[int, Digest]:
    """What the market knows; nothing where it does not answer, for the draw does not depend on it."""
    from provenance.errors import MarketError, UnavailableError

    try:
        return {each.shard: each.salt for each in client.api.salts(order).salts}
    except (MarketError, UnavailableError) as error:
        remark(f"the market tells no salts: {error}")
        return {}


def _salt(text: str) -> tuple[int, Digest]:
    from provenance.errors import ValueFormatError
    from provenance.values import Digest

    shard, _, salt = text.partition("=")
    try:
        return int(shard), Digest.parse(salt)
    except (ValueError, ValueFormatError) as error:
        raise UsageError(f"--salt {text}: expected a shard and its salt, as in 1=0x{'0' * 64}") from error
