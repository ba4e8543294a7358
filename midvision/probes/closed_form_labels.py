"""Readouts of pooled features for labels: logistic regression by L-BFGS, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features
from midvision.core.items import LabelItem
from midvision.core.seeds import hashed_order

PENALTIES: tuple[float, ...] = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Candidates, strongest first: weight of half the squared norm beside the mean cross-entropy."""

WITHOUT_CHOICE = 1e-2
"""Penalty where a single group leaves nothing to validate on."""

NEIGHBOURS = 20

_VALIDATION_SHARE = 0.2

_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class PooledReadout:
    """Two answers from pooled vectors `[B, C]`: logits of the linear readout, shares of neighbours' votes."""

    mean: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor
    train: Tensor
    labels: Tensor
    n_classes: int

    def predict(self, pooled: Tensor) -> Tensor:
        """Logits `[B, n_classes]`, float32."""
        x = (pooled.to(self.mean) - self.mean) / self.scale
        return (x @ self.weights.T + self.bias).float()

    def knn_votes(self, pooled: Tensor) -> Tensor:
        """Share of the 20 nearest training vectors by cosine in each class, `[B, n_classes]`.

        Nearer ones break ties: each vote carries a thousandth of its cosine.
        """
        nearness = functional.normalize(pooled.to(self.train), dim=1) @ self.train.T
        near, index = nearness.topk(min(NEIGHBOURS, self.train.shape[0]), dim=1)
        votes = torch.zeros((pooled.shape[0], self.n_classes), dtype=near.dtype, device=near.device)
        votes.scatter_add_(1, self.labels[index], 1 + 1e-3 * near)
        return (votes / near.shape[1]).float()


class PooledLearner:
    """Collects one pooled vector per training image, then fits in closed form or to convergence."""

    epochs = 1

    def __init__(self, items: Sequence[LabelItem], n_classes: int, seed: int) -> None:
        if not items:
            raise DataError("The training split has no items.", "A readout needs at least one.", "Check the data set.")
        self._items, self._n_classes, self._seed = list(items), n_classes, seed
        self._images = list(dict.fromkeys(item.image for item in items))
        self._pooled: dict[str, Tensor] = {}
        self._readout: PooledReadout | None = None
        self._penalty, self._curve = WITHOUT_CHOICE, list[dict[str, float]]()

    def wants(self, epoch: int) -> Sequence[str]:
        return self._images if epoch == 0 else ()

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        if features.pooled is None:
            raise ValueError("labels need pooled features; the plan has none")
        for row, image in enumerate(ids):
            self._pooled[image] = features.pooled[row].detach().cpu().to(torch.float64).clone()

    def end_epoch(self, epoch: int) -> None:
        x = torch.stack([self._pooled[item.image] for item in self._items])
        y = torch.tensor([item.label for item in self._items])
        self._pooled = {}
        held_out = self._validation()
        if held_out.any():
            self._penalty, self._curve = _choose(x, y, held_out, self._n_classes)
        mean, scale = _statistics(x)
        path = PENALTIES[: PENALTIES.index(self._penalty) + 1]
        weights, bias = _fit_path((x - mean) / scale, y, self._n_classes, path)[-1]
        normal = functional.normalize(x, dim=1)
        self._readout = PooledReadout(mean, scale, weights, bias, normal, y, self._n_classes)

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
            "probe": "logistic",
            "penalty": self._penalty,
            "candidates": self._curve,
            "neighbours": min(NEIGHBOURS, len(self._items)),
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


def pooled_learner(items: Sequence[LabelItem], plan: FeaturePlan, n_classes: int, seed: int) -> PooledLearner:
    """The learner of the label tasks; `plan` must ask for pooled features."""
    if plan.pooled == "none":
        raise ValueError("labels need pooled features; the plan has none")
    return PooledLearner(items, n_classes, seed)


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
