"""Correspondence metrics: known errors, the double loop for chance, rotation bins."""

from __future__ import annotations

import math

import pytest
import torch

from midvision.metrics.keypoints import chance_pck, pck
from midvision.metrics.matches import by_rotation, chance_recall, errors_m, errors_px, recall


def test_errors_and_recall_are_exact_and_strict() -> None:
    a = torch.zeros(4, 3, dtype=torch.float64)
    b = torch.tensor([[0, 0, 0], [0.03, 0.04, 0], [0, 0.02, 0], [1, 0, 0]], dtype=torch.float64)
    error = errors_m(a, b)
    assert error.tolist() == pytest.approx([0.0, 0.05, 0.02, 1.0])
    assert recall(error, 0.02) == 0.25
    assert recall(error, 0.021) == 0.5
    assert math.isnan(recall(error[:0], 0.02))


def test_a_point_that_b_cannot_see_is_infinitely_wrong() -> None:
    xy = torch.tensor([[math.nan, math.nan], [3.0, 4.0]])
    error = errors_px(xy, torch.zeros(2, 2))
    assert error.tolist() == [math.inf, 5.0]
    assert recall(error, 1e9) == 0.5


@pytest.mark.parametrize("rows", [3, 40, 2100])
def test_chance_equals_the_double_loop(rows: int) -> None:
    draw = torch.Generator().manual_seed(rows)
    a, b = torch.rand(rows, 2, generator=draw) * 10, torch.rand(17, 2, generator=draw) * 10
    found = chance_recall(a, b, [1.0, 4.0])
    distances = [math.dist(p, q) for p in a.tolist() for q in b.tolist()]
    slow = [sum(d < limit for d in distances) / len(distances) for limit in (1.0, 4.0)]
    assert found == pytest.approx(slow, abs=1e-6)


def test_chance_is_what_random_matches_reach_on_average() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.rand(50, 3, generator=draw), torch.rand(60, 3, generator=draw)
    picks = torch.randint(60, (400, 50), generator=draw)
    drawn = [recall(errors_m(a, b[pick]), 0.3) for pick in picks]
    assert sum(drawn) / len(drawn) == pytest.approx(chance_recall(a, b, [0.3])[0], abs=0.01)


def test_chance_without_points_or_with_unseen_points() -> None:
    assert math.isnan(chance_recall(torch.zeros(0, 2), torch.zeros(3, 2), [1.0])[0])
    five_apart = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert chance_recall(*five_apart, [5.0, 5.01]) == [0.0, 1.0]
    half = torch.tensor([[math.nan, math.nan], [0.0, 0.0]])
    assert chance_recall(half, torch.zeros(1, 2), [1.0]) == [0.5]


def test_rotation_bins_are_half_open_and_missing_elsewhere() -> None:
    bins = {"low": (0.0, 30.0), "high": (30.0, 180.0)}
    assert by_rotation(0.7, 29.99, bins)["low"] == 0.7
    assert math.isnan(by_rotation(0.7, 30.0, bins)["low"])
    assert by_rotation(0.7, 30.0, bins)["high"] == 0.7
    assert by_rotation(0.7, 180.0, bins)["high"] == 0.7
    assert math.isnan(by_rotation(0.7, math.nan, bins)["high"])


def test_pck_counts_the_border_and_its_chance_is_exact() -> None:
    true = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    found = torch.tensor([[3.0, 4.0], [16.0, 0.0]])
    assert pck(found, true, 5.0) == 0.5
    assert pck(found, true, 6.0) == 1.0
    candidates = torch.tensor([[0.0, 0.0], [5.0, 0.0], [100.0, 0.0]])
    assert chance_pck(candidates, true, 5.0) == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_arguments_stay_as_they_are() -> None:
    a, b = torch.rand(5, 2), torch.rand(5, 2)
    before = a.clone(), b.clone()
    errors_m(a, b), errors_px(a, b), chance_recall(a, b, [1.0]), pck(a, b, 1.0), chance_pck(a, b, 1.0)
    assert torch.equal(a, before[0]) and torch.equal(b, before[1])
