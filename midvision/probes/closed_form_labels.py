"""Readouts of pooled features for labels: one pass of features, several answers.

A logistic regression by L-BFGS, or ridge in closed form where the set is too large for that; the votes of
nearest neighbours; class means of a few images per class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features
from midvision.core.items import LabelItem
from midvision.core.seeds import hashed_order
from midvision.probes.label_bank import Bank
from midvision.probes.label_neighbours import ClassMeans, Neighbours, draw_means
from midvision.probes.label_ridge import fit_ridge

PENALTIES: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Candidates, strongest first: weight of half the squared norm beside the mean cross-entropy."""

WITHOUT_CHOICE = 1e-2
"""Penalty where a single group leaves nothing to validate on."""

_VALIDATION_SHARE = 0.2

_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What is fitted. `by_size` depends on the data alone, so that encoders on one set are read out alike.

    Beyond `logistic_up_to` training images times classes a logistic regression takes long on a CPU.
    """

    readout: Literal["by_size", "logistic", "ridge"] = "by_size"
    logistic_up_to: int = 1_000_000
    neighbours: int = 20
    temperature: float = 0.07
    shots: tuple[int, ...] = ()
    draws: int = 5


@dataclass(frozen=True, slots=True)
class PooledReadout:
    """Answers from pooled vectors `[B, C]`: logits of the linear readout, votes, nearness to class means."""

    mean: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor
    neighbours: Neighbours
    shots: Mapping[int, ClassMeans]

    def predict(self, pooled: Tensor) -> Tensor:
        """Logits (ridge: regressed one-hot values) `[B, n_classes]`, float32."""
        x = (pooled.to(self.mean) - self.mean) / self.scale
        return (x @ self.weights.T + self.bias).float()

    def knn_votes(self, pooled: Tensor) -> Tensor:
        """Share of the nearest training vectors' votes for each class, `[B, n_classes]`."""
        return self.neighbours.votes(pooled)


