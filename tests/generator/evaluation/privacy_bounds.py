"""What differential privacy allows an attack, and what an attack's scores show to have been spent at least.

Bounds hold for members drawn independently (each row by a coin) and a reference that is no function of the
coins: then the mean over rows of a fixed threshold's true positive rate obeys the trade-off of one row
(Steinke et al. 2023, arXiv:2305.08846; Dong, Roth and Su 2022). An attack below its bound proves nothing; one
above it proves that the noise is not what the statement says.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr
from scipy.stats import beta

from generator.evaluation.membership import Floats


def auc_bound(epsilon: float, delta: float) -> float:
    """Largest area that (epsilon, delta)-DP allows any attack: 1 - (1 - delta)^2 / (1 + e^epsilon)."""
    return 1 - (1 - delta) ** 2 / (1 + math.exp(epsilon))


def gdp_auc_bound(mu: float) -> float:
    """Largest area that mu-GDP allows any attack: that of telling N(0, 1) from N(mu, 1)."""
    return float(ndtr(mu / math.sqrt(2)))


def epsilon_shown(members: Floats, others: Floats, *, delta: float, confidence: float = 0.95) -> float:
    """Epsilon that the attack proves to have been spent at least, 0.0 where it proves nothing.

    From TPR <= e^epsilon FPR + delta, with Clopper-Pearson limits of both rates. The threshold is chosen on
    every other score and judged on the rest, so that choosing it costs no confidence.
    """
    first, second = members, others
    chosen = _threshold(first[::2], second[::2], delta, confidence)
    return _epsilon_at(chosen, first[1::2], second[1::2], delta, confidence)


def exposures(canaries: Floats, candidates: Floats) -> Floats:
    """Exposure in bits of each planted row, log2(N + 1) - log2(rank), from log densities of the planted rows and of N
    candidates drawn as they were (Carlini et al. 2019, arXiv:1802.08232). Chance gives 1.44 on average.
    """
    first, second = canaries, np.sort(candidates)
    # of equally likely candidates half stand before the canary
    before = len(second) - np.searchsorted(second, first, side="right")
    ties = len(second) - before - np.searchsorted(second, first, side="left")
    return np.asarray(np.log2(len(second) + 1) - np.log2(before + ties / 2 + 1))


def exposure_bound(epsilon: float, delta: float, candidates: int) -> float:
    """Largest mean exposure under (epsilon, delta)-DP: (1 + epsilon) / ln 2 + delta log2(N + 1).

    A canary's rank is in the first share u of the candidates with probability at most min(1, e^epsilon u +
    delta); the mean of -log2 u follows.
    """
    return (1 + epsilon) / math.log(2) + delta * math.log2(candidates + 1)


def _threshold(members: Floats, others: Floats, delta: float, confidence: float) -> float:
    candidates = np.unique(np.quantile(members, np.linspace(0.02, 0.98, 49)))
    bounds = [_epsilon_at(float(t), members, others, delta, confidence) for t in candidates]
    return float(candidates[int(np.argmax(bounds))])


def _epsilon_at(threshold: float, members: Floats, others: Floats, delta: float, confidence: float) -> float:
    tail = (1 - confidence) / 2
    hits, alarms = int((members >= threshold).sum()), int((others >= threshold).sum())
    true = float(beta.ppf(tail, hits, len(members) - hits + 1)) if hits else 0.0
    false = float(beta.ppf(1 - tail, alarms + 1, len(others) - alarms)) if alarms < len(others) else 1.0
    return max(0.0, math.log((true - delta) / false)) if true > delta else 0.0
