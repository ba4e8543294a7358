"""The plan of triplet families: balance of sides, factors and ratios, and answers that follow from amounts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from midvision.synth import variations
from midvision.synth.cameras import look_at
from midvision.synth.suite import generator
from midvision.synth.variations import CONTENT, FACTORS, NUISANCES, RATIOS, STEPS, Shot, edit, edit_raw, plan_family
from midvision.synth.world import Axes, sample_world


@pytest.mark.parametrize("families", [10, 60])
def test_balance(families: int) -> None:
    triplets = [triplet for index in range(families) for triplet in plan_family(index)[1]]
    for kind in ("dominance", "subset", "nuisance"):
        side = [t.right_share for t in triplets if t.kind == kind]
        assert abs(sum(side) / len(side) - 0.5) <= 0.05, kind
        counts = Counter(t.factor for t in triplets if t.kind == kind)
        assert set(counts) == set(FACTORS) and max(counts.values()) <= 2 * min(counts.values()), kind
    assert {t.nuisance for t in triplets} == set(NUISANCES)
    assert {t.k for t in triplets if t.kind == "dominance"} == set(RATIOS)
    assert all(t.nuisance != t.factor for t in triplets)


def test_answers_follow_from_the_amounts() -> None:
    """Amounts are coordinates on lines: the answer's difference from the reference is the smaller one."""
    names = (*CONTENT, *NUISANCES)
    for index in range(60):
        variants, triplets = plan_family(index)
        place = {v.view: np.array([dict(v.amounts).get(name, 0.0) for name in names]) for v in variants}
        assert not place[0].any() and len(place) == 8
        for triplet in triplets:
            right, left = (place[view] - place[triplet.reference] for view in (triplet.right, triplet.left))
            answer, other = (right, left) if triplet.right_share == 1 else (left, right)
            factor, nuisance = names.index(triplet.factor), names.index(triplet.nuisance)
            assert triplet.right_share in (0.0, 1.0)
            if triplet.kind == "nuisance":
                assert answer[factor] == 0 == other[nuisance] and answer[nuisance] != 0 != other[factor]
                continue
            same = np.arange(len(names)) != factor
            assert np.array_equal(np.abs(answer[same]), np.abs(other[same])), "all else changes equally far"
            assert answer[nuisance] == -other[nuisance] != 0 and abs(answer[factor]) < abs(other[factor])
            assert answer[factor] * other[factor] >= 0
            if triplet.kind == "dominance":
                assert other[factor] == pytest.approx(triplet.k * answer[factor])
            else:
                assert answer[factor] == 0


def a_shot() -> Shot:
    world = sample_world(Axes(), generator("test", "triplet"), "salient", n_objects=range(3, 4), scene_type="table")
    camera = look_at(
        np.array(world.focus) + [0.3, -1.2, 0.6], np.array(world.focus), np.array([0, 0, 1.0]), 50, (32, 32)
    )
    return Shot(world, camera)


def test_every_edit_has_a_calibrated_step_and_touches_only_its_factor() -> None:
    assert set(STEPS) == {*CONTENT, *NUISANCES} and all(step > 0 for step in STEPS.values())
    shot = a_shot()
    for factor in STEPS:
        moved = edit(shot, factor, 2.0, "test")
        changed = {
            "shape": [a.mesh_key != b.mesh_key for a, b in zip(shot.world.objects, moved.world.objects, strict=True)],
            "rotation": [_rotation(a, b) for a, b in zip(shot.world.objects, moved.world.objects, strict=True)],
            "place": [_place(a, b) for a, b in zip(shot.world.objects, moved.world.objects, strict=True)],
            "material": [
                a.material != b.material for a, b in zip(shot.world.objects, moved.world.objects, strict=True)
            ],
            "lights": [shot.world.lights != moved.world.lights],
            "camera": [not np.array_equal(shot.camera.camera_from_world, moved.camera.camera_from_world)],
            "room": [shot.world.room != moved.world.room],
        }
        expected = {
            "shape": "shape",
            "pose": "rotation",
            "layout": "place",
            "material": "material",
            "colour": "material",
            "lighting": "lights",
            "viewpoint": "camera",
            "background": "room",
        }[factor]
        assert {name for name, flags in changed.items() if any(flags)} == {expected}, factor
        assert all(changed[expected]), factor


def _rotation(a: object, b: object) -> bool:
    return not np.allclose(a.world_from_object[:3, :3], b.world_from_object[:3, :3], atol=1e-5)  # type: ignore[attr-defined]


def _place(a: object, b: object) -> bool:
    return not np.allclose(a.world_from_object[:2, 3], b.world_from_object[:2, 3], atol=1e-5)  # type: ignore[attr-defined]


def test_edits_lie_on_one_line_and_zero_is_nothing() -> None:
    shot = a_shot()
    assert edit_raw(shot, "layout", 0.0, "test") is shot

    def places(amount: float) -> np.ndarray:
        return np.array([t.world_from_object[:2, 3] for t in edit_raw(shot, "layout", amount, "test").world.objects])

    start, near, far = places(0.0), places(0.02), places(0.06)
    assert np.allclose(far - start, 3 * (near - start), atol=1e-5)
    assert np.allclose(np.linalg.norm(near - start, axis=1), 0.02, atol=1e-5)
    stepped = np.array([t.world_from_object[:2, 3] for t in edit(shot, "layout", 2.0, "test").world.objects])
    assert np.allclose(np.linalg.norm(stepped - start, axis=1), 2 * STEPS["layout"], atol=1e-5)


def test_objects_stay_on_their_support() -> None:
    shot = a_shot()
    for factor in ("shape", "pose", "layout"):
        for before, after in zip(shot.world.objects, edit(shot, factor, 3.0, "x").world.objects, strict=True):
            assert variations.lowest_m(after) == pytest.approx(variations.lowest_m(before), abs=2e-5)


def test_the_camera_keeps_its_distance_from_the_focus() -> None:
    shot = a_shot()
    focus = np.array(shot.world.focus)
    for amount in (0.02, 0.3):
        moved = edit_raw(shot, "viewpoint", amount, "y").camera
        assert np.linalg.norm(moved.centre - focus) == pytest.approx(np.linalg.norm(shot.camera.centre - focus))
        seen = [c.camera_from_world[:3, :3] @ focus + c.camera_from_world[:3, 3] for c in (shot.camera, moved)]
        assert np.allclose(seen[0], seen[1]), "the focus stays where it was in the picture"
