"""The node's money on chain: registration and stake before work, rewards and stake back after it.

Everything looks at the chain first, so that a killed command is simply given again.
"""

from __future__ import annotations

import logging

from generator.errors import NodeError
from generator.node.settings import NodeSettings
from provenance import canonical
from provenance.api.catalogue import Announcement
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.units import local_time
from provenance.values import Address, Digest, sha256

log = logging.getLogger(__name__)


def metadata_digest(collection: Digest) -> Digest:
    """What stands in the registry about a node: the digest of a small public document."""
    return sha256(canonical.encode({"format": "tessera-contributor/1", "collection": str(collection)}))


def announcement(settings: NodeSettings) -> Announcement:
    """What the node tells the market of itself, at every start."""
    return Announcement(
        collection=Digest.parse(settings.collection),
        declared_rows=settings.public_rows,
        metadata={"software": "tessera-market"},
    )


def ensure_registered(chain: ChainReader, writer: ChainWriter, collection: Digest, stake_wei: int) -> None:
    """Registers and brings the whole stake (free and reserved) up to `stake_wei`.

    NodeError says what a node lacks that never registered. One that did goes on with the stake that it has:
    after a slash its other orders and the demands at it do not wait until somebody sends money.
    """
    me, unit = writer.address, chain.deployment.unit
    stake = chain.stake_of(me)
    missing = max(0, stake_wei - stake.free - stake.reserved)
    if stake.registered and not missing:
        log.info("registered; free stake %s, reserved %s", unit.shown(stake.free), unit.shown(stake.reserved))
        return
    lack = _lack(chain, me, missing)
    if lack and not stake.registered:
        raise NodeError(lack)
    if lack:
        log.warning(
            "%s. Going on with a free stake of %s, reserved %s: orders beyond it are declined",
            lack,
            unit.shown(stake.free),
            unit.shown(stake.reserved),
        )
        return
    if not stake.registered:
        receipt = writer.register(metadata_digest(collection))
        log.info("registered as contributor %s (transaction %s)", me, receipt.hash)
    if missing:
        if chain.allowance(me, chain.deployment.registry) < missing:
            writer.approve(chain.deployment.registry, missing)
        receipt = writer.deposit(missing)
        log.info("deposited %s of stake (transaction %s)", unit.shown(missing), receipt.hash)


def _lack(chain: ChainReader, me: Address, missing: int) -> str:
    """What the account needs before it can register or deposit, and where to get it; empty when nothing."""
    if not chain.ether_balance(me):
        return f"{me} has no coins for gas on chain {chain.deployment.chain_id}: send it some, then run again"
    if chain.balance(me) < missing:
        unit = chain.deployment.unit
        return (
            f"{me} needs {unit.shown(missing)} more for its stake and holds {unit.shown(chain.balance(me))} (token "
            f"contract {chain.deployment.token}): send it the difference, or lower stake_wei in node.toml (orders may "
            "then be beyond its stake)"
        )
    return ""


def claim_rewards(chain: ChainReader, writer: ChainWriter) -> int:
    """Fetches the rewards; returns the token wei that came, 0 when there were none."""
    amount = chain.claimable(writer.address)
    if amount:
        writer.claim()
    return amount


def unbond(chain: ChainReader, writer: ChainWriter, amount_wei: int | None) -> int:
    """Starts the withdrawal of free stake (all of it for None); returns the amount. Reserved stake stays."""
    free = chain.stake_of(writer.address).free
    amount, unit = free if amount_wei is None else amount_wei, chain.deployment.unit
    if not 0 < amount <= free:
        raise NodeError(
            f"{unit.shown(amount)} cannot be withdrawn, {unit.shown(free)} are free; reserved stake comes back with "
            "its order"
        )
    writer.request_withdrawal(amount)
    return amount


def fetch_unbonded(chain: ChainReader, writer: ChainWriter) -> int:
    """Fetches stake whose unbonding time is over; NodeError says how long it still takes in chain time."""
    stake = chain.stake_of(writer.address)
    if not stake.unbonding:
        raise NodeError("no stake is being withdrawn; begin with `withdraw stake`")
    now = chain.chain_time()
    if now < stake.unbonding_at:
        raise NodeError(
            f"{chain.deployment.unit.shown(stake.unbonding)} may be fetched after {local_time(stake.unbonding_at, now)}"
        )
    writer.withdraw()
    return stake.unbonding
