"""Sums from which a ridge regression is solved: per fold, float64, of fixed size.

A block of rows is added at a time, in arrival order, so the borders of the feature stream leave
no trace. Several targets on the same rows share the large matrix as long as their weights agree;
at the first difference they part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_BLOCK_ROWS = 2048


@dataclass(slots=True)
class RowSums:
    """Weighted sums over rows `x`: `gram [C, C]`, `rows [C]` and `weight`."""

    gram: Tensor
    rows: Tensor
    weight: float = 0.0

    @staticmethod
    def zeros(channels: int, device: torch.device) -> RowSums:
        return RowSums(
            torch.zeros((channels, channels), dtype=torch.float64, device=device),
            torch.zeros(channels, dtype=torch.float64, device=device),
        )

    def copy(self) -> RowSums:
        return RowSums(self.gram.clone(), self.rows.clone(), self.weight)

    def add(self, x: Tensor, weight: Tensor) -> None:
        scaled = x * weight.sqrt()[:, None]
        self.gram.addmm_(scaled.T, scaled)
        self.rows += weight @ x
        self.weight += float(weight.sum())


@dataclass(slots=True)
class TargetSums:
    """Weighted sums over rows and targets `y`: `cross [C, K]`, `targets [K]`, `squares [K]`."""

    cross: Tensor
    targets: Tensor
    squares: Tensor

    @staticmethod
    def zeros(channels: int, outputs: int, device: torch.device) -> TargetSums:
        shapes = ((channels, outputs), (outputs,), (outputs,))
        return TargetSums(*(torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes))

    def add(self, x: Tensor, weight: Tensor, y: Tensor) -> None:
        weighted = weight[:, None] * y
        self.cross.addmm_(x.T, weighted)
        self.targets += weighted.sum(0)
        self.squares += (weighted * y).sum(0)

    def plus(self, other: TargetSums) -> TargetSums:
        return TargetSums(self.cross + other.cross, self.targets + other.targets, self.squares + other.squares)

    def minus(self, other: TargetSums) -> TargetSums:
        return TargetSums(self.cross - other.cross, self.targets - other.targets, self.squares - other.squares)


@dataclass(slots=True)
class _Pending:
    """Rows of one fold that wait for a full block: features, and weights and targets per slot."""

    x: list[Tensor] = field(default_factory=list)
    weights: list[list[Tensor]] = field(default_factory=list)
    targets: list[list[Tensor]] = field(default_factory=list)
    rows: int = 0


class GramStore:
    """The sums of several regressions (slots) on the same rows, by fold."""

    def __init__(self, channels: int, outputs: Sequence[int], folds: int, device: torch.device) -> None:
        shared = [RowSums.zeros(channels, device) for _ in range(folds)]
        self.row_sums: list[list[RowSums]] = [list(shared) for _ in outputs]
        self.target_sums = [[TargetSums.zeros(channels, k, device) for _ in range(folds)] for k in outputs]
        self._pending = [_Pending() for _ in range(folds)]

    def add(self, fold: int, x: Tensor, weights: list[Tensor], targets: list[Tensor]) -> None:
        """Rows `x [n, C]` of one image, with weights `[n]` and targets `[n, K]` for every slot."""
        pending = self._pending[fold]
        pending.x.append(x)
        pending.weights.append(weights)
        pending.targets.append(targets)
        pending.rows += x.shape[0]
        if pending.rows >= _BLOCK_ROWS:
            self._flush(fold)

    def finish(self) -> None:
        """Add what still waits."""
        for fold, pending in enumerate(self._pending):
            if pending.rows:
                self._flush(fold)

    def _flush(self, fold: int) -> None:
        pending, self._pending[fold] = self._pending[fold], _Pending()
        x = torch.cat(pending.x).to(torch.float64)
        weights = [torch.cat(parts) for parts in zip(*pending.weights)]
        targets = [torch.cat(parts) for parts in zip(*pending.targets)]
        for slots in self._agreeing(fold, weights):
            self.row_sums[slots[0]][fold].add(x, weights[slots[0]])
        for slot, (weight, target) in enumerate(zip(weights, targets)):
            self.target_sums[slot][fold].add(x, weight, target)

    def _agreeing(self, fold: int, weights: list[Tensor]) -> list[list[int]]:
        """Slots that share their matrix and these weights; others get their own copy first."""
        classes: list[list[int]] = []
        seen: set[int] = set()
        for slot, weight in enumerate(weights):
            mine = self.row_sums[slot][fold]
            home = next(
                (c for c in classes if self.row_sums[c[0]][fold] is mine and torch.equal(weights[c[0]], weight)), None
            )
            if home is not None:
                home.append(slot)
                continue
            classes.append([slot])
        for slots in classes:
            mine = self.row_sums[slots[0]][fold]
            if id(mine) in seen:
                own = mine.copy()
                for slot in slots:
                    self.row_sums[slot][fold] = own
            seen.add(id(mine))
        return classes
