"""Numbers made of ratios of sums over clusters (scenes, objects), and how sure they are.

With `FEW_CLUSTERS` or more: studentised cluster bootstrap (percentile-t; Efron 1982, Hall 1988). Whole clusters are
drawn with replacement, the number is computed again with its own linearised error, and the quantiles of
`(drawn - value) / error` set the ends of the interval, at each end at least as wide as the t interval. With fewer
clusters it is the t interval alone. `error` is the jackknife's over clusters. The degrees of freedom are those of the
effective number of clusters, (sum b)^2 / sum b^2 of the denominators, minus one (Kish 1965; Carter, Schnepel and
Steigerwald 2017), so that one large scene counts for no more than it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from midvision.core.seeds import numpy_generator
from midvision.metrics.reduce import ratio

FEW_CLUSTERS = 20
LEVEL = 0.95
RESAMPLES = 2000
CELLS = 1 << 22
"""Counts held at a time, so that memory does not grow with the number of clusters."""

Function = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Ratios `[k, ...]` to a value `[...]` and its derivatives `[k, ...]`."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A value with interval, error and the two-sided p-value against zero; NaN where there is one cluster only.

    `p_value` is at most 0.05 exactly where the interval of 95 % leaves zero out.
    """

    value: float
    low: float
    high: float
    error: float
    p_value: float


