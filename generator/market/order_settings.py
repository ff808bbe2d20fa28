"""The family settings of an order: the collection's, and what the request's conditions add.

Coordinator and nodes compute them alike, so neither can steer the training. Family "autoregressive" is trained
for one order, so it draws the columns first that this order's rows are asked for by; other families meet
conditions by attempts.
"""

from __future__ import annotations

from collections.abc import Mapping

from generator.errors import PlanError
from generator.families.settings import AutoregressiveSettings
from generator.federation.plan import SettingValue
from provenance.record.collection import Collection
from provenance.table.conditions import Conditions

CONDITIONABLE = AutoregressiveSettings.conditionable


def order_settings(collection: Collection, conditions: Conditions | None) -> dict[str, SettingValue]:
    """Settings of the training plan. Raises PlanError for settings that no family knows."""
    settings = _plain(collection.settings)
    if conditions is None or collection.family != "autoregressive":
        return settings
    stated = {name: value for name, value in settings.items() if name == CONDITIONABLE.name}
    names = AutoregressiveSettings.parse(stated).conditionable
    asked = {column for segment in conditions.segments for column in segment.allowed}
    more = [collection.schema.column_names[column] for column in sorted(asked)]
    return {**settings, CONDITIONABLE.name: CONDITIONABLE.encode(list(dict.fromkeys([*names, *more])))}


def _plain(settings: Mapping[str, int | str | bool]) -> dict[str, SettingValue]:
    """A collection's settings as a training plan holds them: integers and text only."""
    if switches := [name for name, value in settings.items() if isinstance(value, bool)]:
        raise PlanError(
            f"settings {', '.join(switches)} are true or false; families know integers and text only"
        )
    return dict(settings)
