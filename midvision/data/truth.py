"""Truth out of files: depth, masks, normals, intrinsics and poses, checked as they are read.

Arrays are numpy, `[H, W]` or `[H, W, C]`, of the photograph's size. Every error names the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.data.frames import photo_size, read_raw_image
from midvision.data.options import Options
from midvision.geometry.camera import check_K, shift_K
from midvision.geometry.pose import check_pose, invert

Array = np.ndarray
AXES = ("right-down-forward", "right-up-back")
_ZERO_LENGTH = 0.1
_UNIT_SLACK = 0.05
_OFF_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class DepthRules:
    """How depth files are read: `scale` units per metre (None: 1000 for images, 1 for arrays)."""

    scale: float | None = None
    low_m: float = 0.0
    high_m: float = float("inf")
    unknown: float | None = None
    bad: Literal["error", "unknown"] = "error"

    @staticmethod
    def of(options: Options) -> DepthRules:
        return DepthRules(
            scale=options.positive("depth_scale", 1) if options.has("depth_scale") else None,
            low_m=options.number("depth_min", 0.0),
            high_m=options.positive("depth_max", float("inf")),
            unknown=options.number("depth_unknown", 0) if options.has("depth_unknown") else None,
            bad="unknown" if options.choice("depth_bad", ("error", "unknown"), "error") == "unknown" else "error",
        )


def read_array(path: Path) -> Array:
    """Numbers of a `.npy`, `.npz` (one array) or image file."""
    if path.suffix.lower() not in (".npy", ".npz"):
        return read_raw_image(path)
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = list(loaded.files)
            if len(names) != 1:
                raise DataError(f"{path} holds {len(names)} arrays: {', '.join(names[:5])}.", "One was expected.")
            return np.asarray(loaded[names[0]])
    except FileNotFoundError as error:
        raise DataError(f"File {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(
            f"Array file {path} cannot be read ({error}).", "A complete .npy or .npz was expected."
        ) from error


def plane(array: Array) -> Array:
    """`[H, W]` of an array that keeps one channel first or last; anything else as it is."""
    if array.ndim == 3 and array.shape[2] == 1:
        return array[..., 0]
    return array[0] if array.ndim == 3 and array.shape[0] == 1 and array.shape[2] > 4 else array


def stored_size(path: Path) -> tuple[int, int]:
    """(H, W) of a truth file, from its header where it has one. Channel-first arrays count too."""
    if path.suffix.lower() == ".npy":
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (OSError, ValueError, EOFError):
            shape = read_array(path).shape
    elif path.suffix.lower() == ".npz":
        shape = read_array(path).shape
    else:
        return photo_size(path)
    plane = tuple(n for n in shape if n not in (1, 3)) if len(shape) == 3 else tuple(shape)
    return (plane[0], plane[1]) if len(plane) == 2 else (0, 0)


def check_size(path: Path, size: tuple[int, int], photo: Path) -> None:
    """Truth must have its photograph's size (H, W)."""
    found = stored_size(path)
    if found != size:
        raise DataError(
            f"{path} is {found[1]}x{found[0]} pixels, but {photo.name} is {size[1]}x{size[0]}.",
            "Truth must have the size of its photograph.",
            "Resize it with nearest neighbour, or leave the frame out.",
        )


def read_depth(path: Path, rules: DepthRules) -> Array:
    """Depth in metres, float32 `[H, W]`, 0 where unknown (stored 0, NaN, or outside the declared range)."""
    stored = plane(read_array(path))
    if stored.ndim != 2:
        raise DataError(f"Depth file {path} has shape {stored.shape}.", "One number per pixel was expected.")
    is_image = path.suffix.lower() not in (".npy", ".npz")
    scale = rules.scale if rules.scale is not None else (1000.0 if is_image else 1.0)
    depth = stored.astype(np.float64)
    if rules.unknown is not None:
        depth[depth == rules.unknown] = 0.0
    if stored.dtype.kind != "u":
        _drop_impossible(depth, path, rules)
    depth /= scale
    if rules.low_m > 0 or rules.high_m < np.inf:
        depth[(depth < rules.low_m) | (depth > rules.high_m)] = 0.0
    if not (depth > 0).any():
        raise DataError(
            f"Depth file {path} has no valid pixel.",
            f"Positive depth was expected (scale {scale:g}).",
            "Check depth_scale, or leave the frame out.",
        )
    return depth.astype(np.float32)


