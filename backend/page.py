"""The catalogue page: plain HTML from the same services as the interface. The template escapes every inserted text."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from backend.collections import CollectionService
from backend.datasets import DatasetService
from backend.http.context import PortsHere, ReadSession
from backend.orders.repository import OrderRepository
from provenance.api.catalogue import CollectionView, DatasetView, OfferState, SaleView
from provenance.api.orders import OrderState
from provenance.units import MICRO, TokenUnit, format_fixed, percent, to_float

router = APIRouter(include_in_schema=False)
TEMPLATES = Environment(
    loader=PackageLoader("backend", "."),
    autoescape=True,
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STATUS_WORDS = {
    "valid": "valid",
    "reduced": "reduced: shards of it were shown to be false or withheld, the others stand",
    "revoked": "revoked: shown on chain to be false, or withheld",
    "flagged": "flagged: derived from a data set that was revoked",
}


@router.get("/", response_class=HTMLResponse)
def catalogue(ports: PortsHere, session: ReadSession) -> HTMLResponse:
    """Collections, orders by state, data sets and how to verify them."""
    counts, unit = OrderRepository(session).counts(), ports.chain.deployment.unit
    html = TEMPLATES.get_template("page.html").render(
        collections=[_collection(collection, unit) for collection in CollectionService(session).list()],
        orders=[(state, counts[state]) for state in OrderState if state in counts],
        datasets=[_dataset(dataset, unit) for dataset in DatasetService(session, ports).list()],
        deployment=ports.chain.deployment,
        token=unit.symbol or "tokens",
    )
    return HTMLResponse(html, headers=_HEADERS)


def _collection(collection: CollectionView, unit: TokenUnit) -> Sequence[str]:
    document = collection.document
    return (
        f"{document['title']} ({document['name']})",
        str(document["family"]),
        str(document["visibility"]),
        f"{collection.contributors} announced, {document['minContributors']} needed",
        unit.plain(int(str(document["pricePerRowWei"]))),
        _epsilon(int(str(document["epsilonMicro"]))),
        str(document["sizeClass"]),
    )


def _dataset(dataset: DatasetView, unit: TokenUnit) -> Sequence[str]:
    scores = ", ".join(f"{to_float(evaluation.score_micro, MICRO):.3f}" for evaluation in dataset.evaluations)
    return (
        dataset.identifier,
        _STATUS_WORDS[dataset.status],
        _rows(dataset),
        str(dataset.depth),
        percent(dataset.real_fraction_micro, MICRO),
        _epsilon(dataset.epsilon_micro),
        scores,
        str(dataset.manifest_cid),
        _price(dataset.sale, unit),
    )


def _rows(dataset: DatasetView) -> str:
    """Those that stand, of all that were published."""
    if dataset.status != "reduced":
        return str(dataset.rows)
    return f"{dataset.rows - sum(each.rows for each in dataset.shards if each.revoked)} of {dataset.rows}"


def _price(sale: SaleView | None, unit: TokenUnit) -> str:
    """Empty for a data set that is not offered, or is bought already."""
    if sale is None or sale.state is not OfferState.LISTED:
        return ""
    return unit.plain(sale.price_wei)


def _epsilon(micro: int) -> str:
    return "no privacy asked" if micro == 0 else format_fixed(micro, MICRO)
