"""Percentage of correct keypoints: predicted points within a share of the object's size."""

from __future__ import annotations

import torch
from torch import Tensor


def pck(predicted_xy: Tensor, true_xy: Tensor, radius_px: float) -> float:
    """Share of the points `[P, 2]` within the radius (inclusive, as is customary for PCK)."""
    return float(((predicted_xy.double() - true_xy.double()).norm(dim=1) <= radius_px).double().mean())


def chance_pck(candidates_xy: Tensor, true_xy: Tensor, radius_px: float) -> float:
    """Expected PCK when every point is placed on a uniformly random candidate `[N, 2]`."""
    distance = torch.cdist(true_xy.double(), candidates_xy.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return float((distance <= radius_px).double().mean())
