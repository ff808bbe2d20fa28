"""The catalogue page: plain HTML from the same services as the interface. Every inserted text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape
from importlib.resources import files
from string import Template

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from backend.collections import CollectionService
from backend.datasets import DatasetService
from backend.http.context import PortsHere, ReadSession
from backend.orders.repository import OrderRepository
from provenance.api.catalogue import CollectionView, DatasetView
from provenance.api.orders import OrderState

router = APIRouter(include_in_schema=False)
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_COLLECTION_HEAD = (
    "Collection",
    "Family",
    "Visibility",
    "Contributors",
    "Price per row (tokens)",
    "Epsilon at most",
    "Size class",
)
_DATASET_HEAD = ("Data set", "Status", "Rows", "Depth", "Real", "Epsilon", "Scores", "Manifest")
_STATUS_WORDS = {
    "valid": "valid",
    "revoked": "revoked: shown on chain to be false, or withheld",
    "flagged": "flagged: derived from a data set that was revoked",
}


@router.get("/", response_class=HTMLResponse)
def catalogue(ports: PortsHere, session: ReadSession) -> HTMLResponse:
    """Collections, orders by state, data sets and how to verify them."""
    deployment = ports.ledger.deployment
    template = Template(files(__package__).joinpath("catalogue.html").read_text(encoding="utf-8"))
    html = template.substitute(
        collections=_table(_COLLECTION_HEAD, map(_collection, CollectionService(session).list())),
        orders=_orders(OrderRepository(session).counts()),
        datasets=_table(_DATASET_HEAD, map(_dataset, DatasetService(session, ports).list())),
        chain=escape(str(deployment.chain_id)),
        registry=escape(str(deployment.datasets)),
        escrow=escape(str(deployment.escrow)),
    )
    return HTMLResponse(html, headers=_HEADERS)


def _collection(collection: CollectionView) -> Sequence[str]:
    document = collection.document
    epsilon = document["epsilonMicro"]
    return (
        f"{document['title']} ({document['name']})",
        str(document["family"]),
        str(document["visibility"]),
        f"{collection.contributors} announced, {document['minContributors']} needed",
        _decimal(int(str(document["pricePerRowWei"])), 18),
        _epsilon(epsilon if isinstance(epsilon, int) else 0),
        str(document["sizeClass"]),
    )


def _dataset(dataset: DatasetView) -> Sequence[str]:
    scores = ", ".join(f"{Decimal(each.score_micro) / 10**6:.3f}" for each in dataset.evaluations)
    return (
        dataset.identifier,
        _STATUS_WORDS[dataset.status],
        str(dataset.rows),
        str(dataset.depth),
        f"{_decimal(dataset.real_fraction_micro, 4)} %",
        _epsilon(dataset.epsilon_micro),
        scores,
        str(dataset.manifest_cid),
    )


def _epsilon(micro: int) -> str:
    return "no privacy asked" if micro == 0 else _decimal(micro, 6)


def _decimal(amount: int, places: int) -> str:
    return f"{Decimal(amount).scaleb(-places).normalize():f}"


def _orders(counts: dict[str, int]) -> str:
    if not counts:
        return "<p>None yet.</p>"
    known = [state for state in OrderState if state in counts]
    shown = "".join(f"<span>{escape(state)}: <b>{counts[state]}</b></span>" for state in known)
    return f'<p class="states">{shown}</p>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return "<p>None yet.</p>"
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
