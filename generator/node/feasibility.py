"""Whether a finished model can be expected to meet an order's conditions, asked before the node commits to it.

After the seed is drawn the node owes its rows, and silence costs its stake: what it cannot deliver it must refuse
before. It tries rows of a stream under a seed of its own; how many attempts they took tells how likely one of the
order's rows is to fail 64 times. Conditions on columns that are drawn first take one attempt and never fail.
"""

from __future__ import annotations

import secrets

from generator.errors import TaskRefused
from generator.node.context import Node, shard_of
from generator.node.orders import Accepted
from generator.node.sample import shard_conditions
from provenance.errors import ConditionError, ConditionUnmetError
from provenance.exact import SPEC_VERSION
from provenance.exact.conditional import ATTEMPTS
from provenance.exact.versions import sampler_for
from provenance.values import Digest

TRIAL_ROWS = 4096
MOST_RISK = 1e-3
"""Largest chance at which a node commits that a row of its shard fails all attempts."""


def check_conditions(node: Node, accepted: Accepted, model: bytes) -> None:
    """TaskRefused ("conditions-unmet") for a model that would probably leave a row of the order unmade."""
    participants = node.matched_participants(accepted.terms.order_id(node.domain))
    shard = shard_of(participants, node.address)
    conditions = shard_conditions(node, accepted, participants, shard)
    if conditions is None:
        return
    rows = participants[shard].rows
    try:
        sampler = sampler_for(SPEC_VERSION)(
            model, Digest(secrets.token_bytes(32)), shard, conditions=conditions
        )
        sampler.values(0, min(rows, TRIAL_ROWS), threads=node.settings.threads)
    except (ConditionError, ConditionUnmetError) as error:
        raise TaskRefused("conditions-unmet", str(error)) from error
    tally = sampler.tally
    assert tally is not None, "a sampler under conditions counts"
    met = tally.rows / tally.attempts
    risk = rows * (1 - met) ** ATTEMPTS
    if risk > MOST_RISK:
        raise TaskRefused(
            "conditions-unmet",
            f"{met:.1%} of the attempts meet the order's conditions, so that one of {rows} rows fails all "
            f"{ATTEMPTS} with a chance of {min(risk, 1):.1%}; expected at most {MOST_RISK:.1%}: ask for less rare "
            'values, or for a collection of family "autoregressive", which draws such columns first',
        )
