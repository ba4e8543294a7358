"""A linear readout of labels in closed form, from a stream of rows: for sets that do not fit in memory.

One-hot classes are regressed on standardised features with a free intercept. Only the second moments
`[C, C]` and the class sums `[C, K]` are held, so a million rows cost as much memory as a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from midvision.probes.label_bank import Bank

RIDGE_PENALTIES: tuple[float, ...] = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Candidates, strongest first: added to the variances of the standardised features, which are 1."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over some rows: `count`; of standardised features `x [C]`, `xx [C, C]`; per class `y [K]`, `xy [C, K]`."""

    count: int
    x: Tensor
    xx: Tensor
    y: Tensor
    xy: Tensor

    def __add__(self, other: Moments) -> Moments:
        mine, theirs = (self.x, self.xx, self.y, self.xy), (other.x, other.xx, other.y, other.xy)
        return Moments(self.count + other.count, *(a + b for a, b in zip(mine, theirs)))


def statistics(bank: Bank, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation `[C]` of the rows where `chosen [N]` is true; a constant channel has deviation 1."""
    count = int(chosen.sum())
    mean = torch.zeros(bank.shape[1], dtype=torch.float64)
    for part, rows in bank.chunks():
        mean += rows[chosen[part]].sum(0)
    mean /= count
    square = torch.zeros_like(mean)
    for part, rows in bank.chunks():
        square += (rows[chosen[part]] - mean).square().sum(0)
    scale = (square / count).sqrt()
    return mean, torch.where(scale > 1e-6 * (mean.abs() + 1e-6), scale, torch.ones_like(scale))


def moments(
    bank: Bank, labels: Tensor, chosen: Tensor, n_classes: int, mean: Tensor, scale: Tensor, device: str
) -> Moments:
    """The sums over the chosen rows, standardised by `mean` and `scale`; products run on `device`."""
    channels = bank.shape[1]
    mean, scale = mean.to(device), scale.to(device)
    xx = torch.zeros((channels, channels), dtype=torch.float64, device=device)
    by_class = torch.zeros((n_classes, channels), dtype=torch.float64, device=device)
    for part, rows in bank.chunks():
        keep = chosen[part]
        x = (rows[keep].to(device) - mean) / scale
        xx += x.T @ x
        by_class.index_add_(0, labels[part][keep].to(device), x)
    counts = torch.bincount(labels[chosen], minlength=n_classes).double().to(device)
    return Moments(int(chosen.sum()), by_class.sum(0), xx, counts, by_class.T.contiguous())


def solve_path(sums: Moments, penalties: tuple[float, ...]) -> list[tuple[Tensor, Tensor]]:
    """`(weights [K, C], bias [K])` per penalty: least mean squared error plus penalty times squared weights."""
    mean_x, mean_y = sums.x / sums.count, sums.y / sums.count
    covariance = sums.xx / sums.count - torch.outer(mean_x, mean_x)
    cross = sums.xy / sums.count - torch.outer(mean_x, mean_y)
    values, vectors = torch.linalg.eigh(covariance)
    turned = vectors.T @ cross
    fits = []
    for penalty in penalties:
        weights = (vectors @ (turned / (values.clamp(min=0) + penalty)[:, None])).T
        fits.append((weights.cpu(), (mean_y - weights @ mean_x).cpu()))
    return fits


def fit_ridge(
    bank: Bank, labels: Tensor, held_out: Tensor, n_classes: int, fallback: float, device: str
) -> tuple[float, list[dict[str, float]], tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The penalty with the best held-out accuracy, the curve, and (mean, scale, weights, bias) fitted on all rows.

    The candidates are fitted without the rows of `held_out [N]`, and standardised without them.
    """
    rest, penalty, curve = ~held_out, fallback, list[dict[str, float]]()
    if held_out.any():
        mean, scale = statistics(bank, rest)
        fits = solve_path(moments(bank, labels, rest, n_classes, mean, scale, device), RIDGE_PENALTIES)
        curve = _curve(bank, labels, held_out, mean, scale, fits, device)
        best = max(curve, key=lambda entry: (entry["score"], -entry["squared_error"], entry["penalty"]))
        penalty = best["penalty"]
    everything = torch.ones_like(held_out)
    mean, scale = statistics(bank, everything)
    weights, bias = solve_path(moments(bank, labels, everything, n_classes, mean, scale, device), (penalty,))[0]
    return penalty, curve, (mean, scale, weights, bias)


def _curve(
    bank: Bank,
    labels: Tensor,
    held_out: Tensor,
    mean: Tensor,
    scale: Tensor,
    fits: list[tuple[Tensor, Tensor]],
    device: str,
) -> list[dict[str, float]]:
    """Accuracy and squared error (summed over classes) of every candidate on the held-out rows."""
    hits, error, count = [0.0] * len(fits), [0.0] * len(fits), int(held_out.sum())
    moved = [(weights.to(device), bias.to(device)) for weights, bias in fits]
    for part, rows in bank.chunks():
        keep = held_out[part]
        if not keep.any():
            continue
        x = ((rows[keep] - mean) / scale).to(device)
        truth = labels[part][keep].to(device)
        for number, (weights, bias) in enumerate(moved):
            answer = x @ weights.T + bias
            hits[number] += float((answer.argmax(1) == truth).sum())
            right = answer.gather(1, truth[:, None])[:, 0]
            error[number] += float(answer.square().sum() + (1 - 2 * right).sum())
    return [
        {"penalty": penalty, "score": hits[n] / count, "squared_error": error[n] / count}
        for n, penalty in enumerate(RIDGE_PENALTIES)
    ]
