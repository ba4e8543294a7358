"""The files of NAVI: ids, cameras, the disparity code, and pictures made smaller without loss.

The publisher's photographs have 12 megapixels; a copy holds them and their depth with a short side of
1024, as the reference prepares them, but as PNG instead of a second JPEG.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from midvision.core.errors import DataError
from midvision.data.frames import photo_of_bytes, read_raw_image

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.data.manifest import Copy

SHORT_SIDE = 1024
DISPARITY_UNITS = 65535 * 10  # code / this = 1 / millimetres
PNG_EFFORT = 3
_SCENE = re.compile(r"^(wild_set|multiview|video)(?:[-_](.+))?$")
_CODE_MODES = ("I;16", "I", "I;16B")


@dataclass(frozen=True, slots=True)
class Scene:
    """A folder of an object: `folder` as published, `id` with underscores whatever the release writes."""

    object: str
    folder: str
    id: str
    kind: str

    @property
    def path(self) -> str:
        return f"{self.object}/{self.folder}"


@dataclass(frozen=True, slots=True)
class Shot:
    """One entry of `annotations.json`: its file, full size (short and long side) and camera."""

    file: str
    sides: tuple[int, int]
    focal_px: float
    camera_from_object: Tensor
    wxyz: tuple[float, ...]

    @property
    def stem(self) -> str:
        return self.file.rsplit(".", 1)[0]


def scene_of(object_id: str, folder: str) -> Scene | None:
    """The scene of a folder name; `multiview-00-pixel_4a` and `multiview_00_pixel_4a` are one id."""
    match = _SCENE.match(folder)
    if match is None:
        return None
    kind = {"wild_set": "wild"}.get(match[1], match[1])
    return Scene(object_id, folder, f"{object_id}/{folder.replace('-', '_')}", kind)


def read_annotations(content: bytes, what: str) -> list[Shot]:
    """The entries by file name; poses from millimetres to metres. Errors name the field."""
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what} is not readable JSON ({error}).", "", "Fetch the archive again.") from error
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{what} holds no list of images.", "NAVI's annotations do.", "Fetch the archive again.")
    shots = [_shot(entry, what) for entry in entries]
    names = [shot.file for shot in shots]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{what} lists {twice} twice.", "Each image was expected once.", "Fetch the archive again.")
    return sorted(shots, key=lambda shot: shot.file)


def _shot(entry: Any, what: str) -> Shot:
    import torch

    from midvision.geometry.pose import check_pose, quaternion_wxyz_to_rotation

    try:
        name, camera = str(entry["filename"]), entry["camera"]
        height, width = (int(side) for side in entry["image_size"])
        q = torch.tensor([float(number) for number in camera["q"]], dtype=torch.float64)
        t_m = torch.tensor([float(number) for number in camera["t"]], dtype=torch.float64) / 1000.0
        focal = float(camera["focal_length"])
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, 3] = t_m
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{what} has an entry without the fields of NAVI 1.0 and 1.5 ({type(error).__name__}: {error}).",
            "filename, image_size [h, w] and camera {q, t, focal_length} were expected.",
            "Get navi_v1.0.tar.gz or navi_v1.5.tar.gz.",
        ) from error
    if "/" in name or min(height, width) < 1 or not (math.isfinite(focal) and focal > 0):
        raise DataError(f"{what} gives {name!r} the size {height}x{width} and the focal length {focal}.")
    pose[:3, :3] = quaternion_wxyz_to_rotation(q, f"{name} in {what}")
    return Shot(
        name, (min(height, width), max(height, width)), focal, check_pose(pose, f"{name} in {what}"), tuple(q.tolist())
    )


def depth_from_codes(codes: np.ndarray) -> np.ndarray:
    """Metres, float32, of 16-bit disparity codes: 65535 is 10 mm, 1 is 655.35 m, 0 is no object."""
    codes = codes.astype(np.float64)
    with np.errstate(divide="ignore"):
        metres = np.where(codes > 0, DISPARITY_UNITS / 1000.0 / codes, 0.0)
    return metres.astype(np.float32)


def shrunk(size: tuple[int, int], short: int = SHORT_SIDE) -> tuple[int, int]:
    """(width, height) with the short side at `short`, the other one cut to whole pixels; never enlarged."""
    least = min(size)
    return size if least <= short else (size[0] * short // least, size[1] * short // least)


def small_photo(content: bytes, name: str, what: str, sides: tuple[int, int]) -> dict[str, bytes]:
    """The photograph turned as its EXIF says, bicubic where it shrinks, as a PNG `name`."""
    picture = photo_of_bytes(content, what)
    _check_sides(picture.size, what, sides)
    size = shrunk(picture.size)
    return {name: _png(picture if size == picture.size else picture.resize(size, Pillow.Resampling.BICUBIC))}


def small_codes(content: bytes, name: str, what: str, sides: tuple[int, int]) -> dict[str, bytes]:
    """The depth codes, nearest where they shrink, as a 16-bit PNG `name`: no code is a mixture."""
    import io

    try:
        with Pillow.open(io.BytesIO(content)) as picture:
            mode = picture.mode
            codes = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError) as error:
        raise DataError(f"{what} cannot be decoded ({error}).", "", "Fetch the official file again.") from error
    if mode not in _CODE_MODES or codes.ndim != 2:
        raise DataError(f"{what} is a picture of mode {mode}.", "A 16-bit PNG was expected.", "Fetch it again.")
    height, width = codes.shape
    _check_sides((width, height), what, sides)
    size = shrunk((width, height))
    codes = codes.astype(np.uint16)
    if size != (width, height):
        codes = np.asarray(Pillow.fromarray(codes).resize(size, Pillow.Resampling.NEAREST))
    return {name: _png(Pillow.fromarray(np.ascontiguousarray(codes)))}


def _check_sides(size: tuple[int, int], what: str, sides: tuple[int, int]) -> None:
    if tuple(sorted(size)) != tuple(sides):
        raise DataError(
            f"{what} is {size[0]}x{size[1]}, but annotations.json says {sides[1]}x{sides[0]} (either way round).",
            "The full-size files were expected.",
            "Get navi_v1.0.tar.gz or navi_v1.5.tar.gz.",
        )


def _png(picture: Pillow.Image) -> bytes:
    import io

    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=PNG_EFFORT)
    return stream.getvalue()


def read_codes(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Codes of a copy's depth file, which must have the photograph's `size` (H, W) after the EXIF turn."""
    codes = read_raw_image(path)
    if codes.ndim != 2 or codes.dtype.itemsize < 2:
        raise DataError(f"{path} is no 16-bit picture.", "", "Prepare the set again.")
    if codes.shape != size:
        raise DataError(
            f"{path} is {codes.shape[1]}x{codes.shape[0]}, its photograph {size[1]}x{size[0]}.",
            "Depth belongs to the photograph as its EXIF turns it.",
            "Fetch the official file again.",
        )
    return codes


def shot_in(copy: Copy, id: str) -> Shot:
    """The annotation of an id `OBJECT/SCENE/STEM`."""
    scene, _, stem = id.rpartition("/")
    name = f"{scene}/annotations.json"
    return _shots(copy.path(name), copy.manifest.files[name].sha256)[stem]


@lru_cache(maxsize=512)
def _shots(path: Path, sha256: str) -> dict[str, Shot]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}.", "", "Make it readable, or copy it again."
        ) from error
    return {shot.stem: shot for shot in read_annotations(content, str(path))}


def camera_of(shot: Shot, size: tuple[int, int]) -> Tensor:
    """`K [3, 3]` for the picture of `size` (H, W) in the copy; the principal point is its centre."""
    import torch

    short, long = shot.sides
    full = (short, long) if size[0] <= size[1] else (long, short)
    fx, fy = shot.focal_px * size[1] / full[1], shot.focal_px * size[0] / full[0]
    return torch.tensor([[fx, 0, size[1] / 2], [0, fy, size[0] / 2], [0, 0, 1]], dtype=torch.float64)
