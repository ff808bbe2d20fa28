"""Whose tokens moved: the accounts that a conviction touches, before and after, to the wei."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.table import Table

from provenance.chain.ports import ChainReads, OrderState
from provenance.record.terms import OrderTerms
from provenance.values import Address
from tessera.client.order_request import tokens

BURN: Final = Address.parse("0x000000000000000000000000000000000000dEaD")
"""Where the contracts send what nobody shall have."""
_HELD: Final = (OrderState.OPEN, OrderState.MATCHED, OrderState.PUBLISHED)


@dataclass(frozen=True, slots=True)
class Parties:
    """Who is looked at; buyer and challenger may be one account."""

    terms: OrderTerms
    signer: Address
    challenger: Address


def holdings(ledger: ChainReads, parties: Parties) -> dict[str, int]:
    """Token wei by account, each token counted once."""
    terms = parties.terms
    order = ledger.order(terms.order_id(ledger.deployment.domain))
    stake = ledger.stake_of(parties.signer)
    same = parties.challenger == terms.buyer
    accounts = {f"buyer{' and challenger' if same else ''} {terms.buyer}": ledger.balance(terms.buyer)}
    if not same:
        accounts[f"challenger {parties.challenger}"] = ledger.balance(parties.challenger)
    return {
        **accounts,
        f"signer's stake {parties.signer}": stake.free + stake.reserved + stake.unbonding,
        "price in escrow": terms.price if order.state in _HELD else 0,
        f"broker's bond in escrow {terms.broker}": order.bond_left,
        f"burned {BURN}": ledger.balance(BURN),
    }


def table_of(before: Mapping[str, int], after: Mapping[str, int]) -> Table:
    """The accounts in wei and their changes; the last line is the sum."""
    table = Table(
        title="tokens in wei (gas apart)", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    table.add_column("account", no_wrap=True)
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, held in before.items():
        label = name.replace(" 0x", "\n0x")
        table.add_row(label, str(held), str(after[name]), f"{after[name] - held:+d}")
    sums = sum(before.values()), sum(after.values())
    table.add_row("sum", str(sums[0]), str(sums[1]), f"{sums[1] - sums[0]:+d}", end_section=True)
    return table


def in_words(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Whether all of it is accounted for."""
    left = sum(after.values()) - sum(before.values())
    if left == 0:
        return "adds up to the wei: nothing came from elsewhere, nothing is missing"
    return (
        f"{tokens(abs(left))} tokens {'more' if left > 0 else 'less'} than before in these accounts: another "
        "transaction touched them at the same time"
    )
