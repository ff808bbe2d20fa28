"""Where the money is: every holder of the token in this market, before and after."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from provenance.chain.reader import ChainReader
from provenance.values import Address
from tessera.errors import TesseraError
from tessera.words import tokens


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Token wei of every holder at one moment, and what the rewards contract owes to each."""

    balances: dict[str, int]
    claimable: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.balances.values())


@dataclass(frozen=True, slots=True)
class Holders:
    """Everybody who holds tokens: people and the contracts that hold for them."""

    ledger: ChainReader
    people: dict[str, Address]

    def snapshot(self) -> Snapshot:
        deployment = self.ledger.deployment
        contracts = {
            "escrow contract": deployment.escrow,
            "registry contract (stakes)": deployment.registry,
            "rewards contract": deployment.rewards,
        }
        everybody = {**self.people, **contracts}
        return Snapshot(
            balances={name: self.ledger.balance(address) for name, address in everybody.items()},
            claimable={name: self.ledger.claimable(address) for name, address in self.people.items()},
        )


def require_same_total(*moments: Snapshot) -> None:
    """Nothing was made and nothing was lost between the snapshots."""
    totals = [moment.total for moment in moments]
    if len(set(totals)) != 1:
        raise TesseraError(
            f"the balances do not add up: {', '.join(tokens(total) for total in totals)} tokens in all"
        )


def money_table(before: Snapshot, settled: Snapshot, claimed: Snapshot) -> Table:
    """One line a holder: before the order, what it was owed at settlement, after everybody
    pulled, the difference."""
    table = Table(title="Where the money went (tokens)", title_justify="left", show_footer=True)
    change_total = claimed.total - before.total
    table.add_column("holder", footer="in all")
    for heading, footer in (
        ("before", tokens(before.total)),
        ("owed at settlement", tokens(sum(settled.claimable.values()))),
        ("after the claims", tokens(claimed.total)),
        ("difference", tokens(change_total)),
    ):
        table.add_column(heading, footer=footer, justify="right")
    for name, held in before.balances.items():
        change = claimed.balances[name] - held
        owed = settled.claimable.get(name, 0)
        table.add_row(
            name,
            tokens(held),
            tokens(owed) if owed else "",
            tokens(claimed.balances[name]),
            ("+" if change > 0 else "") + tokens(change) if change else "",
        )
    return table
