"""Image labels: the high-level reference beside the mid-level tasks.

`top1` is the headline: a logistic readout of pooled features; `knn` votes among the 20 nearest
training images by cosine; `top5` where there are more than five classes. `constant.*` always
answers the most frequent training class. The reference has no code for this part, so `paper` and
`corrected` are the same decisions here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, LabelItem
from midvision.core.scores import Metric
from midvision.core.settings import Settings
from midvision.core.specs import Protocol
from midvision.tasks.rules import VERSION
from midvision.tasks.scoring import Scored, Unit, UnitScorer, check_prediction, picture, pooled_of, sampled
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from midvision.core.features import Features
    from midvision.core.streams import Learner, Scorer

TOP5_FROM_CLASSES = 6


class LabelScoring(Settings):
    augment: Literal["none"] = "none"


def check_items(dataset: Dataset) -> list[LabelItem]:
    """The items, refusing negative classes."""
    items = []
    for item in dataset.items:
        if not isinstance(item, LabelItem) or item.label < 0:
            raise DataError(f"Item {item.id!r} of {dataset.name!r} has no class index from 0 on.")
        items.append(item)
    return items


def learner(setting: Setting, dataset: Dataset) -> Learner:
    from midvision.probes.closed_form_labels import pooled_learner

    items = check_items(dataset)
    classes = {item.label for item in items}
    if len(classes) < 2:
        first = f" (first {items[0].id!r}, class {items[0].label_name!r})" if items else ""
        raise DataError(
            f"The {len(items)} training images of {dataset.name!r} have {len(classes)} class{first}.",
            "At least two classes were expected.",
            "Check the folder names or the label column.",
        )
    return pooled_learner(items, setting.plan, max(classes) + 1, setting.seed)


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    by_id = {item.id: item for item in check_items(dataset)}
    kept = sampled(dataset)
    readout, majority = fitted.readout, int(fitted.constant)

    def score(unit: Unit, features: Features) -> list[Scored]:
        from midvision.metrics.labels import top_k_hit

        item = by_id[unit.items[0]]
        pooled = pooled_of(item.image, features.pooled)
        logits, votes = readout.predict(pooled)[0].cpu(), readout.knn_votes(pooled)[0].cpu()
        check_prediction(item.id, logits)
        if item.label >= len(logits):
            raise DataError(
                f"Test image {item.id!r} has class {item.label_name!r}, which no training image has.",
                "Test classes must occur in training.",
            )
        constant = 1.0 if item.label == majority else 0.0
        columns = {"top1": top_k_hit(logits, item.label), "knn": top_k_hit(votes, item.label)}
        columns |= {"constant.top1": constant, "constant.knn": constant}
        if len(logits) >= TOP5_FROM_CLASSES:
            columns["top5"] = top_k_hit(logits, item.label, 5)
        return [Scored(columns, _sample(dataset, item, logits.argmax().item()) if item.id in kept else None)]

    units = [Unit((item.id,), (item.image,)) for item in by_id.values()]
    return UnitScorer(dataset, units, score, METRICS)


def _sample(dataset: Dataset, item: LabelItem, predicted: int | float) -> dict[str, Any]:
    import numpy as np

    return {"image": picture(dataset, item.image), "label": np.array(item.label), "predicted": np.array(predicted)}


METRICS = tuple(Metric(name, "share", True, 0.0, 1.0, name) for name in ("top1", "knn", "top5"))


def _task(name: str, data_set: str | None) -> Task:
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
        metrics=METRICS,
        protocols={
            "paper": Protocol(name="paper", version=VERSION, scoring=scoring),
            "corrected": Protocol(name="corrected", version=VERSION, scoring=scoring),
        },
        learner=learner,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.95, noise_above_floor=0.2),
    )


TASKS = (_task("labels", None), _task("synth-labels", "synthetic"))
