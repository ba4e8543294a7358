"""Ranks that say what the data say: encoders that cannot be told apart share a rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from midvision.analysis.resample import RESAMPLES, Difference, paired_difference
from midvision.core.scores import Metric, Scores
from midvision.metrics.reduce import value

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Rank:
    """`rank` = 1 + the number of encoders that are reliably better, so equal ranks form one group.

    `worst_rank` = number of encoders minus those reliably worse: the true rank lies between the two.
    """

    name: str
    value: float
    rank: int
    worst_rank: int


def shared_ranks(
    scores: Mapping[str, Scores], metric: Metric, seed: int = 0, n: int = RESAMPLES, alpha: float = ALPHA
) -> list[Rank]:
    """Best first. Two encoders differ reliably where their paired difference over groups does, after Holm's
    correction over all pairs. Equal values are ordered by name, so the list does not depend on the input order.
    """
    values = {name: value(metric, scores[name].columns) for name in sorted(scores)}
    sign = -1.0 if metric.higher_is_better else 1.0
    order = sorted(values, key=lambda name: (values[name] != values[name], sign * values[name], name))
    pairs = list(combinations(order, 2))
    found = [paired_difference(scores[a], scores[b], metric, seed, n) for a, b in pairs]
    reliable = dict(zip(pairs, holm([_p_value(entry) for entry in found], alpha), strict=True))
    beaten_by, beats = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for (a, b), differs in reliable.items():
        beaten_by[b] += differs
        beats[a] += differs
    return [Rank(name, values[name], 1 + beaten_by[name], len(order) - beats[name]) for name in order]


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which hypotheses fall when the chance of any false one is to stay below `alpha` (Holm 1979)."""
    rejected = [False] * len(p_values)
    for step, row in enumerate(sorted(range(len(p_values)), key=lambda row: p_values[row])):
        if not p_values[row] <= alpha / (len(p_values) - step):
            break
        rejected[row] = True
    return rejected


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: a hypothesis falls at `alpha` where its adjusted value is at most `alpha`."""
    adjusted, running = [1.0] * len(p_values), 0.0
    for step, row in enumerate(sorted(range(len(p_values)), key=lambda row: p_values[row])):
        running = max(running, min(1.0, (len(p_values) - step) * p_values[row]))
        adjusted[row] = running
    return adjusted


def _p_value(difference: Difference) -> float:
    """Without an error estimate (one group) nothing is told apart."""
    return difference.p_value if difference.p_value == difference.p_value else 1.0
