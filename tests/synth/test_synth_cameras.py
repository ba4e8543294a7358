"""Cameras: what look_at promises, and the rules that sampled views obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from midvision.core.seeds import numpy_generator
from midvision.synth.camera_checks import view_fault
from midvision.synth.cameras import look_at, sample_camera
from midvision.synth.render import Renderer, warm_up
from midvision.synth.world import SCENE_TYPES, Axes, sample_world

UP = np.array([0.0, 0.0, 1.0])


def test_look_at_puts_the_target_in_the_middle_and_up_is_up() -> None:
    eye, target = np.array([1.0, -2.0, 1.5]), np.array([0.2, 0.1, 0.4])
    camera = look_at(eye, target, UP, 60.0, (100, 140))
    assert np.allclose(camera.centre, eye, atol=1e-5)
    seen = camera.camera_from_world @ [*target, 1.0]
    pixel = camera.K @ seen[:3]
    assert np.allclose(pixel[:2] / pixel[2], [70, 50], atol=1e-3)
    assert seen[2] == pytest.approx(np.linalg.norm(target - eye), abs=1e-5)
    above = camera.camera_from_world @ [*(target + 0.1 * UP), 1.0]
    assert above[1] < seen[1]
    assert 2 * np.degrees(np.arctan(70 / camera.K[0, 0])) == pytest.approx(60.0)
    rolled = look_at(eye, target, UP, 60.0, (100, 140), roll_deg=90.0)
    turned = rolled.camera_from_world @ [*(target + 0.1 * UP), 1.0]
    assert abs(turned[0]) > 10 * abs(turned[1])


def test_rotations_are_proper_up_to_the_grid() -> None:
    camera = look_at(np.array([1.0, 0.3, 1.1]), np.zeros(3), UP, 50.0, (64, 64), 11.0)
    rotation = camera.camera_from_world[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=5e-6)
    assert np.linalg.det(rotation) > 0
    assert np.array_equal(camera.camera_from_world * 2**20, np.rint(camera.camera_from_world * 2**20))


def test_pixel_directions_have_depth_one() -> None:
    camera = look_at(np.array([1.0, 0.3, 1.1]), np.zeros(3), UP, 50.0, (48, 64))
    ways = camera.directions(np.array([[0.5, 0.5], [24.0, 32.0], [47.5, 63.5]])) @ camera.camera_from_world[:3, :3].T
    assert np.allclose(ways[:, 2], 1, atol=1e-6)
    assert np.allclose(ways @ camera.K.T, [[0.5, 0.5, 1], [32, 24, 1], [63.5, 47.5, 1]], atol=1e-4)


@pytest.mark.parametrize("kind", ["scene", "object", "salient"])
def test_nearly_all_sampled_views_obey_their_rules(kind: str) -> None:
    axes, faults = Axes.named("base"), []
    for index in range(12):
        rng = numpy_generator("cameras", kind, index)
        world = sample_world(axes, rng, kind, scene_type=SCENE_TYPES[index % 4])
        renderer = Renderer(world)
        camera = sample_camera(world, axes, rng, (112, 112), renderer=renderer)
        faults.append(view_fault(camera, renderer.scene, world, kind))
        half = np.array(world.room.size_m) / [2, 2, 1]
        assert (np.abs(camera.centre) < half).all()
        frame = renderer.render(camera, rng, passes="geometry")
        assert (frame.ids > 0).mean() > 0.98
        assert frame.depth_m[frame.ids > 0].min() > 0.1 and frame.depth_m.max() < 8
    assert np.mean(np.array(faults) > 0) <= 0.1


def test_the_viewpoint_axis_opens_the_circle() -> None:
    spreads = []
    for level in range(4):
        axes = replace(Axes.named("base"), viewpoint=level)
        world = sample_world(axes, numpy_generator("ring"), "scene", scene_type="floor")
        renderer = Renderer(world)
        rng = numpy_generator("ring cameras")
        out = [sample_camera(world, axes, rng, (64, 64), renderer=renderer).camera_from_world[2, :2] for _ in range(16)]
        spreads.append(float(np.linalg.norm(np.mean([v / np.linalg.norm(v) for v in out], axis=0))))
    # Length of the mean direction: 1 when all look the same way, near 0 all round.
    assert spreads[0] > 0.97 > spreads[1] > spreads[2]
    assert max(spreads[2:]) < 0.55


def test_a_given_direction_is_kept_and_seeds_repeat() -> None:
    axes = Axes.named("base")
    world = sample_world(axes, numpy_generator("fixed"), "object", scene_type="floor")
    first, again = (
        sample_camera(world, axes, numpy_generator("fixed camera"), (64, 64), azimuth_deg=30.0, elevation_deg=40.0)
        for _ in range(2)
    )
    assert np.array_equal(first.camera_from_world, again.camera_from_world)
    a, e = np.radians([30.0, 40.0])
    towards = -np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    assert np.allclose(first.camera_from_world[2, :3], towards, atol=1e-5)


def test_warming_up_draws_something_quickly_the_second_time() -> None:
    warm_up()
    warm_up()
