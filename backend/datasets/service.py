"""The catalogue as the interface shows it. The manifest's CID follows from its digest on chain."""

from __future__ import annotations

from typing import cast

from sqlalchemy.orm import Session

from backend.datasets.models import DatasetRow, EvaluationRow, ShardRow
from backend.datasets.repository import DatasetRepository
from backend.datasets.schemas import DatasetOut, EvaluationOut, ShardOut
from backend.errors import NotFoundError
from backend.ports import Ports
from provenance.canonical import decode
from provenance.store.unixfs import cid_of_digest
from provenance.values import Cid, Digest

LIST_LIMIT = 500


class DatasetService:
    """One transaction's view of the catalogue."""

    def __init__(self, session: Session, ports: Ports) -> None:
        self._rows = DatasetRepository(session)
        self._ports = ports

    def list(self) -> list[DatasetOut]:
        """Newest first, at most LIST_LIMIT."""
        rows = self._rows.list(LIST_LIMIT)
        collections = self._rows.collections([row.order for row in rows])
        return [self._shown(row, collections.get(row.order)) for row in rows]

    def show(self, dataset_id: int) -> DatasetOut:
        row = self._require(dataset_id)
        return self._shown(row, self._rows.collections([row.order]).get(row.order))

    def manifest_cid(self, dataset_id: int) -> Cid:
        """Where the manifest's exact bytes are."""
        return cid_of_digest(Digest.parse(self._require(dataset_id).manifest_digest))

    def _require(self, dataset_id: int) -> DatasetRow:
        row = self._rows.get(dataset_id)
        if row is None:
            raise NotFoundError(f"no data set {dataset_id} in the blocks followed so far")
        return row

    def _shown(self, row: DatasetRow, collection: str | None) -> DatasetOut:
        return DatasetOut(
            id=row.id,
            identifier=self._ports.ledger.deployment.dataset_name(row.id),
            order=row.order,
            collection=collection,
            manifest_digest=row.manifest_digest,
            manifest_cid=str(cid_of_digest(Digest.parse(row.manifest_digest))),
            dataset_root=row.dataset_root,
            seed=row.seed,
            score_digest=row.score_digest,
            rows=row.rows,
            epsilon_micro=row.epsilon_micro,
            delta_e12=row.delta_e12,
            depth=row.depth,
            spec_version=row.spec_version,
            real_fraction_micro=row.real_fraction_micro,
            parents=_texts(row.parents),
            shares_bps=[int(text) for text in _texts(row.shares_bps)],
            status=row.status,
            block=row.block,
            transaction=row.transaction,
            shards=[_shard(shard) for shard in row.shards],
            evaluations=[_evaluation(each) for each in row.evaluations],
        )


def _texts(data: bytes) -> list[str]:
    return cast("list[str]", decode(data))


def _shard(row: ShardRow) -> ShardOut:
    return ShardOut(
        shard=row.shard, contributor=row.contributor, model_digest=row.model_digest,
        shard_root=row.shard_root, rows=row.rows, epsilon_micro=row.epsilon_micro, delta_e12=row.delta_e12,
        content_digest=row.content_digest,
    )  # fmt: skip


def _evaluation(row: EvaluationRow) -> EvaluationOut:
    return EvaluationOut(contributor=row.contributor, score_micro=row.score_micro)
