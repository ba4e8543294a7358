"""Matching: identical views, known shifts, thresholds, ranking, missing points, chance, bins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from decision_cases import TASKS, Side, dataset_of, grid_plan, matched
from torch import Tensor

from midvision.core.errors import DataError, EncoderError
from midvision.core.features import Features, Grid
from midvision.core.items import KeypointPairItem, PairItem, Surface, View
from midvision.core.scores import Scores
from midvision.core.specs import Protocol
from midvision.tasks.pairs import MatchScoring, point_features, rank_matches, view_points
from midvision.tasks.task import Setting, Task

OBJECTS, SCENES = TASKS["synth-object-pairs"], TASKS["synth-scene-pairs"]
EYE4 = torch.eye(4, dtype=torch.float64)
SIZE = 32


def camera() -> Tensor:
    return torch.tensor([[32.0, 0, 16], [0, 32.0, 16], [0, 0, 1]], dtype=torch.float64)


def codes(seed: int = 0) -> Tensor:
    """An unmistakable direction for each of 8 x 8 cells."""
    return torch.randn(64, 8, 8, generator=torch.Generator().manual_seed(seed))


def side(name: str, features: Tensor | None = None, depth_m: Tensor | None = None, pose: Tensor = EYE4) -> Side:
    depth_m = torch.ones(1, SIZE, SIZE) if depth_m is None else depth_m
    return Side(name, depth_m, camera(), codes() if features is None else features, pose)


def scored(task: Task, protocol: Protocol, pairs: list[tuple[Side, Side]]) -> Scores:
    items = []
    for index, sides in enumerate(pairs):
        views = [View(s.image, lambda s=s: Surface(s.depth_m, s.depth_m > 0, s.K), s.pose) for s in sides]
        items.append(PairItem(f"p{index}", f"p{index}", *views))
    table = {s.image: s.features for sides in pairs for s in sides}
    setting = Setting(protocol, grid_plan((SIZE, SIZE), (8, 8)), None, 0, "cpu")
    scorer = task.scorer(setting, dataset_of(task, items, list(table), (SIZE, SIZE)), None)
    for name, features in table.items():
        scorer.feed(0, [name], Features((features[None],), None))
    scorer.end_epoch(0)
    return scorer.scores()


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("task", [OBJECTS, SCENES], ids=["objects", "scenes"])
def test_identical_views_match_completely(task: Task, protocol: str) -> None:
    found = matched(task, task.protocols[protocol], [(side("a"), side("b"))])
    for metric in task.metrics:
        value = found[metric.name]
        assert value == 1.0 or (math.isnan(value) and "_rot_" in metric.name), metric.name
    assert found[f"{task.metrics[0].name}_rot_0_{30 if task is OBJECTS else 15}"] == 1.0


def test_a_shift_of_features_is_an_error_of_as_many_pixels() -> None:
    rolled = codes().roll(2, dims=2)
    flat = torch.zeros(1, SIZE, SIZE)
    flat[:, :, : SIZE - 8] = 1.0
    columns = scored(SCENES, SCENES.protocols["corrected"], [(side("a", depth_m=flat), side("b", rolled))]).columns
    assert columns["recall_5px"][0] == 0.0
    assert columns["recall_10px"][0] == 1.0
    assert columns["matches"][0] == 48
    xyz = scored(OBJECTS, OBJECTS.protocols["corrected"], [(side("a", depth_m=flat), side("b", rolled))]).columns
    # 8 px at 1 m and a focal length of 32 px are 25 cm.
    assert xyz["recall_5cm"][0] == 0.0
    assert xyz["recall_25px"][0] == 1.0


def test_a_known_camera_motion_is_undone() -> None:
    moved = EYE4.clone()
    moved[0, 3] = 0.25
    b = side("b", codes().roll(2, dims=2), pose=moved)
    flat = torch.zeros(1, SIZE, SIZE)
    flat[:, :, : SIZE - 8] = 1.0
    found = matched(OBJECTS, OBJECTS.protocols["corrected"], [(side("a", depth_m=flat), b)])
    assert found["recall_1cm"] == 1.0
    assert found["recall_5px"] == 1.0


def test_errors_in_full_and_quarter_pixels_differ_by_four() -> None:
    draw = torch.Generator().manual_seed(1)
    pairs = [(side("a"), side("b", codes(0) + 3 * torch.randn(64, 8, 8, generator=draw)))]
    scene = SCENES.protocols["corrected"]
    columns = scored(SCENES, scene, pairs).columns
    assert columns["recall_5px_quarter"][0] == columns["recall_20px"][0]
    paper = scene.model_copy(update={"scoring": {**scene.scoring, "pixel_unit": "quarter"}})
    for limit in (5, 10, 20):
        assert scored(SCENES, paper, pairs).columns[f"recall_{limit}px"][0] == columns[f"recall_{limit}px_quarter"][0]


def test_best_matches_come_first_and_only_so_many_count() -> None:
    query = torch.tensor([[1.0, 0.0], [1.0, 0.9], [0.0, 1.0]])
    bank = torch.tensor([[1.0, 0.02], [0.01, 1.0]])
    rows, found = rank_matches(query, bank, 2)
    assert rows.tolist() == [2, 0]
    assert found.tolist() == [1, 0]
    protocol = SCENES.protocols["corrected"]
    few = protocol.model_copy(update={"scoring": {**protocol.scoring, "max_matches": 7}})
    assert scored(SCENES, few, [(side("a"), side("b"))]).columns["matches"][0] == 7


def test_equal_scores_keep_the_order_of_the_points() -> None:
    rows, found = rank_matches(torch.ones(5, 3), torch.ones(4, 3), 3)
    assert rows.tolist() == [0, 1, 2]
    assert found.tolist() == [0, 0, 0]


def test_a_pair_without_points_is_missing_and_the_rest_counts() -> None:
    empty = torch.zeros(1, SIZE, SIZE)
    pairs = [(side("a"), side("b")), (side("c", depth_m=empty), side("d"))]
    columns = scored(SCENES, SCENES.protocols["corrected"], pairs).columns
    assert columns["recall_10px"][0] == 1.0
    assert math.isnan(columns["recall_10px"][1]) and math.isnan(columns["chance.recall_10px"][1])
    assert columns["matches"].tolist() == [64, 0]


def test_no_pair_with_points_is_an_error() -> None:
    empty = torch.zeros(1, SIZE, SIZE)
    with pytest.raises(DataError, match="p0"):
        scored(SCENES, SCENES.protocols["corrected"], [(side("a", depth_m=empty), side("b"))])


def test_features_that_are_no_numbers_name_the_image() -> None:
    broken = codes()
    broken[3, 2, 2] = math.nan
    with pytest.raises(EncoderError, match="'b'"):
        scored(SCENES, SCENES.protocols["corrected"], [(side("a"), side("b", broken))])


def test_chance_is_the_mean_over_all_pairs_of_points() -> None:
    columns = scored(OBJECTS, OBJECTS.protocols["corrected"], [(side("a"), side("b"))]).columns
    xyz = view_points(
        View("a", lambda: Surface(torch.ones(1, SIZE, SIZE), torch.ones(1, SIZE, SIZE) > 0, camera()), EYE4),
        MatchScoring(),
        False,
    ).xyz
    assert xyz is not None
    distance = (xyz[:, None] - xyz[None]).norm(dim=2)
    assert columns["chance.recall_5cm"][0] == pytest.approx(float((distance < 0.05).double().mean()))
    assert columns["chance.recall_5cm"][0] == pytest.approx(1 / 64)


def test_points_lie_on_the_sampled_pixels() -> None:
    depth_m = torch.ones(1, 10, 13)
    view = View("a", lambda: Surface(depth_m, depth_m > 0, camera()), EYE4)
    points = view_points(view, MatchScoring(), False)
    assert len(points.xy) == 2 * 3
    assert points.xy[0].tolist() == [2.5, 2.5]
    assert points.xy[-1].tolist() == [10.5, 6.5]
    assert points.xyz is not None
    assert points.xyz[0].tolist() == pytest.approx([(2.5 - 16) / 32, (2.5 - 16) / 32, 1.0])


def test_valid_pixels_without_a_depth_are_no_points() -> None:
    depth_m = torch.ones(1, 8, 12)
    depth_m[0, 2, 2], depth_m[0, 2, 6], depth_m[0, 6, 6] = 0.0, math.nan, -1.0
    view = View("a", lambda: Surface(depth_m, torch.ones_like(depth_m) > 0, camera()), EYE4)
    assert view_points(view, MatchScoring(), False).block.tolist() == [2, 3, 5]
    assert len(view_points(view, MatchScoring(), True).block) == 6


@pytest.mark.parametrize("extent", [(32.0, 32.0), (64.0, 128.0)])
def test_the_encoder_may_see_another_size_than_the_frame(extent: tuple[float, float]) -> None:
    pairs = [(side("a"), side("b", codes().roll(2, dims=2)))]
    found = matched(SCENES, SCENES.protocols["corrected"], pairs, grid=Grid.uniform((8, 8), extent))
    assert (found["recall_5px"], found["recall_10px"]) == (0.0, 0.75)


def test_missing_bins_are_missing() -> None:
    found = matched(SCENES, SCENES.protocols["corrected"], [(side("a"), side("b"))])
    assert math.isnan(found["recall_10px_rot_60_180"])


def test_tags_become_columns() -> None:
    import constructed_worlds as worlds

    dataset, shots = worlds.pair_dataset("scene-pairs")
    setting = Setting(SCENES.protocols["corrected"], worlds.plan_for(False), None, 0, "cpu")
    scorer = SCENES.scorer(setting, dataset, None)
    for name, shot in shots.items():
        scorer.feed(0, [name], worlds.point_truth_features(shot, 0.4))
    columns = scorer.scores().columns
    assert set(columns["tag.overlap"]) == {0.5}
    assert np.isfinite(columns["angle_deg"]).all()


def test_planar_pairs_have_no_metres_and_no_angle() -> None:
    eye = torch.eye(3, dtype=torch.float64)
    found = matched(SCENES, SCENES.protocols["corrected"], [(side("a"), side("b"))], planar=eye)
    assert found["recall_5px"] == 1.0
    assert math.isnan(found["recall_10px_rot_0_15"])


def keypoints(scale_px: float, count: int = 3, shift: int = 0) -> dict[str, Any]:
    task = TASKS["keypoints"]
    xy = torch.tensor([[6.0, 6.0], [14.0, 10.0], [22.0, 26.0]])[:count]
    item = KeypointPairItem("k", "k", "a", "b", xy, xy, scale_px)
    dataset = dataset_of(task, [item], ["a", "b"], (SIZE, SIZE))
    scorer = task.scorer(
        Setting(task.protocols["corrected"], grid_plan((SIZE, SIZE), (8, 8)), None, 0, "cpu"), dataset, None
    )
    scorer.feed(0, ["a"], Features((codes()[None],), None))
    scorer.feed(0, ["b"], Features((codes().roll(shift, dims=2)[None],), None))
    return {name: float(column[0]) for name, column in scorer.scores().columns.items()}


def test_keypoints_within_a_share_of_the_scale() -> None:
    assert keypoints(40.0)["pck_05"] == 1.0
    moved = keypoints(40.0, shift=1)
    assert (moved["pck_10"], moved["pck_05"]) == (1.0, 0.0)
    assert keypoints(39.0, shift=1)["pck_10"] == 0.0
    # Of 64 candidates those within 4 px: the point itself and its four neighbours.
    assert moved["chance.pck_10"] == pytest.approx(5 / 64)


def test_keypoint_pairs_without_points_are_refused() -> None:
    with pytest.raises(DataError, match="'k'"):
        keypoints(40.0, count=0)
    with pytest.raises(DataError, match="scale"):
        keypoints(0.0)


def test_points_are_read_where_the_encoder_saw_them() -> None:
    """By hand: a frame of 16 x 64, seen at 32 x 64 on 2 x 4 cells; cell (1, 2) ends up about (40, 12)."""
    grid = Grid.uniform((2, 4), (32.0, 64.0))
    setting = Setting(SCENES.protocols["corrected"], grid_plan((32, 64), grid=grid), None, 0, "cpu")
    maps = torch.arange(8.0).reshape(1, 1, 2, 4) + 1
    at = torch.tensor([[40.0, 12.0], [8.0, 4.0]], dtype=torch.float64)
    found = point_features(Features((maps,), None), 0, at, (16, 64), setting, MatchScoring())
    assert found.flatten().tolist() == pytest.approx([7.0, 1.0])
