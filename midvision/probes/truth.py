"""Truth as probes see it: which pixels teach, cell targets, and the best constant answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.features import Grid
from midvision.core.items import DenseItem, Target
from midvision.core.seeds import hashed_order
from midvision.geometry.lookup import cell_average
from midvision.probes.problem import DenseProblem

_CONSTANT_ITEMS = 256
"""Training images read for the constant: enough for a mean, bounded for large sets."""

_PIXELS_PER_ITEM = 1024
"""Pixels of each image that enter the constant, evenly spaced."""


def teaching_pixels(problem: DenseProblem, target: Target) -> Tensor:
    """Pixels `[1, H, W]` bool that enter a loss or a fit.

    Depth must be positive and within the range, normals must have a length; both always.
    """
    values = target.values
    chosen = torch.ones_like(target.valid) if problem.loss_mask == "all" else target.valid.bool()
    if problem.loss_mask == "interior" and target.edge is not None:
        chosen = chosen & ~target.edge.bool()
    chosen = chosen & torch.isfinite(values).all(0, keepdim=True)
    if problem.kind == "depth":
        return chosen & (values > 0) & (values <= problem.depth_range_m[1])
    if problem.kind == "normals":
        return chosen & (values.nan_to_num().square().sum(0, keepdim=True) > 0.25)
    return chosen


def checked_target(problem: DenseProblem, item: DenseItem) -> Target:
    """The item's truth, or an error that names it when its channels do not fit the problem."""
    target = item.target()
    if target.values.ndim != 3 or target.values.shape[0] != problem.channels:
        raise DataError(
            f"Truth of {item.id!r} has shape {tuple(target.values.shape)}.",
            f"{problem.kind} needs {problem.channels} channel(s) of height and width.",
        )
    return target


def cell_targets(problem: DenseProblem, item: DenseItem, grid: Grid) -> tuple[Tensor, Tensor]:
    """Regression targets `[cells, K]` and weights `[cells]` of one image, float64.

    Log depth, normal components or foreground share, averaged over each cell's teaching pixels;
    the weight is their share of the cell.
    """
    target = checked_target(problem, item)
    values = target.values.to(torch.float64)
    weight = teaching_pixels(problem, target)
    if problem.kind == "depth":
        values = torch.where(weight, values, torch.ones_like(values)).log()
    mean, share = cell_average(values[None], weight[None], grid)
    return mean[0].flatten(1).T.contiguous(), share[0].flatten()


def best_constant(
    problem: DenseProblem, items: Sequence[DenseItem], score: Callable[[Tensor, Target], float]
) -> Tensor:
    """The constant prediction `[K]` with the best mean score on training truth.

    Depth: mean, median or geometric mean; normals: their mean direction; masks: 0 or 1. Read from
    at most 256 images, chosen by a hash of their ids.
    """
    by_id = {item.id: item for item in items}
    chosen = [by_id[name] for name in hashed_order(by_id, "constant")[:_CONSTANT_ITEMS]]
    candidates = _constants(problem, chosen)
    if len(candidates) == 1:
        return candidates[0]
    means = [_mean_score(constant, chosen, score) for constant in candidates]
    return candidates[max(range(len(means)), key=lambda index: (means[index], -index))]


def _constants(problem: DenseProblem, items: Sequence[DenseItem]) -> list[Tensor]:
    if problem.kind == "mask":
        return [torch.zeros(1), torch.ones(1)]
    samples = torch.cat([_sampled_pixels(problem, item) for item in items], 1).to(torch.float64)
    if samples.shape[1] == 0:
        raise DataError("No training pixel has valid truth.", "At least one is needed.", "Check the data set.")
    if problem.kind == "normals":
        mean = samples.mean(1)
        fallback = torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)
        return [(mean / mean.norm() if mean.norm() > 1e-6 else fallback).float()]
    return [samples.mean(1).float(), samples.median(1).values.float(), samples.log().mean(1).exp().float()]


def _sampled_pixels(problem: DenseProblem, item: DenseItem) -> Tensor:
    target = checked_target(problem, item)
    values = target.values[:, teaching_pixels(problem, target)[0]]
    return values[:, :: max(1, values.shape[1] // _PIXELS_PER_ITEM)]


def _mean_score(constant: Tensor, items: Sequence[DenseItem], score: Callable[[Tensor, Target], float]) -> float:
    total, count = 0.0, 0
    for item in items:
        target = item.target()
        value = score(constant[:, None, None].expand(target.values.shape), target)
        if value == value:
            total, count = total + value, count + 1
    return total / count if count else float("-inf")
