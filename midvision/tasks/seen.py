"""Truth as a task's probe sees it under a protocol, for people who look before they measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from midvision.core.items import Dataset, Target
from midvision.core.specs import Protocol

if TYPE_CHECKING:
    from midvision.tasks.dense import Prepare

METRES, RELATIVE = "m", "of the object's range"


def seen_by_probe(dataset: Dataset, protocol: Protocol) -> tuple[Dataset, str]:
    """The data set with its per-pixel truth after the protocol's rules, and the unit of its depth.

    Void that counts as foreground is foreground, depth beyond the protocol's range is not valid, relative depth is
    rescaled. Pairs, triplets and labels are as they are.
    """
    from midvision.tasks.dense import dense_items

    rules = {"segmentation": _masks, "depth": _depth, "object-depth": _depth, "normals": _normals}
    if dataset.content not in rules:
        return dataset, METRES
    prepare, unit = rules[dataset.content](protocol)
    return replace(dataset, items=dense_items(dataset, prepare)), unit


def _masks(protocol: Protocol) -> tuple[Prepare, str]:
    from midvision.tasks.segmentation import MaskScoring, prepare

    scoring = MaskScoring.model_validate(protocol.scoring)
    return lambda target: prepare(target, scoring), METRES


def _depth(protocol: Protocol) -> tuple[Prepare, str]:
    from midvision.tasks.depth import DepthScoring, prepare

    scoring = DepthScoring.model_validate(protocol.scoring)
    far = None if scoring.range_m == "train" else scoring.range_m[1]
    return lambda target: prepare(target, scoring, far), RELATIVE if scoring.target == "relative" else METRES


def _normals(protocol: Protocol) -> tuple[Prepare, str]:
    from midvision.tasks.normals import NormalScoring, scored_pixels

    scoring = NormalScoring.model_validate(protocol.scoring)
    prepare: Callable[[Target], Target] = lambda target: Target(  # noqa: E731
        target.values, scored_pixels(target, scoring), target.edge
    )
    return prepare, METRES
