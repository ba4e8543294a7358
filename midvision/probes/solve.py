"""Ridge regression from sums: penalty by cross-validation over folds, everything from the Grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from midvision.probes.gram import Rows, RowSums, TargetSums, ThinRows

PENALTIES: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Candidates, per unit of cell weight and for standardised channels."""

_FLOAT32_CHANNELS = 1024
_RESIDUAL = 1e-11
_MOST_STEPS = 40

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
    """Standardised rows: `a [C, C]` with unit diagonal (zero for channels that do not move).

    Of few rows `a` is never formed: `a = z.T @ z` with `z [n, C]`, and `kernel = z @ z.T`.
    """

    mean: Tensor
    scale: Tensor
    moves: Tensor
    a: Tensor | None = None
    z: Tensor | None = None
    kernel: Tensor | None = None

    def factor(self, penalty: float) -> _Factor | _ThinFactor:
        if self.z is not None and self.kernel is not None:
            return _ThinFactor(self.z, penalty, _float64_factor(self.kernel, penalty))
        assert self.a is not None
        return _Factor.of(self.a, penalty)

    def targets(self, sums: TargetSums, weight: float) -> Tensor:
        """Right-hand side `[C, K]` of the normal equations."""
        mean = sums.targets / weight
        b = (sums.cross / weight - self.mean[:, None] * mean) / self.scale[:, None]
        return torch.where(self.moves[:, None], b, torch.zeros_like(b))


def fit_ridges(rows: Sequence[Rows], targets: Sequence[Sequence[TargetSums]]) -> list[RidgeFit]:
    """One fit per entry of `targets` (each a list over folds) from the shared `rows` (a list over folds).

    The factorisations are shared, the solutions are not, so a fit has the same bits in any company.
    Standardisation is refitted without the held-out fold. Ties take the larger penalty.
    """
    total = _total(rows)
    sums = [_total_targets(slot) for slot in targets]
    errors = _held_out_errors(rows, targets, total, sums) if len(rows) > 1 else None
    standard = _standardise(total)
    factors: dict[float, _Factor | _ThinFactor] = {}
    fits = []
    for slot, everything in enumerate(sums):
        penalty, curve = WITHOUT_CHOICE, tuple[float, ...]()
        if errors is not None:
            curve = tuple(float(error) / total.weight for error in errors[slot])
            penalty = min(zip(curve, PENALTIES), key=lambda pair: (pair[0], -pair[1]))[1]
        if penalty not in factors:
            factors[penalty] = standard.factor(penalty)
        weights = factors[penalty].solve(standard.targets(everything, total.weight))
        intercept = everything.targets / total.weight
        fits.append(RidgeFit(standard.mean, standard.scale, weights, intercept, penalty, curve))
    return fits


def _held_out_errors(
    rows: Sequence[Rows],
    targets: Sequence[Sequence[TargetSums]],
    total: Rows,
    sums: Sequence[TargetSums],
) -> Tensor:
    """Summed squared errors `[slots, penalties]` of every fold under the fit to the others."""
    errors = torch.zeros((len(targets), len(PENALTIES)), dtype=torch.float64)
    for fold, held in enumerate(rows):
        weight = total.weight - held.weight
        if held.weight <= 0 or weight <= 0:
            continue
        standard = _standardise(_without(rows, fold, total))
        rest = [everything.minus(slot[fold]) for everything, slot in zip(sums, targets, strict=True)]
        sides = [standard.targets(part, weight) for part in rest]
        for index, penalty in enumerate(PENALTIES):
            factor = standard.factor(penalty)
            for slot, (part, side) in enumerate(zip(rest, sides, strict=True)):
                slope = factor.solve(side) / standard.scale[:, None]
                intercept = part.targets / weight - standard.mean @ slope
                errors[slot, index] += float(_squared_error(held, targets[slot][fold], slope, intercept).sum())
    return errors


def _squared_error(rows: Rows, targets: TargetSums, slope: Tensor, intercept: Tensor) -> Tensor:
    """Weighted `sum (y - x @ slope - intercept)^2` `[K]`, from the sums alone."""
    fitted = (slope * rows.times(slope)).sum(0) + 2 * intercept * (rows.rows @ slope) + rows.weight * intercept**2
    agreement = (slope * targets.cross).sum(0) + intercept * targets.targets
    return (targets.squares - 2 * agreement + fitted).clamp_min(0)


