"""Reduction of item columns against hand-made numbers and a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from midvision.core.scores import Metric
from midvision.metrics.reduce import ratio, terms, value

MEAN = Metric("m", "share", True, 0.0, 1.0, "x")
SHARE = Metric("r", "share", True, 0.0, 1.0, "x", over="y")


def test_mean_skips_items_without_the_column() -> None:
    assert value(MEAN, {"x": np.array([1.0, np.nan, 4.0])}) == 2.5
    assert math.isnan(value(MEAN, {"x": np.array([np.nan])})) and math.isnan(value(MEAN, {"x": np.array([])}))


def test_ratio_of_sums_is_not_the_mean_of_ratios() -> None:
    columns = {"x": np.array([1.0, 9.0, 5.0]), "y": np.array([2.0, 10.0, np.nan])}
    assert value(SHARE, columns) == 10 / 12
    assert math.isnan(value(SHARE, {"x": np.array([0.0]), "y": np.array([0.0])}))


@pytest.mark.parametrize("metric", [MEAN, SHARE])
def test_weights_are_repeated_items(metric: Metric) -> None:
    rng = np.random.default_rng(3)
    columns = {"x": rng.random(20), "y": rng.random(20)}
    columns["x"][4] = np.nan
    before = {name: column.copy() for name, column in columns.items()}
    weights = rng.integers(0, 4, 20)
    repeated = {name: np.repeat(column, weights) for name, column in columns.items()}
    assert value(metric, columns, weights) == pytest.approx(value(metric, repeated), abs=1e-14)
    above, below = terms(metric, columns)
    slow = sum(a for a, b in zip(above, below) if b) / sum(below)
    assert value(metric, columns) == pytest.approx(slow, abs=1e-14)
    for name, column in columns.items():
        np.testing.assert_array_equal(column, before[name])


def test_ratio_of_arrays() -> None:
    np.testing.assert_array_equal(ratio(np.array([1.0, 2.0]), np.array([2.0, 0.0])), [0.5, np.nan])
