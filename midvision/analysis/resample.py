"""Intervals that respect groups: scenes and objects are drawn again, never pixels or items.

Every metric is a ratio of sums over groups; `clusters.py` says how its interval is made. With one group
there is no interval (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from midvision.analysis.clusters import LEVEL, RESAMPLES, Ratios, difference
from midvision.core.errors import ComparisonError
from midvision.core.scores import Estimate, Metric, Scores
from midvision.metrics.reduce import ratio, terms


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` = a - b on the same items, with a paired interval over groups.

    `p_value` is two-sided and at most 0.05 exactly where the interval leaves zero out; NaN with one group.
    `better` is "a", "b", or "" where the interval holds zero.
    """

    metric: str
    value: float
    ci_low: float
    ci_high: float
    error: float
    p_value: float
    n: int
    groups: int
    unit: str
    better: str


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Numerators and denominators of one metric added up within groups, `[G]` each, and the items that count."""

    above: np.ndarray
    below: np.ndarray
    n: int

    @property
    def groups(self) -> int:
        return len(self.above)

    @property
    def value(self) -> float:
        return float(ratio(self.above.sum(), self.below.sum()))


def estimates(
    scores: Scores, metrics: Iterable[Metric], seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> dict[str, Estimate]:
    """Every metric on all items, with its interval over groups. The same seed draws the same groups."""
    return {metric.name: estimate(scores, metric, seed, n, level) for metric in metrics}


def estimate(scores: Scores, metric: Metric, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL) -> Estimate:
    """One metric with its interval, cut to the metric's range."""
    sums = group_sums(scores, metric)
    found = ratios([sums], seed, n).contrast((0,), level=level)
    low, high = (float(np.clip(end, metric.low, metric.high)) for end in (found.low, found.high))
    return Estimate(
        sums.value,
        low,
        high,
        sums.n,
        sums.groups,
        metric.unit,
        metric.higher_is_better,
        metric.low,
        metric.high,
        metric.chance,
    )


def baseline_metrics(scores: Scores, metrics: Iterable[Metric], baseline: str) -> list[Metric]:
    """The metrics read from the columns `BASELINE.COLUMN` (constant, chance), where the scores have them."""
    moved = []
    for metric in metrics:
        column, over = f"{baseline}.{metric.column}", f"{baseline}.{metric.over}"
        if column in scores.columns:
            moved.append(replace(metric, column=column, over=over if over in scores.columns else metric.over))
    return moved


