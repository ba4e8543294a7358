"""Depth of scenes and of single objects, per pixel.

Scoring fields:
- `target`: metres, or depth rescaled per image to [0.01, 1] over the object (the reference's
  relative depth for objects; errors then have no unit).
- `range_m`: limits of the depth top and of the truth that counts (beyond the far limit is
  ignored); `train` takes them from the training truth, 5 % wider, and records them.
- `top`: depth as a mean over 256 evenly spaced bins, or as one sigmoid.
- `gradient_axes`: the gradient term of the loss compares neighbouring pixels; the reference
  compares neighbouring images of the batch.
- `aligned_clip`: whether predictions are clipped to the range after scale-and-shift alignment.
- `empty_image`: an image without a valid pixel is missing, or scores 0 as in the reference.

The headline is `delta1` as predicted. `*_aligned` columns are after the best scale and shift per
image. `abs_rel_near_*` and `abs_rel_edge_*` say where errors are made: by depth in metres, and by the
distance in pixels to the nearest boundary where the data set marks those. Every image weighs the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Content, Dataset, DenseItem, Target
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

NEAREST_M = 0.001
MARGIN = 0.05
NEAR_BINS = {f"abs_rel_near_{low}_{high}": (float(low), float(high)) for low, high in ((0, 1), (1, 2), (2, 4), (4, 10))}
EDGE_BINS = {f"abs_rel_edge_{low}_{high}": (float(low), float(high)) for low, high in BORDERS_PX}


class DepthScoring(DenseScoring):
    """See the file's head."""

    target: Literal["metres", "relative"] = "metres"
    range_m: tuple[float, float] | Literal["train"] = (NEAREST_M, 10.0)
    top: Literal["bins", "sigmoid"] = "bins"
    gradient_axes: Literal["spatial", "batch"] = "spatial"
    aligned_clip: bool = True
    empty_image: Literal["missing", "zero"] = "missing"


def prepare(target: Target, scoring: DepthScoring, far: float | None) -> Target:
    """Truth in the protocol's unit; depth that is not positive or beyond `far` is not valid."""
    import torch

    from midvision.metrics.depth import relative_depth

    valid = target.valid & (target.values > 0)
    values = target.values
    if scoring.target == "relative":
        values = relative_depth(values, valid)
    elif far is not None:
        valid = valid & (values <= far)
    return Target(torch.where(valid, values, torch.zeros_like(values)), valid, target.edge)


def items_of(dataset: Dataset, scoring: DepthScoring, far: float | None) -> list[DenseItem]:
    return dense_items(dataset, lambda target: prepare(target, scoring, far))


def training_range_m(items: Sequence[DenseItem]) -> tuple[float, float]:
    """Nearest and farthest training depth with a margin of 5 % on each side."""
    near, far = math.inf, -math.inf
    for item in items:
        target = item.target()
        if bool(target.valid.any()):
            seen = target.values[target.valid]
            near, far = min(near, float(seen.min())), max(far, float(seen.max()))
    if far <= 0:
        raise DataError(
            f"None of the {len(items)} training items has a valid depth (first {items[0].id!r})."
            if items
            else "There are no training items.",
            "Positive metres in valid pixels were expected.",
            "Check the depth scale and the masks.",
        )
    return max(NEAREST_M, near * (1 - MARGIN)), far * (1 + MARGIN)


def headline(prediction: Tensor, target: Target) -> float:
    """delta1 of one image."""
    from midvision.metrics.depth import depth_scores

    return depth_scores(prediction, target.values, target.valid)["delta1"]


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.problem import DenseProblem

    scoring = DepthScoring.model_validate(setting.protocol.scoring)
    limits = training_range_m(items_of(dataset, scoring, None)) if scoring.range_m == "train" else scoring.range_m
    problem = DenseProblem(
        kind="depth", depth_range_m=limits, depth_top=scoring.top, gradient_axes=scoring.gradient_axes
    )
    items = items_of(dataset, scoring, limits[1])
    return dense_learner_for(setting, items, problem, headline, {"depth_range": list(limits)})


def judge(
    predictions: Sequence[Tensor], targets: Sequence[Target], scoring: DepthScoring, limits: tuple[float, float]
) -> list[dict[str, float]]:
    """Columns of each image: as predicted, and aligned."""
    from midvision.metrics.align import aligned
    from midvision.metrics.depth import depth_scores

    clip = limits if scoring.aligned_clip else None
    rows = []
    for prediction, target in zip(predictions, targets, strict=True):
        moved = aligned(prediction, target.values, target.valid, clip)
        row = depth_scores(prediction, target.values, target.valid)
        row |= {f"{k}_aligned": v for k, v in depth_scores(moved, target.values, target.valid).items()}
        if scoring.empty_image == "zero" and not bool(target.valid.any()):
            row = dict.fromkeys(row, 0.0)
        rows.append(row | where_it_errs(prediction, target, scoring))
    return rows


