"""Ranks that say what the data say: encoders that cannot be told apart share a rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from midvision.analysis.clusters import Contrast, Ratios, difference
from midvision.analysis.resample import common_ratios, joint_ratios
from midvision.core.scores import Metric, Scores
from midvision.metrics.reduce import value

ALPHA = 0.05
DRAWS = 1000
Pair = tuple[str, str]


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
    scores: Mapping[str, Scores], metric: Metric, seed: int = 0, n: int = DRAWS, alpha: float = ALPHA
) -> list[Rank]:
    """Best first. Two encoders differ reliably where their paired difference over groups does, after Holm's
    correction over all pairs. Equal values are ordered by name, so the list does not depend on the input order.
    """
    values = {name: value(metric, scores[name].columns) for name in sorted(scores)}
    sign = -1.0 if metric.higher_is_better else 1.0
    order = sorted(values, key=lambda name: (values[name] != values[name], sign * values[name], name))
    reliable = adjusted(all_pairs({name: scores[name] for name in order}, metric, seed, n))
    beaten_by, beats = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for (a, b), (gain, p_value) in reliable.items():
        better, worse = (a, b) if gain.value > 0 else (b, a)
        beaten_by[worse] += p_value <= alpha
        beats[better] += p_value <= alpha
    return [Rank(name, values[name], 1 + beaten_by[name], len(order) - beats[name]) for name in order]


def all_pairs(
    scores: Mapping[str, Scores],
    metric: Metric,
    seed: int = 0,
    n: int = DRAWS,
    shared: tuple[Ratios, Sequence[int]] | None = None,
) -> dict[Pair, Contrast]:
    """The gain of the first over the second for every pair, paired over groups; positive is better.

    Items are matched by id. A pair is compared on the items that both have. `shared` are ratios that hold them
    already, and the row of each.
    """
    pairs = list(combinations(scores, 2))
    if not pairs:
        return {}
    if shared is None:
        common, rows = common_ratios(list(scores.values()), metric, seed, n), list(range(len(scores)))
    else:
        common, rows = shared[0], list(shared[1])
    names = dict(zip(scores, rows, strict=True))
    found = {}
    for a, b in pairs:
        if common is None:
            gain = joint_ratios([(scores[a], metric), (scores[b], metric)], seed, n).contrast((0, 1), difference)
        else:
            gain = common.contrast((names[a], names[b]), difference)
        found[a, b] = gain if metric.higher_is_better else turned(gain)
    return found


def adjusted(pairs: Mapping[Pair, Contrast]) -> dict[Pair, tuple[Contrast, float]]:
    """Every contrast with its p-value after Holm's correction; one that has none is never told apart."""
    values = holm_adjusted([1.0 if np.isnan(found.p_value) else found.p_value for found in pairs.values()])
    return {pair: (found, p) for (pair, found), p in zip(pairs.items(), values, strict=True)}


def turned(found: Contrast) -> Contrast:
    """The same with the other sign."""
    return Contrast(-found.value, -found.high, -found.low, found.error, found.p_value)


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