class PooledLearner:
    """Collects one pooled vector per training image, then fits in closed form or to convergence."""

    epochs = 1

    def __init__(
        self,
        items: Sequence[LabelItem],
        n_classes: int,
        seed: int,
        rules: LabelRules = LabelRules(),
        half: bool = False,
        device: str = "cpu",
    ) -> None:
        if not items:
            raise DataError("The training split has no items.", "A readout needs at least one.", "Check the data set.")
        self._items, self._n_classes, self._seed = list(items), n_classes, seed
        self._rules, self._half, self._device = rules, half, device
        self._rows: dict[str, list[int]] = {}
        for row, item in enumerate(self._items):
            self._rows.setdefault(item.image, []).append(row)
        self._bank: Bank | None = None
        self._readout: PooledReadout | None = None
        self._penalty, self._curve = WITHOUT_CHOICE, list[dict[str, float]]()

    @property
    def linear(self) -> str:
        """The kind of linear readout: `logistic` or `ridge`."""
        if self._rules.readout != "by_size":
            return self._rules.readout
        return "logistic" if len(self._items) * self._n_classes <= self._rules.logistic_up_to else "ridge"

    def wants(self, epoch: int) -> Sequence[str]:
        return list(self._rows) if epoch == 0 else ()

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        if features.pooled is None:
            raise ValueError("labels need pooled features; the plan has none")
        if self._bank is None:
            self._bank = Bank(len(self._items), features.pooled.shape[1], self._half)
        for image, vector in zip(ids, features.pooled.detach().cpu()):
            for row in self._rows[image]:
                self._bank.write(row, vector)

    def end_epoch(self, epoch: int) -> None:
        bank = self._bank
        lost = 0 if bank is None else bank.missing()
        if bank is None or lost is not None:
            raise DataError(f"No features came for training image {self._items[lost or 0].image!r}.")
        y = torch.tensor([item.label for item in self._items])
        mean, scale, weights, bias = self._fit(bank, y)
        rules, near = self._rules, min(self._rules.neighbours, len(self._items))
        neighbours = Neighbours(bank, y, self._n_classes, near, rules.temperature)
        shots = draw_means(bank, self._items, self._n_classes, rules.shots, rules.draws, self._seed)
        self._readout = PooledReadout(mean, scale, weights, bias, neighbours, shots)

    def _fit(self, bank: Bank, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, scale, weights and bias on all rows, with the penalty that the held-out rows choose."""
        held_out = self._validation()
        if self.linear == "ridge":
            fit = fit_ridge(bank, y, held_out, self._n_classes, WITHOUT_CHOICE, self._device)
            self._penalty, self._curve, found = fit
            return found
        x = bank.whole()
        if held_out.any():
            self._penalty, self._curve = _choose(x, y, held_out, self._n_classes)
        mean, scale = _statistics(x)
        path = PENALTIES[: PENALTIES.index(self._penalty) + 1]
        weights, bias = _fit_path((x - mean) / scale, y, self._n_classes, path)[-1]
        return mean, scale, weights, bias

    @property
    def readout(self) -> PooledReadout:
        if self._readout is None:
            raise RuntimeError("the readout is not fitted yet")
        return self._readout

    @property
    def constant(self) -> int:
        """The most frequent training label (the lowest of equals)."""
        counts = np.bincount([item.label for item in self._items], minlength=self._n_classes)
        return int(counts.argmax())

    def record(self) -> Mapping[str, Any]:
        return {
            "probe": self.linear,
            "penalty": self._penalty,
            "candidates": self._curve,
            "neighbours": self.readout.neighbours.count,
            "shots": sorted(self.readout.shots),
            "train_images": len(self._items),
            "parameters": self.readout.weights.numel() + self.readout.bias.numel(),
        }

    def state(self) -> Mapping[str, Tensor]:
        fit = self.readout
        return {"mean": fit.mean, "scale": fit.scale, "weights": fit.weights, "bias": fit.bias}

    def _validation(self) -> Tensor:
        """About a fifth of the items, whole groups in hashed order; none if there is one group."""
        by_group: dict[str, int] = {}
        for item in self._items:
            by_group[item.group] = by_group.get(item.group, 0) + 1
        chosen, count = set[str](), 0
        for group in hashed_order(by_group, "label validation", self._seed)[:-1]:
            if count >= _VALIDATION_SHARE * len(self._items):
                break
            chosen.add(group)
            count += by_group[group]
        return torch.tensor([item.group in chosen for item in self._items])


def pooled_learner(
    items: Sequence[LabelItem],
    plan: FeaturePlan,
    n_classes: int,
    seed: int,
    rules: LabelRules = LabelRules(),
    device: str = "cpu",
) -> PooledLearner:
    """The learner of the label tasks; `plan` must ask for pooled features."""
    if plan.pooled == "none":
        raise ValueError("labels need pooled features; the plan has none")
    return PooledLearner(items, n_classes, seed, rules, plan.dtype == "float16", device)


def _choose(x: Tensor, y: Tensor, held_out: Tensor, n_classes: int) -> tuple[float, list[dict[str, float]]]:
    """The penalty with the best held-out accuracy; ties by held-out cross-entropy, then the stronger."""
    mean, scale = _statistics(x[~held_out])
    x = (x - mean) / scale
    curve = []
    for penalty, (weights, bias) in zip(PENALTIES, _fit_path(x[~held_out], y[~held_out], n_classes, PENALTIES)):
        logits = x[held_out] @ weights.T + bias
        accuracy = float((logits.argmax(1) == y[held_out]).double().mean())
        entropy = float(functional.cross_entropy(logits, y[held_out]))
        curve.append({"penalty": penalty, "score": accuracy, "cross_entropy": entropy})
    best = max(curve, key=lambda entry: (entry["score"], -entry["cross_entropy"], entry["penalty"]))
    return best["penalty"], curve


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    mean, scale = x.mean(0), x.std(0, correction=0)
    return mean, torch.where(scale > 1e-6 * (mean.abs() + 1e-6), scale, torch.ones_like(scale))


def _fit_path(x: Tensor, y: Tensor, n_classes: int, penalties: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
    """Multinomial logistic regressions `(weights [n, C], bias [n])`, each started from the one before."""
    rows, truth = x.numpy(), np.eye(n_classes)[y.numpy()]
    start, fits = np.zeros(n_classes * (rows.shape[1] + 1)), []
    for penalty in penalties:
        solution = minimize(
            _objective,
            start,
            args=(rows, truth, penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _ITERATIONS, "ftol": 1e-11, "gtol": 1e-7},
        )
        start = solution.x
        table = torch.from_numpy(start.copy()).reshape(n_classes, -1)
        fits.append((table[:, :-1].contiguous(), table[:, -1].contiguous()))
    return fits


def _objective(flat: np.ndarray, x: np.ndarray, truth: np.ndarray, penalty: float) -> tuple[float, np.ndarray]:
    """Mean cross-entropy plus half the penalty times the squared weights (not the bias), and its gradient.

    `x [N, C]`, `truth [N, n]` one-hot.
    """
    table = flat.reshape(truth.shape[1], -1)
    weights = table[:, :-1]
    logits = x @ weights.T + table[:, -1]
    logits -= logits.max(1, keepdims=True)
    log_share = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = -(truth * log_share).sum() / len(x) + 0.5 * penalty * np.square(weights).sum()
    slope = (np.exp(log_share) - truth) / len(x)
    gradient = np.concatenate((slope.T @ x + penalty * weights, slope.sum(0)[:, None]), 1)
    return float(loss), gradient.ravel()