def _drop_impossible(depth: Array, path: Path, rules: DepthRules) -> None:
    """0 for what is not a number and, where the rules allow it, for infinite and negative depth."""
    wrong = np.isinf(depth) | (depth < 0)
    if wrong.any() and rules.bad == "error":
        infinite, negative = int(np.isinf(depth).sum()), int((depth < 0).sum())
        raise DataError(
            f"Depth file {path} has {infinite} infinite and {negative} negative pixels.",
            "Depth is positive, with 0 or NaN where it is unknown.",
            "Correct the file, or declare depth_bad=unknown.",
        )
    depth[wrong | np.isnan(depth)] = 0.0


@dataclass(frozen=True, slots=True)
class MaskRules:
    """Which stored numbers are foreground; `void` pixels count as foreground but are not valid.

    `foreground=()` means every number but 0. `void="auto"` takes 255 as void unless the file
    holds nothing but 0 and 255, where it is the object.
    """

    foreground: tuple[int, ...] = ()
    void: int | Literal["auto", "none"] = "auto"

    @staticmethod
    def of(options: Options) -> MaskRules:
        chosen = options.numbers("foreground") or ()
        text = options.text("void", "auto")
        if text in ("auto", "none"):
            return MaskRules(tuple(int(v) for v in chosen), "none" if text == "none" else "auto")
        return MaskRules(tuple(int(v) for v in chosen), options.count("void", 255))


def read_mask(paths: list[Path], rules: MaskRules) -> tuple[Array, Array]:
    """Foreground and void, bool `[H, W]`; several files (one per instance) are united.

    Palette files give their indices, never their colours.
    """
    foreground, void = _read_one_mask(paths[0], rules)
    for path in paths[1:]:
        more, unclear = _read_one_mask(path, rules)
        if more.shape != foreground.shape:
            raise DataError(f"{path} has another size than {paths[0]}.", "Instance masks of an image must agree.")
        foreground, void = foreground | more, void | unclear
    return foreground | void, void & ~foreground


def _read_one_mask(path: Path, rules: MaskRules) -> tuple[Array, Array]:
    values = plane(read_array(path))
    if values.ndim == 3:
        colours = values[..., :3]
        if (colours != colours[..., :1]).any():
            raise DataError(
                f"Mask {path} is a colour picture.", "Palette indices, grey levels or 0/1 were expected.", "Convert it."
            )
        values = colours[..., 0]
    numbers = values.astype(np.int64)
    void_number = rules.void
    if void_number == "auto":
        void_number = "none" if set(np.unique(numbers).tolist()) <= {0, 255} else 255
    void = numbers == void_number if isinstance(void_number, int) else np.zeros(numbers.shape, bool)
    chosen = np.isin(numbers, rules.foreground) if rules.foreground else numbers != 0
    return chosen & ~void, void


def read_normals(path: Path, axes: str) -> tuple[Array, Array]:
    """Unit normals float32 `[H, W, 3]` in our camera frame (x right, y down, z forward), and bool `[H, W]`.

    Images hold n = 2 v / top - 1 per channel, with an alpha channel of 0 (or a zero vector, or
    black) where unknown; arrays hold the vectors, as `[H, W, 3]` or `[3, H, W]`.
    """
    stored = read_array(path)
    is_image = path.suffix.lower() not in (".npy", ".npz")
    if stored.ndim == 3 and not is_image and stored.shape[0] == 3 and stored.shape[2] != 3:
        stored = stored.transpose(1, 2, 0)
    if stored.ndim != 3 or stored.shape[2] not in (3, 4):
        raise DataError(f"Normal file {path} has shape {stored.shape}.", "Three numbers per pixel were expected.")
    known = stored[..., 3] > 0 if stored.shape[2] == 4 else np.ones(stored.shape[:2], bool)
    normals = stored[..., :3].astype(np.float64)
    if is_image:
        known &= stored[..., :3].any(-1)
        normals = normals / np.iinfo(stored.dtype).max * 2 - 1
    known &= np.isfinite(normals).all(-1)
    normals[~known] = 0
    length = np.linalg.norm(normals, axis=-1)
    known &= length > _ZERO_LENGTH
    _check_lengths(path, length[known])
    known &= np.abs(length - 1) <= 0.2
    unit = normals / np.where(length > 0, length, 1)[..., None]
    if axes == "right-up-back":
        unit = unit * np.array([1.0, -1.0, -1.0])
    if (unit[..., 2][known] > 0).mean() > 0.5:
        raise DataError(
            f"Most normals of {path} point away from the camera.",
            f"Normals facing the viewer in axes {axes} were expected.",
            f"Declare the axes of the files: normals_axes={' or '.join(AXES)}.",
        )
    return np.where(known[..., None], unit, 0).astype(np.float32), known


