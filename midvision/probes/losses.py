"""Training losses, pure: predictions and truth in, a scalar out. Formulas of Probe3D and its fork."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Axes = Literal["spatial", "batch"]

_STRIDES = (1, 2, 4, 6)


def depth_loss(predicted_m: Tensor, truth_m: Tensor, mask: Tensor, axes: Axes = "spatial") -> Tensor:
    """`10 * scale-invariant log error + 0.5 * gradient matching`; all `[B, 1, H, W]`.

    Means run over the masked pixels of the whole batch. `axes="batch"` takes the gradients along
    batch and channel, as the reference does by mistake.
    """
    truth_m = torch.where(mask, truth_m, torch.ones_like(truth_m))
    error = torch.where(mask, torch.log(predicted_m + 1e-3) - torch.log(truth_m + 1e-3), torch.zeros_like(truth_m))
    return 10 * scale_invariant_term(error, mask) + 0.5 * gradient_term(error, mask, axes)


def scale_invariant_term(log_error: Tensor, mask: Tensor) -> Tensor:
    """`sqrt(mean(g^2) - 0.85 mean(g)^2)` over the mask."""
    count = mask.sum().clamp_min(1)
    error = log_error * mask
    spread = error.square().sum() / count - 0.85 * (error.sum() / count).square()
    return spread.clamp_min(1e-12).sqrt()


def gradient_term(log_error: Tensor, mask: Tensor, axes: Axes = "spatial") -> Tensor:
    """Absolute differences of the log error between neighbours two samples apart, per masked pixel.

    Summed over the maps sampled with stride 1, 2, 4 and 6; both neighbours must be masked in.
    """
    along = (-2, -1) if axes == "spatial" else (0, 1)
    total = log_error.new_zeros(())
    for stride in _STRIDES:
        error, known = log_error, mask
        for axis in along:
            error, known = _every(error, stride, axis), _every(known, stride, axis)
        differences = sum((_neighbours(error, known, axis) for axis in along), start=log_error.new_zeros(()))
        total = total + differences / known.sum().clamp_min(1)
    return total


def _every(x: Tensor, stride: int, axis: int) -> Tensor:
    return x.index_select(axis, torch.arange(0, x.shape[axis], stride, device=x.device))


def _neighbours(error: Tensor, known: Tensor, axis: int) -> Tensor:
    """Sum of absolute differences between samples two apart along `axis`; 0 where there are fewer than three."""
    length = error.shape[axis] - 2
    if length <= 0:
        return error.new_zeros(())
    both = known.narrow(axis, 0, length) & known.narrow(axis, 2, length)
    return ((error.narrow(axis, 0, length) - error.narrow(axis, 2, length)).abs() * both).sum()


def angular_loss(predicted: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean angle in radians over the mask; with a fourth channel, the angular von Mises likelihood.

    `predicted [B, 3 or 4, H, W]` (direction, raw concentration), `truth [B, 3, H, W]`, `mask [B, 1, H, W]`.
    """
    truth = torch.where(mask, truth, torch.zeros_like(truth))
    cosine = functional.cosine_similarity(predicted[:, :3], truth, dim=1).clamp(-1 + 1e-4, 1 - 1e-4)
    angle = torch.arccos(cosine)
    if predicted.shape[1] == 4:
        kappa = functional.elu(predicted[:, 3]) + 1.01
        angle = kappa * angle + torch.log1p(torch.exp(-kappa * math.pi)) - torch.log(kappa.square() + 1)
    return (angle * mask[:, 0]).sum() / mask.sum().clamp_min(1)


def mask_loss(probability: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Mean binary cross-entropy on probabilities over the mask; all `[B, 1, H, W]`."""
    truth = torch.where(mask, truth, torch.zeros_like(truth))
    each = functional.binary_cross_entropy(probability.clamp(0, 1), truth, reduction="none")
    return (each * mask).sum() / mask.sum().clamp_min(1)
