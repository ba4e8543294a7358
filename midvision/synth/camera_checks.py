"""Whether a camera sees what it should, by a coarse look, and the search for one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from midvision.synth.cameras import Camera, look_at
from midvision.synth.world_parts import FIRST_OBJECT_ID, Axes, ObjectInstance, World, WorldKind

if TYPE_CHECKING:
    from midvision.synth.render import Renderer
    from midvision.synth.render_scene import RayScene

COARSE = 40
_TRIES = 24
# At 224 px; scaled with the frame.
_OBJECT_PIXELS = 300 / 224**2
_NEAREST_M = 0.15


def best_camera(
    world: World,
    axes: Axes,
    rng: np.random.Generator,
    size: tuple[int, int],
    kind: WorldKind,
    renderer: Renderer | None,
    look_at_point: np.ndarray | None,
    azimuth_deg: float | None,
    elevation_deg: float | None,
) -> Camera:
    """The first camera without fault, or the one with the fewest."""
    from midvision.synth.render import Renderer

    scene = (renderer or Renderer(world)).scene
    best: tuple[float, Camera] | None = None
    for _ in range(_TRIES):
        camera = _random_camera(world, axes, rng, size, kind, look_at_point, azimuth_deg, elevation_deg)
        fault = view_fault(camera, scene, world, kind)
        if best is None or fault < best[0]:
            best = fault, camera
        if fault <= 0:
            break
    assert best is not None
    return best[1]


def _random_camera(
    world: World,
    axes: Axes,
    rng: np.random.Generator,
    size: tuple[int, int],
    kind: WorldKind,
    look_at_point: np.ndarray | None,
    azimuth_deg: float | None,
    elevation_deg: float | None,
) -> Camera:
    """One draw; all random numbers are drawn whatever is given, so streams stay aligned."""
    draw = rng.random(9)
    level = axes.viewpoint
    front = -90.0
    half_turn = (10.0, 90.0, 180.0, 180.0)[level]
    if world.scene_type == "shelf":
        half_turn = min(half_turn, 65.0)
    azimuth = front + half_turn * (2 * draw[0] - 1) if azimuth_deg is None else azimuth_deg
    low, high = ((22.0, 28.0), (14.0, 42.0), (9.0, 56.0), (4.0, 72.0))[level]
    if world.scene_type == "shelf":
        low, high = -8.0, 30.0
    elevation = low + (high - low) * draw[1] if elevation_deg is None else elevation_deg
    fov = 45 + 20 * draw[2]
    roll = (0.0, 2.0, 9.0, 25.0)[level] * (2 * draw[3] - 1)
    a, e = np.radians(azimuth), np.radians(elevation)
    way = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    target, distance = _target_and_distance(world, level, kind, look_at_point, float(fov), draw)
    if kind == "object":
        # Anywhere in the frame: sliding sideways changes the place, not the side that is seen.
        free = 1.2 * (distance * np.tan(np.radians(fov / 2)) - _subject(world).radius_m)
        right = np.array([-np.sin(a), np.cos(a), 0.0])
        slide = max(0.0, free) * (0.15, 0.5, 1.0, 1.0)[level] * (2 * draw[5:7] - 1)
        target = target + slide[0] * right + slide[1] * np.cross(way, right)
    x, y, height = world.room.size_m
    limit = np.array([x / 2 - 0.12, y / 2 - 0.12, height - 0.12])
    eye = np.clip(target + distance * way, [-limit[0], -limit[1], 0.08], limit)
    return look_at(eye, target, np.array([0.0, 0.0, 1.0]), float(fov), size, float(roll))


def _subject(world: World) -> ObjectInstance:
    return next(item for item in world.objects if item.id == (world.subject_id or FIRST_OBJECT_ID))


def _target_and_distance(
    world: World, level: int, kind: WorldKind, look_at_point: np.ndarray | None, fov_deg: float, draw: np.ndarray
) -> tuple[np.ndarray, float]:
    """Where to look and from how far: an object fills 8 to 25 % of its frame, a scene about all of it."""
    half = np.radians(fov_deg / 2)
    if kind == "object":
        thing = _subject(world)
        target = thing.world_from_object[:3, 3] if look_at_point is None else look_at_point
        return np.asarray(target, dtype=np.float64), float(thing.radius_m / np.sin(half) * (1.15 + 0.95 * draw[4]))
    target = np.array(world.focus if look_at_point is None else look_at_point, dtype=np.float64)
    spread = np.array([item.world_from_object[:3, 3] for item in world.objects]).reshape(-1, 3) - target
    reach = max(0.25, float(np.linalg.norm(spread, axis=1).max(initial=0.0)) * 0.75)
    near, far = ((1.15, 1.35), (1.15, 1.35), (0.75, 1.9), (0.55, 2.0))[level]
    distance = (near + (far - near) * draw[4]) * reach / np.tan(half)
    wobble = (0.0, 0.08, 0.3, 0.4)[level] * reach
    return target + wobble * (2 * draw[5:8] - 1) * [1.0, 1.0, 0.6], float(min(max(distance, 0.45), 2.4))


def view_fault(camera: Camera, scene: RayScene, world: World, kind: WorldKind) -> float:
    """0 where the view obeys its kind's rules, else how badly it breaks them.

    Rules: `scene` three objects (or all, if fewer) with 300 px each (of 224 x 224), nothing on them
    nearer than 15 cm, none on a third of the frame, under 60 % bare walls, over 98 % valid; `object` its
    object on 8 % to 60 % of the frame and mostly inside it; `salient` objects on 5 % to 60 %.
    """
    ids, depth = _coarse(camera, scene)
    objects = ids >= FIRST_OBJECT_ID
    fault = max(0.0, 0.98 - float((ids > 0).mean())) * 10
    if depth[ids > 0].min(initial=9.0) < _NEAREST_M:
        fault += 1.0
    share = float(objects.mean())
    counts = np.bincount(ids[objects], minlength=256) / ids.size
    if kind == "object":
        mine = counts[world.subject_id or FIRST_OBJECT_ID]
        border = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]]) == (world.subject_id or FIRST_OBJECT_ID)
        cut = max(0.0, float(border.mean()) - 0.1)
        return float(fault + max(0.0, 0.09 - mine) * 10 + max(0.0, mine - 0.6) * 3 + cut)
    if kind == "salient":
        return fault + max(0.0, 0.06 - share) * 10 + max(0.0, share - 0.58) * 3
    walls = float(((ids >= 2) & (ids <= 6)).mean())
    need = min(3, len(world.objects))
    near = max(0.0, float(counts[FIRST_OBJECT_ID:].max()) - 0.33)
    seen = int((counts[FIRST_OBJECT_ID:] >= _OBJECT_PIXELS * 1.1).sum())
    return float(fault + 0.5 * max(0, need - seen) + max(0.0, walls - 0.55) + max(0.0, 0.06 - share) * 5 + near)


def _coarse(camera: Camera, scene: RayScene) -> tuple[np.ndarray, np.ndarray]:
    """Ids and depth on a coarse grid over the frame."""
    height, width = camera.size
    y = (np.arange(COARSE) + 0.5) * height / COARSE
    x = (np.arange(COARSE) + 0.5) * width / COARSE
    points = np.stack(np.meshgrid(y, x, indexing="ij"), -1).reshape(-1, 2)
    hits = scene.hits(camera.centre, camera.directions(points))
    ids = np.zeros(COARSE**2, dtype=np.uint8)
    depth = np.zeros(COARSE**2)
    ids[hits.ray], depth[hits.ray] = scene.ids[hits.thing], hits.depth
    return ids.reshape(COARSE, COARSE), depth.reshape(COARSE, COARSE)
