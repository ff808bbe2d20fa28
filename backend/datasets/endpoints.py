"""HTTP of data sets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from backend.datasets.schemas import DatasetList, DatasetOut
from backend.datasets.service import DatasetService
from backend.http.context import PortsHere, ReadSession

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])
DatasetId = Annotated[int, Path(ge=1, le=2**62)]


@router.get("")
def index(ports: PortsHere, session: ReadSession) -> DatasetList:
    """All data sets that the chain's events tell of, newest first."""
    return DatasetList(datasets=DatasetService(session, ports).list())


@router.get("/{dataset_id}")
def show(dataset_id: DatasetId, ports: PortsHere, session: ReadSession) -> DatasetOut:
    """One data set."""
    return DatasetService(session, ports).show(dataset_id)


@router.get("/{dataset_id}/manifest", response_class=Response)
def manifest(dataset_id: DatasetId, ports: PortsHere) -> Response:
    """The manifest's exact bytes."""
    with ports.database.read() as session:
        cid = DatasetService(session, ports).manifest_cid(dataset_id)
    return Response(ports.store.get(cid), media_type="application/json", headers={"X-Content-Cid": str(cid)})