def where_it_errs(prediction: Tensor, target: Target, scoring: DepthScoring) -> dict[str, float]:
    """Relative error as predicted, by depth in metres and by distance to a boundary where the set knows those."""
    from midvision.metrics.where import mean_by_distance, mean_in_bins

    error = (prediction - target.values).abs() / target.values.clamp_min(NEAREST_M)
    found: dict[str, float] = {}
    if scoring.target == "metres":
        found |= mean_in_bins(error, target.valid, target.values, NEAR_BINS)
    if target.edge is not None:
        found |= mean_by_distance(error, target.valid, target.edge, EDGE_BINS)
    return found


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring = DepthScoring.model_validate(setting.protocol.scoring)
    readout = fitted.readout
    near, far = readout.facts["depth_range"]
    # Truth beyond a learnt range still counts: it is the probe's shortcoming, not the data set's.
    items = items_of(dataset, scoring, None if scoring.range_m == "train" else far)
    check_some_depth(dataset, items)
    return dense_scorer(
        dataset,
        items,
        readout,
        lambda p, t: judge(p, t, scoring, (near, far)),
        scoring.batch_images,
        METRICS,
    )


def check_some_depth(dataset: Dataset, items: Sequence[DenseItem]) -> None:
    """Refuse a split without any valid depth; stops reading at the first valid one."""
    if not any(bool(item.target().valid.any()) for item in items):
        raise DataError(
            f"None of the {len(items)} {dataset.split} items of {dataset.name!r} has a valid depth.",
            "Positive metres within the protocol's range were expected.",
            "Check the depth scale of the files.",
        )


def _metrics(unit: str, far: float) -> tuple[Metric, ...]:
    def family(suffix: str) -> tuple[Metric, ...]:
        shares = tuple(Metric(f"delta{k}{suffix}", "share", True, 0.0, 1.0, f"delta{k}{suffix}") for k in (1, 2, 3))
        rmse = Metric(f"rmse{suffix}", unit, False, 0.0, far, f"rmse{suffix}")
        return (*shares, rmse, Metric(f"abs_rel{suffix}", "ratio", False, 0.0, math.inf, f"abs_rel{suffix}"))

    bins = (Metric(name, "ratio", False, 0.0, math.inf, name) for name in (*NEAR_BINS, *EDGE_BINS))
    return (*family(""), *family("_aligned"), *bins)


METRICS = _metrics("m", 10.0)


def _scene_protocols(paper: ImageRules, corrected: ImageRules) -> Mapping[str, Protocol]:
    return protocol_pair(
        paper_images=paper,
        paper_stats="imagenet",
        paper_head=PAPER_HEAD,
        paper_train=paper_training(batch_images=32, shuffle=False),
        paper_scoring=DepthScoring(gradient_axes="batch", aligned_clip=False, empty_image="zero"),
        corrected_images=corrected,
        corrected_scoring=DepthScoring(),
    )


SCENE_PROTOCOLS = _scene_protocols(ImageRules(crop="centre_square"), ImageRules())
NYU_PROTOCOLS = _scene_protocols(
    ImageRules(crop="centre_square", image_size=(480, 480), selection="reference"),
    ImageRules(crop="centre_square", image_size=(480, 480)),
)


def _object_protocols(paper: ImageRules, corrected: ImageRules) -> Mapping[str, Protocol]:
    return protocol_pair(
        paper_images=paper,
        paper_stats="imagenet",
        paper_head=PAPER_HEAD,
        paper_train=paper_training(batch_images=32, shuffle=False),
        paper_scoring=DepthScoring(
            target="relative", range_m=(NEAREST_M, 1.0), gradient_axes="batch", aligned_clip=False, empty_image="zero"
        ),
        corrected_images=corrected,
        corrected_scoring=DepthScoring(range_m="train"),
    )


OBJECT_PROTOCOLS = _object_protocols(
    ImageRules(crop="object", crop_end="exclusive", photo_resample="nearest"), ImageRules(crop="object")
)
NAVI_PROTOCOLS = _object_protocols(reference_objects(OBJECT_FRAME), ImageRules(crop="object", image_size=OBJECT_FRAME))


def _task(
    name: str,
    title: str,
    content: Content,
    data_set: str | None,
    bounds: ControlBounds,
    protocols: Mapping[str, Protocol] | None = None,
) -> Task:
    return Task(
        name=name,
        title=title,
        question="How far away is each visible surface?",
        level="mid",
        content=content,
        data_set=data_set,
        layers=None,
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=protocols or (OBJECT_PROTOCOLS if content == "object-depth" else SCENE_PROTOCOLS),
        learner=learner,
        scorer=scorer,
        bounds=bounds,
    )


TASKS = (
    _task("depth", "Scene depth", "depth", None, ControlBounds(0.8, 0.05)),
    _task("synth-depth", "Scene depth", "depth", "synthetic", ControlBounds(0.8, 0.05)),
    _task("synth-object-depth", "Object depth", "object-depth", "synthetic", ControlBounds(0.9, 0.05)),
    _task("nyu-depth", "Scene depth", "depth", "nyu", ControlBounds(0.8, 0.05), NYU_PROTOCOLS),
    _task("navi-depth", "Object depth", "object-depth", "navi", ControlBounds(0.9, 0.05), NAVI_PROTOCOLS),
)
