"""Cluster bootstrap: planted scene effects, scipy's bootstrap, the t interval of few groups, pairing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from midvision.analysis.resample import (
    Scores,
    against_baseline,
    baseline_metrics,
    estimate,
    estimates,
    group_sums,
    grouped_difference,
    paired_difference,
)
from midvision.core.errors import ComparisonError
from midvision.core.scores import Metric
from midvision.core.seeds import numpy_generator

MEAN = Metric("m", "share", True, -100.0, 100.0, "x")
SHARE = Metric("r", "share", True, -100.0, 100.0, "x", over="y")
ERROR = Metric("e", "m", False, 0.0, math.inf, "x")


def clustered(groups: int, each: int, scene: float, item: float, seed: int = 0, shift: float = 0.0) -> Scores:
    """Items of equal-sized groups: a value per scene plus noise per item."""
    rng = np.random.default_rng(seed)
    x = shift + np.repeat(rng.normal(0, scene, groups), each) + rng.normal(0, item, groups * each)
    names = tuple(f"s{number // each}" for number in range(groups * each))
    ids = tuple(f"i{number}" for number in range(groups * each))
    return Scores(ids, names, {"x": x, "y": rng.uniform(1, 2, len(x))})


@pytest.mark.parametrize("seed", range(5))
def test_planted_scene_effect_gives_the_cluster_width(seed: int) -> None:
    scores = clustered(60, 25, scene=1.0, item=0.3, seed=seed)
    found = estimate(scores, MEAN)
    means = scores.columns["x"].reshape(60, 25).mean(axis=1)
    formula = 2 * stats.norm.ppf(0.975) * means.std(ddof=1) / math.sqrt(60)
    width = found.ci_high - found.ci_low
    assert width == pytest.approx(formula, rel=0.1)
    per_item = estimate(Scores(scores.ids, scores.ids, scores.columns), MEAN)
    assert width > 2 * (per_item.ci_high - per_item.ci_low)
    assert found.value == pytest.approx(scores.columns["x"].mean(), abs=1e-13)
    assert (found.n, found.groups) == (1500, 60)


def one_by_one(above: np.ndarray, below: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The studentised interval with every draw written out and no residuals."""
    groups = len(above)
    value = above.sum() / below.sum()
    left_out = np.array([np.delete(above, g).sum() / np.delete(below, g).sum() for g in range(groups)])
    error = math.sqrt((groups - 1) * left_out.var())
    studentised = []
    for row in counts:
        drawn = np.repeat(np.arange(groups), row)
        again = above[drawn].sum() / below[drawn].sum()
        spread = ((above[drawn] - again * below[drawn]) ** 2).sum() * groups / (groups - 1)
        studentised.append((again - value) / (math.sqrt(spread) / below[drawn].sum()))
    low, high = np.quantile(studentised, [0.025, 0.975])
    reach = stats.t.ppf(0.975, below.sum() ** 2 / (below**2).sum() - 1)
    return value - max(reach, high) * error, value + max(reach, -low) * error


