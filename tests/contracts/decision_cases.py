"""Small ways to ask what one decision does: a task's scorer on hand-made maps, pairs and vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from midvision.core.features import FeaturePlan, Features, Grid, PlannedLayer
from midvision.core.items import Dataset, DenseItem, Homography, Image, Item, PairItem, Surface, Target, View
from midvision.core.specs import Protocol
from midvision.metrics.reduce import value
from midvision.tasks.dense import DenseReadout
from midvision.tasks.task import Setting, Task, all_tasks

TASKS = all_tasks()


def both(task: Task, field: str) -> tuple[Protocol, Protocol]:
    """`corrected` with just this field as in `paper`, and `corrected`."""
    corrected, paper = task.protocols["corrected"], task.protocols["paper"]
    part, _, name = field.rpartition(".")
    if not part:
        return corrected.model_copy(update={name: getattr(paper, name)}), corrected
    if part == "scoring":
        changed: Any = {**corrected.scoring, name: paper.scoring[name]}
    else:
        changed = getattr(corrected, part).model_copy(update={name: getattr(getattr(paper, part), name)})
    return corrected.model_copy(update={part: changed}), corrected


@dataclass(frozen=True)
class Fitted:
    """What a scorer asks of a fitted learner."""

    readout: DenseReadout


def dataset_of(task: Task, items: Sequence[Item], images: Sequence[str], size: tuple[int, int]) -> Dataset:
    table = {name: Image(name, partial(torch.zeros, 3, *size), partial(str, name)) for name in dict.fromkeys(images)}
    return Dataset("hand-made", "1", task.content, "test", table, items, "hand-made", size)


def row(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, -1)


def target(values: Tensor, valid: Sequence[int] | None = None) -> Target:
    width = values.shape[-1]
    return Target(values, torch.tensor(valid if valid is not None else [1] * width).bool().reshape(1, 1, width))


def grid_plan(size: tuple[int, int], cells: tuple[int, int] | None = None, grid: Grid | None = None) -> FeaturePlan:
    extent = (float(size[0]), float(size[1]))
    grid = grid or Grid.uniform(cells or size, extent)
    zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return FeaturePlan((PlannedLayer(0, 1, grid),), True, "none", 0, size, (0, 0, 0, 0), zeros, ones, False, "float32")


def judged(
    task: Task, protocol: Protocol, cases: Sequence[tuple[Tensor, Target]], facts: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Metrics of predictions `[K, 1, W]` against targets, through the task's own scorer."""
    names = [f"i{index}" for index in range(len(cases))]
    items = [DenseItem(name, name, name, partial(_give, truth)) for name, (_, truth) in zip(names, cases)]
    size = (int(cases[0][0].shape[-2]), int(cases[0][0].shape[-1]))
    dataset = dataset_of(task, items, names, size)
    constant = torch.ones(cases[0][0].shape[0])
    readout = DenseReadout(lambda features, _: features.maps[0], constant, facts or {})
    scorer = task.scorer(Setting(protocol, grid_plan(size), None, 0, "cpu"), dataset, Fitted(readout))
    scorer.feed(0, names, Features((torch.stack([prediction for prediction, _ in cases]),), None))
    scorer.end_epoch(0)
    columns = scorer.scores().columns
    return {metric.name: value(metric, columns) for metric in task.metrics}


def _give(truth: Target) -> Target:
    return truth


@dataclass(frozen=True)
class Side:
    """One view of a hand-made pair: `depth_m [1, H, W]` (0 = not valid), `K`, feature map `[C, h, w]`."""

    image: str
    depth_m: Tensor
    K: Tensor
    features: Tensor
    pose: Tensor


def matched(
    task: Task,
    protocol: Protocol,
    pairs: Sequence[tuple[Side, Side]],
    grid: Grid | None = None,
    planar: Tensor | None = None,
) -> dict[str, float]:
    """Metrics of hand-made pairs through the task's own scorer."""
    items, table = [], {}
    for index, sides in enumerate(pairs):
        views = [
            View(side.image, partial(Surface, side.depth_m, side.depth_m > 0, side.K), side.pose) for side in sides
        ]
        table |= {side.image: side.features for side in sides}
        items.append(PairItem(f"p{index}", f"p{index}", *views, planar=None if planar is None else Homography(planar)))
    size = (int(pairs[0][0].depth_m.shape[-2]), int(pairs[0][0].depth_m.shape[-1]))
    plan = grid_plan(size, cells=tuple(pairs[0][0].features.shape[-2:]), grid=grid)  # type: ignore[arg-type]
    scorer = task.scorer(Setting(protocol, plan, None, 0, "cpu"), dataset_of(task, items, list(table), size), None)
    for name, features in table.items():
        scorer.feed(0, [name], Features((features[None],), None))
    scorer.end_epoch(0)
    columns = scorer.scores().columns
    return {metric.name: value(metric, columns) for metric in task.metrics}


PROVED: dict[str, Callable[..., None]] = {}
SEG, DEPTH, OBJECTS = TASKS["synth-seg"], TASKS["synth-depth"], TASKS["synth-object-depth"]
NORMALS, OBJECT_PAIRS, SCENE_PAIRS = TASKS["synth-normals"], TASKS["synth-object-pairs"], TASKS["synth-scene-pairs"]
RANGE = {"depth_range": [0.001, 10.0]}


def decides(*fields: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(test: Callable[..., None]) -> Callable[..., None]:
        PROVED.update(dict.fromkeys(fields, test))
        return test

    return register


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, entry in settings.items():
        if isinstance(entry, dict):
            yield from flat(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def object_item() -> DenseItem:
    truth = target(row(0.5, 2.0).expand(1, 16, 2).contiguous())
    truth = Target(truth.values, torch.ones(1, 16, 2, dtype=torch.bool))
    return DenseItem("i", "g", "i", lambda: truth)
