"""Mid-level image similarity: which of two images is more like the reference?

The encoder answers with the cosine similarity of pooled features (before any final norm); nothing
is trained. `accuracy` is the share of judges that agree with its choice.

Scoring fields:
- `tie`: two equal similarities score 0.5, or count as the choice "right" as in the reference.

Items tagged `kind: nuisance` have a right answer only for one question ("which keeps the queried
factor?"), so they never enter `accuracy`; their columns `invariance` and `invariance.FACTOR` stand
apart. Every tag of the others also gets a column `accuracy.TAG.VALUE`, NaN for items without it.
F1, precision and recall take "right" as the positive class and the majority as the truth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, TripletItem
from midvision.core.scores import Metric
from midvision.core.settings import Settings
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.rules import protocol_pair
from midvision.tasks.scoring import Scored, Unit, UnitScorer, picture, pooled_of, sampled
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from midvision.core.features import Features
    from midvision.core.streams import Scorer

NUISANCE = "nuisance"


class ChoiceScoring(Settings):
    """See the file's head."""

    tie: Literal["half", "right"] = "half"
    augment: Literal["none"] = "none"


def columns_of(item: TripletItem, similarity: tuple[float, float], scoring: ChoiceScoring) -> dict[str, float]:
    """Columns of one triplet from the similarity of the left and of the right image to the reference."""
    from midvision.metrics.choices import agreement, choice_counts, right_choice

    choice = right_choice(*similarity, scoring.tie)
    score = agreement(choice, item.right_share)
    known = {"similarity_left": similarity[0], "similarity_right": similarity[1]}
    if item.tags.get("kind") == NUISANCE:
        factor = item.tags.get("factor", "other")
        return {"accuracy": math.nan, "invariance": score, f"invariance.{factor}": score, **known}
    tagged = {f"accuracy.{tag}.{value}": score for tag, value in item.tags.items() if value}
    return {"accuracy": score, **choice_counts(choice, item.right_share), **tagged, **known}


def check_items(dataset: Dataset) -> dict[str, TripletItem]:
    """The triplets by id; refuses shares outside [0, 1] and a set that always has the same answer."""
    items: dict[str, TripletItem] = {}
    for item in dataset.items:
        if not isinstance(item, TripletItem):
            raise DataError(f"Item {item.id!r} of {dataset.name!r} is no triplet.")
        if not 0.0 <= item.right_share <= 1.0:
            raise DataError(
                f"Triplet {item.id!r} has the share {item.right_share} of judges for right.",
                "A number from 0 to 1 was expected.",
            )
        items[item.id] = item
    answers = {item.right_share > 0.5 for item in items.values() if item.right_share != 0.5}
    if len(items) > 1 and len(answers) == 1:
        side = "right" if answers == {True} else "left"
        raise DataError(
            f"All {len(items)} triplets of {dataset.name!r} (first {next(iter(items))!r}) have the answer {side}.",
            "Both answers were expected: always saying the same would score 1.",
            "Check the vote columns, or swap the sides of a random half.",
        )
    return items


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring = ChoiceScoring.model_validate(setting.protocol.scoring)
    items = check_items(dataset)
    kept = sampled(dataset)

    def score(unit: Unit, features: Features) -> list[Scored]:
        item = items[unit.items[0]]
        left, right = _similarities(item, unit, features)
        columns = columns_of(item, (left, right), scoring)
        return [Scored(columns, _sample(dataset, item, left, right) if item.id in kept else None)]

    units = [Unit((item.id,), tuple(dict.fromkeys((item.reference, item.left, item.right)))) for item in items.values()]
    by_category = BY_CATEGORY if any("is_imagenet" in item.tags for item in items.values()) else ()
    return UnitScorer(dataset, units, score, (*METRICS, *BREAKDOWN, *by_category))


def _similarities(item: TripletItem, unit: Unit, features: Features) -> tuple[float, float]:
    """Cosines of left and right with the reference, in double precision; 0 with a zero vector."""
    from torch.nn.functional import normalize

    vectors = normalize(pooled_of(item.reference, features.pooled).double(), dim=1)
    row = {image: vectors[index] for index, image in enumerate(unit.images)}
    reference = row[item.reference]
    return float(reference @ row[item.left]), float(reference @ row[item.right])


def _sample(dataset: Dataset, item: TripletItem, left: float, right: float) -> dict[str, Any]:
    import numpy as np

    shown = {name: picture(dataset, getattr(item, name)) for name in ("reference", "left", "right")}
    return {**shown, "similarity": np.array([left, right]), "right_share": np.array(item.right_share)}


METRICS = (
    Metric("accuracy", "share", True, 0.0, 1.0, "accuracy", chance=0.5),
    Metric("f1", "share", True, 0.0, 1.0, "f1_hits", "f1_all"),
    Metric("precision", "share", True, 0.0, 1.0, "right_hits", "right_chosen"),
    Metric("recall", "share", True, 0.0, 1.0, "right_hits", "right_true"),
)
FACTORS = ("shape", "pose", "layout", "material", "colour", "lighting")
BREAKDOWN = tuple(
    Metric(name, "share", True, 0.0, 1.0, name, chance=0.5)
    for name in (
        "accuracy.kind.dominance",
        "accuracy.kind.subset",
        *(f"accuracy.factor.{factor}" for factor in FACTORS),
        "invariance",
        *(f"invariance.{factor}" for factor in FACTORS),
    )
)
BY_CATEGORY = tuple(
    Metric(f"accuracy.is_imagenet.{word}", "share", True, 0.0, 1.0, f"accuracy.is_imagenet.{word}", chance=0.5)
    for word in ("true", "false")
)


def _protocols(size: tuple[int, int] | None, benchmark: bool) -> Mapping[str, Protocol]:
    """`size` is the reference's frame; a benchmark has it in both protocols, other data in `paper` only."""
    rules = ImageRules(photo_resample="bicubic", image_size=size)
    return protocol_pair(
        paper_images=rules,
        corrected_images=rules if benchmark else ImageRules(),
        paper_stats="none",
        paper_scoring=ChoiceScoring(tie="right"),
        corrected_scoring=ChoiceScoring(),
        maps=False,
    )


def _task(name: str, data_set: str | None, size: tuple[int, int] | None, extra: tuple[Metric, ...]) -> Task:
    return Task(
        name=name,
        title="Image similarity",
        question="Which of two images is more like the reference?",
        level="mid",
        content="triplets",
        data_set=data_set,
        layers=(-1,),
        maps=False,
        pooled="native",
        metrics=(*METRICS, *extra),
        protocols=_protocols(size, data_set is not None and data_set != "synthetic"),
        learner=None,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.95, noise_above_floor=0.2, shortcut_above_floor=0.35),
    )


TASKS = (
    _task("triplets", None, (224, 224), ()),
    _task("synth-triplets", "synthetic", None, BREAKDOWN),
    _task("nights", "nights", (224, 224), BY_CATEGORY),
)
