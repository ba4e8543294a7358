"""Surface normals per pixel: which way does each surface face?

Scoring fields:
- `pixels`: scored pixels are those the data set calls valid, or those whose true normal is not
  the zero vector (the reference's metric; its loss uses valid depth, so it scores other pixels
  than it trains on).
- `uncertainty`: a fourth output weighs the angular loss.
- `empty_image`: an image without a scored pixel is missing, or scores 0 as in the reference.

The headline is the share of pixels within 11.25 degrees; every image weighs the same. `*_interior`
columns leave out pixels that mix two surfaces, where the data set marks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, DenseItem, Target
from midvision.core.scores import Metric
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.dense import dense_items, dense_learner_for, dense_scorer
from midvision.tasks.rules import (
    BORDERS_PX,
    OBJECT_FRAME,
    PAPER_HEAD,
    DenseScoring,
    paper_training,
    protocol_pair,
    reference_objects,
)
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.streams import Learner, Scorer


class NormalScoring(DenseScoring):
    """See the file's head."""

    pixels: Literal["valid", "nonzero"] = "valid"
    uncertainty: bool = True
    empty_image: Literal["missing", "zero"] = "missing"


def scored_pixels(target: Target, scoring: NormalScoring) -> Tensor:
    """`[1, H, W]` bool."""
    import torch

    nonzero = torch.nan_to_num(target.values).abs().sum(dim=0, keepdim=True) > 0
    return nonzero if scoring.pixels == "nonzero" else target.valid & nonzero


def headline(prediction: Tensor, target: Target) -> float:
    """Recall at 11.25 degrees of one image."""
    from midvision.metrics.normals import angular_error_deg, normal_scores

    return normal_scores(angular_error_deg(prediction, target.values), target.valid)["recall_11deg"]


def items_of(dataset: Dataset) -> list[DenseItem]:
    return dense_items(dataset, _drop_zero)


def _drop_zero(target: Target) -> Target:
    """A zero vector has no direction, so it cannot be learnt even where the data set calls it valid."""
    nonzero = target.values.abs().sum(dim=0, keepdim=True) > 0
    return Target(target.values, target.valid & nonzero, target.edge)


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.problem import DenseProblem

    scoring = NormalScoring.model_validate(setting.protocol.scoring)
    problem = DenseProblem(kind="normals", uncertainty=scoring.uncertainty, prediction_resample="bicubic")
    return dense_learner_for(setting, items_of(dataset), problem, headline, {})


def judge(predictions: Sequence[Tensor], targets: Sequence[Target], scoring: NormalScoring) -> list[dict[str, float]]:
    """Columns of each image: all scored pixels, and those inside surfaces."""
    from midvision.metrics.normals import angular_error_deg, normal_scores
    from midvision.metrics.where import mean_by_distance

    rows = []
    for prediction, target in zip(predictions, targets, strict=True):
        error = angular_error_deg(prediction, target.values)
        scored = scored_pixels(target, scoring)
        row = normal_scores(error, scored)
        if target.edge is not None:
            inside = normal_scores(error, scored & ~target.edge)
            row |= {f"{name}_interior": value for name, value in inside.items()}
        if scoring.empty_image == "zero" and not bool(scored.any()):
            row = dict.fromkeys(row, 0.0)
        if target.edge is not None:
            row |= mean_by_distance(error, scored, target.edge, EDGE_BINS)
        rows.append(row)
    return rows


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring = NormalScoring.model_validate(setting.protocol.scoring)
    items = dense_items(dataset, lambda target: target)
    if not any(bool(scored_pixels(item.target(), scoring).any()) for item in items):
        raise DataError(
            f"None of the {len(items)} {dataset.split} items of {dataset.name!r} has a pixel with a normal.",
            "Unit vectors in valid pixels were expected.",
        )
    return dense_scorer(
        dataset, items, fitted.readout, lambda p, t: judge(p, t, scoring), scoring.batch_images, METRICS
    )


def _metrics(suffix: str) -> tuple[Metric, ...]:
    shares = [Metric(f"recall_{k}deg{suffix}", "share", True, 0.0, 1.0, f"recall_{k}deg{suffix}") for k in (11, 22, 30)]
    errors = [
        Metric(f"{name}_deg{suffix}", "deg", False, 0.0, 180.0, f"{name}_deg{suffix}")
        for name in ("rmse", "mean", "median")
    ]
    return (*shares, *errors)


EDGE_BINS = {f"mean_deg_edge_{low}_{high}": (float(low), float(high)) for low, high in BORDERS_PX}
METRICS = (
    *_metrics(""),
    *_metrics("_interior"),
    *(Metric(name, "deg", False, 0.0, 180.0, name) for name in EDGE_BINS),
)


def _protocols(paper: ImageRules, corrected: ImageRules) -> Mapping[str, Protocol]:
    return protocol_pair(
        paper_images=paper,
        paper_stats="imagenet",
        paper_head=PAPER_HEAD,
        paper_train=paper_training(batch_images=32, shuffle=False),
        paper_scoring=NormalScoring(pixels="nonzero", empty_image="zero"),
        corrected_images=corrected,
        corrected_scoring=NormalScoring(),
    )


PROTOCOLS = _protocols(ImageRules(crop="centre_square"), ImageRules())
NYU_PROTOCOLS = _protocols(
    ImageRules(crop="centre_square", image_size=(480, 480), selection="reference"),
    ImageRules(crop="centre_square", image_size=(480, 480)),
)
NAVI_PROTOCOLS = _protocols(reference_objects(OBJECT_FRAME), ImageRules(crop="object", image_size=OBJECT_FRAME))


def _task(name: str, data_set: str | None, protocols: Mapping[str, Protocol] = PROTOCOLS) -> Task:
    return Task(
        name=name,
        title="Surface normals",
        question="Which way does each visible surface face?",
        level="mid",
        content="normals",
        data_set=data_set,
        layers=None,
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=protocols,
        learner=learner,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.5, noise_above_floor=0.05),
    )


TASKS = (
    _task("normals", None),
    _task("synth-normals", "synthetic"),
    _task("nyu-normals", "nyu", NYU_PROTOCOLS),
    _task("navi-normals", "navi", NAVI_PROTOCOLS),
)
