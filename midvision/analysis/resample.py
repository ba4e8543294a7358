"""Intervals that respect groups: scenes and objects are drawn again, never pixels or items.

With `FEW_GROUPS` groups or more: cluster bootstrap, bias-corrected and accelerated (BCa, Efron 1987),
where whole groups are drawn with replacement and every metric is a ratio of sums over the drawn groups.
With fewer, resampling says little and the interval is value +- t * s, with s the jackknife error over
groups and t of G - 1 degrees of freedom; for groups of equal size this is the t interval of the group
means. With one group there is no interval (NaN).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from midvision.core.errors import ComparisonError
from midvision.core.scores import Estimate, Metric, Scores
from midvision.core.seeds import numpy_generator
from midvision.metrics.reduce import ratio, terms

FEW_GROUPS = 8
LEVEL = 0.95
RESAMPLES = 2000
CELLS = 1 << 22
"""Counts held at a time, so that memory does not grow with the number of groups."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`value` = a - b on the same items, with a paired interval over groups.

    `p_value` is two-sided, from value / `error` as t of groups - 1 degrees of freedom; NaN with one group.
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

    def left_out(self) -> np.ndarray:
        """The value without each group in turn, `[G]`."""
        return ratio(self.above.sum() - self.above, self.below.sum() - self.below)


def estimates(
    scores: Scores, metrics: Iterable[Metric], seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> dict[str, Estimate]:
    """Every metric on all items, with its interval over groups. The same seed draws the same groups."""
    return {metric.name: estimate(scores, metric, seed, n, level) for metric in metrics}


def estimate(scores: Scores, metric: Metric, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL) -> Estimate:
    """One metric with its interval, cut to the metric's range."""
    sums = group_sums(scores, metric)
    low, high = interval([sums], seed, n, level)
    low, high = (float(np.clip(end, metric.low, metric.high)) for end in (low, high))
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
    order = _same_items(a, b)
    columns = {name: np.asarray(column)[order] for name, column in b.columns.items()}
    matched = Scores(a.ids, a.groups, columns)
    return _difference(_paired_sums((a, metric), (matched, metric)), metric, seed, n, level)


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
    return _difference((left, right), metric, seed, n, level)


def against_baseline(
    scores: Scores, metric: Metric, baseline: str, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> Difference | None:
    """The metric minus the same metric of the constant or the chance answer; None where there is none."""
    moved = baseline_metrics(scores, [metric], baseline)
    if not moved:
        return None
    return _difference(_paired_sums((scores, metric), (scores, moved[0])), metric, seed, n, level)


def group_sums(scores: Scores, metric: Metric) -> GroupSums:
    """Item terms added up by group, in the order of first appearance; groups without a valid item are left out."""
    above, below = terms(metric, scores.columns)
    there = _there(scores.columns, metric)
    names, inverse = _group_rows(scores.groups)
    return _sum_groups(above, below, there, len(names), inverse)


def _paired_sums(left: tuple[Scores, Metric], right: tuple[Scores, Metric]) -> tuple[GroupSums, GroupSums]:
    """Both sides over the items where both are defined, with the same groups in the same order."""
    there = _there(left[0].columns, left[1]) & _there(right[0].columns, right[1])
    names, inverse = _group_rows(left[0].groups)
    sides = [_sum_groups(*terms(m, s.columns), there, len(names), inverse) for s, m in (left, right)]
    return sides[0], sides[1]


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


def interval(sides: Sequence[GroupSums], seed: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the value of one side, or of the first minus the second side."""
    groups = sides[0].groups
    value = _combine([np.array(side.value) for side in sides])
    left_out = _combine([side.left_out() for side in sides])
    if groups < 2 or not np.isfinite(value):
        return float("nan"), float("nan")
    if groups < FEW_GROUPS or not np.isfinite(left_out).all():
        from scipy.stats import t

        reach = float(t.ppf(0.5 + level / 2, groups - 1)) * _jackknife_error(left_out)
        return float(value) - reach, float(value) + reach
    return _bca(float(value), left_out, _drawn(sides, seed, n), level)


def _combine(values: Sequence[np.ndarray]) -> np.ndarray:
    combined: np.ndarray = values[0] if len(values) == 1 else values[0] - values[1]
    return combined


def _drawn(sides: Sequence[GroupSums], seed: int, n: int) -> np.ndarray:
    """The value in `n` draws of as many groups, with replacement; finite draws only."""
    groups = sides[0].groups
    generator = numpy_generator("bootstrap", seed, groups)
    even = np.full(groups, 1.0 / groups)
    rows = max(1, CELLS // groups)
    found = []
    for start in range(0, n, rows):
        counts = generator.multinomial(groups, even, size=min(rows, n - start)).astype(np.float64)
        found.append(_combine([ratio(counts @ side.above, counts @ side.below) for side in sides]))
    values = np.concatenate(found)
    finite: np.ndarray = values[np.isfinite(values)]
    return finite


def _jackknife_error(left_out: np.ndarray) -> float:
    groups = len(left_out)
    return float(np.sqrt((groups - 1) / groups * ((left_out - left_out.mean()) ** 2).sum()))


def _bca(value: float, left_out: np.ndarray, drawn: np.ndarray, level: float) -> tuple[float, float]:
    """Bias-corrected, accelerated quantiles; plain ones where the draws lie on one side of the value."""
    from scipy.special import ndtr, ndtri

    if not len(drawn):
        return float("nan"), float("nan")
    share = ((drawn < value).mean() + (drawn <= value).mean()) / 2
    ends = np.array([0.5 - level / 2, 0.5 + level / 2])
    spread = left_out.mean() - left_out
    cubes, squares = (spread**3).sum(), (spread**2).sum()
    if 0 < share < 1 and squares > 0:
        bias, acceleration = ndtri(share), cubes / (6 * squares**1.5)
        shifted = bias + ndtri(ends)
        ends = ndtr(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(drawn, ends)
    return float(low), float(high)


def _difference(sides: tuple[GroupSums, GroupSums], metric: Metric, seed: int, n: int, level: float) -> Difference:
    from scipy.stats import t

    value = sides[0].value - sides[1].value
    groups = sides[0].groups
    low, high = interval(sides, seed, n, level)
    error, p_value = float("nan"), float("nan")
    if groups >= 2 and np.isfinite(value):
        error = _jackknife_error(_combine([side.left_out() for side in sides]))
        p_value = float(2 * t.sf(abs(value) / error, groups - 1)) if error > 0 else float(value == 0)
    better = "" if not (low > 0 or high < 0) else ("a" if (low > 0) == metric.higher_is_better else "b")
    return Difference(metric.name, value, low, high, error, p_value, sides[0].n, groups, metric.unit, better)


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
