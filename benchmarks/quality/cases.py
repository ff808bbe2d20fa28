"""Which cases are run. Ours run with their defaults on every table; peers with the settings listed here, or the
best of several candidates where a validation run has been made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.quality.case import (
    ALONE,
    CENTRAL,
    FEDERATED,
    IN_FLOAT,
    NO_CRITIC,
    NO_MARGINALS,
    PAIRS_ONLY,
    SUMMED,
    SUMMED_GRADIENTS,
    Case,
    Settings,
)
from benchmarks.quality.results import Result

REAL: Final = "real rows"
REDRAWN: Final = "real rows redrawn"
SHUFFLED: Final = "columns shuffled"
CONTROLS: Final = (REAL, REDRAWN, SHUFFLED)
PEERS: Final = ("ctgan", "tvae", "tabular_argn")
PRIVATE_PEERS: Final = ("mst", "aim", "dp_ctgan")

_AR, _MARGINAL, _GAN = "autoregressive", "marginal", "fedgan"
Listed = Sequence[tuple[str, float | None, str]]
# (subject, epsilon, setup). OURS answers the main questions; PARTS removes parts, on Adult; MORE fills the tables.
_EVERYWHERE: Final[Listed] = (
    (_AR, None, CENTRAL),
    (_AR, None, FEDERATED),
    (_AR, None, ALONE),
    (_MARGINAL, 1.0, CENTRAL),
    (_MARGINAL, 3.0, CENTRAL),
)
_ADULT: Final[Listed] = (
    *_EVERYWHERE,
    (_MARGINAL, 1.0, FEDERATED),
    (_MARGINAL, 1.0, ALONE),
    (SUMMED, 1.0, FEDERATED),
    (_AR, 3.0, CENTRAL),
    (_AR, 1.0, CENTRAL),
    (_GAN, None, CENTRAL),
)
_PARTS: Final[Listed] = (
    (IN_FLOAT, None, CENTRAL),
    (NO_CRITIC, None, CENTRAL),
    (NO_MARGINALS, None, CENTRAL),
    (_GAN, 1.0, CENTRAL),
    (NO_CRITIC, 1.0, CENTRAL),
    (PAIRS_ONLY, 1.0, CENTRAL),
    (PAIRS_ONLY, 3.0, CENTRAL),
    (_GAN, None, FEDERATED),
    (_GAN, None, ALONE),
    (NO_CRITIC, None, FEDERATED),
)
_MORE: Final[Listed] = (
    (_MARGINAL, None, CENTRAL),
    (_GAN, None, CENTRAL),
    (_AR, 1.0, CENTRAL),
    (_AR, 3.0, CENTRAL),
    (_MARGINAL, 1.0, FEDERATED),
    (_MARGINAL, 1.0, ALONE),
    (SUMMED, 1.0, FEDERATED),
)
_MORE_ADULT: Final[Listed] = (
    (_MARGINAL, None, CENTRAL),
    (_AR, 1.0, FEDERATED),
    (_AR, 3.0, FEDERATED),
    (_AR, 1.0, ALONE),
    (_AR, 3.0, ALONE),
    (_MARGINAL, 3.0, FEDERATED),
    (_MARGINAL, 3.0, ALONE),
    (SUMMED, 3.0, FEDERATED),
    (SUMMED_GRADIENTS, 3.0, FEDERATED),
    (SUMMED_GRADIENTS, 1.0, FEDERATED),
)
OUR_KINDS: Final = ("ours", "parts", "more")
# The first is taken where nothing was validated. CTGAN's default is 300 epochs; on the two larger tables that is
# 500 to 1,200 CPU-s a fit, so 100 are made there. `max_model_size` (MB) bounds AIM's time; its default is 80.
CANDIDATES: Final[Mapping[tuple[str, str], Sequence[Settings]]] = {
    ("german_credit", "ctgan"): ({"epochs": 300}, {"epochs": 1000}),
    ("telescope", "ctgan"): ({"epochs": 100},),
    ("adult", "ctgan"): ({"epochs": 100},),
    ("german_credit", "tvae"): ({"epochs": 300}, {"epochs": 1000}),
    ("telescope", "tvae"): ({"epochs": 100}, {"epochs": 300}),
    ("adult", "tvae"): ({"epochs": 100},),
}


def control_cases(table: str, seeds: Iterable[int]) -> list[Case]:
    """Ceiling, sampling error and floor."""
    return [Case(table, subject, None, CENTRAL, seed) for seed in seeds for subject in CONTROLS]


def our_cases(kind: str, table: str, seeds: Iterable[int]) -> list[Case]:
    """Cases of one of OUR_KINDS."""
    adult = table == "adult"
    listed = {
        "ours": _ADULT if adult else _EVERYWHERE,
        "parts": _PARTS if adult else (),
        "more": _MORE_ADULT if adult else _MORE,
    }[kind]
    return [
        Case(table, subject, epsilon, setup, seed) for seed in seeds for subject, epsilon, setup in listed
    ]


def peer_cases(table: str, seeds: Iterable[int], results: Mapping[str, Result]) -> list[Case]:
    """The peers, with the settings that won on the validation split if that was run."""
    return [
        Case(table, subject, epsilon, CENTRAL, seed, settings=chosen_settings(table, subject, results))
        for seed in seeds
        for subjects, epsilons in ((PEERS, (None,)), (PRIVATE_PEERS, (1.0, 3.0)))
        for subject in subjects
        for epsilon in epsilons
    ]


def validation_cases(table: str) -> list[Case]:
    """Every candidate of every peer that has several, on the validation split."""
    return [
        Case(table, subject, None, CENTRAL, 0, validation=True, settings=settings)
        for (name, subject), candidates in CANDIDATES.items()
        if name == table and len(candidates) > 1
        for settings in candidates
    ]


def chosen_settings(table: str, subject: str, results: Mapping[str, Result]) -> Settings:
    """The candidate with the largest AUC - TVD2 on the validation split; the first where none was run."""
    candidates = CANDIDATES.get((table, subject), ({},))
    scores: dict[int, float] = {}
    for position, settings in enumerate(candidates):
        case = Case(table, subject, None, CENTRAL, 0, validation=True, settings=settings)
        result = results.get(case.key)
        if result is not None and result.figures is not None:
            scores[position] = result.figures.auc - result.figures.tvd2
    return candidates[max(scores, key=scores.__getitem__)] if scores else candidates[0]


def short_cases() -> list[Case]:
    """Seconds: a small table, small fits; shows that everything runs and nothing else."""
    table, small = "german_credit", {"steps": 20, "hiddenWidth": 16}
    return [
        *control_cases(table, [0]),
        Case(table, IN_FLOAT, None, CENTRAL, 0, settings={"decayPercent": 30, "width": 8}),
        Case(table, _MARGINAL, 3.0, FEDERATED, 0, settings=small),
        Case(table, _MARGINAL, 3.0, ALONE, 0, settings=small),
    ]
