"""The judge: how useful and how faithful synthetic rows are, measured on real rows that never trained.

auc: area under the ROC curve of scikit-learn's HistGradientBoosting trained on the synthetic rows and tested
on real test rows (the mean one-against-rest area for more than two classes). tvd1, tvd2: mean total
variation distance of all one-way and two-way tables between synthetic and real rows. Numbers are binned for
it at 20 quantiles of the real rows, and a value that alone fills a bin is a bin of its own. This is not a
privacy test, and it reads real rows: its figures are for benchmarks and the owner's eyes, not for
publication under DP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generator.evaluation.errors import EvaluationError
from provenance.schema import Column, Schema

QUANTILE_BINS = 20
MAX_CLASSES = 20

Values = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """`auc` is None when the schema has no target with classes; the distances are in [0, 1], less is
    better.
    """

    auc: float | None
    tvd1: float
    tvd2: float


def judge(
    synthetic: Values, test: Values, schema: Schema, *, reference: Values | None = None, seed: int = 0
) -> JudgeReport:
    """Judge grid indices int64[n, C] against real test rows int64[m, C].

    `reference` are the rows that distances are measured to and bins are made from (default: the test rows).
    """
    for name, values in (("synthetic", synthetic), ("test", test)):
        if values.ndim != 2 or values.shape[1] != len(schema.columns) or len(values) < 2:
            raise EvaluationError(
                f"{name} rows have shape {values.shape}; expected [>= 2, {len(schema.columns)}]"
            )
    tvd1, tvd2 = distances(synthetic, test if reference is None else reference, schema)
    return JudgeReport(utility_auc(synthetic, test, schema, seed=seed), tvd1, tvd2)


def distances(synthetic: Values, real: Values, schema: Schema) -> tuple[float, float]:
    """(mean one-way, mean two-way) total variation distance; the second equals the first for one column."""
    binned = [_bin(synthetic[:, c], real[:, c], column) for c, column in enumerate(schema.columns)]
    one = [_tvd(s, r, size) for s, r, size in binned]
    two = [
        _tvd(s1 * size2 + s2, r1 * size2 + r2, size1 * size2)
        for i, (s1, r1, size1) in enumerate(binned)
        for s2, r2, size2 in binned[i + 1 :]
    ]
    return float(np.mean(one)), float(np.mean(two or one))


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


def _bin(synthetic: Values, real: Values, column: Column) -> tuple[Values, Values, int]:
    if not column.is_numeric:
        return synthetic, real, column.cardinality
    edges = _edges(real[real < column.grid_size])
    if column.nullable:
        edges = np.unique([*edges, column.grid_size])
    return (
        np.searchsorted(edges, synthetic, side="right"),
        np.searchsorted(edges, real, side="right"),
        len(edges) + 1,
    )


def _edges(present: Values) -> Values:
    """Bin starts: quantiles, and both ends of every value that holds a quantile's share of the rows."""
    if not len(present):
        return np.empty(0, dtype=np.int64)
    quantiles = np.quantile(present, np.arange(1, QUANTILE_BINS) / QUANTILE_BINS, method="higher")
    values, counts = np.unique(present, return_counts=True)
    heavy = values[counts * QUANTILE_BINS >= len(present)]
    return np.unique(np.concatenate([quantiles, heavy, heavy + 1]).astype(np.int64))


def _tvd(synthetic: Values, real: Values, size: int) -> float:
    if size > 4 * (len(synthetic) + len(real)):
        _, both = np.unique(np.concatenate([synthetic, real]), return_inverse=True)
        synthetic, real, size = both[: len(synthetic)], both[len(synthetic) :], int(both.max()) + 1
    p = np.bincount(synthetic, minlength=size) / len(synthetic)
    q = np.bincount(real, minlength=size) / len(real)
    return 0.5 * float(np.abs(p - q).sum())


def _load_sklearn() -> tuple[Any, Any]:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise EvaluationError(
            "the judge needs scikit-learn, which is not installed: pip install 'tessera-market[evaluate]'"
        ) from error
    return HistGradientBoostingClassifier, roc_auc_score
