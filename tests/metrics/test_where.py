"""Errors by depth and by distance to a boundary, against a walk over all pixels."""

from __future__ import annotations

import math

import torch

from midvision.core.items import Target
from midvision.metrics.where import mean_by_distance, mean_in_bins, reached
from midvision.tasks.depth import EDGE_BINS, NEAR_BINS, DepthScoring, where_it_errs


def test_bins_hold_their_lower_end_and_not_their_upper() -> None:
    error = torch.tensor([[[1.0, 2.0, 4.0, 8.0]]])
    place = torch.tensor([[[0.0, 1.0, 1.5, 2.0]]])
    scored = torch.tensor([[[True, True, True, True]]])
    bins = {"a": (0.0, 1.0), "b": (1.0, 2.0), "c": (2.0, 3.0), "d": (3.0, 9.0)}
    found = mean_in_bins(error, scored, place, bins)
    assert (found["a"], found["b"], found["c"]) == (1.0, 3.0, 8.0) and math.isnan(found["d"])
    assert mean_in_bins(error, torch.tensor([[[True, True, False, True]]]), place, bins)["b"] == 2.0


def test_distance_is_that_of_the_nearest_mark_pixel_by_pixel() -> None:
    generator = torch.Generator().manual_seed(5)
    marked = torch.rand((1, 17, 23), generator=generator) < 0.03
    error = torch.rand((1, 17, 23), generator=generator)
    scored = torch.rand((1, 17, 23), generator=generator) < 0.8
    marks = [(int(y), int(x)) for y, x in marked[0].nonzero()]
    bins = {"near": (0.0, 2.0), "middle": (2.0, 5.0), "far": (5.0, 9.0), "beyond": (40.0, 50.0)}
    slow: dict[str, list[float]] = {name: [] for name in bins}
    for y in range(17):
        for x in range(23):
            distance = min(max(abs(y - j), abs(x - i)) for j, i in marks)
            for name, (low, high) in bins.items():
                if low <= distance < high and scored[0, y, x]:
                    slow[name].append(float(error[0, y, x]))
    found = mean_by_distance(error, scored, marked, bins)
    for name in ("near", "middle", "far"):
        assert len(slow[name]) > 5
        assert abs(found[name] - sum(slow[name]) / len(slow[name])) < 1e-6
    assert math.isnan(found["beyond"])


def test_nothing_is_near_a_boundary_that_is_not_there() -> None:
    nothing = torch.zeros((1, 4, 4), dtype=torch.bool)
    assert not reached(nothing, 3).any() and not reached(~nothing, -1).any()
    assert reached(~nothing, 0).all()


def test_depth_errs_where_it_was_made_to_err() -> None:
    """Twice the depth beyond two metres, right before; wrong by a tenth within one pixel of the boundary."""
    truth = torch.full((1, 40, 60), 1.5)
    truth[..., 30:] = 3.0
    edge = torch.zeros((1, 40, 60), dtype=torch.bool)
    edge[..., 30] = True
    prediction = torch.where(truth > 2, truth * 2, truth)
    prediction[..., 29:32] = truth[..., 29:32] * 1.1
    found = where_it_errs(prediction, Target(truth, torch.ones_like(edge), edge), DepthScoring())
    assert math.isnan(found["abs_rel_near_0_1"]) and math.isnan(found["abs_rel_near_4_10"])
    assert abs(found["abs_rel_near_1_2"] - 0.1 / 30) < 1e-6
    assert abs(found["abs_rel_near_2_4"] - (0.1 * 2 + 28) / 30) < 1e-6
    assert abs(found["abs_rel_edge_0_2"] - 0.1) < 1e-6
    assert abs(found["abs_rel_edge_2_6"] - 0.5) < 1e-6
    assert set(found) == {*NEAR_BINS, *EDGE_BINS}
    relative = where_it_errs(prediction, Target(truth, torch.ones_like(edge)), DepthScoring(target="relative"))
    assert relative == {}
