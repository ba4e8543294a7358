"""Normal metrics: known tilts, a slow loop, the mask."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor

from midvision.metrics.normals import NORMAL_COLUMNS, angular_error_deg, normal_scores


def tilted(*angles_deg: float) -> Tensor:
    """One row of normals turned from -z towards x."""
    angle = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
    return torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()])[:, None]


@pytest.mark.parametrize("angle", [0.0, 5.0, 11.0, 45.0, 90.0, 137.0, 180.0])
def test_a_tilt_scores_its_angle(angle: float) -> None:
    assert float(angular_error_deg(tilted(angle) * 3, tilted(0.0))) == pytest.approx(angle, abs=1e-5)


def test_exact_case() -> None:
    error = angular_error_deg(tilted(0, 11, 12, 25, 29, 60), tilted(0, 0, 0, 0, 0, 0))
    found = normal_scores(error, torch.ones(1, 1, 6, dtype=torch.bool))
    assert found["recall_11deg"] == pytest.approx(2 / 6)
    assert found["recall_22deg"] == pytest.approx(3 / 6)
    assert found["recall_30deg"] == pytest.approx(5 / 6)
    assert found["mean_deg"] == pytest.approx(137 / 6, abs=1e-5)
    assert found["median_deg"] == pytest.approx(18.5, abs=1e-5)
    assert found["rmse_deg"] == pytest.approx(math.sqrt((121 + 144 + 625 + 841 + 3600) / 6), abs=1e-5)


def test_thresholds_are_strict() -> None:
    error = torch.tensor([[[11.25, 22.5, 30.0]]], dtype=torch.float64)
    found = normal_scores(error, torch.ones(1, 1, 3, dtype=torch.bool))
    assert (found["recall_11deg"], found["recall_22deg"], found["recall_30deg"]) == pytest.approx((0, 1 / 3, 2 / 3))


def test_equals_a_slow_loop_and_ignores_masked_pixels() -> None:
    draw = torch.Generator().manual_seed(1)
    p, t = torch.randn(3, 6, 5, generator=draw), torch.randn(3, 6, 5, generator=draw)
    scored = torch.rand(1, 6, 5, generator=draw) > 0.5
    angles = []
    for y in range(6):
        for x in range(5):
            if scored[0, y, x]:
                a, b = p[:, y, x].tolist(), t[:, y, x].tolist()
                cosine = sum(i * j for i, j in zip(a, b)) / (math.hypot(*a) * math.hypot(*b))
                angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    error = angular_error_deg(p, t)
    found = normal_scores(error, scored)
    assert found["mean_deg"] == pytest.approx(statistics.fmean(angles), rel=1e-5)
    assert found["median_deg"] == pytest.approx(statistics.median(angles), rel=1e-5)
    assert found["recall_30deg"] == pytest.approx(sum(a < 30 for a in angles) / len(angles))
    spoiled = torch.where(scored, error, torch.full_like(error, math.nan))
    assert normal_scores(spoiled, scored) == found


def test_rounding_of_equal_directions_gives_no_nan() -> None:
    vectors = torch.randn(3, 50, 50, generator=torch.Generator().manual_seed(0))
    error = angular_error_deg(vectors, vectors)
    assert bool(torch.isfinite(error).all()) and float(error.max()) < 1e-3
    assert bool((angular_error_deg(vectors, -vectors) > 179.99).all())


def test_a_zero_vector_counts_as_90_degrees() -> None:
    assert float(angular_error_deg(torch.zeros(3, 1, 1), tilted(0.0))) == pytest.approx(90.0)


def test_nothing_scored_is_missing() -> None:
    found = normal_scores(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool))
    assert all(math.isnan(found[name]) for name in NORMAL_COLUMNS)


def test_arguments_stay_as_they_are() -> None:
    p, t, scored = torch.randn(3, 4, 4), torch.randn(3, 4, 4), torch.rand(1, 4, 4) > 0.5
    before = [x.clone() for x in (p, t, scored)]
    error = angular_error_deg(p, t)
    kept = error.clone()
    normal_scores(error, scored)
    assert all(torch.equal(x, y) for x, y in zip([*before, kept], (p, t, scored, error)))
