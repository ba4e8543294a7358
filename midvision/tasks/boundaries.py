"""Boundaries as people draw them: where does one thing or part end and the next begin?

A dense probe learns the share of annotators who put a boundary on a pixel; its map goes back to the
photograph's own size, is thinned to the crests of its ridges, and is matched one to one with every
annotator's boundaries within 0.0075 of the diagonal. `ods` is F at the best threshold for the whole set,
`ois` F at each image's own best; `precision` and `recall` are those of `ods`. The threshold is chosen on the
scored images, as the benchmark does. An interval takes that choice, and the ratio between matched predicted
and matched drawn pixels, as given.

Scoring fields: `thresholds` from `lowest` to `highest`, evenly spaced in log odds, since a probe on coarse
cells gives small probabilities; `smooth_px` before thinning; `tolerance` as a share of the diagonal. It is no
task of the reference, so `paper` and `corrected` are the same here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.core.items import BoundaryItem, Dataset, Target
from midvision.core.scores import Metric, Scores
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.dense import dense_items, dense_learner_for
from midvision.tasks.rules import VERSION, DenseScoring
from midvision.tasks.scoring import Scored, Unit, UnitScorer, check_prediction, picture, sampled
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from midvision.core.features import Features
    from midvision.core.streams import Learner, Scorer

FRAME = (480, 480)


class BoundaryScoring(DenseScoring):
    """See the file's head."""

    thresholds: int = 20
    lowest: float = 0.002
    highest: float = 0.9
    smooth_px: float = 2.0
    tolerance: float = 0.0075


def levels(scoring: BoundaryScoring) -> list[float]:
    """The thresholds, rising."""
    low, high = (math.log(p / (1 - p)) for p in (scoring.lowest, scoring.highest))
    steps = max(scoring.thresholds - 1, 1)
    return [1 / (1 + math.exp(-(low + (high - low) * n / steps))) for n in range(scoring.thresholds)]


def headline(prediction: Tensor, target: Target) -> float:
    """Minus the mean cross-entropy of one image: what chooses a probe's rate."""
    from midvision.probes.losses import mask_loss

    own = prediction.float().clamp(0, 1)[None], target.values.float()[None], target.valid.bool()[None]
    return -float(mask_loss(*own))


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.problem import DenseProblem

    problem = DenseProblem(kind="mask", prediction_resample="bicubic")
    return dense_learner_for(setting, dense_items(dataset, lambda target: target), problem, headline, {})


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring = BoundaryScoring.model_validate(setting.protocol.scoring)
    items: dict[str, BoundaryItem] = {}
    for item in dataset.items:
        if not isinstance(item, BoundaryItem):
            raise DataError(f"Item {item.id!r} of {dataset.name!r} has no boundaries drawn by people.")
        items[item.id] = item
    kept, readout, size = sampled(dataset), fitted.readout, dataset.frame_size

    def score(unit: Unit, features: Features) -> list[Scored]:
        import torch

        item = items[unit.items[0]]
        with torch.inference_mode():
            prediction = readout.predict(features, size).float().cpu()[0]
        check_prediction(item.id, prediction)
        flat = readout.constant.detach().float().cpu().reshape(1, 1, 1).expand_as(prediction)
        columns = {**judge(prediction, item, scoring), **judge(flat, item, scoring, "constant.")}
        return [Scored(columns, _sample(dataset, item, prediction) if item.id in kept else None)]

    units = [Unit((item.id,), (item.image,)) for item in items.values()]
    inner = UnitScorer(dataset, units, score, (Metric("truth", "pixels", True, 0, 1, column(0, "truth")),))
    return BoundaryScorer(inner, scoring.thresholds)


def column(threshold: int, count: str) -> str:
    return f"{count}.{threshold}"


def judge(prediction: Tensor, item: BoundaryItem, scoring: BoundaryScoring, prefix: str = "") -> dict[str, float]:
    """Counts of one image at every threshold, at the photograph's own size."""
    from torch.nn import functional

    from midvision.metrics.boundaries import COUNTS, boundary_counts, ridge_lines

    drawn = item.annotations()
    native = functional.interpolate(prediction[None], drawn.shape[1:], mode="bilinear", align_corners=False)[0, 0]
    lines = ridge_lines(native.double().numpy(), scoring.smooth_px)
    counts = boundary_counts(lines, drawn, levels(scoring), scoring.tolerance)
    return {
        prefix + column(number, name): float(value)
        for number, row in enumerate(counts)
        for name, value in zip(COUNTS, row, strict=True)
    }


@dataclass(slots=True)
class BoundaryScorer:
    """Counts per image first; when all are there, the best thresholds and what the metrics read."""

    inner: UnitScorer
    thresholds: int
    epochs: int = field(default=1, init=False)

    def wants(self, epoch: int) -> Collection[str]:
        return self.inner.wants(epoch)

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        self.inner.feed(epoch, ids, features)

    def end_epoch(self, epoch: int) -> None:
        self.inner.end_epoch(epoch)

    def scores(self) -> Scores:
        found = self.inner.scores()
        added = {**found.columns}
        for prefix in ("", "constant."):
            added |= summed(counts_of(found, self.thresholds, prefix), prefix)
        return replace(found, columns=added)


def counts_of(scores: Scores, thresholds: int, prefix: str = "") -> np.ndarray:
    """The counts `[N, T, 4]` of all images."""
    import numpy as np

    from midvision.metrics.boundaries import COUNTS

    rows = [[scores.columns[prefix + column(t, name)] for name in COUNTS] for t in range(thresholds)]
    return np.asarray(rows, dtype=np.float64).transpose(2, 0, 1)


def summed(counts: np.ndarray, prefix: str) -> dict[str, np.ndarray]:
    """The columns of the metrics, by the thresholds that are best for all images and for each."""
    from midvision.metrics.boundaries import best_of_each, best_threshold, f_terms

    whole = counts[:, best_threshold(counts)]
    columns = dict(zip(("ods", "ods_over"), f_terms(whole), strict=True))
    columns |= dict(zip(("ois", "ois_over"), f_terms(best_of_each(counts)), strict=True))
    columns |= dict(zip(("recall", "recall_over", "precision", "precision_over"), whole.T, strict=True))
    return {prefix + name: values for name, values in columns.items()}


def _sample(dataset: Dataset, item: BoundaryItem, prediction: Tensor) -> dict[str, Any]:
    target = item.target()
    return {
        "image": picture(dataset, item.image),
        "target": target.values.float().numpy().copy(),
        "valid": target.valid.numpy().copy(),
        "prediction": prediction.numpy().copy(),
    }


METRICS = tuple(
    Metric(name, "share", True, 0.0, 1.0, name, f"{name}_over") for name in ("ods", "ois", "precision", "recall")
)


def _protocol(name: Any) -> Protocol:
    scoring = BoundaryScoring().model_dump(mode="json")
    return Protocol(
        name=name, version=VERSION, images=ImageRules(image_size=FRAME), default_probe="linear", scoring=scoring
    )


TASKS = (
    Task(
        name="bsds-boundaries",
        title="Boundaries",
        question="Where would people draw the border of a thing or of a part?",
        level="mid",
        content="boundaries",
        data_set="bsds500",
        layers=None,
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols={"paper": _protocol("paper"), "corrected": _protocol("corrected")},
        learner=learner,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.6, noise_above_floor=0.4),
    ),
)
