"""Frames with a camera: depth, intrinsics and pose of one photograph, and what items make of them.

A reader builds `Shot`s with everything converted to our conventions (pixel centres at half
integers, `camera_from_world`); nothing here knows how files were written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import UsageError
from midvision.core.items import DenseItem, Surface, Target, View
from midvision.core.specs import ImageRules
from midvision.data.photos import Framed, Photo
from midvision.data.truth import MaskRules, read_mask, read_normals
from midvision.geometry.camera import unproject
from midvision.geometry.pose import apply, invert
from midvision.geometry.surface import normals_by_differences, normals_from_depth

NORMAL_RADIUS = 2
MISSING_M = 1e6


@dataclass(frozen=True, slots=True)
class Region:
    """Which pixels are the object: those in the masks, in the box (x0 y0 z0 x1 y1 z1, world metres), in the range."""

    masks: tuple[Path, ...] = ()
    mask_rules: MaskRules = MaskRules()
    box_m: tuple[float, ...] | None = None
    depth_m: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph (or tile) with geometry. `K` belongs to the whole photograph.

    `read_depth()` gives metres `[H, W]` of the whole photograph, 0 where unknown; `files` are what
    it and the region read.
    """

    photo: Photo
    read_depth: Callable[[], np.ndarray]
    files: tuple[Path, ...]
    K: Tensor | None
    camera_from_world: Tensor | None
    region: Region | None = None
    normals: Path | None = None
    normals_axes: str = "right-down-forward"
    normals_radius: int = NORMAL_RADIUS

    @property
    def camera(self) -> Tensor:
        """`K`, or an error that asks for it."""
        if self.K is None:
            raise UsageError(
                f"No intrinsics are known for {self.photo.path}.",
                "Pairs, regions and normals out of depth need them.",
                "Declare intrinsics=FILE or intrinsics='fx fy cx cy'.",
            )
        return self.K

    @property
    def pose(self) -> Tensor:
        """`camera_from_world`, or an error that asks for it."""
        if self.camera_from_world is None:
            raise UsageError(
                f"No pose is known for {self.photo.path}.", "Pairs need one per frame.", "Declare pose='*.pose.txt'."
            )
        return self.camera_from_world

    def notes(self) -> str:
        """Text of the camera, for fingerprints."""
        return repr([self.photo.id, *(None if T is None else T.tolist() for T in (self.K, self.camera_from_world))])


def depth_of(shot: Shot) -> np.ndarray:
    """Metres `[H, W]` of the whole photograph, 0 where unknown or outside the shot's region."""
    depth = shot.read_depth()
    return depth if shot.region is None else np.where(_inside(shot, shot.region, depth), depth, np.float32(0))


def object_mask(shot: Shot) -> np.ndarray:
    return depth_of(shot) > 0


def _inside(shot: Shot, region: Region, depth: np.ndarray) -> np.ndarray:
    inside = depth > 0
    if region.masks:
        foreground, void = read_mask(list(region.masks), region.mask_rules)
        inside &= foreground & ~void
    if region.depth_m is not None:
        inside &= (depth >= region.depth_m[0]) & (depth <= region.depth_m[1])
    if region.box_m is not None:
        points = unproject(shot.camera, torch.from_numpy(depth)[None]).flatten(1).T
        world = apply(invert(shot.pose), points).numpy().reshape(*depth.shape, 3)
        low, high = np.array(region.box_m[:3]), np.array(region.box_m[3:])
        inside &= ((world >= low) & (world <= high)).all(-1)
    return inside


def frame_of(shot: Shot, size: tuple[int, int], rules: ImageRules) -> Framed:
    """The shot's frame; an object crop is the square around its region."""
    mask = partial(object_mask, shot) if shot.region is not None else None
    return Framed(shot.photo, size, rules, mask)


def surface_of(shot: Shot, frame: Framed) -> Surface:
    framing = frame.framing()
    depth = framing.target(depth_of(shot))
    return Surface(depth, depth > 0, framing.K(shot.camera))


def view_of(shot: Shot, frame: Framed) -> View:
    return View(frame.image_id, partial(surface_of, shot, frame), shot.pose)


def depth_item(shot: Shot, frame: Framed) -> DenseItem:
    return DenseItem(shot.photo.id, shot.photo.group, frame.image_id, partial(_depth_target, shot, frame))


def normal_item(shot: Shot, frame: Framed) -> DenseItem:
    """Normals from the shot's own file, or out of its depth at the true principal point."""
    if shot.normals is None and shot.K is None:
        _ = shot.camera
    return DenseItem(shot.photo.id, shot.photo.group, frame.image_id, partial(_normal_target, shot, frame))


def _depth_target(shot: Shot, frame: Framed) -> Target:
    depth = frame.framing().target(depth_of(shot))
    return Target(depth, depth > 0)


def _normal_target(shot: Shot, frame: Framed) -> Target:
    if shot.normals is not None:
        normals, known = read_normals(shot.normals, shot.normals_axes)
        return Target(frame.framing().target(normals), frame.framing().target(known))
    surface = surface_of(shot, frame)
    return Target(*derived_normals(surface, frame.rules, shot.normals_radius))


def derived_normals(surface: Surface, rules: ImageRules, radius: int) -> tuple[Tensor, Tensor]:
    """Normals `[3, H, W]` out of depth, and where they are known, by the protocol's way."""
    K = surface.K.clone()
    if rules.normals_centre == "crop_corner":
        K[:2, 2] = 0
    if rules.normals_beside_missing == "far":
        return normals_by_differences(surface.depth_m, K, surface.valid, MISSING_M)
    return normals_from_depth(surface.depth_m, K, surface.valid, radius)


def need_region(shot: Shot) -> Shot:
    if shot.region is None:
        raise UsageError(
            "Which pixels are the object is not declared.",
            "Object tasks need a region.",
            "Declare region='masks/*.png', region_box='x0 y0 z0 x1 y1 z1' (world metres) or region_depth='near far'.",
        )
    return shot


def without_region(shot: Shot) -> Shot:
    return replace(shot, region=None)


def has_object(shot: Shot, pixels: int) -> bool:
    """Whether the object covers at least `pixels` of the photograph."""
    return int(object_mask(shot).sum()) >= pixels
