"""Depth: threshold accuracies and errors of one image.

All images weigh the same afterwards: the per-image numbers are averaged, never the pixels of a data set.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

DEPTH_COLUMNS = ("delta1", "delta2", "delta3", "rmse", "abs_rel")
RATIO_FLOOR = 1e-9


def depth_scores(prediction: Tensor, target: Tensor, valid: Tensor) -> dict[str, float]:
    """Shares within a factor 1.25^k (strict), root mean square and mean relative error.

    `prediction`, `target` `[1, H, W]` in the same unit (metres, or relative depth), `valid` bool.
    The prediction is floored at 1e-9 in the ratio only. NaN everywhere if no pixel is valid.
    """
    if not bool(valid.any()):
        return dict.fromkeys(DEPTH_COLUMNS, math.nan)
    p, t = prediction[valid].double(), target[valid].double()
    floored = p.clamp_min(RATIO_FLOOR)
    ratio = torch.maximum(t / floored, floored / t)
    scores = {f"delta{k}": float((ratio < 1.25**k).double().mean()) for k in (1, 2, 3)}
    scores["rmse"] = float(((p - t) ** 2).mean().sqrt())
    scores["abs_rel"] = float(((p - t).abs() / t).mean())
    return scores


def relative_depth(depth_m: Tensor, valid: Tensor, smallest_span_m: float = 0.01) -> Tensor:
    """Depth rescaled per image to [0.01, 1] over its valid pixels, 0 elsewhere (the reference's `reldepth`).

    A span below 1 cm counts as 1 cm, so that a flat object is not blown up.
    """
    if not bool(valid.any()):
        return torch.zeros_like(depth_m)
    near, far = depth_m[valid].min(), depth_m[valid].max()
    span = torch.clamp(far - near, min=smallest_span_m)
    return torch.where(valid, 0.01 + 0.99 * (depth_m - near) / span, torch.zeros_like(depth_m))
