"""What a node checks of a model before it stands by it: that the chain can judge its rows, and that it can make the
rows that an order asks for. After the seed is drawn it would be too late to say no.
"""

from __future__ import annotations

import secrets

from generator.errors import TaskRefused
from generator.node.context import Node, shard_of
from generator.node.orders import Accepted
from generator.node.sample import shard_conditions
from provenance.errors import ConditionError, ConditionUnmetError
from provenance.exact import SPEC_VERSION
from provenance.exact.allowed import AllowedCodes
from provenance.exact.conditional import prefix_size_of
from provenance.exact.model import decode_model, model_size
from provenance.exact.sampler import sampler_for
from provenance.exact.size_class import ATTEMPTS
from provenance.table.conditions import Conditions, RowConditions
from provenance.values import Digest

TRIAL_ROWS = 4096
MOST_RISK = 1e-3
"""Largest chance at which a node commits that a row of its shard fails all attempts."""


def check_size(node: Node, model: bytes) -> None:
    """TaskRefused for a model that breaks the size class that the collection promises."""
    beyond = model_size(decode_model(model), len(model)).beyond()
    if beyond and node.collection.size_class == "fraud-provable":
        raise TaskRefused(
            "too-large",
            f"the collection promises models whose every row the chain can judge, this one has {beyond}: offer a "
            'collection of sizeClass "recomputed", or with settings for a smaller net',
        )


def check_conditions(node: Node, accepted: Accepted, model: bytes) -> None:
    """TaskRefused ("conditions-unmet") for a model that would probably leave a row of the order unmade.

    After the seed is drawn the node owes its rows, and silence costs its stake: what it cannot deliver it must refuse
    before. It tries rows of a stream under a seed of its own; how many attempts they took tells how likely one of the
    order's rows is to fail 64 times. Conditions on columns that are drawn first take one attempt and never fail.
    """
    participants = node.matched_participants(accepted.terms.order_id(node.domain))
    shard = shard_of(participants, node.address)
    conditions = shard_conditions(node, accepted, participants, shard)
    if conditions is not None:
        try_rows(node, model, conditions, shard, participants[shard].rows)


def try_rows(node: Node, model: bytes, conditions: RowConditions, shard: int, rows: int) -> None:
    """`check_conditions` of `rows` rows as shard `shard` would have them."""
    if node.collection.size_class == "fraud-provable":
        check_prefix(conditions.conditions, model)
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


def check_prefix(conditions: Conditions, model: bytes) -> None:
    """TaskRefused ("too-large") for conditions under which a row's first steps are more work than the chain can judge:
    whoever signs such rows would lose its stake."""
    decoded = decode_model(model)
    for number, segment in enumerate(conditions.segments):
        allowed = {
            column: AllowedCodes(decoded.codebook, column, each) for column, each in segment.allowed.items()
        }
        beyond = prefix_size_of(decoded, allowed).beyond()
        if beyond:
            raise TaskRefused(
                "too-large",
                f"rows with {conditions.describe(number)} take {beyond}, too much for the chain to judge: "
                'condition fewer columns, or ask for a collection of sizeClass "recomputed"',
            )