@pytest.mark.parametrize("metric", [MEAN, SHARE])
@pytest.mark.parametrize("groups", [20, 50])
def test_agrees_with_every_draw_written_out(metric: Metric, groups: int) -> None:
    scores = clustered(groups, 7, scene=1.0, item=1.0, seed=groups)
    scores.columns["x"][:] = np.exp(scores.columns["x"])
    sums = group_sums(scores, metric)
    draws = numpy_generator("bootstrap", 0, groups).multinomial(groups, np.full(groups, 1 / groups), 300)
    low, high = one_by_one(sums.above, sums.below, draws)
    ours = estimate(scores, metric, n=300)
    assert (ours.ci_low, ours.ci_high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


@pytest.mark.parametrize("metric", [MEAN, SHARE])
def test_agrees_with_scipy_where_all_good_intervals_do(metric: Metric) -> None:
    scores = clustered(400, 3, scene=1.0, item=1.0, seed=1)
    sums = group_sums(scores, metric)

    def statistic(above: np.ndarray, below: np.ndarray, axis: int) -> np.ndarray:
        return above.sum(axis=axis) / below.sum(axis=axis)

    theirs = stats.bootstrap(
        (sums.above, sums.below), statistic, paired=True, vectorized=True, n_resamples=4000, method="BCa", rng=1
    ).confidence_interval
    ours = estimate(scores, metric, n=4000)
    width = theirs.high - theirs.low
    assert ours.ci_low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.ci_high == pytest.approx(theirs.high, abs=0.05 * width)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(200):
        found = estimate(clustered(20, 5, scene=1.0, item=0.5, seed=seed), MEAN, n=500)
        inside += found.ci_low <= 0.0 <= found.ci_high
    assert 0.88 <= inside / 200 <= 0.99


def test_few_groups_get_the_t_interval_of_group_means() -> None:
    scores = clustered(5, 4, scene=1.0, item=0.1)
    means = scores.columns["x"].reshape(5, 4).mean(axis=1)
    low, high = stats.t.interval(0.95, 4, loc=means.mean(), scale=means.std(ddof=1) / math.sqrt(5))
    found = estimate(scores, MEAN)
    assert (found.ci_low, found.ci_high) == (pytest.approx(low), pytest.approx(high))
    clipped = estimate(scores, Metric("m", "", True, -0.01, 0.01, "x"))
    assert (clipped.ci_low, clipped.ci_high) == (-0.01, 0.01)


def test_one_group_has_a_value_and_no_interval() -> None:
    scores = clustered(1, 4, scene=1.0, item=0.1)
    found = estimate(scores, MEAN)
    assert found.value == pytest.approx(scores.columns["x"].mean())
    assert math.isnan(found.ci_low) and math.isnan(found.ci_high) and found.groups == 1


def test_missing_items_and_groups_are_left_out() -> None:
    scores = clustered(12, 3, scene=1.0, item=0.1)
    scores.columns["x"][:6] = np.nan
    scores.columns["x"][10] = np.nan
    found = estimate(scores, MEAN)
    assert (found.n, found.groups) == (29, 10) and found.value == pytest.approx(np.nanmean(scores.columns["x"]))
    nothing = Scores(("a",), ("g",), {"x": np.array([np.nan])})
    assert math.isnan(estimate(nothing, MEAN).value) and estimate(nothing, MEAN).n == 0


def test_constant_scores_have_a_width_of_zero() -> None:
    scores = Scores(tuple("abcdefghij"), tuple("abcdefghij"), {"x": np.full(10, 0.25)})
    found = estimate(scores, MEAN)
    assert found.ci_low == found.ci_high == found.value == 0.25


def test_same_seed_same_interval_and_arguments_untouched() -> None:
    scores = clustered(25, 3, scene=1.0, item=0.1)
    scores.columns["x"][:] = np.exp(scores.columns["x"])
    before = {name: column.copy() for name, column in scores.columns.items()}
    first, again = estimates(scores, [MEAN, SHARE], seed=4), estimates(scores, [SHARE, MEAN], seed=4)
    assert first == again and estimates(scores, [MEAN], seed=5)["m"] != first["m"]
    for name, column in scores.columns.items():
        np.testing.assert_array_equal(column, before[name])


def test_paired_difference_is_much_narrower_than_unpaired() -> None:
    a = clustered(40, 5, scene=1.0, item=0.01)
    rng = np.random.default_rng(9)
    order = rng.permutation(200)
    worse = a.columns["x"] - 0.05 + rng.normal(0, 0.02, 200)
    b = Scores(tuple(a.ids[row] for row in order), tuple(a.groups[row] for row in order), {"x": worse[order]})
    found = paired_difference(a, b, MEAN)
    assert found.value == pytest.approx((a.columns["x"] - worse).mean(), abs=1e-12)
    assert found.better == "a" and found.ci_low > 0 and found.p_value < 1e-6
    single = estimate(a, MEAN)
    assert found.ci_high - found.ci_low < 0.1 * (single.ci_high - single.ci_low)
    per_scene = (a.columns["x"] - worse).reshape(40, 5).mean(axis=1)
    assert found.p_value == pytest.approx(stats.ttest_1samp(per_scene, 0).pvalue, rel=1e-6)
    assert paired_difference(b, a, MEAN).better == "b"
    assert paired_difference(a, b, ERROR).better == "b"
    same = paired_difference(a, a, MEAN)
    assert same.value == 0 and same.p_value == 1 and same.better == ""


def test_different_items_are_not_compared() -> None:
    a = clustered(10, 2, 1.0, 1.0)
    b = Scores(("z", *a.ids[1:]), a.groups, a.columns)
    with pytest.raises(ComparisonError, match="2 are in one only"):
        paired_difference(a, b, MEAN)


def test_baselines_read_the_prefixed_columns() -> None:
    scores = clustered(30, 4, scene=1.0, item=0.1)
    columns = {**scores.columns, "constant.x": scores.columns["x"] - 0.5}
    scores = Scores(scores.ids, scores.groups, columns)
    assert [entry.column for entry in baseline_metrics(scores, [MEAN, SHARE], "constant")] == ["constant.x"] * 2
    assert baseline_metrics(scores, [SHARE], "constant")[0].over == "y"
    assert baseline_metrics(scores, [MEAN], "chance") == [] and against_baseline(scores, MEAN, "chance") is None
    found = against_baseline(scores, MEAN, "constant")
    assert found is not None and found.value == pytest.approx(0.5) and found.better == "a"


def test_memory_of_many_groups_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = clustered(300, 2, scene=1.0, item=0.1)
    whole = estimate(scores, MEAN, n=200)
    monkeypatch.setattr("midvision.analysis.clusters.CELLS", 1000)
    chunked = estimate(scores, MEAN, n=200)
    assert chunked.ci_low == pytest.approx(whole.ci_low, abs=1e-12)


@pytest.mark.parametrize("groups", [3, 20])
@pytest.mark.parametrize("metric", [MEAN, SHARE])
def test_a_grouped_difference_on_equal_items_is_the_paired_one(metric: Metric, groups: int) -> None:
    a = clustered(groups, 5, scene=1.0, item=0.3)
    b = Scores(a.ids, a.groups, {"x": a.columns["x"] ** 2, "y": a.columns["y"] + 1})
    assert grouped_difference(a, b, metric) == paired_difference(a, b, metric)


def test_a_grouped_difference_lets_each_side_have_its_own_items() -> None:
    whole = clustered(12, 4, scene=1.0, item=0.5, seed=3)
    x = whole.columns["x"].copy()
    x[::5] = np.nan
    gappy = Scores(whole.ids, whole.groups, {"x": x})
    found = grouped_difference(gappy, whole, MEAN)
    assert found.value == pytest.approx(np.nanmean(x) - whole.columns["x"].mean())
    assert paired_difference(gappy, whole, MEAN).value == 0.0
    assert found.n == int(np.isfinite(x).sum()) and found.ci_low < found.value < found.ci_high


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_one_side_only_count_as_independent(seed: int) -> None:
    """Two samples without a common scene: the width of Welch's interval, and no pairing."""
    a = clustered(40, 6, scene=1.0, item=0.1, seed=seed, shift=0.5)
    other = clustered(50, 6, scene=0.5, item=0.1, seed=seed + 100)
    b = Scores(tuple(f"o{n}" for n in other.ids), tuple(f"o{n}" for n in other.groups), other.columns)
    found = grouped_difference(a, b, MEAN)
    means = [scores.columns["x"].reshape(-1, 6).mean(axis=1) for scores in (a, b)]
    error = math.sqrt(sum(side.var(ddof=1) / len(side) for side in means))
    assert found.groups == 90
    assert found.value == pytest.approx(means[0].mean() - means[1].mean())
    assert found.error == pytest.approx(error, rel=0.03)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 * error, rel=0.12)
