"""Image labels: the high-level reference beside the mid-level tasks.

One pass of pooled features serves every answer. `top1` is a linear readout (logistic regression, or ridge
in closed form where images times classes are too many), `knn` the weighted vote of the 20 nearest training
images by cosine, `shots1`, `shots5` and `shots10` the nearest class mean of so many images per class, as the
share of five draws that is right; a class with fewer images leaves them out. `top5` where there are more
than five classes. `*_per_class` is the mean over classes, which is the headline where a set's convention
says so (Caltech-101, Caltech-256). `constant.*` always answers the most frequent training class. The
reference has no code for this part, so `paper` and `corrected` are the same decisions here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, LabelItem
from midvision.core.scores import Metric
from midvision.core.settings import Settings
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.rules import VERSION
from midvision.tasks.scoring import Scored, Unit, UnitScorer, check_prediction, picture, pooled_of, sampled
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import Features
    from midvision.core.streams import Learner, Scorer

TOP5_FROM_CLASSES = 6
TOGETHER = 256
SHOTS = (1, 5, 10)
PER_CLASS, WEIGHT = "_per_class", "class_weight"


class LabelScoring(Settings):
    """`readout="by_size"` is logistic up to `logistic_up_to` training images times classes, else ridge."""

    augment: Literal["none"] = "none"
    readout: Literal["by_size", "logistic", "ridge"] = "by_size"
    logistic_up_to: int = 1_000_000
    neighbours: int = 20
    temperature: float = 0.07
    shots: tuple[int, ...] = SHOTS
    draws: int = 5


def check_items(dataset: Dataset) -> list[LabelItem]:
    """The items, refusing negative classes."""
    items = []
    for item in dataset.items:
        if not isinstance(item, LabelItem) or item.label < 0:
            raise DataError(f"Item {item.id!r} of {dataset.name!r} has no class index from 0 on.")
        items.append(item)
    return items


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.closed_form_labels import LabelRules, pooled_learner

    items = check_items(dataset)
    classes = {item.label for item in items}
    if len(classes) < 2:
        first = f" (first {items[0].id!r}, class {items[0].label_name!r})" if items else ""
        raise DataError(
            f"The {len(items)} training images of {dataset.name!r} have {len(classes)} class{first}.",
            "At least two classes were expected.",
            "Check the folder names or the label column.",
        )
    rules = LabelScoring.model_validate(setting.protocol.scoring)
    own = LabelRules(rules.readout, rules.logistic_up_to, rules.neighbours, rules.temperature, rules.shots, rules.draws)
    return pooled_learner(items, setting.plan, max(classes) + 1, setting.seed, own, setting.device)


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    items = check_items(dataset)
    by_id, sizes = {item.id: item for item in items}, Counter(item.label for item in items)
    kept = sampled(dataset)
    readout, majority = fitted.readout, int(fitted.constant)

    def score(unit: Unit, features: Features) -> list[Scored]:
        rows = {image: row for row, image in enumerate(unit.images)}
        pooled = pooled_of(unit.images[0], features.pooled)
        logits, votes = readout.predict(pooled).cpu(), readout.knn_votes(pooled).cpu()
        shots = {count: means.scores(pooled).cpu() for count, means in readout.shots.items()}
        scored = []
        for name in unit.items:
            item = by_id[name]
            row = rows[item.image]
            check_prediction(item.id, logits[row])
            columns = _hits(item, logits[row], votes[row], {count: s[:, row] for count, s in shots.items()})
            constant = 1.0 if item.label == majority else 0.0
            columns |= {"constant.top1": constant, "constant.knn": constant}
            predicted = logits[row].argmax().item()
            columns = _with_classes(columns, 1.0 / sizes[item.label])
            scored.append(Scored(columns, _sample(dataset, item, predicted) if item.id in kept else None))
        return scored

    return UnitScorer(dataset, _units(items), score, METRICS)


def _units(items: Sequence[LabelItem]) -> list[Unit]:
    """Items scored together, since every look at the training vectors serves all of them."""
    parts = [items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER)]
    return [Unit(tuple(i.id for i in part), tuple(dict.fromkeys(i.image for i in part))) for part in parts]


def _hits(item: LabelItem, logits: Tensor, votes: Tensor, shots: Mapping[int, Tensor]) -> dict[str, float]:
    """What one image scores: `logits`, `votes` `[n_classes]`, `shots` by count `[draws, n_classes]`."""
    from midvision.metrics.labels import top_k_hit

    if item.label >= len(logits):
        raise DataError(
            f"Test image {item.id!r} has class {item.label_name!r}, which no training image has.",
            "Test classes must occur in training.",
        )
    columns = {"top1": top_k_hit(logits, item.label), "knn": top_k_hit(votes, item.label)}
    if len(logits) >= TOP5_FROM_CLASSES:
        columns["top5"] = top_k_hit(logits, item.label, 5)
    for count, draws in shots.items():
        columns[f"shots{count}"] = sum(top_k_hit(scores, item.label) for scores in draws) / len(draws)
    return columns


def _with_classes(columns: Mapping[str, float], weight: float) -> dict[str, float]:
    """The columns and their parts of the mean over classes: a class with n test images gives each 1 / n."""
    return {**columns, **{f"{name}{PER_CLASS}": value * weight for name, value in columns.items()}, WEIGHT: weight}


def _sample(dataset: Dataset, item: LabelItem, predicted: int | float) -> dict[str, Any]:
    import numpy as np

    return {"image": picture(dataset, item.image), "label": np.array(item.label), "predicted": np.array(predicted)}


NAMES = ("top1", "knn", "top5", *(f"shots{count}" for count in SHOTS))
TOP_METRICS = tuple(Metric(name, "share", True, 0.0, 1.0, name) for name in NAMES)
CLASS_METRICS = tuple(Metric(n + PER_CLASS, "share", True, 0.0, 1.0, n + PER_CLASS, WEIGHT) for n in NAMES)
METRICS = TOP_METRICS + CLASS_METRICS
BY_CLASS = CLASS_METRICS + TOP_METRICS
WHOLE = ImageRules()
# The usual look at a photograph of these sets: its middle square.
SQUARE = ImageRules(crop="centre_square", photo_resample="bicubic", image_size=(224, 224))


def _task(name: str, data_set: str | None, metrics: tuple[Metric, ...] = METRICS, images: ImageRules = WHOLE) -> Task:
    scoring = LabelScoring().model_dump(mode="json")
    return Task(
        name=name,
        title="Image labels",
        question="Which kind of thing or place is this?",
        level="high",
        content="labels",
        data_set=data_set,
        layers=(-1,),
        maps=False,
        pooled="native",
        metrics=metrics,
        protocols={
            "paper": Protocol(name="paper", version=VERSION, images=images, scoring=scoring),
            "corrected": Protocol(name="corrected", version=VERSION, images=images, scoring=scoring),
        },
        learner=learner,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.95, noise_above_floor=0.2),
    )


TASKS = (
    _task("labels", None),
    _task("synth-labels", "synthetic"),
    _task("imagenet-labels", "imagenet", METRICS, SQUARE),
    _task("caltech101-labels", "caltech101", BY_CLASS, SQUARE),
    _task("caltech256-labels", "caltech256", BY_CLASS, SQUARE),
)
