"""Objects at rest on supports, never inside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import ConvexHull

from midvision.core.seeds import numpy_generator
from midvision.synth.bank import Mesh, bank_keys, code_of, family_of, get_mesh
from midvision.synth.shapes import families_at
from midvision.synth.world_colours import sample_material
from midvision.synth.world_parts import FIRST_OBJECT_ID, Axes, ObjectInstance, Support, WorldKind, child, rounded_pose
from midvision.synth.world_rooms import Setting

_COUNTS = (range(1, 2), range(3, 6), range(6, 13), range(12, 26))
_RADII_M = (0.09, 0.2)
_GAP_M = 0.004
_TRIES = 24


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """An object in place, with what the next one must keep clear of: its outline `[P, 2]` and heights."""

    thing: ObjectInstance
    outline: np.ndarray
    bottom_m: float
    top_m: float


def furnish(
    setting: Setting,
    axes: Axes,
    rng: np.random.Generator,
    kind: WorldKind,
    families: tuple[str, ...] | None,
    n_objects: range | None,
    subject: ObjectInstance | None,
    subject_rotation: np.ndarray | None,
) -> tuple[ObjectInstance, ...]:
    """Objects of a world, ids from 16 in the order they were put down; fewer where no room is left."""
    names = families or families_at(axes.shape)
    counts = n_objects or (
        range(1, 2) if kind == "object" else range(1, 5) if kind == "salient" else _COUNTS[axes.clutter]
    )
    wanted = int(rng.integers(counts.start, counts.stop))
    standing: list[Standing] = []
    order = [str(name) for name in child(rng, "families").permutation(names)]
    base = int(rng.integers(2**62))
    for number in range(wanted):
        stream = numpy_generator("object", base, number)
        thing = subject if subject is not None and number == 0 else None
        thing = thing or _sample_object(setting, axes, child(stream, "what"), order[number % len(order)], wanted)
        thing = replace(thing, id=FIRST_OBJECT_ID + number)
        rotation = subject_rotation if number == 0 else None
        placed = _put_down(
            setting, axes, child(stream, "where"), thing, standing, rotation, keep_size=number == 0 and kind == "object"
        )
        if placed is not None:
            standing.append(placed)
    return tuple(replace(item.thing, id=FIRST_OBJECT_ID + i) for i, item in enumerate(standing))


def _sample_object(setting: Setting, axes: Axes, rng: np.random.Generator, family: str, wanted: int) -> ObjectInstance:
    """A shape of the bank with a size and a material, not yet placed."""
    keys = bank_keys(family)
    key = keys[int(rng.integers(len(keys)))]
    low, high = _RADII_M
    if setting.scene_type == "shelf":
        high = 0.14
    if wanted > 12:
        low, high = 0.07, 0.15
    radius = float(np.rint(rng.uniform(low, high) * 2**18) / 2**18)
    material = sample_material(axes, rng, "object", setting.palette, 2 * radius)
    if axes.texture == 0 and get_mesh(key).symmetric:
        # Without texture a symmetric solid looks the same from many sides; take one that does not.
        others = [other for other in keys if not get_mesh(other).symmetric]
        key = others[int(rng.integers(len(others)))] if others else key
    return ObjectInstance(0, family, key, code_of(key), np.eye(4), radius, material)


def _put_down(
    setting: Setting,
    axes: Axes,
    rng: np.random.Generator,
    thing: ObjectInstance,
    standing: Sequence[Standing],
    rotation: np.ndarray | None,
    keep_size: bool,
) -> Standing | None:
    """The object where nothing else is: random rest and place, tried again and, if need be, smaller."""
    mesh = get_mesh(thing.mesh_key)
    for attempt in range(_TRIES):
        turned = rest_rotation(mesh, rng) if rotation is None else rotation
        stacked = bool(rng.random() < 0.25) and axes.clutter == 3
        support = setting.supports[int(rng.integers(len(setting.supports)))]
        points = mesh.hull @ turned.T * thing.radius_m
        outline = _outline(points)
        base = _base_for(standing, rng) if stacked else None
        u, v = rng.uniform(-1, 1, 2).tolist()
        room_above = 0.4 if support.name == "shelf" else 1.0
        if base is not None:
            centre, level = _middle(base.outline), base.top_m
        else:
            reach = np.abs(outline).max(0)
            span = np.maximum(np.array(support.half_m) - reach.max(), 0.0)
            centre = _on_support(support, u * span[0], v * span[1])
            level = support.centre[2]
        outline = outline + centre
        height = float(np.ptp(points[:, 2]))
        beside = (item for item in standing if item.bottom_m < level + height - 1e-6 and level < item.top_m - 1e-6)
        clear = all(_apart(outline, item.outline) for item in beside)
        inside = base is not None or _inside(support, outline) or (keep_size and attempt > 8)
        carried = base is None or _carries(base, outline)
        if clear and inside and carried and height < room_above:
            pose = rounded_pose(standing_pose(mesh, turned, thing.radius_m, (*centre.tolist(), level)))
            return Standing(replace(thing, world_from_object=pose), outline, level, level + height)
        if attempt % 5 == 4 and not keep_size:
            thing = replace(thing, radius_m=float(np.rint(thing.radius_m * 0.85 * 2**18) / 2**18))
    return None


def rest_rotation(mesh: Mesh, rng: np.random.Generator) -> np.ndarray:
    """World from object `[3, 3]`: one of the stable poses, any yaw."""
    chosen = int(rng.choice(len(mesh.rest_weights), p=mesh.rest_weights))
    yaw = rng.uniform(-np.pi, np.pi)
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ mesh.rest_rotations[chosen])


def standing_pose(mesh: Mesh, rotation: np.ndarray, radius_m: float, foot: tuple[float, float, float]) -> np.ndarray:
    """Pose `[4, 4]` of an object turned by `rotation` whose lowest point has the height of `foot`.

    The object's own origin stands above `foot`.
    """
    pose = np.eye(4)
    pose[:3, :3] = rotation
    lowest = (mesh.hull @ rotation.T)[:, 2].min() * radius_m
    pose[:3, 3] = foot[0], foot[1], foot[2] - lowest
    return pose


def _on_support(support: Support, u: float, v: float) -> np.ndarray:
    c, s = np.cos(support.yaw), np.sin(support.yaw)
    return np.array([support.centre[0] + c * u - s * v, support.centre[1] + s * u + c * v])


def _inside(support: Support, outline: np.ndarray) -> bool:
    c, s = np.cos(support.yaw), np.sin(support.yaw)
    local = (outline - support.centre[:2]) @ np.array([[c, -s], [s, c]])
    return bool((np.abs(local) <= np.array(support.half_m) + 1e-9).all())


def _outline(points: np.ndarray) -> np.ndarray:
    """Convex outline `[P, 2]` seen from above, counter-clockwise."""
    flat = points[:, :2]
    return np.asarray(flat[ConvexHull(flat).vertices])


def _middle(outline: np.ndarray) -> np.ndarray:
    return np.asarray(outline.mean(0))


def _apart(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two convex outlines leave a gap: some edge of one has the other wholly outside."""
    for first, second in ((a, b), (b, a)):
        along = np.roll(first, -1, 0) - first
        normal = np.stack([along[:, 1], -along[:, 0]], -1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        gaps = (second @ normal.T).min(0) - (first * normal).sum(1)
        if gaps.max() > _GAP_M:
            return True
    return False


def _base_for(standing: Sequence[Standing], rng: np.random.Generator) -> Standing | None:
    """An object with a level top that carries nothing yet."""
    flat = [item for item in standing if _top_outline(item) is not None and not _carrying(item, standing)]
    return flat[int(rng.integers(len(flat)))] if flat else None


def _carrying(item: Standing, standing: Sequence[Standing]) -> bool:
    return any(other.bottom_m == item.top_m for other in standing)


def _top_outline(item: Standing) -> np.ndarray | None:
    """The level face on top of an object, if it has one worth standing on."""
    mesh = get_mesh(item.thing.mesh_key)
    pose = item.thing.world_from_object
    points = mesh.hull * item.thing.radius_m @ pose[:3, :3].T + pose[:3, 3]
    top = points[points[:, 2] > points[:, 2].max() - 1e-4]
    if len(top) < 3 or np.ptp(top[:, 0]) < 0.06 or np.ptp(top[:, 1]) < 0.06:
        return None
    return _outline(top)


def _carries(base: Standing, outline: np.ndarray) -> bool:
    """Whether the middle of what stands on top lies well inside the top face, and not far beyond it."""
    top = _top_outline(base)
    if top is None:
        return False
    span = np.ptp(top, axis=0).min()
    return bool(
        np.abs(_middle(outline) - _middle(top)).max() < 0.2 * span and np.ptp(outline, axis=0).max() < 1.8 * span
    )


def family_name(thing: ObjectInstance) -> str:
    return family_of(thing.mesh_key)
