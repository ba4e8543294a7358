"""A rendered view with what it was taken of: its geometry for pair rules, its entry in a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from midvision.synth import pairs
from midvision.synth.cameras import Camera
from midvision.synth.render import Frame
from midvision.synth.store import FrameInfo, ObjectInfo, PairInfo, SceneInfo, array_digest, encode_frame, encode_rgb
from midvision.synth.suite import PartName, SplitName, group_name
from midvision.synth.world import FIRST_OBJECT_ID, World

Made = tuple[SceneInfo, list[dict[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Taken:
    """A rendered view with what it was taken of."""

    world: World
    camera: Camera
    frame: Frame


def sight_of(shot: Taken, only_object: int | None) -> pairs.Sight:
    """Geometry of a view in the world's frame, or of one object in its own."""
    frame, pose = shot.frame, shot.camera.camera_from_world
    depth = frame.depth_m
    if only_object is not None:
        depth = np.where(frame.ids == only_object, depth, 0)
        pose = pose @ next(thing.world_from_object for thing in shot.world.objects if thing.id == only_object)
    return pairs.Sight(depth, frame.normals, frame.ids >= FIRST_OBJECT_ID, shot.camera.K, pose)


def direction_deg(camera: Camera, world: World) -> tuple[float, float]:
    """Azimuth and elevation of the camera, seen from the world's focus."""
    x, y, z = (camera.centre - np.array(world.focus)).tolist()
    return float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def shrunk(camera: Camera, height: int) -> Camera:
    """The same view with fewer pixels."""
    width = round(camera.size[1] * height / camera.size[0])
    scale = np.diag([width / camera.size[1], height / camera.size[0], 1.0])
    return replace(camera, K=scale @ camera.K, size=(height, width))


def foreground_of(frame: Frame) -> float:
    """Share of pixels on objects."""
    return float((frame.ids >= FIRST_OBJECT_ID).mean())


def couples(count: int) -> list[tuple[int, int]]:
    """All pairs a < b of `count` views."""
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def pair_bins(found: Sequence[PairInfo | None], count: int) -> np.ndarray:
    """Symmetric table `[N, N]` of the bins of fair pairs, -1 elsewhere; `found` follows `couples`."""
    bins = np.full((count, count), -1)
    for (a, b), pair in zip(couples(count), found, strict=True):
        if pair:
            bins[a, b] = bins[b, a] = pair.bin
    return bins


def bundle(
    part: PartName,
    split: SplitName,
    index: int,
    taken: Sequence[Taken],
    focus: Sequence[int],
    found: Sequence[PairInfo],
    only_rgb: bool = False,
) -> Made:
    """Manifest entry and encoded pictures of a group's views."""
    name = group_name(part, index)
    frames, planes = [], []
    for view, (shot, centre) in enumerate(zip(taken, focus, strict=True)):
        frame = shot.frame
        frames.append(_frame_info(f"{name}-{view:02d}", view, shot, centre))
        planes.append(
            {"rgb": encode_rgb(frame.rgb)}
            if only_rgb
            else encode_frame(frame.rgb, frame.depth_m, frame.normals, frame.ids, frame.edge)
        )
    scene = SceneInfo(part, split, index, name, taken[0].world.scene_type, frames, list(found))
    return scene, planes


def _frame_info(key: str, view: int, shot: Taken, focus: int) -> FrameInfo:
    frame = shot.frame
    objects = [
        ObjectInfo(
            id=thing.id,
            family=thing.family,
            texture=thing.material.texture,
            radius_m=thing.radius_m,
            world_from_object=thing.world_from_object.tolist(),
            pixels=int((frame.ids == thing.id).sum()),
            bounds=_bounds(frame.ids == thing.id),
        )
        for thing in shot.world.objects
    ]
    return FrameInfo(
        key=key,
        view=view,
        K=shot.camera.K.tolist(),
        camera_from_world=shot.camera.camera_from_world.tolist(),
        objects=objects,
        foreground=foreground_of(frame),
        valid=float((frame.depth_m > 0).mean()),
        focus=focus,
        rgb_digest=array_digest(frame.rgb),
        truth_digest=array_digest(frame.depth_m, frame.normals, frame.ids, frame.edge),
    )


def _bounds(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])] if rows.size else [-1] * 4
