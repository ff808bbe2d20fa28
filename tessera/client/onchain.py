"""What a buyer does without asking anybody: cancel, take the money back. Chain only.

The terms of an order come from the buyer's own order file; by id they are asked of the broker and believed
only if they hash to that id. Participants come from the chain's own events.
"""

from __future__ import annotations

from pathlib import Path

from provenance.chain.errors import RevertError
from provenance.chain.ports import OrderState
from provenance.record.terms import OrderTerms
from provenance.values import Digest
from tessera.client.api import BuyerApi
from tessera.client.order_file import OrderFile
from tessera.client.order_request import tokens
from tessera.client.session import ChainSession
from tessera.errors import ScriptError, TermsDifferError
from tessera.terminal import say


def terms_of(session: ChainSession, order: str) -> OrderTerms:
    """The terms of an order given as a file or as an id."""
    if not order.startswith("0x"):
        return OrderFile.read(Path(order)).terms
    wanted = Digest.parse(order)
    with BuyerApi(session.profile.api) as api:
        terms = OrderTerms.parse(api.order(order).object("terms").values)
    if terms.order_id(session.profile.deployment.domain) != wanted:
        raise TermsDifferError(
            f"the broker's terms for {order} hash to another order: use the order file that `tessera request` wrote"
        )
    return terms


def cancel_order(session: ChainSession, order: str) -> None:
    """Cancel before the match; the contract refuses anything later."""
    terms = terms_of(session, order)
    _require_buyer(session, terms)
    receipt = session.writer.cancel(terms)
    say(f"cancelled; {tokens(terms.price)} tokens are back at {terms.buyer} (transaction {receipt.hash})")


def refund_order(session: ChainSession, order: str) -> None:
    """Refund after the deadline; anybody may call it, the money goes to the buyer only."""
    terms = terms_of(session, order)
    order_id = terms.order_id(session.profile.deployment.domain)
    before = session.ledger.balance(terms.buyer)
    participants = session.ledger.participants(order_id)
    try:
        receipt = session.writer.refund(terms, participants)
    except RevertError:
        # The broker gives the money back by itself, and may have come first.
        if session.ledger.order(order_id).state is not OrderState.REFUNDED:
            raise
        say(f"refunded before, by somebody else: {tokens(terms.price)} tokens are back at {terms.buyer}")
        return
    gained = session.ledger.balance(terms.buyer) - before
    say(f"refunded; {tokens(gained)} tokens are back at {terms.buyer} (transaction {receipt.hash})")
    owed = session.ledger.claimable(terms.buyer)
    if owed:
        say(f"{tokens(owed)} tokens more wait at the rewards contract: `tessera claim` pulls them")


def _require_buyer(session: ChainSession, terms: OrderTerms) -> None:
    if terms.buyer != session.wallet.address:
        raise ScriptError(f"the order was signed by {terms.buyer}, this wallet is {session.wallet.address}")
