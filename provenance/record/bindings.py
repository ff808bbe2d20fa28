"""Members of an order's terms that follow from its documents: collection, request, conditions, royalty, parents.

Buyer, broker, nodes and verifiers compare with the same list. Normative text: docs/spec/terms.md, rules 8 to 13.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.record.collection import Collection, Request
from provenance.record.terms import OrderTerms, parents_digest
from provenance.table.conditions_bytes import conditions_digest
from provenance.values import Digest


@dataclass(frozen=True, slots=True)
class Binding:
    """One member of the terms: what they say, and what the document gives."""

    member: str
    found: Digest | int
    expected: Digest | int

    @property
    def holds(self) -> bool:
        return self.found == self.expected


def bindings(terms: OrderTerms, collection: Collection, request: Request) -> tuple[Binding, ...]:
    """Every such member, in the order of the struct. Raises ConditionError or DocumentError for conditions that
    are none about the collection's schema and the terms' rows."""
    asked = request.asked(collection.schema, terms.rows)
    return (
        Binding("collection", terms.collection, collection.digest),
        Binding("request", terms.request, request.digest),
        Binding("royaltyBps", terms.royalty_bps, collection.royalty_bps),
        Binding("conditions", terms.conditions, conditions_digest(asked)),
        Binding("parents", terms.parents, parents_digest(collection.parents)),
    )
