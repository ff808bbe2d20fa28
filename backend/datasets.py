"""The catalogue of published data sets, read from chain events.

A manifest's CID follows from its digest on chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import APIRouter, Path, Response
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from backend.database.engine import LIST_LIMIT, Repository
from backend.database.models import DatasetRow, OfferRow, OrderRow, ShardRow
from backend.errors import NotFoundError
from backend.http.context import PortsHere, ReadSession
from backend.offers import OfferRepository, sale_view
from backend.outcome import outcome_of
from backend.ports import Ports
from provenance.api.catalogue import DatasetList, DatasetView, EvaluationView, ShardView
from provenance.api.message import Uint256
from provenance.canonical import decode
from provenance.store.unixfs import cid_of_digest
from provenance.values import Address, Cid, Digest

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
DatasetId = Annotated[int, Path(ge=1, le=2**62)]


class DatasetRepository(Repository[DatasetRow]):
    """Reads data sets with their shards and evaluations."""

    table = DatasetRow

    def complete(self, dataset_id: int) -> DatasetRow | None:
        return self.session.scalar(_complete().where(DatasetRow.id == dataset_id))

    def list(self, limit: int) -> Sequence[DatasetRow]:
        """Newest first."""
        return self.page(_complete().order_by(DatasetRow.id.desc()), limit)

    def collections(self, orders: Sequence[str]) -> dict[str, str]:
        """Collection by order, for the orders that went through this broker."""
        query = select(OrderRow.id, OrderRow.collection).where(OrderRow.id.in_(orders))
        return {row.id: row.collection for row in self.session.execute(query)}


class DatasetService:
    """One transaction's view of the catalogue."""

    def __init__(self, session: Session, ports: Ports) -> None:
        self._session = session
        self._rows = DatasetRepository(session)
        self._offers = OfferRepository(session)
        self._ports = ports

    def list(self) -> tuple[DatasetView, ...]:
        """Newest first, at most LIST_LIMIT."""
        return self._views(self._rows.list(LIST_LIMIT))

    def show(self, dataset_id: int) -> DatasetView:
        (view,) = self._views([self._require(dataset_id)])
        return view

    def manifest_cid(self, dataset_id: int) -> Cid:
        """Where the manifest's exact bytes are."""
        return cid_of_digest(Digest.parse(self._require(dataset_id).manifest_digest))

    def _require(self, dataset_id: int) -> DatasetRow:
        row = self._rows.complete(dataset_id)
        if row is None:
            raise NotFoundError(f"no data set {dataset_id} in the blocks followed so far")
        return row

    def _views(self, rows: Sequence[DatasetRow]) -> tuple[DatasetView, ...]:
        collections = self._rows.collections([row.order for row in rows])
        offers = self._offers.running([row.id for row in rows])
        return tuple(self._shown(row, collections.get(row.order), offers.get(row.id)) for row in rows)

    def _shown(self, row: DatasetRow, collection: str | None, offer: OfferRow | None) -> DatasetView:
        is_reduced = row.status == "reduced"
        revoked = outcome_of(self._session, row.order).convicted if is_reduced else frozenset()
        manifest = Digest.parse(row.manifest_digest)
        return DatasetView(
            id=row.id,
            identifier=self._ports.chain.deployment.dataset_name(row.id),
            order=Digest.parse(row.order),
            collection=None if collection is None else Digest.parse(collection),
            manifest_digest=manifest,
            manifest_cid=cid_of_digest(manifest),
            dataset_root=Digest.parse(row.dataset_root),
            seed=Digest.parse(row.seed),
            score_digest=Digest.parse(row.score_digest),
            rows=row.rows,
            epsilon_micro=row.epsilon_micro,
            delta_e12=row.delta_e12,
            depth=row.depth,
            spec_version=row.spec_version,
            real_fraction_micro=row.real_fraction_micro,
            parents=tuple(Uint256(text) for text in _texts(row.parents)),
            shares_bps=tuple(int(text) for text in _texts(row.shares_bps)),
            status=row.status,
            block=row.block,
            transaction=Digest.parse(row.transaction),
            shards=tuple(_shard(shard, revoked=shard.shard in revoked) for shard in row.shards),
            evaluations=tuple(
                EvaluationView(contributor=Address.parse(each.contributor), score_micro=each.score_micro)
                for each in row.evaluations
            ),
            sale=None if offer is None else sale_view(offer),
        )


@router.get("")
def index(ports: PortsHere, session: ReadSession) -> DatasetList:
    """All data sets that the chain's events tell of, newest first."""
    return DatasetList(datasets=DatasetService(session, ports).list())


@router.get("/{dataset_id}")
def show(dataset_id: DatasetId, ports: PortsHere, session: ReadSession) -> DatasetView:
    """One data set."""
    return DatasetService(session, ports).show(dataset_id)


@router.get("/{dataset_id}/manifest", response_class=Response)
def manifest(dataset_id: DatasetId, ports: PortsHere) -> Response:
    """The manifest's exact bytes."""
    with ports.database.read() as session:
        cid = DatasetService(session, ports).manifest_cid(dataset_id)
    return Response(ports.store.get(cid), media_type="application/json", headers={"X-Content-Cid": str(cid)})


def _complete() -> Select[DatasetRow]:
    return select(DatasetRow).options(selectinload(DatasetRow.shards), selectinload(DatasetRow.evaluations))


def _texts(data: bytes) -> list[str]:
    return cast("list[str]", decode(data))


def _shard(row: ShardRow, *, revoked: bool) -> ShardView:
    return ShardView(
        shard=row.shard, contributor=Address.parse(row.contributor),
        model_digest=Digest.parse(row.model_digest), shard_root=Digest.parse(row.shard_root), rows=row.rows,
        epsilon_micro=row.epsilon_micro, delta_e12=row.delta_e12,
        content_digest=Digest.parse(row.content_digest), revoked=revoked,
    )  # fmt: skip
