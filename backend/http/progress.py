"""What a node or the coordinator tells about its training; it becomes an event of the order."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from backend.http.wire import Wire
from provenance.canonical import JsonValue


def _number_text(value: object) -> object:
    # Canonical JSON has no floats; a loss that is not a number is reported as it is, training judges it.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


NumberText = Annotated[
    str,
    BeforeValidator(_number_text),
    StringConstraints(pattern=r"^(-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|-?inf|nan)$", max_length=40),
]
LeaseSeconds = Annotated[int, Field(ge=5, le=600)]
DEFAULT_LEASE_SECONDS = 60


class Progress(Wire):
    round: int | None = Field(default=None, ge=0)
    rounds: int | None = Field(default=None, ge=0)
    loss: NumberText | None = None
    epsilon: NumberText | None = None
    message: str | None = Field(default=None, max_length=1000)

    def event(self) -> dict[str, JsonValue]:
        """The members that were given, as the event's data."""
        return Progress(**{name: getattr(self, name) for name in Progress.model_fields}).model_dump(
            by_alias=True, exclude_none=True
        )


class LeaseRequest(Wire):
    wait_seconds: float = Field(default=20, ge=0, le=25)
    lease_seconds: LeaseSeconds = DEFAULT_LEASE_SECONDS


class LeaseRenewed(Wire):
    leased_until: float
