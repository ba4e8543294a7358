"""Small data sets in which colour, depth and normals tell where on the photograph they are.

A coded photograph is `[H, W]` with red = column and green = row (both below 256), so a frame's
colour gives back the coordinate that it shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from midvision.core.items import Dataset
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data

SIZE = (160, 200)
K_FILE = np.array([[180.0, 0, 98.5], [0, 170.0, 77.0], [0, 0, 1]])
Array = np.ndarray


def coded(size: tuple[int, int] = SIZE, blue: int = 0) -> Array:
    height, width = size
    picture = np.full((height, width, 3), blue, np.uint8)
    picture[..., 0] = np.arange(width)
    picture[..., 1] = np.arange(height)[:, None]
    return picture


def coded_depth(size: tuple[int, int] = SIZE) -> Array:
    """Millimetres: 1000 + 10 column + row / 1 ... so that both coordinates can be read back."""
    height, width = size
    return (1000 + np.arange(width) * 200 + np.arange(height)[:, None]).astype(np.uint16)


def save(path: Path, array: Array, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def save_palette(path: Path, indices: Array) -> Path:
    """Palette PNG whose colours are nothing like its indices, as VOC's."""
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putdata(indices.astype(np.uint8).ravel().tolist())
    image.putpalette([(index * 37 + 90) % 256 for index in range(768)])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def save_numbers(path: Path, numbers: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, numbers)
    return path


def rotation_y(angle_deg: float) -> Array:
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def world_from_camera(x: float, angle_deg: float = 0.0) -> Array:
    T = np.eye(4)
    T[:3, :3] = rotation_y(angle_deg)
    T[0, 3] = x
    return T


def wall_depth_m(K: Array, pose: Array, size: tuple[int, int], centre: float, wall_z: float = 2.0) -> Array:
    """Depth of the wall world z = 2 seen by a camera: exact, by intersecting each pixel's ray."""
    height, width = size
    x, y = np.meshgrid(np.arange(width) + centre, np.arange(height) + centre)
    rays = np.linalg.inv(K) @ np.stack((x, y, np.ones_like(x))).reshape(3, -1)
    depth = (wall_z - pose[2, 3]) / (pose[:3, :3] @ rays)[2]
    return depth.reshape(height, width)


def build_rgbd(
    root: Path,
    shots: dict[str, tuple[float, float]],
    *,
    centre: float = 0.0,
    direction: str = "world_from_camera",
    scale: float = 1000.0,
    size: tuple[int, int] = SIZE,
    names: tuple[str, str, str] = ("{}.color.png", "{}.depth.png", "{}.pose.txt"),
) -> Path:
    """Cameras before one wall, `shots` name -> (x in metres, turn in degrees), written in a convention."""
    K = K_FILE.copy()
    K[:2, 2] += centre
    save_numbers(root / "intrinsics.txt", K)
    for name, (x, angle) in shots.items():
        pose = world_from_camera(x, angle)
        save(root / names[0].format(name), coded(size))
        depth = wall_depth_m(K, pose, size, centre)
        save(root / names[1].format(name), np.round(np.where(depth > 0, depth, 0) * scale).astype(np.uint16))
        save_numbers(root / names[2].format(name), pose if direction == "world_from_camera" else np.linalg.inv(pose))
    return root


def open_set(
    reader: str,
    path: Path,
    content: str,
    split: str = "test",
    rules: ImageRules | None = None,
    limit: int | None = None,
    **options: Any,
) -> Dataset:
    """Through the front door of the data room, as a run does."""
    data = DataSpec(set=reader, path=str(path), options=options)
    return open_data(Request(content, split, data, rules or ImageRules(), limit))  # type: ignore[arg-type]
