"""Object correspondence: the same surface point of an object in another view, light and room.

The views' world is the object's own frame. Frames are crops to the square around the object and
only points on it take part, so the place of the object is given (an oracle crop) in both
protocols. The headline is the recall within 2 cm; 2D recalls are in pixels of view b; the bins
split the headline by relative rotation. Fields: see `pairs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from midvision.core.items import Dataset
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.pairs import MatchScoring, Thresholds, pair_scorer, share_metrics
from midvision.tasks.rules import protocol_pair, reference_objects
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from midvision.core.streams import Scorer

LIMITS = Thresholds(
    metres={"recall_1cm": 0.01, "recall_2cm": 0.02, "recall_5cm": 0.05},
    pixels={"recall_5px": 5.0, "recall_25px": 25.0, "recall_50px": 50.0},
    quarter_pixels={},
    headline="recall_2cm",
    bins={f"recall_2cm_rot_{low}_{low + 30}": (float(low), float(low + 30)) for low in (0, 30, 60, 90)},
)
METRICS = share_metrics(["recall_2cm", "recall_1cm", "recall_5cm", *LIMITS.pixels, *LIMITS.bins])


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    return pair_scorer(setting, dataset, LIMITS, METRICS)


def _protocols(size: tuple[int, int] | None, benchmark: bool) -> Mapping[str, Protocol]:
    """`size` is the reference's frame; a benchmark has it in both protocols, other data in `paper` only."""
    own = ImageRules(crop="object", crop_end="exclusive", photo_resample="nearest", image_size=size)
    return protocol_pair(
        paper_images=reference_objects(size) if benchmark else own,
        paper_stats="imagenet",
        paper_scoring=MatchScoring(block_sample="corner", features_at="block", lookup="bicubic", self_pairs="keep"),
        corrected_images=ImageRules(crop="object", image_size=size if benchmark else None),
        corrected_scoring=MatchScoring(lookup="bicubic"),
    )


def _task(name: str, data_set: str | None, size: tuple[int, int] | None) -> Task:
    return Task(
        name=name,
        title="Object correspondence",
        question="Which point of this view of an object is which point of that view?",
        level="mid",
        content="object-pairs",
        data_set=data_set,
        layers=(-1,),
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=_protocols(size, data_set is not None and data_set != "synthetic"),
        learner=None,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.5, noise_above_floor=0.05),
    )


TASKS = (
    _task("object-pairs", None, (512, 512)),
    _task("synth-object-pairs", "synthetic", None),
    _task("navi-pairs", "navi", (512, 512)),
)