def _standardise(rows: Rows) -> _Standard:
    mean = rows.rows / rows.weight
    variance = rows.diagonal() / rows.weight - mean.square()
    # A channel that does not move carries nothing; zeros in its place leave its weight at zero.
    moves = variance > 1e-12 * (mean.square() + 1e-12)
    scale = torch.where(moves, variance.clamp_min(0).sqrt(), torch.ones_like(variance))
    inverse = torch.where(moves, 1 / scale, torch.zeros_like(scale))
    if isinstance(rows, ThinRows):
        z = (rows.x - rows.root[:, None] * mean) * (inverse / rows.weight**0.5)
        return _Standard(mean, scale, moves, z=z, kernel=z @ z.T)
    a = rows.gram * (inverse / rows.weight)[:, None]
    a *= inverse
    a.addr_(mean * inverse, mean * inverse, alpha=-1)
    return _Standard(mean, scale, moves, a)


@dataclass(frozen=True, slots=True)
class _ThinFactor:
    """Solves `(z.T @ z + penalty I) x = b` through the rows of `z`, by Woodbury's identity; all in float64."""

    z: Tensor
    penalty: float
    lower: Tensor

    def solve(self, b: Tensor) -> Tensor:
        """A second round takes off what the first one's subtraction lost."""
        x = self._once(b)
        return x + self._once(b - self.z.T @ (self.z @ x) - self.penalty * x)

    def _once(self, b: Tensor) -> Tensor:
        return (b - self.z.T @ torch.cholesky_solve(self.z @ b, self.lower)) / self.penalty


@dataclass(frozen=True, slots=True)
class _Factor:
    """Solves `(a + penalty I) x = b`.

    Large systems are factorised in float32, three times as fast, and the solution is brought to
    float64 accuracy by conjugate gradients with that factor; small ones directly in float64.
    """

    a: Tensor
    penalty: float
    lower: Tensor

    @staticmethod
    def of(a: Tensor, penalty: float) -> _Factor:
        """`a` is semi-definite up to rounding."""
        if a.shape[0] >= _FLOAT32_CHANNELS:
            lower, failed = torch.linalg.cholesky_ex(_shifted(a.float(), penalty))
            if not int(failed):
                return _Factor(a, penalty, lower)
        return _Factor(a, penalty, _float64_factor(a, penalty))

    def solve(self, b: Tensor) -> Tensor:
        if self.lower.dtype == torch.float64:
            return torch.cholesky_solve(b, self.lower)
        x, residual = torch.zeros_like(b), b
        goal = _RESIDUAL * b.norm()
        step, last = torch.zeros_like(b), torch.ones(b.shape[1], dtype=b.dtype, device=b.device)
        for _ in range(_MOST_STEPS):
            if residual.norm() <= goal:
                return x
            near = torch.cholesky_solve(residual.float(), self.lower).to(b.dtype)
            agreement = (residual * near).sum(0)
            step = near + step * (agreement / last)
            last = agreement
            image = self.a @ step + self.penalty * step
            length = agreement / (step * image).sum(0).clamp_min(torch.finfo(b.dtype).tiny)
            x = x + length * step
            residual = residual - length * image
        return torch.cholesky_solve(b, _float64_factor(self.a, self.penalty))


def _float64_factor(a: Tensor, penalty: float) -> Tensor:
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(_shifted(a.clone(), penalty))
    if int(failed):
        factor = torch.linalg.cholesky(_shifted(a.clone(), penalty + 1e-9 * a.shape[0]))
    return factor


def _shifted(a: Tensor, penalty: float) -> Tensor:
    a.diagonal().add_(penalty)
    return a


def _without(rows: Sequence[Rows], fold: int, total: Rows) -> Rows:
    """All rows but those of one fold."""
    held = rows[fold]
    if isinstance(total, RowSums) and isinstance(held, RowSums):
        return RowSums(total.gram - held.gram, total.rows - held.rows, total.weight - held.weight)
    return ThinRows.joined([part for place, part in enumerate(rows) if place != fold and isinstance(part, ThinRows)])


def _total(rows: Sequence[Rows]) -> Rows:
    thin = [part for part in rows if isinstance(part, ThinRows)]
    if thin:
        return ThinRows.joined(thin)
    sums = [part for part in rows if isinstance(part, RowSums)]
    total = sums[0].copy()
    for part in sums[1:]:
        total.gram += part.gram
        total.rows += part.rows
        total.weight += part.weight
    return total


def _total_targets(folds: Sequence[TargetSums]) -> TargetSums:
    total = folds[0]
    for part in folds[1:]:
        total = total.plus(part)
    return total
