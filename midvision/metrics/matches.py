"""Correspondence: errors of matched points, recall at thresholds, what a random match would reach.

Points are `[M, 3]` metres in their own camera, pixels `[M, 2]` (x, y); row m of both sides is one match.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def errors_m(xyz_a_in_b: Tensor, xyz_b: Tensor) -> Tensor:
    """Distance of each matched pair in metres, both sides in camera b."""
    distance: Tensor = (xyz_a_in_b - xyz_b).norm(dim=1)
    return distance


def errors_px(xy_a_in_b: Tensor, xy_b: Tensor) -> Tensor:
    """Distance of each matched pair on image b; infinite where a point of a cannot be seen from b (NaN)."""
    distance = (xy_a_in_b - xy_b).norm(dim=1)
    return torch.where(torch.isfinite(distance), distance, torch.full_like(distance, math.inf))


def recall(errors: Tensor, threshold: float) -> float:
    """Share of matches below the threshold (strict); NaN without matches."""
    return float((errors < threshold).double().mean()) if errors.numel() else math.nan


def chance_recall(a_in_b: Tensor, b: Tensor, thresholds: Sequence[float]) -> list[float]:
    """Expected recall when every point of a is matched to a uniformly random point of b, exactly.

    `a_in_b [M, d]` and `b [N, d]` in the same frame: the share of all M x N pairs below each threshold
    (strict). Points of a that are not finite are near nothing.
    """
    if not len(a_in_b) or not len(b):
        return [math.nan] * len(thresholds)
    from scipy.spatial import cKDTree

    seen = a_in_b[torch.isfinite(a_in_b).all(dim=1)].double().numpy()
    # The tree counts distances up to and including r.
    below = np.nextafter(np.asarray(thresholds, dtype=np.float64), 0.0)
    order = np.argsort(below)
    counts = np.zeros(len(below))
    if len(seen):
        counts[order] = cKDTree(seen).count_neighbors(cKDTree(b.double().numpy()), below[order])
    return [float(count) / (len(a_in_b) * len(b)) for count in counts]


def by_rotation(value: float, angle_deg: float, bins: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The value under the bins `[low, high)` that hold the angle, NaN under the others; 180 belongs to its bin."""
    inside = {name: low <= angle_deg < high or angle_deg == high == 180 for name, (low, high) in bins.items()}
    return {name: value if here else math.nan for name, here in inside.items()}
