from __future__ import annotations

from dataclasses import replace

import pytest

from generator.errors import PlanError
from generator.market.jobs import order_settings
from provenance.record.collection import Collection
from provenance.table.conditions import Conditions, Segment
from tests.provenance.verify.publication import SCHEMA

OFFER = Collection("toy", "Toy", SCHEMA, "autoregressive", "private", 2, 10, 0, {"rounds": 3})
ASKED = Conditions(SCHEMA, (Segment(5, {1: ((0, 0),)}), Segment(4, {0: ((3, 9),), 1: ((1, 1),)})))


def test_refuses_settings_that_are_true_or_false() -> None:
    with pytest.raises(PlanError, match="settings fast are true or false"):
        order_settings(replace(OFFER, settings={"fast": True}), None)


def test_refuses_a_collection_whose_conditionable_columns_are_no_list() -> None:
    with pytest.raises(PlanError, match="JSON list"):
        order_settings(replace(OFFER, settings={"conditionable": "age"}), ASKED)


def test_columns_that_an_order_asks_by_join_those_of_the_collection() -> None:
    assert order_settings(OFFER, None) == {"rounds": 3}
    assert order_settings(OFFER, ASKED) == {"rounds": 3, "conditionable": '["age","kind"]'}
    declared = replace(OFFER, settings={"conditionable": '["kind"]'})
    assert order_settings(declared, ASKED) == {"conditionable": '["kind","age"]'}


def test_other_families_draw_all_columns_at_once_and_get_their_settings_as_they_are() -> None:
    assert order_settings(replace(OFFER, family="marginal"), ASKED) == {"rounds": 3}
