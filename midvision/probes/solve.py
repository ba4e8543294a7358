"""Ridge regression from sums: penalty by cross-validation over folds, everything from the Grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from midvision.probes.gram import RowSums, TargetSums

PENALTIES: tuple[float, ...] = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Candidates, per unit of cell weight and for standardised channels."""

WITHOUT_CHOICE = 1e-2
"""Penalty where a single image leaves nothing to validate on."""


@dataclass(frozen=True, slots=True)
class RidgeFit:
    """`y = (x - mean) / scale @ weights + intercept`, and how its penalty was found.

    `errors` are mean squared errors of held-out cells per penalty, summed over outputs.
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    intercept: Tensor
    penalty: float
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Standard:
    """Normal equations of standardised rows: `a [C, C]` with unit diagonal, `b [C, K]`."""

    mean: Tensor
    scale: Tensor
    a: Tensor
    b: Tensor
    target_mean: Tensor


def fit_ridges(rows: Sequence[RowSums], targets: Sequence[Sequence[TargetSums]]) -> list[RidgeFit]:
    """One fit per entry of `targets` (each a list over folds) from the shared `rows` (a list over folds).

    Standardisation is refitted without the held-out fold. Ties take the larger penalty.
    """
    total = _total(rows)
    joint = [_joined([slot[fold] for slot in targets]) for fold in range(len(rows))]
    widths = [slot[0].targets.numel() for slot in targets]
    everything = joint[0]
    for part in joint[1:]:
        everything = everything.plus(part)
    errors = _held_out_errors(rows, joint, total, everything) if len(rows) > 1 else None
    standard = _standardise(total, everything)
    fits, start, solved = [], 0, dict[float, Tensor]()
    for width in widths:
        chosen, curve = WITHOUT_CHOICE, tuple[float, ...]()
        if errors is not None:
            curve = tuple(float(e) for e in errors[:, start : start + width].sum(1) / total.weight)
            chosen = min(zip(curve, PENALTIES), key=lambda pair: (pair[0], -pair[1]))[1]
        if chosen not in solved:
            solved[chosen] = _solve(standard.a, chosen, standard.b)
        weights = solved[chosen][:, start : start + width].clone()
        centre = standard.target_mean[start : start + width].clone()
        fits.append(RidgeFit(standard.mean, standard.scale, weights, centre, chosen, curve))
        start += width
    return fits


def _held_out_errors(
    rows: Sequence[RowSums], joint: Sequence[TargetSums], total: RowSums, everything: TargetSums
) -> Tensor:
    """Summed squared errors `[penalties, K]` of every fold under the fit to the others."""
    errors = torch.zeros((len(PENALTIES), everything.targets.numel()), dtype=torch.float64, device=total.gram.device)
    for held_rows, held_targets in zip(rows, joint, strict=True):
        rest = RowSums(total.gram - held_rows.gram, total.rows - held_rows.rows, total.weight - held_rows.weight)
        if held_rows.weight <= 0 or rest.weight <= 0:
            continue
        standard = _standardise(rest, everything.minus(held_targets))
        del rest
        for index, penalty in enumerate(PENALTIES):
            slope = _solve(standard.a, penalty, standard.b) / standard.scale[:, None]
            intercept = standard.target_mean - standard.mean @ slope
            errors[index] += _squared_error(held_rows, held_targets, slope, intercept)
    return errors


def _squared_error(rows: RowSums, targets: TargetSums, slope: Tensor, intercept: Tensor) -> Tensor:
    """Weighted `sum (y - x @ slope - intercept)^2` `[K]`, from the sums alone."""
    fitted = (slope * (rows.gram @ slope)).sum(0) + 2 * intercept * (rows.rows @ slope) + rows.weight * intercept**2
    agreement = (slope * targets.cross).sum(0) + intercept * targets.targets
    return (targets.squares - 2 * agreement + fitted).clamp_min(0)


def _standardise(rows: RowSums, targets: TargetSums) -> _Standard:
    mean, target_mean = rows.rows / rows.weight, targets.targets / rows.weight
    a = (rows.gram / rows.weight).addr_(mean, mean, alpha=-1)
    variance = a.diagonal().clone()
    # A channel that does not move carries nothing; scale 1 leaves its weight at zero.
    moves = variance > 1e-12 * (mean.square() + 1e-12)
    scale = torch.where(moves, variance.clamp_min(0).sqrt(), torch.ones_like(variance))
    a /= scale[:, None]
    a /= scale[None, :]
    b = (targets.cross / rows.weight - mean[:, None] * target_mean) / scale[:, None]
    still = ~moves
    a[still], b[still] = 0.0, 0.0
    a[:, still] = 0.0
    return _Standard(mean, scale, a, b, target_mean)


def _solve(a: Tensor, penalty: float, b: Tensor) -> Tensor:
    """`(a + penalty I)^-1 b` by Cholesky; `a` is semi-definite up to rounding."""
    shifted = a.clone()
    shifted.diagonal().add_(penalty)
    factor, failed = torch.linalg.cholesky_ex(shifted)
    if int(failed):
        shifted.diagonal().add_(penalty + 1e-9 * a.shape[0])
        factor = torch.linalg.cholesky(shifted)
    return torch.cholesky_solve(b, factor)


def _total(rows: Sequence[RowSums]) -> RowSums:
    total = rows[0].copy()
    for part in rows[1:]:
        total.gram += part.gram
        total.rows += part.rows
        total.weight += part.weight
    return total


def _joined(parts: Sequence[TargetSums]) -> TargetSums:
    """The targets of several slots side by side."""
    return TargetSums(
        torch.cat([p.cross for p in parts], 1),
        torch.cat([p.targets for p in parts]),
        torch.cat([p.squares for p in parts]),
    )
