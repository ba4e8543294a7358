"""Score tables with planted truth: clusters of unequal size, ties, skew, heavy tails; models that follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from midvision.analysis.clusters import Contrast, Ratios, difference, itself, quotient, quotient_above
from midvision.analysis.correlate import intervals, r_squared
from midvision.analysis.outcome import Bounded

Array = np.ndarray
DRAWS = 1000
FLOOR = 0.2
SHAPES = ("normal", "heavy", "skewed", "ceiling", "ties")
SIZES = ("equal", "unequal")
CLOUDS = ("normal", "heavy", "skewed", "ties", "two groups")


def deviations(rng: np.random.Generator, shape: str, size: tuple[int, ...]) -> Array:
    """Scene effects with mean zero and a deviation near 0.1 around a score of 0.6 (`ceiling`: of 0.8)."""
    if shape == "heavy":
        return 0.06 * rng.standard_t(3, size)
    if shape == "skewed":
        return 0.1 * (rng.exponential(1.0, size) - 1.0)
    if shape == "ceiling":
        return 0.25 * (rng.beta(2.0, 0.5, size) - 0.8)
    return 0.1 * rng.normal(0, 1, size)


def sizes(rng: np.random.Generator, kind: str, clusters: int) -> Array:
    """Items per scene: ten, or a geometric number (mean 9.3, now and then forty)."""
    return np.full(clusters, 10) if kind == "equal" else 1 + rng.geometric(0.12, clusters)


def model(rng: np.random.Generator, shape: str, counts: Array, mean: float, shared: Array, own: str) -> Array:
    """Sums over the items of every scene: the mean, an effect that all models share, an own one, and item noise."""
    clusters = len(counts)
    if shape == "ties":
        chance = np.clip(mean + shared + 0.1 * rng.uniform(-1, 1, clusters), 0, 1)
        return rng.binomial(counts, chance).astype(np.float64)
    effect = mean + shared + 0.5 * deviations(rng, own, (clusters,))
    return effect * counts + 0.1 * rng.normal(0, 1, clusters) * np.sqrt(counts)


@dataclass(frozen=True)
class Sums:
    """Two models on the same scenes; `truth` are their means."""

    above: Array
    below: Array
    truth: tuple[float, float]


def tables(
    shape: str, kind: str, clusters: int, count: int, gap: float, seed: int, own: str | None = None
) -> Iterator[Sums]:
    """Tables of two models with means 0.6 and 0.6 - gap. `own`: shape of the first model's own effects."""
    rng = np.random.default_rng([seed, SHAPES.index(shape), SIZES.index(kind), clusters])
    for _ in range(count):
        counts = sizes(rng, kind, clusters)
        shared = 0.15 * rng.uniform(-1, 1, clusters) if shape == "ties" else deviations(rng, shape, (clusters,))
        first = model(rng, shape, counts, 0.6, shared, own or shape)
        second = model(rng, shape, counts, 0.6 - gap, shared, shape if own is None else "normal")
        yield Sums(np.stack([first, second]), np.stack([counts, counts]).astype(np.float64), (0.6, 0.6 - gap))


def contrasts(found: Sums) -> dict[str, tuple[Contrast, float]]:
    """Mean, difference, ratio and ratio above a floor, each with its truth."""
    floor = np.stack([*found.above, FLOOR * found.below[0]]), np.stack([*found.below, found.below[0]])
    ratios = Ratios(*floor, seed=0, draws=DRAWS)
    a, b = found.truth
    return {
        "mean": (ratios.contrast((0,), itself), a),
        "difference": (ratios.contrast((0, 1), difference), a - b),
        "ratio": (ratios.contrast((0, 1), quotient), a / b),
        "ratio above floor": (ratios.contrast((0, 1, 2), quotient_above), (a - FLOOR) / (b - FLOOR)),
    }


def coverage(shape: str, kind: str, clusters: int, count: int, seed: int = 0) -> dict[str, float]:
    """Share of the intervals that hold the truth."""
    inside: dict[str, list[bool]] = {}
    for sums in tables(shape, kind, clusters, count, gap=0.05, seed=seed):
        for name, (found, truth) in contrasts(sums).items():
            inside.setdefault(name, []).append(found.low <= truth <= found.high)
    return {name: float(np.mean(hits)) for name, hits in inside.items()}


def false_positives(shape: str, kind: str, clusters: int, count: int, own: str | None = None, seed: int = 1) -> float:
    """How often the paired test tells apart two models of equal truth."""
    found = []
    for sums in tables(shape, kind, clusters, count, gap=0.0, seed=seed, own=own):
        found.append(Ratios(sums.above, sums.below, 0, DRAWS).contrast((0, 1), difference).p_value <= 0.05)
    return float(np.mean(found))


def cloud(rng: np.random.Generator, kind: str, rho: float, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Models as points (high level, mid level), `[S, n]` each."""
    x = rng.normal(size=shape)
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=shape)
    if kind == "heavy":
        scale = np.sqrt(5 / rng.chisquare(5, shape))
        return x * scale, y * scale
    if kind == "skewed":
        return -np.log(ndtr(-x)), -np.log(ndtr(-y))
    if kind == "ties":
        return np.round(2 * x), np.round(2 * y)
    if kind == "two groups":
        group = 2.0 * (rng.random(shape) < 0.25)
        return x + group, y + group
    return x, y


def correlation_truth(kind: str, rho: float) -> tuple[float, float]:
    """Pearson's and Spearman's correlation of a cloud, from half a million points."""
    x, y = cloud(np.random.default_rng(99), kind, rho, (1, 500_000))
    ordered = [np.argsort(np.argsort(side[0])) for side in (x, y)]
    if kind == "ties":
        ordered = [np.unique(side[0], return_inverse=True)[1] for side in (x, y)]
        ordered = [(np.cumsum(np.bincount(codes)) - np.bincount(codes) / 2)[codes] for codes in ordered]
    return float(np.corrcoef(x[0], y[0])[0, 1]), float(np.corrcoef(*ordered)[0, 1])


def correlation_coverage(kind: str, rho: float, n: int, count: int, seed: int = 2) -> dict[str, float]:
    """Share of intervals of Pearson, Spearman and R2 that hold the truth, and how often R2 is told from zero."""
    truth = correlation_truth(kind, rho)
    x, y = cloud(np.random.default_rng([seed, CLOUDS.index(kind), n, int(100 * rho)]), kind, rho, (count, n))
    r, low, high = intervals(x, y, ranked=False)
    s = intervals(x, y, ranked=True)
    squares = [r_squared(Bounded(*map(float, row), n)) for row in zip(r, low, high, strict=True)]
    return {
        "Pearson": float(np.mean((low <= truth[0]) & (truth[0] <= high))),
        "Spearman": float(np.mean((s[1] <= truth[1]) & (truth[1] <= s[2]))),
        "R2": float(np.mean([one.low <= truth[0] ** 2 <= one.high for one in squares])),
        "R2 > 0": float(np.mean([one.low > 0 for one in squares])),
    }
