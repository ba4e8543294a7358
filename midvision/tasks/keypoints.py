"""Semantic keypoints: the same named point on another animal or object; percentage of correct keypoints.

Zero-shot: the feature at each keypoint of a takes its nearest neighbour by cosine among one point
per block of 4 x 4 pixels of b. A point is right within 0.1 of the item's scale (`scale_px`, its
PCK unit); 0.05 and 0.2 stand beside. `chance.*` is a uniformly random point of b. No reference
protocol exists: `paper` and `corrected` differ in preprocessing only. A metric of its own, never
mixed with geometric correspondence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.core.items import Dataset, KeypointPairItem
from midvision.core.specs import ImageRules
from midvision.tasks.pairs import MatchScoring, block_positions, point_features, share_metrics
from midvision.tasks.rules import protocol_pair
from midvision.tasks.scoring import Scored, Unit, UnitScorer, picture, sampled
from midvision.tasks.task import Setting, Task

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import Features
    from midvision.core.streams import Scorer

RADII = {"pck_10": 0.1, "pck_05": 0.05, "pck_20": 0.2}
METRICS = share_metrics(list(RADII))


def check_items(dataset: Dataset) -> dict[str, KeypointPairItem]:
    items: dict[str, KeypointPairItem] = {}
    for item in dataset.items:
        if not isinstance(item, KeypointPairItem) or len(item.xy_a) != len(item.xy_b):
            raise DataError(f"Item {item.id!r} of {dataset.name!r} has no matching keypoints in two images.")
        if len(item.xy_a) == 0 or not item.scale_px > 0:
            raise DataError(f"Keypoint pair {item.id!r} has {len(item.xy_a)} points and scale {item.scale_px} px.")
        items[item.id] = item
    return items


def scorer(setting: Setting, dataset: Dataset, fitted: Any) -> Scorer:
    scoring = MatchScoring.model_validate(setting.protocol.scoring)
    items = check_items(dataset)
    kept = sampled(dataset)
    grid = block_positions(dataset.frame_size, "block", scoring.block_sample)

    def score(unit: Unit, features: Features) -> list[Scored]:
        from midvision.extraction.nearest import two_nearest
        from midvision.metrics.keypoints import chance_pck, pck

        item = items[unit.items[0]]
        rows = (0, features.maps[0].shape[0] - 1)
        vectors = [
            point_features(features, row, xy, dataset.frame_size, setting, scoring)
            for row, xy in zip(rows, (item.xy_a.double(), grid))
        ]
        found = grid[two_nearest(vectors[0], vectors[1])[0][:, 0].cpu()]
        radii = {name: share * item.scale_px for name, share in RADII.items()}
        columns = {name: pck(found, item.xy_b, radius) for name, radius in radii.items()}
        columns |= {f"chance.{name}": chance_pck(grid, item.xy_b, radius) for name, radius in radii.items()}
        columns["points"] = float(len(item.xy_a))
        return [Scored(columns, _sample(dataset, item, found, radii["pck_10"]) if item.id in kept else None)]

    units = [Unit((item.id,), tuple(dict.fromkeys((item.image_a, item.image_b)))) for item in items.values()]
    return UnitScorer(dataset, units, score, METRICS)


def _sample(dataset: Dataset, item: KeypointPairItem, found: Tensor, radius_px: float) -> dict[str, Any]:
    import numpy as np

    return {
        "image_a": picture(dataset, item.image_a),
        "image_b": picture(dataset, item.image_b),
        "xy_a": item.xy_a.float().numpy().copy(),
        "xy_b": found.float().numpy(),
        "error": (found - item.xy_b.double()).norm(dim=1).float().numpy(),
        "threshold": np.array(radius_px, dtype=np.float32),
    }


def _task(name: str, data_set: str | None) -> Task:
    return Task(
        name=name,
        title="Semantic keypoints",
        question="Which point of this animal is which point of that one?",
        level="mid",
        content="keypoint-pairs",
        data_set=data_set,
        layers=(-1,),
        maps=True,
        pooled="none",
        metrics=METRICS,
        protocols=protocol_pair(
            paper_images=ImageRules(),
            paper_stats="imagenet",
            paper_scoring=MatchScoring(lookup="bicubic"),
            corrected_scoring=MatchScoring(lookup="bicubic"),
        ),
        learner=None,
        scorer=scorer,
    )


TASKS = (_task("keypoints", None), _task("spair-keypoints", "spair"))
