"""Decisions about scoring: `paper` and `corrected` give different numbers on a constructed item."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from decision_cases import (
    DEPTH,
    NORMALS,
    OBJECT_PAIRS,
    OBJECTS,
    RANGE,
    SCENE_PAIRS,
    SEG,
    TASKS,
    Side,
    both,
    decides,
    grid_plan,
    judged,
    matched,
    object_item,
    row,
    target,
)
from torch import Tensor

from midvision.core.features import Grid
from midvision.core.items import Target, TripletItem
from midvision.probes.losses import gradient_term
from midvision.probes.problem import DenseProblem
from midvision.tasks import depth, triplets
from midvision.tasks.task import Setting


@decides("scoring.void")
def test_void_pixels() -> None:
    case = (row(1, 1, 0, 0), target(row(1, 0, 0, 0), [1, 0, 1, 1]))
    paper, corrected = (judged(SEG, protocol, [case])["iou"] for protocol in both(SEG, "scoring.void"))
    assert corrected == 1.0
    void_only = (row(0, 1, 0, 0), case[1])
    paper_void, corrected_void = (judged(SEG, p, [void_only])["iou"] for p in both(SEG, "scoring.void"))
    assert (paper, paper_void, corrected_void) == (1.0, 0.5, 0.0)


@decides("scoring.pool")
def test_pooling_of_masks() -> None:
    big = (row(1, 1, 1, 0, 0, 0, 0, 0), target(row(1, 1, 1, 1, 1, 1, 0, 0)))
    small = (row(1, 0, 0, 0, 0, 0, 0, 0), target(row(1, 0, 0, 0, 0, 0, 0, 0)))
    paper, corrected = (judged(SEG, protocol, [big, small]) for protocol in both(SEG, "scoring.pool"))
    assert corrected["iou"] == pytest.approx((0.5 + 1) / 2)
    assert paper["iou"] == pytest.approx(4 / 7)
    assert corrected["iou_pooled"] == paper["iou_pooled"] == pytest.approx(4 / 7)


def test_batches_weigh_the_same_in_paper_masks() -> None:
    right = (row(1, 0), target(row(1, 0)))
    half = (row(1, 1), target(row(1, 0)))
    found = judged(SEG, both(SEG, "scoring.pool")[0], [right] * 16 + [half] * 4)
    assert found["iou"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["iou_pooled"] == pytest.approx(20 / 24)


@decides("scoring.f_beta2")
def test_beta_of_the_f_measure() -> None:
    case = (row(1, 0, 0, 0), target(row(1, 1, 1, 1)))
    mixed = (row(1, 0, 0, 0), target(row(1, 1, 1, 0)))
    paper, corrected = (judged(SEG, protocol, [case, mixed])["f_beta"] for protocol in both(SEG, "scoring.f_beta2"))
    expected = [np.mean([(1 + b) * r / (b + r) for r in (1 / 4, 1 / 3)]) for b in (0.09, 0.3)]
    assert (paper, corrected) == pytest.approx(tuple(expected))
    assert paper - corrected > 0.05


@decides("scoring.epsilon")
def test_an_image_without_foreground() -> None:
    cases = [(row(0, 0), target(row(0, 0))), (row(1, 0), target(row(1, 0)))]
    paper, corrected = (judged(SEG, protocol, cases)["iou"] for protocol in both(SEG, "scoring.epsilon"))
    assert corrected == 1.0
    assert paper == pytest.approx(0.5, abs=1e-5)


@decides("scoring.aligned_clip")
def test_clipping_after_alignment() -> None:
    truth, prediction = row(0.1, 5, 5, 5), row(0, 1, 1, 3)
    slope, offset = np.polyfit(prediction.flatten(), truth.flatten(), 1)
    moved = slope * prediction.flatten().numpy() + offset
    assert moved.max() > 5.5
    limits = {"depth_range": [0.001, 5.5]}
    found = [judged(DEPTH, p, [(prediction, target(truth))], limits) for p in both(DEPTH, "scoring.aligned_clip")]
    error = [np.sqrt(np.mean((m - truth.flatten().numpy()) ** 2)) for m in (moved, moved.clip(0.001, 5.5))]
    assert [row["rmse_aligned"] for row in found] == pytest.approx(error, rel=1e-5)
    assert found[0]["rmse_aligned"] - found[1]["rmse_aligned"] > 0.05
    assert found[0]["rmse"] == found[1]["rmse"]


@decides("scoring.empty_image")
def test_an_image_without_valid_pixels() -> None:
    cases = [(row(1, 2), target(row(1, 2))), (row(1, 2), target(row(1, 2), [0, 0]))]
    paper, corrected = (judged(DEPTH, p, cases, RANGE)["delta1"] for p in both(DEPTH, "scoring.empty_image"))
    assert (paper, corrected) == (0.5, 1.0)
    up = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1).expand(3, 1, 2)
    empty = [(up, Target(up, torch.ones(1, 1, 2).bool())), (up, Target(up * 0, torch.zeros(1, 1, 2).bool()))]
    paper, corrected = (judged(NORMALS, p, empty)["recall_11deg"] for p in both(NORMALS, "scoring.empty_image"))
    assert (paper, corrected) == (0.5, 1.0)


@decides("scoring.target")
def test_relative_depth_of_objects() -> None:
    case = (row(0.50, 0.55, 0.60), target(row(0.50, 0.55, 0.60)))
    found = [judged(OBJECTS, p, [case], {"depth_range": [0.4, 0.7]}) for p in both(OBJECTS, "scoring.target")]
    assert found[1]["delta1"] == 1.0 and found[1]["rmse"] == 0.0
    assert found[0]["delta1"] == pytest.approx(1 / 3)
    assert found[0]["rmse"] == pytest.approx(math.sqrt((0.49**2 + 0.045**2 + 0.4**2) / 3), rel=1e-4)


@decides("scoring.range_m")
def test_range_of_object_depth() -> None:
    limits, scores = [], []
    for protocol in both(OBJECTS, "scoring.range_m"):
        scoring = depth.DepthScoring.model_validate(protocol.scoring)
        trained = [object_item()]
        seen = depth.training_range_m(trained) if scoring.range_m == "train" else scoring.range_m
        limits.append(seen)
        case = (row(0.5, 0.5), target(row(0.5, 2.0)))
        scores.append(judged(OBJECTS, protocol, [case], {"depth_range": list(seen)})["delta1"])
    assert limits[0] == (0.001, 1.0)
    assert limits[1] == pytest.approx((0.475, 2.1))
    assert scores == [1.0, 0.5]


@decides("scoring.gradient_axes")
def test_axes_of_the_gradient_term(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[DenseProblem] = []
    monkeypatch.setattr(
        "midvision.probes.dense.dense_learner", lambda problem, *rest: problems.append(problem) or _Idle()
    )
    for protocol in both(DEPTH, "scoring.gradient_axes"):
        depth.learner(Setting(protocol, grid_plan((16, 16)), None, 0, "cpu"), _one_item_dataset())
    steps = torch.tensor([0.0, 1.0, 5.0, 2.0]).reshape(4, 1, 1, 1).expand(4, 1, 12, 12)
    everywhere = torch.ones(4, 1, 12, 12, dtype=torch.bool)
    paper, corrected = (float(gradient_term(steps, everywhere, problem.gradient_axes)) for problem in problems)
    assert corrected == 0.0
    assert paper > 1.0


class _Idle:
    epochs = 1


def _one_item_dataset() -> Any:
    from decision_cases import dataset_of

    return dataset_of(DEPTH, [object_item()], ["i"], (16, 2))


@decides("scoring.pixels")
def test_which_normals_are_scored() -> None:
    up = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1)
    truth = torch.cat([up, up, up * 0], dim=2)
    prediction = torch.cat([up, -up, up], dim=2)
    case = (prediction, Target(truth, torch.tensor([[[True, False, True]]])))
    paper, corrected = (judged(NORMALS, p, [case])["recall_11deg"] for p in both(NORMALS, "scoring.pixels"))
    assert (paper, corrected) == (0.5, 1.0)


@decides("scoring.tie")
def test_ties_between_two_images() -> None:
    item = TripletItem("t", "g", "r", "a", "b", right_share=1.0)
    found = [
        triplets.columns_of(item, (0.5, 0.5), triplets.ChoiceScoring.model_validate(p.scoring))["accuracy"]
        for p in both(TASKS["synth-triplets"], "scoring.tie")
    ]
    assert found == [1.0, 0.5]


# Matching. Frames of 16 x 16 pixels: 4 x 4 blocks; the block's corner is pixel 0, its centre pixel 2.

EYE4 = torch.eye(4, dtype=torch.float64)


def camera(focal: float = 16.0, cx: float = 8.0, cy: float = 8.0) -> Tensor:
    return torch.tensor([[focal, 0, cx], [0, focal, cy], [0, 0, 1]], dtype=torch.float64)


def distinct(cells: int = 4) -> Tensor:
    """A feature map whose cells are all different directions."""
    return torch.eye(cells * cells).reshape(cells * cells, cells, cells)


@decides("scoring.block_sample")
def test_which_pixel_stands_for_a_block() -> None:
    flat = torch.ones(1, 16, 16)
    stepped = flat.clone()
    stepped[:, ::4, ::4] = 1.5
    sides = (Side("a", flat, camera(), distinct(), EYE4), Side("b", stepped, camera(), distinct(), EYE4))
    found = [matched(OBJECT_PAIRS, p, [sides])["recall_2cm"] for p in both(OBJECT_PAIRS, "scoring.block_sample")]
    assert found == [0.0, 1.0]
    far = flat.clone()
    far[:, ::4, ::4] = 0.0
    gone = (Side("a", flat, camera(), distinct(), EYE4), Side("b", far, camera(), distinct(), EYE4))
    corrected = both(SCENE_PAIRS, "scoring.block_sample")[1]
    assert matched(SCENE_PAIRS, corrected, [gone])["recall_5px"] == 1.0


def one_pixel(row_: int, column: int) -> Tensor:
    depth_m = torch.zeros(1, 16, 16)
    depth_m[0, row_, column] = 1.0
    return depth_m


@decides("scoring.ray_at")
def test_where_a_depth_is_unprojected() -> None:
    # Camera b magnifies 12 times around pixel centre 2.5, which is where both sampled pixels lie.
    zoom = 12.0
    shift = 2.5 - zoom * 2.5
    K_b = torch.tensor([[zoom, 0, shift], [0, zoom, shift], [0, 0, 1]], dtype=torch.float64) @ camera()
    sides = (Side("a", one_pixel(2, 2), camera(), distinct(), EYE4), Side("b", one_pixel(2, 2), K_b, distinct(), EYE4))
    found = [matched(SCENE_PAIRS, p, [sides])["recall_5px"] for p in both(SCENE_PAIRS, "scoring.ray_at")]
    assert found == [0.0, 1.0]


@decides("scoring.features_at")
def test_where_features_are_read() -> None:
    # One cell per pixel: pixel 2 of a block carries its own code, pixel 1 in b that of a block 8 pixels on.
    a, b = torch.zeros(16, 16, 16), torch.zeros(16, 16, 16)
    codes = torch.eye(16).reshape(16, 4, 4)
    elsewhere = codes.roll(-2, dims=2)
    for y in (1, 2):
        for x in (1, 2):
            a[:, y::4, x::4] = codes
            b[:, y::4, x::4] = codes if (y, x) == (2, 2) else 3 * elsewhere
    flat = torch.ones(1, 16, 16)
    sides = (Side("a", flat, camera(), a, EYE4), Side("b", flat, camera(), b, EYE4))
    for task, name in ((SCENE_PAIRS, "recall_5px"), (OBJECT_PAIRS, "recall_2cm")):
        changed, corrected = both(task, "scoring.features_at")
        bilinear = [p.model_copy(update={"scoring": {**p.scoring, "lookup": "bilinear"}}) for p in (changed, corrected)]
        assert [matched(task, p, [sides])[name] for p in bilinear] == [0.0, 1.0]


@decides("scoring.pixel_unit")
def test_unit_of_pixel_thresholds() -> None:
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = 8.0
    flat = torch.ones(1, 16, 16)
    sides = (Side("a", flat, camera(), distinct(), EYE4), Side("b", flat, camera(), distinct(), EYE4))
    paper, corrected = (matched(SCENE_PAIRS, p, [sides], planar=shift) for p in both(SCENE_PAIRS, "scoring.pixel_unit"))
    assert (paper["recall_5px"], corrected["recall_5px"]) == (1.0, 0.0)
    assert corrected["recall_5px_quarter"] == paper["recall_5px_quarter"] == 1.0
    assert corrected["recall_10px"] == 1.0


@decides("scoring.self_pairs")
def test_a_pair_of_an_image_with_itself() -> None:
    flat = torch.ones(1, 16, 16)
    own = Side("a", flat, camera(), distinct(), EYE4)
    moved = EYE4.clone()
    moved[0, 3] = 5.0
    far = Side("b", flat, camera(), distinct(), moved)
    for task, name in ((OBJECT_PAIRS, "recall_2cm"), (SCENE_PAIRS, "recall_10px")):
        found = [matched(task, p, [(own, own), (own, far)])[name] for p in both(task, "scoring.self_pairs")]
        assert found == [0.5, 0.0]


# Features


@decides("features.cell_centres")
def test_where_the_cells_of_a_strided_network_lie() -> None:
    # Cells of stride 8 centred half a pixel from the corner; view b is the mirror image of view a, so
    # believing in equal cells moves every match by twice the 3.5 px between the two centres.
    def turn(x: Tensor) -> Tensor:
        angle = (x / 32 * math.pi).expand(4, 4)
        return torch.stack([angle.cos(), angle.sin()])

    grid = Grid((4, 4), (8.0, 8.0), (0.5, 0.5), (32.0, 32.0))
    centres = torch.arange(4.0) * 8 + 0.5
    middle = torch.zeros(1, 32, 32)
    middle[:, 14, 10:26] = 1.0
    mirror = torch.tensor([[-1.0, 0, 32], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    sides = (
        Side("a", middle, camera(), turn(centres), EYE4),
        Side("b", middle, camera(), turn(32 - centres), EYE4),
    )
    found = [
        matched(SCENE_PAIRS, protocol, [sides], grid=grid, planar=mirror)["recall_5px"]
        for protocol in both(SCENE_PAIRS, "features.cell_centres")
    ]
    assert found == [0.25, 1.0]
