"""Worlds obey their rules: nothing inside another, everything carried, axes move one thing each."""

from __future__ import annotations

from dataclasses import replace

import manifold3d
import numpy as np
import pytest

from midvision.core.errors import UsageError
from midvision.core.seeds import numpy_generator
from midvision.synth.bank import get_mesh
from midvision.synth.shapes import HELD_OUT_FAMILIES, PRIMITIVES, SEEN_FAMILIES
from midvision.synth.surfaces import TEXTURES
from midvision.synth.world import SCENE_TYPES, Axes, ObjectInstance, World, sample_world

BASE = Axes.named("base")


def world(index: int, axes: Axes = BASE, kind: str = "scene", **options) -> World:
    return sample_world(axes, numpy_generator("test world", index), kind, **options)


def corners(thing: ObjectInstance) -> np.ndarray:
    """World vertices of an object."""
    pose = thing.world_from_object
    return get_mesh(thing.mesh_key).vertices * thing.radius_m @ pose[:3, :3].T + pose[:3, 3]


def hull(thing: ObjectInstance) -> manifold3d.Manifold:
    return manifold3d.Manifold.hull_points(corners(thing))


def test_equal_seeds_give_equal_worlds_and_others_other_worlds() -> None:
    first, second, other = world(1), world(1), world(2)
    assert str(first) == str(second) != str(other)
    for a, b in zip(first.objects, second.objects, strict=True):
        assert np.array_equal(a.world_from_object, b.world_from_object)


@pytest.mark.parametrize("level", ["base", "hard"])
def test_hulls_of_objects_do_not_meet_and_stay_in_the_room(level: str) -> None:
    for index in range(6):
        scene = world(index, Axes.named(level), scene_type=SCENE_TYPES[index % 4])
        hulls = [hull(thing) for thing in scene.objects]
        for i, a in enumerate(hulls):
            for b in hulls[:i]:
                smaller = min(a.volume(), b.volume())
                assert (a ^ b).volume() < 1e-3 * smaller
        half = np.array(scene.room.size_m) / 2
        for thing in scene.objects:
            points = corners(thing)
            assert (np.abs(points[:, :2]) < half[:2]).all()
            assert points[:, 2].min() > -1e-4 and points[:, 2].max() < scene.room.size_m[2]


def test_objects_stand_on_a_support_or_on_another_object() -> None:
    for index in range(8):
        scene = world(index, Axes.named("hard"), scene_type=SCENE_TYPES[index % 4])
        levels = [support.centre[2] for support in scene.supports]
        tops = [corners(thing)[:, 2].max() for thing in scene.objects]
        for thing in scene.objects:
            low = corners(thing)[:, 2].min()
            assert min(abs(low - level) for level in levels + tops) < 1e-4


def test_solids_of_the_room_do_not_cut_objects() -> None:
    for index in range(8):
        scene = world(index, scene_type=SCENE_TYPES[index % 4])
        boxes = []
        for solid in scene.room.solids:
            box = manifold3d.Manifold.cube(solid.size_m, True)
            boxes.append((solid.name, box.transform(solid.world_from_solid[:3])))
        for thing in scene.objects:
            body = hull(thing)
            for name, box in boxes:
                assert (body ^ box).volume() < 1e-3 * body.volume(), (index, name, thing.family)


def test_kinds_and_clutter_give_the_counts_they_promise() -> None:
    for level, (low, high) in enumerate([(1, 1), (3, 5), (6, 12), (12, 25)]):
        counts = [len(world(i, replace(BASE, clutter=level), scene_type="floor").objects) for i in range(6)]
        assert max(counts) <= high and np.median(counts) >= low
    assert {len(world(i, kind="object").objects) for i in range(5)} == {1}
    assert all(1 <= len(world(i, kind="salient").objects) <= 4 for i in range(8))
    assert len(world(3, n_objects=range(2, 3), scene_type="floor").objects) == 2
    scene = world(5)
    assert [thing.id for thing in scene.objects] == list(range(16, 16 + len(scene.objects)))
    assert all(1 <= solid.id <= 15 for solid in scene.room.solids)


def test_small_suites_show_enough_families_textures_and_scene_types() -> None:
    scenes = [world(index) for index in range(20)]
    things = [thing for scene in scenes for thing in scene.objects]
    assert len({thing.family for thing in things}) >= 7
    assert len({thing.material.texture for thing in things}) >= 8
    assert {world(index, n_objects=range(1, 2)).scene_type for index in range(40)} == set(SCENE_TYPES)
    assert len(SEEN_FAMILIES) >= 7 and len(TEXTURES) >= 12


def test_shape_levels_choose_families() -> None:
    seen = {thing.family for i in range(6) for thing in world(i, replace(BASE, shape=0)).objects}
    held = {thing.family for i in range(6) for thing in world(i, replace(BASE, shape=3)).objects}
    assert seen <= set(PRIMITIVES) and held <= set(HELD_OUT_FAMILIES)
    only = {thing.family for thing in world(1, families=("torus",)).objects}
    assert only == {"torus"}


def test_texture_and_colour_axes_change_looks_only() -> None:
    plain, full = world(7, replace(BASE, texture=0)), world(7, replace(BASE, texture=3))
    assert {thing.material.texture for thing in plain.objects} == {"plain"}
    assert any(solid.material.bump > 0 for solid in full.room.solids)
    fixed = world(7, replace(BASE, colour=0))
    assert len({thing.material.colours for thing in fixed.objects}) == 1
    for other in (full, fixed):
        for a, b in zip(world(7).objects, other.objects, strict=True):
            assert a.mesh_key == b.mesh_key and a.radius_m == b.radius_m
            assert np.array_equal(a.world_from_object, b.world_from_object)


def test_lighting_sensor_and_clutter_axes_leave_the_rest_alone() -> None:
    usual = world(9, scene_type="floor")
    lit = world(9, replace(BASE, lighting=0), scene_type="floor")
    assert lit.lights == () and usual.lights
    assert str(lit.objects) == str(usual.objects) and str(lit.room) == str(usual.room)
    clean = world(9, replace(BASE, sensor=0), scene_type="floor")
    assert clean.sensor.noise == 0 and clean.sensor.jpeg == 0
    assert str(clean.objects) == str(usual.objects) and clean.lights == usual.lights
    few = world(9, replace(BASE, clutter=1), scene_type="floor")
    assert few.objects and str(few.supports) == str(usual.supports)


def test_a_given_subject_keeps_shape_material_size_and_asked_rotation() -> None:
    subject = world(3, kind="object").objects[0]
    angle = 0.7
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    for index in range(4, 10):
        other = world(index, kind="object", subject=subject, subject_rotation=turn)
        (thing,) = other.objects
        assert (thing.mesh_key, thing.material, thing.radius_m) == (
            subject.mesh_key,
            subject.material,
            subject.radius_m,
        )
        assert np.allclose(thing.world_from_object[:3, :3], turn, atol=2**-20)
        assert other.subject_id == thing.id == 16


def test_lamps_hang_inside_the_room() -> None:
    for index in range(20):
        scene = world(index)
        half = np.array(scene.room.size_m) / [2, 2, 1]
        for lamp in scene.lights:
            place = np.abs(lamp.position) + lamp.radius_m
            assert (place < half).all()


def test_axes_know_their_names_and_levels() -> None:
    assert Axes.named("hard") == Axes(*[3] * 7)
    with pytest.raises(UsageError, match="no difficulty"):
        Axes.named("bass")
    with pytest.raises(UsageError, match="texture"):
        Axes(texture=4)
