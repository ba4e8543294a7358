"""Head paths stay within their numbers; flow is exact on constructed worlds and agrees with depth in real clips."""

from __future__ import annotations

import numpy as np
import pytest

from midvision.synth import walk
from midvision.synth.suite import generator
from midvision.synth.world import Axes, sample_world


def test_minimum_jerk_has_its_peak_speed_and_ends_at_rest() -> None:
    s = np.linspace(0, 1, 10001)
    place = walk.minimum_jerk(s)
    speed = np.gradient(place, s)
    assert place[0] == 0 and place[-1] == 1 and speed.max() == pytest.approx(1.875, abs=1e-3)
    assert abs(speed[0]) < 1e-3 and abs(speed[-1]) < 1e-3
    assert np.array_equal(walk.minimum_jerk(np.array([-1.0, 2.0])), [0, 1])


def test_flow_of_a_sideways_step_before_a_wall() -> None:
    """Focal length 100 px, wall at 2 m, camera 0.1 m to the right: every point moves 5 px left."""
    K = np.array([[100.0, 0, 16], [0, 100.0, 16], [0, 0, 1]])
    step = np.eye(4)
    step[0, 3] = -0.1
    depth = np.full((32, 32), 2.0)
    depth[0, 0] = 0
    flow = walk.flow_to_next(depth, K, np.eye(4), step)
    assert np.isnan(flow[0, 0]).all()
    assert np.allclose(flow[1:], [-5, 0])


def test_flow_of_an_object_that_moves_by_itself() -> None:
    K = np.array([[100.0, 0, 16], [0, 100.0, 16], [0, 0, 1]])
    depth, mask, moved = np.full((32, 32), 2.0), np.zeros((32, 32), bool), np.eye(4)
    mask[10:20, 10:20] = True
    moved[1, 3] = 0.2
    flow = walk.flow_to_next(depth, K, np.eye(4), np.eye(4), moved=[(mask, moved)])
    assert np.allclose(flow[mask], [0, 10]) and np.allclose(flow[~mask], 0)


def test_paths_turn_and_move_like_a_head() -> None:
    world = sample_world(Axes(), generator("test", "walk"), "scene")
    speeds, turns = [], []
    for seed in range(20):
        path = walk.head_path(world, generator("test", "path", seed), 60, 15.0)
        assert len(path.eye_m) == 60 and np.isfinite(path.eye_m).all()
        speeds.append(np.linalg.norm(np.diff(path.eye_m, axis=0), axis=1).mean() * 15)
        forward = path.forward()
        cosine = np.clip((forward[1:] * forward[:-1]).sum(1), -1, 1)
        turns.append(np.degrees(np.arccos(cosine)).max() * 15)
    assert 0.05 < np.mean(speeds) < 0.5
    # Turns peak at 200 degrees per second; drift past near objects and wobble come on top.
    assert max(turns) < 420 and np.median(turns) > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["static", "hand"])
def test_a_clip_agrees_with_its_flow(seed: str) -> None:
    """Depth seen at the flow's end equals the point's depth there, wherever it is not hidden."""
    made = first_clip(held=seed == "hand")
    assert len(made.frames) == len(made.cameras) == len(made.worlds) == 6
    for index in range(5):
        a, b = made.frames[index], made.frames[index + 1]
        flow = walk.clip_flow(made, index)
        height, width = a.depth_m.shape
        y, x = np.mgrid[:height, :width] + 0.5
        column, row = np.floor(x + flow[..., 0]), np.floor(y + flow[..., 1])
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        assert inside.mean() > 0.3
        same = b.ids[row[inside].astype(int), column[inside].astype(int)] == a.ids[inside]
        assert same.mean() > 0.9, "a pixel's surface is found where its flow leads"
        assert min(float(frame.depth_m[frame.depth_m > 0].min()) for frame in (a, b)) >= walk.LEAST_DISTANCE_M


def first_clip(held: bool) -> walk.Clip:
    for seed in range(40):
        made = walk.clip(Axes(sensor=1), (48, 48), 6, "test", "clip", seed)
        if bool(made.held) == held:
            return made
    raise AssertionError("no clip of this kind in 40")
