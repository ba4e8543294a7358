"""Ridge regression from sums: penalty by cross-validation over folds, everything from the Grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from midvision.probes.gram import Rows, RowSums, TargetSums, ThinRows

PENALTIES: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Candidates, per unit of cell weight and for standardised channels."""

_FLOAT32_CHANNELS = 1024
_RESIDUAL = 1e-11
_MOST_STEPS = 40
_KERNEL_BLOCKS = 8

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

    def solutions(self, penalties: Sequence[float], sides: Sequence[Tensor]) -> Iterator[tuple[int, int, Tensor]]:
        """(slot, index of the penalty, `x [C, K]`) for every right-hand side; factorisations are shared."""
        if self.z is not None and self.kernel is not None:
            thin = _ThinFactors.of(self.z, self.kernel, penalties)
            for slot, side in enumerate(sides):
                for index, x in enumerate(thin.solve(side)):
                    yield slot, index, x
            return
        assert self.a is not None
        for index, penalty in enumerate(penalties):
            factor = _Factor.of(self.a, penalty)
            for slot, side in enumerate(sides):
                yield slot, index, factor.solve(side)

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
    curves: list[tuple[float, ...]] = [() for _ in sums]
    if errors is not None:
        curves = [tuple(float(error) / total.weight for error in row) for row in errors]
    penalties = [_best(curve) for curve in curves]
    weights: dict[int, Tensor] = {}
    for penalty in dict.fromkeys(penalties):
        slots = [slot for slot, chosen in enumerate(penalties) if chosen == penalty]
        sides = [standard.targets(sums[slot], total.weight) for slot in slots]
        for place, _, solution in standard.solutions([penalty], sides):
            weights[slots[place]] = solution
    return [
        RidgeFit(standard.mean, standard.scale, weights[slot], part.targets / total.weight, penalties[slot], curve)
        for slot, (part, curve) in enumerate(zip(sums, curves, strict=True))
    ]


def _best(curve: Sequence[float]) -> float:
    """The penalty of the smallest error; of equal ones the largest."""
    if not curve:
        return WITHOUT_CHOICE
    return min(zip(curve, PENALTIES), key=lambda pair: (pair[0], -pair[1]))[1]


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
        for slot, index, solution in standard.solutions(PENALTIES, sides):
            slope = solution / standard.scale[:, None]
            intercept = rest[slot].targets / weight - standard.mean @ slope
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
        return _Standard(mean, scale, moves, z=z, kernel=_kernel(z))
    a = rows.gram * (inverse / rows.weight)[:, None]
    a *= inverse
    a.addr_(mean * inverse, mean * inverse, alpha=-1)
    return _Standard(mean, scale, moves, a)


def _kernel(z: Tensor) -> Tensor:
    """`z @ z.T`, of which one half is computed and mirrored, in blocks of rows."""
    size, step = len(z), max(1, -(-len(z) // _KERNEL_BLOCKS))
    kernel = z.new_zeros((size, size))
    for start in range(0, size, step):
        rows = slice(start, start + step)
        kernel[rows, : start + step] = z[rows] @ z[: start + step].T
    return kernel.tril() + kernel.tril(-1).T


@dataclass(frozen=True, slots=True)
class _ThinFactors:
    """Solves `(z.T @ z + penalty I) x = b` for several penalties through the rows of `z`, by Woodbury's identity.

    All in float64, and all penalties together, because reading `z` is what takes the time.
    """

    z: Tensor
    penalties: Tensor
    lowers: tuple[Tensor, ...]

    @staticmethod
    def of(z: Tensor, kernel: Tensor, penalties: Sequence[float]) -> _ThinFactors:
        lowers = tuple(_float64_factor(kernel, penalty) for penalty in penalties)
        return _ThinFactors(z, torch.tensor(penalties, dtype=z.dtype, device=z.device), lowers)

    def solve(self, b: Tensor) -> Tensor:
        """`x [P, C, K]`. A second round takes off what the first one's subtraction lost."""
        b = b.expand(len(self.lowers), *b.shape)
        x = self._once(b)
        return x + self._once(b - self._gram(x) - self.penalties[:, None, None] * x)

    def _once(self, b: Tensor) -> Tensor:
        seen = self._rows(b)
        solved = torch.stack([torch.cholesky_solve(one, lower) for one, lower in zip(seen, self.lowers, strict=True)])
        return (b - self._back(solved)) / self.penalties[:, None, None]

    def _gram(self, x: Tensor) -> Tensor:
        return self._back(self._rows(x))

    def _rows(self, x: Tensor) -> Tensor:
        """`z @ x` for every penalty: `[P, n, K]`."""
        return _side_by_side(self.z, x)

    def _back(self, y: Tensor) -> Tensor:
        return _side_by_side(self.z.T, y)


def _side_by_side(matrix: Tensor, columns: Tensor) -> Tensor:
    """`matrix @ columns[p]` for every p, reading the matrix once."""
    number, rows, width = columns.shape
    product = matrix @ columns.transpose(0, 1).reshape(rows, number * width)
    return product.reshape(-1, number, width).transpose(0, 1)


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
