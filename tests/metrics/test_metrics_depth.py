"""Depth metrics: exact cases, a slow loop, alignment."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from midvision.metrics.align import aligned, scale_and_shift
from midvision.metrics.depth import DEPTH_COLUMNS, depth_scores, relative_depth


def row(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, -1)


def everywhere(x: Tensor) -> Tensor:
    return torch.ones_like(x, dtype=torch.bool)


def test_exact_case() -> None:
    target = row(1.0, 2.0, 4.0, 8.0)
    prediction = row(1.0, 2.6, 4.0 * 1.6, 8.0 * 2.5)
    found = depth_scores(prediction, target, everywhere(target))
    assert found["delta1"] == 0.25
    assert found["delta2"] == 0.5
    assert found["delta3"] == 0.75
    assert found["rmse"] == pytest.approx(math.sqrt((0.6**2 + 2.4**2 + 12.0**2) / 4), rel=1e-6)
    assert found["abs_rel"] == pytest.approx((0.3 + 0.6 + 1.5) / 4, rel=1e-6)


def test_thresholds_are_strict_and_symmetric() -> None:
    target = row(1.0, 1.25)
    found = depth_scores(row(1.25, 1.0), target, everywhere(target))
    assert found["delta1"] == 0.0
    assert found["delta2"] == 1.0


def test_a_prediction_of_zero_or_less_is_wrong_and_finite() -> None:
    target = row(1.0, 1.0)
    found = depth_scores(row(0.0, -3.0), target, everywhere(target))
    assert found["delta3"] == 0.0
    assert found["rmse"] == pytest.approx(math.sqrt((1 + 16) / 2))


def test_equals_a_slow_loop_and_ignores_masked_pixels() -> None:
    draw = torch.Generator().manual_seed(3)
    target = torch.rand(1, 7, 9, generator=draw) * 5 + 0.2
    prediction = target * (0.5 + torch.rand(1, 7, 9, generator=draw))
    valid = torch.rand(1, 7, 9, generator=draw) > 0.4
    hits, squares, relative, count = [0, 0, 0], 0.0, 0.0, 0
    for t, p, v in zip(target.flatten().tolist(), prediction.flatten().tolist(), valid.flatten().tolist()):
        if not v:
            continue
        count += 1
        for k in range(3):
            hits[k] += max(t / p, p / t) < 1.25 ** (k + 1)
        squares += (t - p) ** 2
        relative += abs(t - p) / t
    found = depth_scores(prediction, target, valid)
    assert [found[f"delta{k}"] for k in (1, 2, 3)] == pytest.approx([hit / count for hit in hits])
    assert found["rmse"] == pytest.approx(math.sqrt(squares / count), rel=1e-6)
    assert found["abs_rel"] == pytest.approx(relative / count, rel=1e-6)
    spoiled = torch.where(valid, prediction, torch.full_like(prediction, math.nan))
    assert depth_scores(spoiled, target, valid) == found


def test_images_weigh_the_same_whatever_their_valid_pixels() -> None:
    target = row(*[1.0] * 10)
    all_right = depth_scores(target, target, everywhere(target))
    one_wrong = depth_scores(target * 2, target, torch.arange(10).reshape(1, 1, -1) == 0)
    assert (all_right["delta1"] + one_wrong["delta1"]) / 2 == 0.5


def test_no_valid_pixel_is_missing() -> None:
    target = row(1.0)
    found = depth_scores(target, target, ~everywhere(target))
    assert all(math.isnan(found[name]) for name in DEPTH_COLUMNS)


@pytest.mark.parametrize("scale, shift", [(3.0, -0.5), (0.1, 4.0), (-2.0, 9.0)])
def test_alignment_recovers_an_affine_change_exactly(scale: float, shift: float) -> None:
    target = torch.linspace(1, 6, 40).reshape(1, 5, 8)
    prediction = (target - shift) / scale
    found = scale_and_shift(prediction, target, everywhere(target))
    assert found == pytest.approx((scale, shift), rel=1e-5)
    moved = aligned(prediction, target, everywhere(target))
    assert torch.allclose(moved, target.double(), atol=1e-5)


def test_alignment_equals_least_squares_on_valid_pixels() -> None:
    import numpy as np

    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(1, 6, 6, generator=draw), torch.rand(1, 6, 6, generator=draw)
    valid = torch.rand(1, 6, 6, generator=draw) > 0.3
    a = np.stack([x[valid].double().numpy(), np.ones(int(valid.sum()))], axis=1)
    expected = np.linalg.lstsq(a, y[valid].double().numpy(), rcond=None)[0]
    assert scale_and_shift(x, y, valid) == pytest.approx(tuple(expected), rel=1e-9)


def test_alignment_of_a_constant_is_the_identity() -> None:
    x = torch.full((1, 2, 2), 3.0)
    assert scale_and_shift(x, torch.rand(1, 2, 2), everywhere(x)) == (1.0, 0.0)
    assert scale_and_shift(x, x, ~everywhere(x)) == (1.0, 0.0)


def test_clipping_after_alignment_only_where_asked() -> None:
    target, prediction = row(1.0, 2.0, 2.0), row(-9.0, 1.0, 1.2)
    valid = torch.tensor([[[False, True, True]]])
    free = aligned(prediction, target, valid)
    assert float(free.min()) <= 2.0
    clipped = aligned(row(0.0, 1.0, 2.0), row(1.0, 5.0, 9.0) * 2, everywhere(target), (3.0, 12.0))
    assert clipped.flatten().tolist() == [3.0, 10.0, 12.0]


def test_relative_depth() -> None:
    depth = row(0.0, 0.50, 0.55, 0.60)
    valid = depth > 0
    assert relative_depth(depth, valid).flatten().tolist() == pytest.approx([0.0, 0.01, 0.505, 1.0], abs=1e-6)
    flat = row(0.500, 0.505)
    assert relative_depth(flat, everywhere(flat)).flatten().tolist() == pytest.approx([0.01, 0.505], abs=1e-4)


def test_arguments_stay_as_they_are() -> None:
    target, prediction = torch.rand(1, 4, 4) + 0.1, torch.rand(1, 4, 4)
    valid = torch.rand(1, 4, 4) > 0.3
    before = [x.clone() for x in (target, prediction, valid)]
    depth_scores(prediction, target, valid)
    aligned(prediction, target, valid, (0.0, 1.0))
    relative_depth(target, valid)
    assert all(torch.equal(x, y) for x, y in zip(before, (target, prediction, valid)))
