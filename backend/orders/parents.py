"""What the chain says of the data sets that a collection derives from, before anybody signs an order of it."""

from __future__ import annotations

from backend.errors import TermsRefusedError
from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import ChainReads, DatasetOnChain, DatasetStatus, OrderState
from provenance.record.collection import Collection


def require_parents(ledger: ChainReads, collection: Collection) -> tuple[DatasetOnChain, ...]:
    """The parents' records. Raises TermsRefusedError unless each is valid and its order settled: the registry takes
    no child of another."""
    return tuple(_parent(ledger, parent) for parent in collection.parents)


def _parent(ledger: ChainReads, parent: int) -> DatasetOnChain:
    try:
        record = ledger.dataset(parent)
    except UnknownDatasetError as error:
        raise TermsRefusedError(f"parents: data set {parent} is not recorded: {error}") from error
    state = ledger.order(record.order).state
    if record.status != DatasetStatus.VALID or state is not OrderState.SETTLED:
        status = next((each.name for each in DatasetStatus if each == record.status), str(record.status))
        raise TermsRefusedError(
            f"parents: data set {parent} is {status} and its order {state.name}, expected VALID and SETTLED; "
            "order of a collection without it"
        )
    return record
