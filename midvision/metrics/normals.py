"""Surface normals: statistics of the angular error of one image, in degrees."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RECALL_DEG = {"recall_11deg": 11.25, "recall_22deg": 22.5, "recall_30deg": 30.0}
NORMAL_COLUMNS = (*RECALL_DEG, "rmse_deg", "mean_deg", "median_deg")


def angular_error_deg(prediction: Tensor, target: Tensor) -> Tensor:
    """Angle between two fields of directions `[3, H, W]` -> `[1, H, W]` degrees; lengths do not matter.

    A zero vector on either side counts as 90 degrees.
    """
    p, t = prediction.double(), target.double()
    lengths = p.norm(dim=0, keepdim=True) * t.norm(dim=0, keepdim=True)
    cosine = (p * t).sum(dim=0, keepdim=True) / lengths.clamp_min(1e-12)
    return torch.rad2deg(torch.arccos(cosine.clamp(-1.0, 1.0)))


def normal_scores(error_deg: Tensor, scored: Tensor) -> dict[str, float]:
    """Shares below 11.25, 22.5 and 30 degrees (strict), RMSE, mean and median over the pixels of `scored`.

    `error_deg`, `scored` `[1, H, W]`. NaN everywhere if no pixel is scored. The median of an even
    count is the mean of the middle two.
    """
    error = error_deg[scored].double()
    if error.numel() == 0:
        return dict.fromkeys(NORMAL_COLUMNS, math.nan)
    scores = {name: float((error < limit).double().mean()) for name, limit in RECALL_DEG.items()}
    ordered = error.sort().values
    middle = ordered.numel() // 2
    scores["rmse_deg"] = float((error**2).mean().sqrt())
    scores["mean_deg"] = float(error.mean())
    scores["median_deg"] = float((ordered[middle] + ordered[-middle - 1]) / 2)
    return scores