def itself(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return r[0], np.ones_like(r)


def weighted(*weights: float) -> Function:
    """The sum of the ratios, each with its weight."""
    fixed = np.array(weights)

    def function(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        column = fixed.reshape(-1, *(1,) * (r.ndim - 1))
        return (column * r).sum(axis=0), column * np.ones_like(r)

    return function


def difference(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First minus second."""
    slope = np.ones_like(r)
    slope[1] = -1.0
    return r[0] - r[1], slope


def quotient(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First over second."""
    value = ratio(r[0], r[1])
    return value, np.stack([ratio(np.ones_like(r[1]), r[1]), -ratio(value, r[1])])


def quotient_above(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First over second, both counted from the third."""
    value, slope = quotient(np.stack([r[0] - r[2], r[1] - r[2]]))
    return value, np.stack([slope[0], slope[1], -slope[0] - slope[1]])


class Ratios:
    """K ratios of sums over the same G clusters: `above`, `below` `[K, G]`. The same seed draws the same clusters."""

    def __init__(self, above: np.ndarray, below: np.ndarray, seed: int = 0, draws: int = RESAMPLES) -> None:
        self.above, self.below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
        self.seed, self.draws = seed, draws
        self.values = ratio(self.above.sum(axis=1), self.below.sum(axis=1))
        totals = self.above.sum(axis=1, keepdims=True), self.below.sum(axis=1, keepdims=True)
        self.left_out = ratio(totals[0] - self.above, totals[1] - self.below)

    @property
    def clusters(self) -> int:
        return int(self.above.shape[1])

    @cached_property
    def effective(self) -> np.ndarray:
        """Effective number of clusters of each ratio, `[K]`."""
        return ratio(self.below.sum(axis=1) ** 2, (self.below**2).sum(axis=1))

    def contrast(self, rows: Sequence[int], function: Function = itself, level: float = LEVEL) -> Contrast:
        """A function of some of the ratios."""
        from scipy.special import stdtr, stdtrit

        picked, nan = list(rows), float("nan")
        value = float(function(self.values[picked])[0])
        left_out = function(self.left_out[picked])[0]
        if self.clusters < 2 or not np.isfinite(value):
            return Contrast(value, nan, nan, nan, nan)
        if not np.isfinite(left_out).all():
            return Contrast(value, nan, nan, nan, nan)
        error = _jackknife_error(left_out)
        if not error > 0:
            return Contrast(value, value, value, 0.0, float(value == 0))
        freedom = max(float(self.effective[picked].min()) - 1.0, 1.0)
        reach = float(stdtrit(freedom, 0.5 + level / 2))
        below, over = self._reaches(picked, function, level) if self.clusters >= FEW_CLUSTERS else (0.0, 0.0)
        below, over = max(reach, below), max(reach, over)
        stretch = (below if value > 0 else over) / reach
        p_value = float(2 * stdtr(freedom, -abs(value) / error / stretch))
        return Contrast(value, value - below * error, value + over * error, error, p_value)

    def _reaches(self, rows: list[int], function: Function, level: float) -> tuple[float, float]:
        """How many errors the interval goes below and above the value, by the draws."""
        shift = self._shifts[rows]
        value = function(self.values[rows])[0]
        drawn, slope = function(self.values[rows][:, None] + shift)
        variance = np.zeros(self.draws)
        for i, row in enumerate(rows):
            for j, other in enumerate(rows):
                variance += slope[i] * slope[j] * self._covariance(row, other)
        finite = np.isfinite(drawn) & (variance > 0)
        if not finite.any():
            return 0.0, 0.0
        studentised = (drawn[finite] - value) / np.sqrt(variance[finite])
        low, high = np.quantile(studentised, [0.5 - level / 2, 0.5 + level / 2])
        return float(high), float(-low)

    def _covariance(self, i: int, j: int) -> np.ndarray:
        """Linearised covariance of ratios i and j in every draw, `[draws]`."""
        a, b = (2 * i, 2 * i + 1), (2 * j, 2 * j + 1)
        shift_i, shift_j = self._shifts[i], self._shifts[j]
        crossed = self._product(a[0], b[0]) - shift_j * self._product(a[0], b[1]) - shift_i * self._product(a[1], b[0])
        crossed = crossed + shift_i * shift_j * self._product(a[1], b[1])
        scale = self._sum(a[1]) * self._sum(b[1]) * (self.clusters - 1) / self.clusters
        return ratio(crossed, scale)

    @cached_property
    def _shifts(self) -> np.ndarray:
        """Drawn minus actual ratio, `[K, draws]`: sums of residuals over sums of denominators."""
        return np.stack([ratio(self._sum(2 * k), self._sum(2 * k + 1)) for k in range(len(self.values))])

    def _sum(self, column: int) -> np.ndarray:
        return self._drawn[0][:, self._columns[1][column]]

    def _product(self, a: int, b: int) -> np.ndarray:
        a, b = sorted((self._columns[1][a], self._columns[1][b]))
        return self._drawn[1][:, self._places[a, b]]

    @cached_property
    def _columns(self) -> tuple[np.ndarray, list[int]]:
        """Distinct columns `[U, G]` of residuals and denominators, and where column 2k (2k + 1) is among them."""
        residuals = self.above - np.nan_to_num(self.values)[:, None] * self.below
        found: dict[bytes, int] = {}
        kept: list[np.ndarray] = []
        where = []
        for column in (side for pair in zip(residuals, self.below, strict=True) for side in pair):
            key = column.tobytes()
            if key not in found:
                found[key] = len(kept)
                kept.append(column)
            where.append(found[key])
        return np.stack(kept), where

    @cached_property
    def _places(self) -> np.ndarray:
        """Where the product of two distinct columns is among the products, `[U, U]`."""
        count = len(self._columns[0])
        places = np.zeros((count, count), dtype=np.int64)
        upper = np.triu_indices(count)
        places[upper] = np.arange(len(upper[0]))
        return places

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the distinct columns `[draws, U]` and of their products in every draw."""
        columns = self._columns[0]
        first, second = np.triu_indices(len(columns))
        products = columns[first] * columns[second]
        sums, crossed = [], []
        for counts in _counts(self.seed, self.clusters, self.draws):
            sums.append(counts @ columns.T)
            crossed.append(counts @ products.T)
        return np.concatenate(sums), np.concatenate(crossed)


def _counts(seed: int, clusters: int, draws: int) -> Iterable[np.ndarray]:
    """How often each cluster was drawn, `[rows, clusters]` at a time; the last few are kept where they are small."""
    return _kept(seed, clusters, draws) if clusters * draws <= CELLS else _drawn_counts(seed, clusters, draws)


@lru_cache(maxsize=2)
def _kept(seed: int, clusters: int, draws: int) -> tuple[np.ndarray, ...]:
    return tuple(_drawn_counts(seed, clusters, draws))


def _drawn_counts(seed: int, clusters: int, draws: int) -> Iterator[np.ndarray]:
    generator = numpy_generator("bootstrap", seed, clusters)
    even = np.full(clusters, 1.0 / clusters)
    rows = max(1, CELLS // clusters)
    for start in range(0, draws, rows):
        yield generator.multinomial(clusters, even, size=min(rows, draws - start)).astype(np.float64)


def _jackknife_error(left_out: np.ndarray) -> float:
    """Error of a number from its values without each cluster (Tukey 1958)."""
    groups = len(left_out)
    return float(np.sqrt((groups - 1) / groups * ((left_out - left_out.mean()) ** 2).sum()))
