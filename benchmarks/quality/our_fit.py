"""One fit of ours: `python -m benchmarks.quality.our_fit REQUEST`, in a process of its own as the peers' are.

The clock runs over `generator.fitting.fit.fit`, from grid indices to the container, on one thread; imports and
reading the CSV are left out for the peers too. Rows are drawn twice, the second time is timed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.case import (
    ALONE,
    CENTRAL,
    CONTRIBUTORS,
    DELTA,
    FEDERATED,
    OURS,
    SKEW,
    Case,
    FitReport,
    Settings,
)
from benchmarks.quality.peer_fit import decoded
from benchmarks.quality.peers.exchange import cpu_seconds, peak_rss_bytes
from benchmarks.quality.tables import TABLES, skewed_owners
from generator.errors import FitError
from generator.families import autoregressive_node, fedgan_node, marginal_node
from generator.federation.node import handle_bytes
from generator.fitting import fit as fitting
from generator.fitting.fit import fit
from generator.fitting.settings import FitSettings
from generator.learning.autoregressive import Flat, NetShape, sample_codes
from generator.learning.draw_order import DrawOrder
from generator.learning.quantise_autoregressive import quantise_autoregressive
from provenance.exact.codebook import Codebook
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.schema import Schema
from provenance.values import Digest, sha256

# loaded before the clock starts, as the peers' packages are
LOADED = (autoregressive_node, fedgan_node, marginal_node)
TIMED_ROWS = 100_000

Values = NDArray[np.int64]
Draw = Callable[[int], Values]


@dataclass(frozen=True, slots=True)
class Fitted:
    """How rows are drawn, the models, the most that a contributor sent (None: nothing), and how many
    contributors could not fit.
    """

    draw: Draw
    containers: tuple[Container, ...]
    sent_bytes: int | None
    refused: int = 0


def main(arguments: Sequence[str]) -> None:
    """Serve the request: model files, rows and the report go beside it."""
    path = Path(arguments[0])
    case = Case.parse(json.loads(path.read_text(encoding="utf-8")))
    table = TABLES[case.table]
    split = table.split(case.seed)
    train = split.validation(table.schema).train if case.validation else split.train
    started, cpu = time.monotonic(), cpu_seconds()
    fitted = fit_case(case, train, table.schema)
    fit_cpu, fit_seconds, rss = cpu_seconds() - cpu, time.monotonic() - started, peak_rss_bytes()
    np.save(path.parent / "rows.npy", fitted.draw(len(train)))
    cpu = cpu_seconds()
    timed = len(fitted.draw(TIMED_ROWS))
    sample_cpu = cpu_seconds() - cpu
    for index, container in enumerate(fitted.containers):
        (path.parent / f"{index}.tsm").write_bytes(container.encode())
    models = sum(container.model_bytes for container in fitted.containers)
    FitReport(fit_cpu, fit_seconds, sample_cpu, timed, rss, models, fitted.sent_bytes, fitted.refused).save(
        path.parent / "fit.json"
    )


def fit_case(case: Case, train: Values, schema: Schema) -> Fitted:
    """Fit int64[n, C] rows as the case says."""
    if OURS[case.subject].in_float:
        return _in_float(case, train, schema)
    if case.setup == CENTRAL:
        container = fit(train, schema, _settings(case, 1))
        return Fitted(lambda rows: _sample(container, case, rows), (container,), None)
    owners = skewed_owners(train, TABLES[case.table], CONTRIBUTORS, SKEW, case.seed)
    if case.setup == ALONE:
        return _alone(case, [train[owners == k] for k in range(CONTRIBUTORS)], schema)
    assert case.setup == FEDERATED
    sent: dict[object, int] = {}

    def counted(task: bytes, **node: object) -> bytes:
        answer = handle_bytes(task, **node)  # type: ignore[arg-type]
        key = id(node["state"])
        sent[key] = sent.get(key, 0) + len(answer)
        return answer

    with patch.object(fitting, "handle_bytes", counted):
        container = fit(train, schema, _settings(case, CONTRIBUTORS), owners=owners)
    return Fitted(lambda rows: _sample(container, case, rows), (container,), max(sent.values()))


def _alone(case: Case, parts: Sequence[Values], schema: Schema) -> Fitted:
    """Every contributor fits its own rows; the shards, in proportion to the tables, are pooled.

    Who has too few rows for its noise brings nothing. FitError if that is everybody.
    """
    fitted: list[tuple[Container, int]] = []
    refusals: list[FitError] = []
    for part in parts:
        try:
            fitted.append((fit(part, schema, _settings(case, 1)), len(part)))
        except FitError as refusal:
            refusals.append(refusal)
    if not fitted:
        raise refusals[0]
    total = sum(count for _, count in fitted)

    def draw(rows: int) -> Values:
        return np.concatenate(
            [_sample(container, case, max(1, round(rows * count / total))) for container, count in fitted]
        )

    return Fitted(draw, tuple(container for container, _ in fitted), None, len(refusals))


def _in_float(case: Case, train: Values, schema: Schema) -> Fitted:
    """The same fit, and rows of the net whose integers the container holds."""
    seen: list[tuple[NetShape, Flat, Codebook, DrawOrder]] = []

    def keep(shape: NetShape, weights: Flat, codebook: Codebook, order: DrawOrder, digest: Digest) -> bytes:
        seen.append((shape, weights, codebook, order))
        return quantise_autoregressive(shape, weights, codebook, order, digest)

    with patch.object(autoregressive_node, "quantise_autoregressive", keep):
        container = fit(train, schema, _settings(case, 1))
    ((shape, weights, codebook, order),) = seen

    def draw(rows: int) -> Values:
        drawn = sample_codes(shape, weights, rows, np.random.default_rng(case.seed))
        codes = np.empty_like(drawn)
        codes[:, list(order.columns)] = drawn
        return decoded(codes, codebook, case.seed)

    return Fitted(draw, (container,), None)


def _settings(case: Case, contributors: int) -> FitSettings:
    subject = OURS[case.subject]
    return FitSettings(
        family=subject.family,
        epsilon=case.epsilon,
        delta=DELTA,
        contributors=contributors,
        seed=case.seed,
        settings=_whole_or_word({**subject.settings, **case.settings}),
    )


def _whole_or_word(settings: Settings) -> dict[str, int | str]:
    return {name: value if isinstance(value, str) else int(value) for name, value in settings.items()}


def _sample(container: Container, case: Case, rows: int) -> Values:
    return ContainerSampler(container, sha256(b"benchmark/%d" % case.seed)).values(0, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
