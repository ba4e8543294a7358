"""Every metric of every task: direction, range, perfect, worst, masked pixels, batch against one by one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from midvision.core.items import Target
from midvision.core.scores import Metric
from midvision.tasks import depth, normals, segmentation
from midvision.tasks.task import Task, all_tasks

TASKS = all_tasks()
SIZE = (1, 56, 60)
"""Large enough for pixels at every distance from a boundary that metrics tell apart."""


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_names_are_unique_and_the_headline_is_a_share(task: Task) -> None:
    names = [metric.name for metric in task.metrics]
    assert len(set(names)) == len(names)
    assert task.metrics[0].higher_is_better
    assert (task.metrics[0].low, task.metrics[0].high) == (0.0, 1.0)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_ranges_hold_chance_and_have_a_unit(task: Task) -> None:
    for metric in task.metrics:
        assert metric.low < metric.high and metric.unit
        assert metric.chance is None or metric.low <= metric.chance <= metric.high


def mask_case() -> tuple[Tensor, Target, Tensor]:
    draw = torch.Generator().manual_seed(0)
    truth = (torch.rand(*SIZE, generator=draw) > 0.5).float()
    valid = torch.rand(*SIZE, generator=draw) > 0.2
    return truth, Target(truth, valid), 1 - truth


def boundary() -> Tensor:
    """Along the left side, so that the far side is far from it."""
    edge = torch.zeros(SIZE, dtype=torch.bool)
    edge[..., :1] = True
    return edge


def depth_case() -> tuple[Tensor, Target, Tensor]:
    draw = torch.Generator().manual_seed(1)
    truth = torch.rand(*SIZE, generator=draw) * 6 + 0.2
    valid = torch.rand(*SIZE, generator=draw) > 0.2
    return truth, Target(truth, valid, boundary()), torch.full(SIZE, 10.0)


def normals_case() -> tuple[Tensor, Target, Tensor]:
    draw = torch.Generator().manual_seed(2)
    truth = torch.nn.functional.normalize(torch.randn(3, *SIZE[1:], generator=draw), dim=0)
    valid = torch.rand(*SIZE, generator=draw) > 0.2
    return truth, Target(truth, valid, boundary()), -truth


def judge_masks(p: list[Tensor], t: list[Target]) -> list[dict[str, float]]:
    return segmentation.judge(p, t, segmentation.MaskScoring())


def judge_depth(p: list[Tensor], t: list[Target]) -> list[dict[str, float]]:
    return depth.judge(p, t, depth.DepthScoring(), (0.001, 10.0))


def judge_normals(p: list[Tensor], t: list[Target]) -> list[dict[str, float]]:
    return normals.judge(p, t, normals.NormalScoring())


DENSE = {
    "masks": (mask_case, judge_masks, segmentation.METRICS),
    "depth": (depth_case, judge_depth, depth.METRICS),
    "normals": (normals_case, judge_normals, normals.METRICS),
}


def value(metric: Metric, row: dict[str, float]) -> float:
    return row[metric.column] / (1.0 if metric.over is None else row[metric.over])


@pytest.mark.parametrize("name", DENSE)
def test_perfect_is_the_best_and_wrong_is_worse(name: str) -> None:
    case, judge, metrics = DENSE[name]
    perfect, target, worst = case()
    best, bad = judge([perfect], [target])[0], judge([worst], [target])[0]
    for metric in metrics:
        limit = metric.high if metric.higher_is_better else metric.low
        assert value(metric, best) == pytest.approx(limit, abs=1e-4), metric.name
        assert metric.low <= value(metric, bad) <= metric.high, metric.name
        if not metric.name.endswith("_aligned"):
            assert value(metric, bad) != pytest.approx(value(metric, best), abs=1e-3), metric.name


@pytest.mark.parametrize("name", DENSE)
def test_masked_pixels_do_not_matter(name: str) -> None:
    case, judge, _ = DENSE[name]
    perfect, target, worst = case()
    mixed = torch.where(target.valid, worst, perfect)
    assert judge([mixed], [target]) == judge([worst], [target])


@pytest.mark.parametrize("name", DENSE)
def test_a_batch_scores_like_one_by_one(name: str) -> None:
    case, judge, _ = DENSE[name]
    perfect, target, worst = case()
    together = judge([perfect, worst], [target, target])
    assert together == [judge([perfect], [target])[0], judge([worst], [target])[0]]


@pytest.mark.parametrize("name", DENSE)
def test_judging_changes_nothing(name: str) -> None:
    case, judge, _ = DENSE[name]
    perfect, target, _ = case()
    copies = perfect.clone(), target.values.clone(), target.valid.clone()
    judge([perfect], [target])
    assert all(torch.equal(x, y) for x, y in zip(copies, (perfect, target.values, target.valid)))


@pytest.mark.parametrize("name", DENSE)
def test_without_valid_pixels_nothing_counts(name: str) -> None:
    case, judge, metrics = DENSE[name]
    perfect, target, _ = case()
    empty = Target(target.values, torch.zeros_like(target.valid), target.edge)
    row = judge([perfect], [empty])[0]
    for metric in metrics:
        share = row[metric.column] if metric.over is None else row[metric.over]
        assert math.isnan(share) or share == 0.0, metric.name
