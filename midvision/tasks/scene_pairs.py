"""Scene correspondence: the same point of a static scene seen from another place.

The headline is the recall within 10 pixels of view b. `*_quarter` columns count the same
thresholds in pixels of the quarter-size frame, four times wider, as the reference prints them;
under `paper` the plain names mean those pixels too. Bins split the headline by relative rotation;
planar pairs have none. Other fields: see `pairs.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from midvision.core.items import Dataset
from midvision.core.specs import ImageRules, Protocol
from midvision.tasks.pairs import MatchScoring, Thresholds, pair_scorer, share_metrics
from midvision.tasks.rules import protocol_pair
from midvision.tasks.task import ControlBounds, Setting, Task

if TYPE_CHECKING:
    from midvision.core.streams import Scorer

EDGES_DEG = ((0, 15), (15, 30), (30, 60), (60, 180), (60, 120), (120, 180))
LIMITS = Thresholds(
    metres={},
    pixels={"recall_5px": 5.0, "recall_10px": 10.0, "recall_20px": 20.0},
    quarter_pixels={"recall_5px_quarter": 5.0, "recall_10px_quarter": 10.0, "recall_20px_quarter": 20.0},
    headline="recall_10px",
    bins={f"recall_10px_rot_{low}_{high}": (float(low), float(high)) for low, high in EDGES_DEG},
)
METRICS = share_metrics(["recall_10px", "recall_5px", "recall_20px", *LIMITS.quarter_pixels, *LIMITS.bins])


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    return pair_scorer(setting, dataset, LIMITS, METRICS)


def _protocols(size: tuple[int, int] | None, benchmark: bool) -> Mapping[str, Protocol]:
    """`size` is the reference's frame; a benchmark has it in both protocols, other data in `paper` only."""
    return protocol_pair(
        paper_images=ImageRules(image_size=size),
        corrected_images=ImageRules(image_size=size if benchmark else None),
        paper_stats="half",
        paper_scoring=MatchScoring(
            block_sample="corner", ray_at="block", features_at="block", pixel_unit="quarter", self_pairs="keep"
        ),
        corrected_scoring=MatchScoring(),
    )


def _task(name: str, data_set: str | None, size: tuple[int, int] | None) -> Task:
    return Task(
        name=name,
        title="Scene correspondence",
        question="Which point of this view of a scene is which point of that view?",
        level="mid",
        content="scene-pairs",
        data_set=data_set,
        layers=(-1,),
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=_protocols(size, data_set is not None and data_set != "synthetic"),
        learner=None,
        scorer=scorer,
        bounds=ControlBounds(oracle_at_least=0.5, noise_above_floor=0.05, shortcut_above_floor=0.25),
    )


TASKS = (
    _task("scene-pairs", None, (480, 640)),
    _task("synth-scene-pairs", "synthetic", None),
    _task("scannet-pairs", "scannet", (480, 640)),
    _task("hpatches-pairs", "hpatches", (480, 640)),
)
