"""The ridge probe: a dense linear readout fitted in one pass, with no rate and no randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features, Grid
from midvision.core.items import DenseItem, Target
from midvision.core.seeds import hashed_order
from midvision.core.specs import Protocol
from midvision.core.streams import Consumer
from midvision.core.threads import in_threads
from midvision.geometry.lookup import Centres, bring_to, resize_map
from midvision.probes.gram import GramStore
from midvision.probes.probe import finished
from midvision.probes.problem import DenseProblem
from midvision.probes.solve import PENALTIES, RidgeFit, fit_ridges
from midvision.probes.truth import best_constant, cell_targets

FOLDS = 5

_STRIDE_PX = 16


@dataclass(frozen=True, slots=True)
class Design:
    """How maps become rows: every map brought to the stride-16 grid, channels side by side."""

    plan: FeaturePlan
    centres: Centres

    @property
    def grid(self) -> Grid:
        extent = self.plan.layers[0].grid.extent
        return Grid.uniform((max(1, round(extent[0] / _STRIDE_PX)), max(1, round(extent[1] / _STRIDE_PX))), extent)

    @property
    def channels(self) -> int:
        return sum(layer.channels for layer in self.plan.layers)

    def rows(self, maps: Sequence[Tensor], index: int) -> Tensor:
        """Rows `[cells, channels]` of one image of a batch."""
        target = self.grid
        parts = [
            bring_to(x[index : index + 1], layer.grid, target, self.centres)[0].flatten(1)
            for x, layer in zip(maps, self.plan.layers, strict=True)
        ]
        return torch.cat(parts).T


@dataclass(frozen=True, slots=True)
class RidgeReadout:
    """The fitted probe; see `probes.dense.DenseReadout`."""

    problem: DenseProblem
    design: Design
    fit: RidgeFit
    batch_images: int | None = None

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        return torch.cat([self._one(features, row, size) for row in range(features.maps[0].shape[0])])

    def _one(self, features: Features, row: int, size: tuple[int, int]) -> Tensor:
        grid = self.design.grid
        x = self.design.rows(features.maps, row).to(self.fit.mean)
        cells = (x - self.fit.mean) / self.fit.scale @ self.fit.weights + self.fit.intercept
        coarse = cells.T.reshape(1, -1, *grid.size).float().to(features.maps[0].device)
        out = resize_map(coarse, grid, size, self.problem.prediction_resample)
        if self.problem.kind == "depth":
            low, high = self.problem.depth_range_m
            return out.clamp(max=20.0).exp().clamp(low, high)
        return finished(self.problem, out)


class RidgeLearner:
    """One pass over the images; the penalty comes from five folds grouped by scene or object."""

    epochs = 1

    def __init__(
        self,
        problem: DenseProblem,
        protocol: Protocol,
        plan: FeaturePlan,
        items: Sequence[DenseItem],
        score: Callable[[Tensor, Target], float],
        device: str,
    ) -> None:
        self.problem, self.design = problem, Design(plan, protocol.features.cell_centres)
        self.items = {item.image: item for item in items}
        self.folds = fold_of_images(items)
        # Sums need float64, which only processors and CUDA have.
        self.device = torch.device(device if device.startswith("cuda") else "cpu")
        self._score = score
        self._store: GramStore | None = None
        self._fit: RidgeFit | None = None

    def wants(self, epoch: int) -> Sequence[str]:
        return list(self.items) if epoch == 0 else ()

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        if self._store is None:
            self._store = open_store([self])
        accumulate(self._store, [self], ids, features)

    def end_epoch(self, epoch: int) -> None:
        if self._store is None:
            raise RuntimeError("no features arrived")
        solve_store(self._store, [self])
        self._store = None

    def accept(self, fit: RidgeFit) -> None:
        """Take the solution; the sums are dropped."""
        self._fit = fit

    @property
    def readout(self) -> RidgeReadout:
        return RidgeReadout(self.problem, self.design, self._solution())

    @cached_property
    def constant(self) -> Tensor:
        return best_constant(self.problem, list(self.items.values()), self._score)

    def record(self) -> Mapping[str, Any]:
        fit = self._solution()
        curve = [{"penalty": p, "error": e} for p, e in zip(PENALTIES, fit.errors)]
        return {
            "probe": "ridge",
            "penalty": fit.penalty,
            "candidates": curve,
            "folds": max(self.folds.values()) + 1,
            "channels": self.design.channels,
            "grid": list(self.design.grid.size),
            "train_images": len(self.items),
            "parameters": fit.weights.numel() + fit.intercept.numel(),
        }

    def state(self) -> Mapping[str, Tensor]:
        fit = self._solution()
        parts = {"mean": fit.mean, "scale": fit.scale, "weights": fit.weights, "intercept": fit.intercept}
        return {name: value.detach().cpu().contiguous() for name, value in parts.items()}

    def _solution(self) -> RidgeFit:
        if self._fit is None:
            raise RuntimeError("the probe is not fitted yet")
        return self._fit


class JoinedRidges:
    """Several ridge learners on the same images as one consumer: rows are built once, Grams shared."""

    epochs = 1

    def __init__(self, members: Sequence[RidgeLearner]) -> None:
        self.members = list(members)
        self._store: GramStore | None = None

    def wants(self, epoch: int) -> Sequence[str]:
        return self.members[0].wants(epoch)

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        if self._store is None:
            self._store = open_store(self.members)
        accumulate(self._store, self.members, ids, features)

    def end_epoch(self, epoch: int) -> None:
        if self._store is None:
            raise RuntimeError("no features arrived")
        solve_store(self._store, self.members)
        self._store = None


def share_design(consumers: Sequence[Consumer]) -> list[Consumer]:
    """The same consumers, with ridge learners that see the same rows and folds joined into one."""
    rest: list[Consumer] = []
    alike: list[list[RidgeLearner]] = []
    for consumer in consumers:
        if not isinstance(consumer, RidgeLearner):
            rest.append(consumer)
            continue
        home = next((g for g in alike if g[0].design == consumer.design and g[0].folds == consumer.folds), None)
        if home is None:
            alike.append([consumer])
        else:
            home.append(consumer)
    return rest + [group[0] if len(group) == 1 else JoinedRidges(group) for group in alike]


def fold_of_images(items: Sequence[DenseItem]) -> dict[str, int]:
    """Fold of every image: whole groups, dealt out in hashed order; by image if there is one group."""
    groups = {item.group for item in items}
    key = {item.image: item.group if len(groups) > 1 else item.image for item in items}
    names = hashed_order(set(key.values()), "ridge folds")
    fold = {name: index % FOLDS for index, name in enumerate(names)}
    return {image: fold[name] for image, name in key.items()}


def open_store(members: Sequence[RidgeLearner]) -> GramStore:
    first = members[0]
    outputs = [member.problem.channels for member in members]
    return GramStore(first.design.channels, outputs, max(first.folds.values()) + 1, first.device)


def accumulate(store: GramStore, members: Sequence[RidgeLearner], ids: Sequence[str], features: Features) -> None:
    """Add the cells of every image of a batch."""
    first = members[0]

    def truth(image: str) -> list[tuple[Tensor, Tensor]]:
        return [cell_targets(m.problem, m.items[image], m.design.grid) for m in members]

    for index, (image, cells) in enumerate(zip(ids, in_threads(truth, ids), strict=True)):
        x = first.design.rows(features.maps, index).to(first.device)
        targets = [y.to(first.device) for y, _ in cells]
        weights = [w.to(first.device) for _, w in cells]
        store.add(first.folds[image], x, weights, targets)


def solve_store(store: GramStore, members: Sequence[RidgeLearner]) -> None:
    """Solve slots that still share their sums together, and hand each learner its fit."""
    store.finish()
    together: dict[tuple[int, ...], list[int]] = {}
    for slot, rows in enumerate(store.row_sums):
        together.setdefault(tuple(id(sums) for sums in rows), []).append(slot)
    for slots in together.values():
        rows = store.row_sums[slots[0]]
        if sum(part.weight for part in rows) <= 0:
            raise DataError("No training cell has valid truth.", "At least one valid pixel is needed.")
        for slot, fit in zip(slots, fit_ridges(rows, [store.target_sums[slot] for slot in slots]), strict=True):
            members[slot].accept(fit)
