"""Correlations against scipy, worked by hand, and at the edges: few models, ties, no spread, labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from midvision.analysis.correlate import (
    FEW_MODELS,
    kendall,
    partial,
    pearson,
    r_squared,
    ranks,
    spearman,
    straight_line,
)
from midvision.analysis.outcome import TOO_FEW, Bounded


def cloud(n: int = 22, rho: float = 0.6, seed: int = 0) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return list(x), list(rho * x + math.sqrt(1 - rho**2) * rng.normal(size=n))


@pytest.mark.parametrize("seed", range(3))
def test_values_are_scipys(seed: int) -> None:
    x, y = cloud(seed=seed)
    tied = list(np.round(np.array(y)))
    assert pearson(x, y).value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, tied).value == pytest.approx(stats.spearmanr(x, tied).statistic)
    assert kendall(np.array(x), np.array(tied)) == pytest.approx(stats.kendalltau(x, tied).statistic)
    np.testing.assert_allclose(ranks(np.array(tied)), stats.rankdata(tied))


def test_interval_written_out() -> None:
    """z of the whole, plus and minus t times the jackknife error of z."""
    x, y = cloud()
    n = len(x)
    wider = math.sqrt(n / (n - 2))
    for ours, theirs, factor in ((pearson(x, y), stats.pearsonr, wider), (spearman(x, y), stats.spearmanr, 1.0)):
        left = [math.atanh(theirs(np.delete(x, k), np.delete(y, k)).statistic) for k in range(n)]
        error = math.sqrt((n - 1) / n * sum((z - np.mean(left)) ** 2 for z in left))
        reach = stats.t.ppf(0.975, n - 2) * error * factor
        z = math.atanh(theirs(x, y).statistic)
        assert (ours.low, ours.high) == (pytest.approx(math.tanh(z - reach)), pytest.approx(math.tanh(z + reach)))


def test_near_fishers_interval_for_many_normal_points() -> None:
    x, y = cloud(400, 0.5)
    ours, theirs = pearson(x, y), stats.pearsonr(x, y).confidence_interval()
    assert ours.low == pytest.approx(theirs.low, abs=0.02) and ours.high == pytest.approx(theirs.high, abs=0.02)


def test_sixteen_models_are_too_few() -> None:
    x, y = cloud(FEW_MODELS)
    assert pearson(x, y).told and spearman(x, y).told and straight_line(x, y) is not None
    few = pearson(x[1:], y[1:])
    assert not few.told and few.note == TOO_FEW and few.n == 16 and math.isfinite(few.value)
    assert not r_squared(few).told and straight_line(x[1:], y[1:]) is None
    assert pearson([1.0, 2.0], [1.0, 2.0]).note == TOO_FEW and math.isnan(pearson([], []).value)


def test_no_spread_and_equal_orders() -> None:
    x, _ = cloud()
    flat = pearson(x, [0.3] * len(x))
    assert math.isnan(flat.value) and not flat.told and "no spread" in flat.note
    same = spearman(x, list(np.exp(x)))
    assert same.value == 1.0 and 0.95 < same.low < 1.0 and same.high == 1.0
    turned = spearman(x, [-value for value in x])
    assert (turned.value, turned.low, turned.high) == (-1.0, -1.0, pytest.approx(-same.low))


def test_r_squared_is_one_sided_at_zero() -> None:
    assert (r_squared(Bounded(-0.7, -0.9, -0.4, 22)).low, r_squared(Bounded(-0.7, -0.9, -0.4, 22)).high) == (
        pytest.approx(0.16),
        pytest.approx(0.81),
    )
    across = r_squared(Bounded(0.1, -0.5, 0.3, 22))
    assert (across.value, across.low, across.high) == (pytest.approx(0.01), 0.0, pytest.approx(0.25))
    unsure = r_squared(Bounded(0.4, 0.05, 0.7, 17))
    assert stats.t.sf(0.4 * math.sqrt(15 / (1 - 0.16)), 15) * 2 > 0.05 and unsure.low == 0.0


def test_partial_takes_the_architectures_apart() -> None:
    """Two clouds far apart: pooled correlation near one, none within; and the regression on dummies agrees."""
    rng = np.random.default_rng(4)
    labels = ["a"] * 14 + ["b"] * 10
    shift = np.array([0.0] * 14 + [10.0] * 10)
    x, y = rng.normal(size=24), rng.normal(size=24)
    y = y - 0.3 * x
    pooled, within = pearson(list(x + shift), list(y + shift)), partial(list(x + shift), list(y + shift), labels)
    assert pooled.low > 0.9 and within.high < 0.9
    design = np.stack([np.ones(24), shift], axis=1)
    residual = [side - design @ np.linalg.lstsq(design, side, rcond=None)[0] for side in (x + shift, y + shift)]
    assert within.value == pytest.approx(np.corrcoef(*residual)[0, 1])
    alone = partial([*x, 99.0], [*y, 99.0], [*labels, "c"])
    assert alone.value == pytest.approx(partial(list(x), list(y), labels).value) and alone.n == 24
    assert partial(list(x[:16]), list(y[:16]), labels[:16]).note == TOO_FEW


def test_line_is_scipys_with_the_textbook_band() -> None:
    x, y = cloud()
    line, theirs = straight_line(x, y), stats.linregress(x, y)
    assert line is not None
    assert (line.slope.value, line.intercept.value) == (pytest.approx(theirs.slope), pytest.approx(theirs.intercept))
    reach = stats.t.ppf(0.975, len(x) - 2)
    assert line.slope.high - line.slope.value == pytest.approx(reach * theirs.stderr)
    assert line.intercept.high - line.intercept.value == pytest.approx(reach * theirs.intercept_stderr)
    at, fit, low, high = line.band[0]
    residual = np.array(y) - theirs.intercept - theirs.slope * np.array(x)
    s = math.sqrt((residual**2).sum() / (len(x) - 2))
    half = reach * s * math.sqrt(1 / len(x) + (at - np.mean(x)) ** 2 / ((np.array(x) - np.mean(x)) ** 2).sum())
    assert at == min(x) and fit == pytest.approx(theirs.intercept + theirs.slope * at)
    assert (fit - low, high - fit) == (pytest.approx(half), pytest.approx(half))
