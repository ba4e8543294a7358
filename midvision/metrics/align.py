"""Per-image fit of a scale and a shift: what a relative depth map is judged after.

Least squares in depth space on valid pixels, by the normal equations, as in Probe3D and its forks.
An inverse-depth fit, or a median fit, would give other numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scale_and_shift(prediction: Tensor, target: Tensor, valid: Tensor) -> tuple[float, float]:
    """`s, t` that minimise `sum((s * prediction + t - target)^2)` over `valid`; `(1, 0)` where that is singular."""
    x, y = prediction[valid].double(), target[valid].double()
    if x.numel() == 0:
        return 1.0, 0.0
    dx, dy = x - x.mean(), y - y.mean()
    spread = (dx * dx).sum()
    if spread <= 1e-12 * (x * x).sum():
        return 1.0, 0.0
    scale = (dx * dy).sum() / spread
    return float(scale), float(y.mean() - scale * x.mean())


def aligned(prediction: Tensor, target: Tensor, valid: Tensor, clip: tuple[float, float] | None = None) -> Tensor:
    """The prediction after its best scale and shift, float64; `clip` bounds it (None leaves even negative values)."""
    scale, shift = scale_and_shift(prediction, target, valid)
    moved = prediction.double() * scale + shift
    return moved if clip is None else torch.clamp(moved, *clip)
