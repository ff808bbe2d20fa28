"""An order as the broker has it: hints for people, which the chain may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from generator.market.wire import Fields
from provenance.record.terms import OrderTerms
from provenance.values import Digest


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order. `document` is what the market served."""

    fields: Fields

    @property
    def document(self) -> Mapping[str, object]:
        return self.fields.values

    @property
    def order_id(self) -> Digest:
        return self.fields.digest("orderId")

    @property
    def state(self) -> str:
        return self.fields.text("state")

    @property
    def reason(self) -> str:
        """Why it ended without a data set; empty otherwise."""
        return self.fields.text_or("reason", "")

    @property
    def terms(self) -> OrderTerms:
        return OrderTerms.parse(self.fields.object("terms").values)

    @property
    def dataset_id(self) -> int | None:
        return self.fields.integer("datasetId") if self.fields.has("datasetId") else None
