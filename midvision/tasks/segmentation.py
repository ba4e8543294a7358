"""Generic object segmentation: any object against background.

Scoring fields:
- `void`: pixels the data set leaves open (object borders) are ignored; the reference reads its
  palette masks as grey > 0 and so counts them as foreground, in training and testing.
- `pool`: a score belongs to an image, or to a batch of 16 test images with all pixels pooled and
  the same weight for every batch, also a smaller last one.
- `f_beta2`: the reference squares 0.3 (0.09); the saliency convention is 0.3.
- `epsilon`: added to denominators by the reference, so nothing there and nothing found scores 0.
The reference also normalises the logit by the statistics of the test batch (`batchnorm_at_test`).

`iou` is the headline: foreground only. `iou_pooled` and `iou_background_pooled` pool the whole data
set, `miou` is the mean of both classes per image. Batch scores are spread over the images of their
batch with weight 1 / batch size, so that the mean over batches weighs batches equally.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, DenseItem, Target
from midvision.core.scores import Metric
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.dense import dense_items, dense_learner_for, dense_scorer
from midvision.tasks.rules import PAPER_HEAD, DenseScoring, paper_training, protocol_pair
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.streams import Learner, Scorer
    from midvision.metrics.masks import MaskCounts

THRESHOLD = 0.5


class MaskScoring(DenseScoring):
    """See the file's head."""

    void: Literal["ignored", "foreground"] = "ignored"
    pool: Literal["image", "batch"] = "image"
    f_beta2: float = 0.3
    epsilon: float = 0.0


def prepare(target: Target, scoring: MaskScoring) -> Target:
    """Truth as 0/1 with the protocol's reading of void pixels."""
    import torch

    foreground = (target.values > 0.5) & target.valid
    if scoring.void == "ignored":
        return Target(foreground.float(), target.valid, target.edge)
    everywhere = torch.ones_like(target.valid)
    return Target((foreground | ~target.valid).float(), everywhere, target.edge)


def items_of(setting: Setting, dataset: Dataset) -> tuple[MaskScoring, list[DenseItem]]:
    scoring = MaskScoring.model_validate(setting.protocol.scoring)
    return scoring, dense_items(dataset, lambda target: prepare(target, scoring))


def headline(prediction: Tensor, target: Target) -> float:
    """Foreground IoU of one image."""
    from midvision.metrics.masks import iou, mask_counts

    return iou(mask_counts(prediction > THRESHOLD, target.values > THRESHOLD, target.valid))


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.problem import DenseProblem

    _, items = items_of(setting, dataset)
    check_two_classes(dataset, items)
    return dense_learner_for(setting, items, DenseProblem(kind="mask"), headline, {})


def check_two_classes(dataset: Dataset, items: Sequence[DenseItem]) -> None:
    """Refuse a split whose masks hold one class only; stops reading at the second class."""
    found = [False, False]
    for item in items:
        target = item.target()
        foreground = target.values > THRESHOLD
        found[0] = found[0] or bool((~foreground & target.valid).any())
        found[1] = found[1] or bool((foreground & target.valid).any())
        if all(found):
            return
    only = "foreground" if found[1] else "background" if found[0] else "no valid pixel"
    raise DataError(
        f"The {dataset.split} masks of {dataset.name!r} ({len(items)} items, first {items[0].id!r}) hold {only} only.",
        "Both foreground and background were expected.",
        "Check which mask value means foreground.",
    )


def judge(predictions: Sequence[Tensor], targets: Sequence[Target], scoring: MaskScoring) -> list[dict[str, float]]:
    """Columns of each image of one batch."""
    from midvision.metrics.masks import mask_counts, pooled

    counts = [
        mask_counts(p > THRESHOLD, t.values > THRESHOLD, t.valid) for p, t in zip(predictions, targets, strict=True)
    ]
    if scoring.pool == "image":
        ratios = [_ratios(own, 1.0 if own.pixels else 0.0, scoring) for own in counts]
    else:
        ratios = [_ratios(pooled(counts), 1.0 / len(counts), scoring)] * len(counts)
    return [{**ratio, **_sums(own)} for ratio, own in zip(ratios, counts)]


def _ratios(counts: MaskCounts, weight: float, scoring: MaskScoring) -> dict[str, float]:
    from midvision.metrics.masks import accuracy, f_measure, iou, mean_iou

    values = {
        "iou": iou(counts, scoring.epsilon),
        "miou": mean_iou(counts, scoring.epsilon),
        "f1": f_measure(counts, 1.0, scoring.epsilon),
        "f_beta": f_measure(counts, scoring.f_beta2, scoring.epsilon),
        "accuracy": accuracy(counts),
    }
    return {"weight": weight} | {name: value * weight for name, value in values.items()}


def _sums(counts: MaskCounts) -> dict[str, float]:
    return {
        "foreground_hits": counts.true_positive,
        "foreground_union": counts.union,
        "background_hits": counts.true_negative,
        "background_union": counts.swapped().union,
    }


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring, items = items_of(setting, dataset)
    check_two_classes(dataset, items)
    return dense_scorer(
        dataset, items, fitted.readout, lambda p, t: judge(p, t, scoring), scoring.batch_images, METRICS
    )


def _share(name: str, column: str, over: str = "weight") -> Metric:
    return Metric(name, "share", True, 0.0, 1.0, column, over)


METRICS = (
    _share("iou", "iou"),
    _share("iou_pooled", "foreground_hits", "foreground_union"),
    _share("iou_background_pooled", "background_hits", "background_union"),
    _share("miou", "miou"),
    _share("f1", "f1"),
    _share("f_beta", "f_beta"),
    _share("accuracy", "accuracy"),
)


def _protocols(size: tuple[int, int] | None, benchmark: bool) -> Mapping[str, Protocol]:
    """`size` is the reference's frame; a benchmark has it in both protocols, other data in `paper` only."""
    selection: Literal["official", "reference"] = "reference" if benchmark else "official"
    return protocol_pair(
        paper_images=ImageRules(photo_resample="lanczos", image_size=size, selection=selection),
        corrected_images=ImageRules(image_size=size if benchmark else None),
        paper_stats="imagenet",
        paper_head=PAPER_HEAD.model_copy(update={"batchnorm_at_test": "batch"}),
        paper_train=paper_training(batch_images=16, shuffle=True),
        paper_scoring=MaskScoring(void="foreground", pool="batch", f_beta2=0.09, epsilon=1e-6),
        corrected_scoring=MaskScoring(),
    )


def _task(name: str, data_set: str | None, size: tuple[int, int] | None) -> Task:
    return Task(
        name=name,
        title="Object segmentation",
        question="Where does an object end and the background begin?",
        level="mid",
        content="segmentation",
        data_set=data_set,
        layers=None,
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=_protocols(size, data_set is not None and data_set != "synthetic"),
        learner=learner,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.6, noise_above_floor=0.05),
    )


TASKS = (
    _task("segmentation", None, (480, 480)),
    _task("synth-seg", "synthetic", None),
    _task("voc07-seg", "voc07", (480, 480)),
    _task("voc12-seg", "voc12", (480, 480)),
)