def paired_difference(
    a: Scores, b: Scores, metric: Metric, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> Difference:
    """a minus b on the items of both; groups are drawn once for both sides.

    Items are matched by id; different items raise `ComparisonError`.
    """
    return _difference(_joint_sums([(a, metric), (_matched(a, b), metric)]), metric, seed, n, level)


def grouped_difference(
    a: Scores, b: Scores, metric: Metric, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> Difference:
    """a minus b where the two may score other items: every side over its own, groups drawn once for both.

    On equal items this is `paired_difference`. What both sides hold of a group stays paired, which groups of one
    side only cannot be; `n` counts a's items.
    """
    names = {name: number for number, name in enumerate(dict.fromkeys((*a.groups, *b.groups)))}
    sides, present = [], np.zeros(len(names), dtype=bool)
    for scores in (a, b):
        inverse = np.array([names[name] for name in scores.groups], dtype=np.int64)
        there = _there(scores.columns, metric)
        above, below = (np.bincount(inverse, side, len(names)) for side in terms(metric, scores.columns))
        present |= np.bincount(inverse, there, len(names)) > 0
        sides.append((above, below, int(there.sum())))
    left, right = (GroupSums(above[present], below[present], count) for above, below, count in sides)
    return _difference([left, right], metric, seed, n, level)


def against_baseline(
    scores: Scores, metric: Metric, baseline: str, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> Difference | None:
    """The metric minus the same metric of the constant or the chance answer; None where there is none."""
    moved = baseline_metrics(scores, [metric], baseline)
    if not moved:
        return None
    return _difference(_joint_sums([(scores, metric), (scores, moved[0])]), metric, seed, n, level)


def group_sums(scores: Scores, metric: Metric) -> GroupSums:
    """Item terms added up by group, in the order of first appearance; groups without a valid item are left out."""
    above, below = terms(metric, scores.columns)
    there = _there(scores.columns, metric)
    names, inverse = _group_rows(scores.groups)
    return _sum_groups(above, below, there, len(names), inverse)


def _joint_sums(sides: Sequence[tuple[Scores, Metric]]) -> list[GroupSums]:
    """All sides over the items where every one is defined, with the same groups in the same order."""
    there = np.logical_and.reduce([_there(scores.columns, metric) for scores, metric in sides])
    names, inverse = _group_rows(sides[0][0].groups)
    return [_sum_groups(*terms(metric, scores.columns), there, len(names), inverse) for scores, metric in sides]


def _there(columns: Mapping[str, np.ndarray], metric: Metric) -> np.ndarray:
    finite: np.ndarray = np.isfinite(np.asarray(columns[metric.column], dtype=np.float64))
    return finite if metric.over is None else finite & np.isfinite(np.asarray(columns[metric.over], dtype=np.float64))


def _group_rows(groups: Sequence[str]) -> tuple[dict[str, int], np.ndarray]:
    names = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return names, np.array([names[name] for name in groups], dtype=np.int64)


def _sum_groups(above: np.ndarray, below: np.ndarray, there: np.ndarray, groups: int, inverse: np.ndarray) -> GroupSums:
    sums = [np.bincount(inverse, np.where(there, side, 0.0), groups) for side in (above, below)]
    present = np.bincount(inverse, there, groups) > 0
    return GroupSums(sums[0][present], sums[1][present], int(there.sum()))


def ratios(sides: Sequence[GroupSums], seed: int = 0, n: int = RESAMPLES) -> Ratios:
    """Sides over the same groups, ready for intervals of what is made of them."""
    return Ratios(np.stack([side.above for side in sides]), np.stack([side.below for side in sides]), seed, n)


def joint_ratios(sides: Sequence[tuple[Scores, Metric]], seed: int = 0, n: int = RESAMPLES) -> Ratios:
    """Ratios over the items where every side is defined; items are matched by id with the first side's."""
    first = sides[0][0]
    return ratios(_joint_sums([(_matched(first, scores), metric) for scores, metric in sides]), seed, n)


def common_ratios(scores: Sequence[Scores], metric: Metric, seed: int = 0, n: int = RESAMPLES) -> Ratios | None:
    """One ratio for each of several scores of the same items; None where they are not defined on the same items."""
    matched = [scores[0], *(_matched(scores[0], other) for other in scores[1:])]
    there = [_there(found.columns, metric) for found in matched]
    if any((mask != there[0]).any() for mask in there) or not there[0].any():
        return None
    return ratios([group_sums(found, metric) for found in matched], seed, n)


def _difference(sums: Sequence[GroupSums], metric: Metric, seed: int, n: int, level: float) -> Difference:
    found = ratios(sums, seed, n).contrast((0, 1), difference, level)
    low, high = found.low, found.high
    better = "" if not (low > 0 or high < 0) else ("a" if (low > 0) == metric.higher_is_better else "b")
    counts = sums[0].n, sums[0].groups
    return Difference(metric.name, found.value, low, high, found.error, found.p_value, *counts, metric.unit, better)


def _matched(a: Scores, b: Scores) -> Scores:
    """b in the order of the items of a."""
    if a is b:
        return a
    order = _same_items(a, b)
    return Scores(a.ids, a.groups, {name: np.asarray(column)[order] for name, column in b.columns.items()})


def _same_items(a: Scores, b: Scores) -> np.ndarray:
    """Rows of b in the order of a."""
    rows = {name: row for row, name in enumerate(b.ids)}
    odd = set(a.ids) ^ set(b.ids)
    if odd:
        raise ComparisonError(
            f"The two results score different items: {len(odd)} are in one only, such as {sorted(odd)[0]!r}.",
            "A paired difference needs the same items on both sides.",
            "Compare results of one data set, split and limit.",
        )
    return np.array([rows[name] for name in a.ids], dtype=np.int64)
