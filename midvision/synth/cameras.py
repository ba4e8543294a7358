"""Pinhole cameras of the built-in worlds, and where they stand.

Camera x right, y down, z forward; pixel centres at half integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from midvision.synth.world_parts import rounded_pose

if TYPE_CHECKING:
    from midvision.synth.render import Renderer
    from midvision.synth.world_parts import Axes, World, WorldKind


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """`K [3, 3]` in pixels, `camera_from_world [4, 4]`, `size` (height, width)."""

    K: np.ndarray
    camera_from_world: np.ndarray
    size: tuple[int, int]

    @property
    def centre(self) -> np.ndarray:
        """Where it stands in the world, `[3]`."""
        return -np.linalg.solve(self.camera_from_world[:3, :3], self.camera_from_world[:3, 3])

    def directions(self, points: np.ndarray) -> np.ndarray:
        """World directions `[N, 3]` with camera z = 1 through `points [N, 2]` (row, column) in pixels."""
        homogeneous = np.stack([points[:, 1], points[:, 0], np.ones(len(points))], -1)
        world_from_pixel = np.linalg.inv(self.K @ self.camera_from_world[:3, :3])
        return np.ascontiguousarray(homogeneous @ world_from_pixel.T)


def look_at(
    eye: np.ndarray, target: np.ndarray, up: np.ndarray, fov_deg: float, size: tuple[int, int], roll_deg: float = 0.0
) -> Camera:
    """A camera at `eye` with `target` in the middle; `fov_deg` spans the longer side of the frame."""
    forward = np.asarray(target, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    roll = np.radians(roll_deg)
    x = np.cos(roll) * right + np.sin(roll) * down
    y = np.cross(forward, x)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x, y, forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    height, width = size
    focal = max(size) / 2 / np.tan(np.radians(fov_deg) / 2)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(K, rounded_pose(pose), size)


def sample_camera(
    world: World,
    axes: Axes,
    rng: np.random.Generator,
    size: tuple[int, int],
    kind: WorldKind | None = None,
    *,
    renderer: Renderer | None = None,
    look_at_point: np.ndarray | None = None,
    azimuth_deg: float | None = None,
    elevation_deg: float | None = None,
) -> Camera:
    """A camera that sees what its kind of world is about (see `camera_checks`); tries again where it does not.

    Pass the world's `renderer` to share its scene; `azimuth_deg` (world, about z) and `elevation_deg`
    fix the direction from the looked-at point to the camera, the rest stays random.
    """
    from midvision.synth.camera_checks import best_camera

    return best_camera(world, axes, rng, size, kind or world.kind, renderer, look_at_point, azimuth_deg, elevation_deg)
