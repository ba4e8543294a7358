"""Shared by the dense tasks: a probe that learns per-pixel truth, and per-image scores of its predictions.

A task hands over how truth is prepared (`prepare`), what a probe must learn (`problem`) and how a
batch of predictions is judged (`judge`); the constant predictor of the training set is judged on
the same images and stands beside as `constant.*` columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.core.items import Dataset, DenseItem, Target
from midvision.core.scores import Metric
from midvision.core.threads import in_threads
from midvision.tasks.rules import chosen_probe
from midvision.tasks.scoring import (
    Scored,
    Unit,
    UnitScorer,
    check_prediction,
    picture,
    sampled,
)

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import Features
    from midvision.core.streams import Learner
    from midvision.probes.problem import DenseProblem
    from midvision.tasks.task import Setting

Prepare = Callable[[Target], Target]
Headline = Callable[["Tensor", Target], float]
Judge = Callable[["Sequence[Tensor]", Sequence[Target]], Sequence[Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class DenseReadout:
    """A fitted probe: `predict(features, size) -> [B, K, H, W]`, the best `constant [K]`, facts to judge by."""

    predict: Callable[[Features, tuple[int, int]], Tensor]
    constant: Tensor
    facts: Mapping[str, Any] = field(default_factory=dict)


class DenseLearner:
    """A probe's learner that also hands on the constant predictor and what the task found in the training set."""

    def __init__(self, inner: Any, facts: Mapping[str, Any]) -> None:
        self.inner, self.facts = inner, dict(facts)
        self.epochs: int = inner.epochs

    def wants(self, epoch: int) -> Collection[str]:
        wanted: Collection[str] = self.inner.wants(epoch)
        return wanted

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        self.inner.feed(epoch, ids, features)

    def end_epoch(self, epoch: int) -> None:
        self.inner.end_epoch(epoch)

    @property
    def readout(self) -> DenseReadout:
        return DenseReadout(self.inner.readout.predict, self.inner.constant, self.facts)

    def record(self) -> Mapping[str, Any]:
        constant = [float(value) for value in self.inner.constant.flatten()]
        return {**self.inner.record(), **self.facts, "constant": constant}

    def state(self) -> Mapping[str, Tensor]:
        state: Mapping[str, Tensor] = self.inner.state()
        return state


def dense_items(dataset: Dataset, prepare: Prepare) -> list[DenseItem]:
    """The items with checked and prepared truth; truth is read when asked for, not now."""
    items = []
    for item in dataset.items:
        if not isinstance(item, DenseItem):
            raise DataError(f"Item {item.id!r} of {dataset.name!r} has no per-pixel truth.")
        items.append(replace(item, target=_Prepared(item, prepare)))
    return items


@dataclass(frozen=True, slots=True)
class _Prepared:
    item: DenseItem
    prepare: Prepare

    def __call__(self) -> Target:
        import torch

        target = self.item.target()
        where = target.valid.expand_as(target.values)
        if not bool(torch.isfinite(target.values[where]).all()):
            raise DataError(
                f"The truth of item {self.item.id!r} holds values that are not numbers in valid pixels.",
                "Finite values, or pixels marked as not valid, were expected.",
            )
        return self.prepare(target)


def dense_learner_for(
    setting: Setting,
    items: Sequence[DenseItem],
    problem: DenseProblem,
    headline: Headline,
    facts: Mapping[str, Any],
) -> Learner:
    """The run's probe, ready to be fed with features of the items' images."""
    from midvision.probes.dense import dense_learner

    probe = chosen_probe(setting.probe, setting.protocol)
    inner = dense_learner(problem, setting.protocol, probe, setting.plan, items, headline, setting.seed, setting.device)
    return DenseLearner(inner, facts)


def dense_scorer(
    dataset: Dataset,
    items: Sequence[DenseItem],
    readout: DenseReadout,
    judge: Judge,
    batch_images: int,
    metrics: Sequence[Metric],
) -> UnitScorer:
    """Scores in batches of fixed borders, in the data set's order."""
    by_id = {item.id: item for item in items}
    kept = sampled(dataset)
    size = dataset.frame_size

    def score(unit: Unit, features: Features) -> list[Scored]:
        import torch

        with torch.inference_mode():
            maps = readout.predict(features, size).float().cpu()
        rows = {image: row for row, image in enumerate(unit.images)}
        batch = [by_id[name] for name in unit.items]
        predictions = [maps[rows[item.image]] for item in batch]
        for item, prediction in zip(batch, predictions):
            check_prediction(item.id, prediction)
        targets = in_threads(lambda item: item.target(), batch)
        flat = readout.constant.detach().float().cpu().reshape(-1, 1, 1).expand(-1, *size)
        judged = judge(predictions, targets)
        floors = judge([flat] * len(batch), targets)
        scored = []
        for item, prediction, target, own, floor in zip(batch, predictions, targets, judged, floors, strict=True):
            columns = {**own, **{f"constant.{name}": value for name, value in floor.items()}}
            sample = _sample(dataset, item, prediction, target) if item.id in kept else None
            scored.append(Scored(columns, sample))
        return scored

    units = []
    for start in range(0, len(items), batch_images):
        batch = items[start : start + batch_images]
        images = tuple(dict.fromkeys(item.image for item in batch))
        units.append(Unit(tuple(item.id for item in batch), images))
    return UnitScorer(dataset, units, score, metrics)


def _sample(dataset: Dataset, item: DenseItem, prediction: Tensor, target: Target) -> dict[str, Any]:
    return {
        "image": picture(dataset, item.image),
        "target": target.values.float().numpy().copy(),
        "valid": target.valid.numpy().copy(),
        "prediction": prediction.numpy().copy(),
    }