def _check_lengths(path: Path, length: Array) -> None:
    if length.size == 0:
        raise DataError(f"Normal file {path} has only zero vectors.", "Unit vectors were expected.")
    off = float((np.abs(length - 1) > _UNIT_SLACK).mean())
    if off > _OFF_SHARE:
        raise DataError(
            f"{off:.0%} of the normals of {path} are not unit vectors (median length {float(np.median(length)):.3g}).",
            "Length 1, or 0 where unknown, was expected.",
            "Check the coding of the file.",
        )


def read_numbers(path: Path) -> Array:
    """A text file of numbers; `#` starts a comment, commas count as spaces."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"File {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"File {path} cannot be read ({error}).", "Text with numbers was expected.") from error
    rows = [line.split("#")[0].replace(",", " ").split() for line in lines]
    try:
        numbers = [[float(word) for word in row] for row in rows if row]
    except ValueError as error:
        raise DataError(
            f"File {path} is not a table of numbers ({error}).", "Rows of numbers were expected."
        ) from error
    if not numbers or len({len(row) for row in numbers}) != 1:
        raise DataError(f"File {path} is not a table of numbers.", "Rows of equal length were expected.")
    return np.array(numbers, dtype=np.float64)


def read_K(path: Path, centre: float, size: tuple[int, int]) -> Tensor:
    """Intrinsics of a photograph of `size` (H, W) as float64 `[3, 3]`, top-left pixel centre at 0.5.

    A 3x3 (or 4x4) text file, four numbers fx fy cx cy, or JSON with those names. `centre` is the
    file's convention. A principal point outside the photograph means another image size.
    """
    numbers = _json_camera(path) if path.suffix.lower() == ".json" else read_numbers(path)
    if numbers.shape == (4, 4) and np.allclose(numbers[:3, 3], 0):
        numbers = numbers[:3, :3]
    if numbers.size == 4 and numbers.shape != (2, 2):
        numbers = _pinhole(*numbers.ravel().tolist())
    return _ours(torch.from_numpy(np.ascontiguousarray(numbers)), str(path), centre, size)


def K_of_numbers(numbers: tuple[float, ...], centre: float, size: tuple[int, int]) -> Tensor:
    """Intrinsics declared as fx fy cx cy or as nine numbers."""
    table = _pinhole(*numbers) if len(numbers) == 4 else np.array(numbers, dtype=np.float64)
    table = table.reshape(3, 3) if table.size == 9 else table
    return _ours(torch.from_numpy(table), "the option intrinsics", centre, size)


def _ours(K: Tensor, what: str, centre: float, size: tuple[int, int]) -> Tensor:
    K = shift_K(check_K(K, what), 0.5 - centre)
    if not (0 < float(K[0, 2]) < size[1] and 0 < float(K[1, 2]) < size[0]):
        raise DataError(
            f"The principal point of {what} lies outside its {size[1]}x{size[0]} photograph.",
            "Intrinsics in pixels of the photograph as stored were expected.",
            "Scale them to this image size.",
        )
    return K


def _pinhole(fx: float, fy: float, cx: float, cy: float) -> Array:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"File {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"File {path} is not readable JSON ({error}).") from error


def _json_camera(path: Path) -> Array:
    fields: Mapping[str, Any] = read_json(path)
    names = {"fx": ("fx", "focal_px"), "fy": ("fy", "focal_px"), "cx": ("cx", "cx_left"), "cy": ("cy",)}
    values = {}
    for name, spellings in names.items():
        given = [fields[word] for word in spellings if word in fields]
        if not given:
            raise DataError(f"{path} has no {name}.", "Fields fx, fy, cx, cy (or focal_px, cx_left, cy) were expected.")
        values[name] = float(given[0])
    return _pinhole(**values)


def read_pose(path: Path, direction: str) -> Tensor:
    """`camera_from_world [4, 4]` float64 of a 4x4 or 3x4 text file written in `direction`."""
    table = torch.from_numpy(read_numbers(path))
    if tuple(table.shape) == (3, 4):
        table = torch.cat((table, table.new_tensor([[0.0, 0.0, 0.0, 1.0]])))
    pose = check_pose(table, str(path))
    return invert(pose) if direction == "world_from_camera" else pose
