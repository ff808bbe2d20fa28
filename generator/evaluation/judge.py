"""The judge: how useful and how faithful synthetic rows are, measured on real rows that never trained.

auc: area under the ROC curve of scikit-learn's HistGradientBoosting trained on the synthetic rows and tested
on real test rows (the mean one-against-rest area for more than two classes). tvd1, tvd2: mean total
variation distance of all univariate and two-way tables between synthetic and real rows (`distances`). This is not a
privacy test, and it reads real rows: its figures are for benchmarks and the owner's eyes, not for
publication under DP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.errors import EvaluationError
from generator.evaluation.distances import table_distances
from provenance.table.schema import Schema

MAX_CLASSES = 20

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """`auc` is None when the schema has no target with classes; the distances are in [0, 1], less is better."""

    auc: float | None
    tvd1: float
    tvd2: float


def judge(synthetic: Values, test: Values, schema: Schema) -> JudgeReport:
    """Judge grid indices int64[n, C] against real test rows int64[m, C]."""
    for name, values in (("synthetic", synthetic), ("test", test)):
        if values.ndim != 2 or values.shape[1] != len(schema.columns) or len(values) < 2:
            raise EvaluationError(
                f"{name} rows have shape {values.shape}; expected [>= 2, {len(schema.columns)}]"
            )
    tvd1, tvd2 = distances(synthetic, test, schema)
    return JudgeReport(utility_auc(synthetic, test, schema), tvd1, tvd2)


def distances(synthetic: Values, real: Values, schema: Schema) -> tuple[float, float]:
    """(mean univariate, mean two-way) total variation distance; the second equals the first for one column."""
    distances = table_distances(synthetic, real, schema)
    return distances.tvd1, distances.tvd2


def utility_auc(synthetic: Values, test: Values, schema: Schema, *, seed: int = 0) -> float | None:
    """Train on synthetic, test on real. None without a target of categories or at most 20 values; 0.5 when
    one class was generated.
    """
    target = schema.target_index
    if target is None or (
        schema.columns[target].is_numeric and schema.columns[target].cardinality > MAX_CLASSES
    ):
        return None
    boosting, area = _load_sklearn()
    others = [c for c in range(len(schema.columns)) if c != target]
    categorical = [not schema.columns[c].is_numeric and schema.columns[c].cardinality <= 255 for c in others]
    labels = synthetic[:, target]
    if len(np.unique(labels)) < 2:
        return 0.5
    model = boosting(categorical_features=categorical, random_state=seed)
    model.fit(_features(synthetic, others, schema), labels)
    scores = model.predict_proba(_features(test, others, schema))
    areas = [
        float(area(test[:, target] == label, scores[:, k]))
        for k, label in enumerate(model.classes_)
        if 0 < np.count_nonzero(test[:, target] == label) < len(test)
    ]
    if not areas:
        raise EvaluationError(
            "the test rows hold one class of the target; judge with a test table that has several"
        )
    return float(np.mean(areas))


def _features(values: Values, columns: list[int], schema: Schema) -> NDArray[np.float64]:
    features = values[:, columns].astype(np.float64)
    for position, c in enumerate(columns):
        column = schema.columns[c]
        if column.is_numeric and column.nullable:
            features[features[:, position] == column.grid_size, position] = np.nan
    return features


def _load_sklearn() -> tuple[Any, Any]:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise EvaluationError(
            "the judge needs scikit-learn, which is not installed: pip install 'tessera-market[evaluate]'"
        ) from error
    return HistGradientBoostingClassifier, roc_auc_score
