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
    """Who is looked at; buyer and challenger may be one account. signer: of the shard, None when it is the broker's
    fault alone."""

    terms: OrderTerms
    signer: Address | None
    challenger: Address


def holdings(chain: ChainReads, parties: Parties) -> dict[str, int]:
    """Token wei by account, each token counted once."""
    terms = parties.terms
    order_id = terms.order_id(chain.deployment.domain)
    order = chain.order(order_id)
    roles: dict[Address, list[str]] = {}
    for role, account in (
        ("buyer", terms.buyer),
        ("challenger", parties.challenger),
        ("broker", terms.broker),
    ):
        roles.setdefault(account, []).append(role)
    found = {f"{' and '.join(names)} {account}": chain.balance(account) for account, names in roles.items()}
    if parties.signer is not None:
        stake = chain.stake_of(parties.signer)
        found[f"signer's stake {parties.signer}"] = stake.free + stake.reserved + stake.unbonding
    is_held = order.state in _HELD
    return {
        **found,
        "price in escrow": terms.price if is_held else 0,
        "damages in escrow, for the buyer": chain.shards(order_id).damages if is_held else 0,
        f"broker's bond in escrow {terms.broker}": order.bond_left,
        f"deposits of demands {chain.deployment.demands}": chain.balance(chain.deployment.demands),
        f"burned {BURN}": chain.balance(BURN),
    }
