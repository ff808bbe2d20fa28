"""Whose tokens move: the accounts that a conviction touches, to the wei."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provenance.chain.ports import ChainReads, OrderState
from provenance.record.terms import OrderTerms
from provenance.values import Address

BURN: Final = Address.parse("0x000000000000000000000000000000000000dEaD")
"""Where the contracts send what nobody shall have."""
_HELD: Final = (OrderState.OPEN, OrderState.MATCHED, OrderState.PUBLISHED)


@dataclass(frozen=True, slots=True)
class Parties:
    """Who is looked at; buyer and challenger may be one account."""

    terms: OrderTerms
    signer: Address
    challenger: Address


def holdings(chain: ChainReads, parties: Parties) -> dict[str, int]:
    """Token wei by account, each token counted once."""
    terms = parties.terms
    order = chain.order(terms.order_id(chain.deployment.domain))
    stake = chain.stake_of(parties.signer)
    same = parties.challenger == terms.buyer
    accounts = {f"buyer{' and challenger' if same else ''} {terms.buyer}": chain.balance(terms.buyer)}
    if not same:
        accounts[f"challenger {parties.challenger}"] = chain.balance(parties.challenger)
    return {
        **accounts,
        f"signer's stake {parties.signer}": stake.free + stake.reserved + stake.unbonding,
        "price in escrow": terms.price if order.state in _HELD else 0,
        f"broker's bond in escrow {terms.broker}": order.bond_left,
        f"burned {BURN}": chain.balance(BURN),
    }
