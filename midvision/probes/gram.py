"""Sums from which a ridge regression is solved: per fold, float64, of fixed size.

A block of rows is added at a time, in arrival order, so the borders of the feature stream leave
no trace. Several targets on the same rows share the large matrix as long as their weights agree;
at the first difference they part. Where there are much fewer rows than channels (small data, wide
networks), the rows themselves are the smaller thing and stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

_BLOCK_ROWS = 2048
_THIN_SHARE = 0.6
"""Rows per channel up to which solving over rows is quicker than over channels."""


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

    def diagonal(self) -> Tensor:
        return self.gram.diagonal()

    def times(self, slope: Tensor) -> Tensor:
        """The Gram matrix times `slope [C, K]`."""
        return self.gram @ slope


@dataclass(slots=True)
class ThinRows:
    """Few rows, kept: `x [n, C]` and `root [n]`, the former already times the latter, the root of each weight."""

    x: Tensor
    root: Tensor
    rows: Tensor
    weight: float

    @staticmethod
    def of(x: Tensor, weight: Tensor) -> ThinRows:
        """Rows without weight say nothing and are dropped."""
        counts = weight > 0
        root = weight[counts].sqrt()
        return ThinRows(x[counts] * root[:, None], root, weight[counts] @ x[counts], float(weight.sum()))

    @staticmethod
    def joined(parts: Sequence[ThinRows]) -> ThinRows:
        rows = torch.stack([part.rows for part in parts]).sum(0)
        weight = sum(part.weight for part in parts)
        return ThinRows(torch.cat([part.x for part in parts]), torch.cat([part.root for part in parts]), rows, weight)

    def diagonal(self) -> Tensor:
        return self.x.square().sum(0)

    def times(self, slope: Tensor) -> Tensor:
        """The Gram matrix times `slope [C, K]`, without forming it."""
        return self.x.T @ (self.x @ slope)


Rows = RowSums | ThinRows


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
        self.channels, self.device = channels, device
        self._dense: list[list[RowSums]] | None = None
        self._thin: list[list[ThinRows]] | None = None
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

    @property
    def row_sums(self) -> Sequence[Sequence[Rows]]:
        """By slot and fold; the same object where slots share."""
        return self._sums if self._thin is None else self._thin

    @property
    def _sums(self) -> list[list[RowSums]]:
        """The large matrices, made when first needed."""
        if self._dense is None:
            shared = [RowSums.zeros(self.channels, self.device) for _ in self._pending]
            self._dense = [list(shared) for _ in self.target_sums]
        return self._dense

    def finish(self) -> None:
        """Add what still waits, or keep it where that is all there is and little enough."""
        waiting = sum(pending.rows for pending in self._pending)
        if self._dense is None and waiting <= _THIN_SHARE * self.channels:
            self._keep()
            return
        for fold, pending in enumerate(self._pending):
            if pending.rows:
                self._flush(fold)

    def _keep(self) -> None:
        """All rows as they are; slots whose weights agree share them."""
        self._thin = [[] for _ in self.target_sums]
        nothing = torch.zeros(self.channels, dtype=torch.float64, device=self.device)
        for fold, pending in enumerate(self._pending):
            if not pending.rows:
                empty = ThinRows(nothing[None][:0], nothing[:0], nothing, 0.0)
                for kept in self._thin:
                    kept.append(empty)
                continue
            x, weights = self._take(fold)
            made: list[tuple[Tensor, ThinRows]] = []
            for kept, weight in zip(self._thin, weights):
                own = next((rows for known, rows in made if torch.equal(known, weight)), None)
                if own is None:
                    own = ThinRows.of(x, weight)
                    made.append((weight, own))
                kept.append(own)

    def _flush(self, fold: int) -> None:
        x, weights = self._take(fold)
        for slots in self._agreeing(fold, weights):
            self._sums[slots[0]][fold].add(x, weights[slots[0]])

    def _take(self, fold: int) -> tuple[Tensor, list[Tensor]]:
        """Rows that waited and their weights per slot; what they say of the targets is added."""
        pending, self._pending[fold] = self._pending[fold], _Pending()
        x = torch.cat(pending.x).to(torch.float64)
        weights = [torch.cat(parts) for parts in zip(*pending.weights)]
        targets = [torch.cat(parts) for parts in zip(*pending.targets)]
        for slot, (weight, target) in enumerate(zip(weights, targets)):
            self.target_sums[slot][fold].add(x, weight, target)
        return x, weights

    def _agreeing(self, fold: int, weights: list[Tensor]) -> list[list[int]]:
        """Slots that share their matrix and these weights; others get their own copy first."""
        classes: list[list[int]] = []
        seen: set[int] = set()
        for slot, weight in enumerate(weights):
            mine = self._sums[slot][fold]
            home = next(
                (c for c in classes if self._sums[c[0]][fold] is mine and torch.equal(weights[c[0]], weight)), None
            )
            if home is not None:
                home.append(slot)
                continue
            classes.append([slot])
        for slots in classes:
            mine = self._sums[slots[0]][fold]
            if id(mine) in seen:
                own = mine.copy()
                for slot in slots:
                    self._sums[slot][fold] = own
            seen.add(id(mine))
        return classes
