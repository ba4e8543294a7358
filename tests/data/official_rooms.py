"""An analytic furnished room for miniatures of RGB-D sets: exact depth, normals and colours, traced per pixel."""

from __future__ import annotations

import numpy as np

ROOM_M = np.array([2.6, 1.5, 3.2])
BOXES_M = ((-1.4, 0.6, 1.2, -0.5, 1.5, 2.1), (0.5, 0.2, 0.9, 1.5, 1.5, 1.6), (-0.6, 0.9, 2.2, 0.5, 1.5, 2.9))
K_640 = np.array([[518.0, 0, 325.5], [0, 519.0, 253.5], [0, 0, 1]])


def pose_of(number: int) -> np.ndarray:
    """`world_from_camera [4, 4]`: near the middle, turned about the vertical and tilted down."""
    turn, tilt = np.radians(-24 + 9.0 * number), np.radians(12 + 2.0 * (number % 3))
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    pose = np.eye(4)
    pose[:3, :3] = about_y @ about_x
    pose[:3, 3] = (0.15 * np.sin(number), -0.3 + 0.05 * (number % 2), -1.6 + 0.1 * np.cos(number))
    return pose


def trace(pose: np.ndarray, K: np.ndarray = K_640, size: tuple[int, int] = (480, 640)) -> dict[str, np.ndarray]:
    """`rgb` uint8 [H, W, 3], `depth_m` and `normals` (camera frame, towards it) float32, `world` points."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    rays = np.stack((x, y, np.ones_like(x)), -1) @ np.linalg.inv(K).T @ pose[:3, :3].T
    origin = pose[:3, 3]
    depth, normals = _slabs(origin, rays, -ROOM_M, ROOM_M, inside=True)
    for box in BOXES_M:
        near, facing = _slabs(origin, rays, np.array(box[:3]), np.array(box[3:]), inside=False)
        closer = near < depth
        depth, normals = np.where(closer, near, depth), np.where(closer[..., None], facing, normals)
    world = origin + rays * depth[..., None]
    return {
        "rgb": _colours(world, normals),
        "depth_m": depth.astype(np.float32),
        "normals": (normals @ pose[:3, :3]).astype(np.float32),
        "world": world,
    }


def _slabs(
    origin: np.ndarray, rays: np.ndarray, low: np.ndarray, high: np.ndarray, inside: bool
) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore"):
        a, b = (low - origin) / rays, (high - origin) / rays
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    first, last = enter.max(-1), leave.min(-1)
    along = (leave if inside else -enter).argmin(-1)
    normals = -np.take_along_axis(np.sign(rays), along[..., None], -1) * np.eye(3)[along]
    if inside:
        return last, normals
    return np.where((first < last) & (first > 0), first, np.inf), normals


def _colours(world: np.ndarray, normals: np.ndarray) -> np.ndarray:
    light = 0.55 + 0.35 * np.abs(normals @ np.array([0.2, 0.9, 0.4]))
    waves = 0.5 + 0.5 * np.sin(world * np.array([7.0, 11.0, 5.0])) * np.cos(world[..., ::-1] * 3.1)
    return np.clip((40 + 190 * waves) * light[..., None], 0, 255).astype(np.uint8)
