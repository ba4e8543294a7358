"""Rectified stereo: disparity files, the calibration they need, and depth seen from either camera.

Left pixel (x, y) is right pixel (x - d, y). Depth is Z = f B / (d + doffs), where doffs is the right
minus the left principal point; so it holds for cameras whose principal points differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.data.truth import plane, read_array, read_json

Array = np.ndarray
MIDDLEBURY_MM = 1000.0
KITTI_SCALE = 256.0
_FIELDS = ("focal_px", "cx_left", "cy", "baseline_m", "doffs_px")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rectified pair in file pixels: focal length, left principal point, baseline, doffs = cx_right - cx_left."""

    focal_px: float
    cx_left: float
    cy: float
    baseline_m: float
    doffs_px: float = 0.0

    def K(self, right: bool, centre: float) -> Tensor:
        """Intrinsics of one camera with pixel centres at half integers; `centre` is the file's convention."""
        shift = 0.5 - centre
        cx = self.cx_left + (self.doffs_px if right else 0.0)
        rows = [[self.focal_px, 0.0, cx + shift], [0.0, self.focal_px, self.cy + shift], [0.0, 0.0, 1.0]]
        return torch.tensor(rows, dtype=torch.float64)


def read_calibration(path: Path) -> Calibration:
    """JSON with focal_px, cx_left, cy, baseline_m, doffs_px, or Middlebury's calib.txt (baseline in mm)."""
    fields = _json_fields(path) if path.suffix.lower() == ".json" else _middlebury_fields(path)
    return calibration_of(fields, str(path))


def calibration_of(fields: dict[str, float], what: str) -> Calibration:
    if missing := [name for name in _FIELDS[:4] if name not in fields]:
        raise DataError(f"{what} lacks {', '.join(missing)}.", f"Expected: {', '.join(_FIELDS)} (doffs_px may lack).")
    known = Calibration(**{name: fields[name] for name in _FIELDS if name in fields})
    if not (known.focal_px > 0 and known.baseline_m > 0 and np.isfinite(list(fields.values())).all()):
        raise DataError(
            f"{what} has a focal length or baseline that is not above 0.", "Positive numbers were expected."
        )
    return known


def _json_fields(path: Path) -> dict[str, float]:
    fields = read_json(path)
    try:
        return {name: float(fields[name]) for name in _FIELDS if name in fields}
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} has fields that are not numbers ({error}).") from error


def _middlebury_fields(path: Path) -> dict[str, float]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Calibration {path} cannot be read ({error}).") from error
    number = r"([-+0-9.eE]+)"
    camera = re.search(rf"cam0\s*=\s*\[\s*{number}\s+\S+\s+{number}\s*;\s*\S+\s+\S+\s+{number}", text)
    found = {name: re.search(rf"^{name}\s*=\s*{number}", text, re.MULTILINE) for name in ("baseline", "doffs")}
    if camera is None:
        raise DataError(f"Calibration {path} has no line cam0=[f 0 cx; 0 f cy; 0 0 1].")
    fields = {"focal_px": float(camera[1]), "cx_left": float(camera[2]), "cy": float(camera[3])}
    if found["baseline"]:
        fields["baseline_m"] = float(found["baseline"][1]) / MIDDLEBURY_MM
    if found["doffs"]:
        fields["doffs_px"] = float(found["doffs"][1])
    return fields


def read_disparity(path: Path, scale: float | None, doffs_px: float) -> Array:
    """Disparity in pixels, float64 `[H, W]`, NaN where unknown.

    `scale` is stored units per pixel (None: 256 for integer images as KITTI's, else 1). NaN and
    infinity are unknown, and 0 in integer files; a point behind the cameras is an error.
    """
    stored = plane(read_array(path))
    if stored.ndim != 2:
        raise DataError(f"Disparity file {path} has shape {stored.shape}.", "One number per pixel was expected.")
    whole = stored.dtype.kind in "iu"
    disparity = stored.astype(np.float64) / (scale if scale is not None else (KITTI_SCALE if whole else 1.0))
    unknown = ~np.isfinite(disparity) | (whole & (stored == 0)) | (disparity + doffs_px == 0)
    disparity[unknown] = np.nan
    if (behind := int((disparity + doffs_px < 0).sum())) > 0:
        raise DataError(
            f"Disparity file {path} puts {behind} pixels behind the cameras.",
            "Left x minus right x was expected, NaN where unknown.",
            "Check its sign, disparity_scale and doffs_px.",
        )
    if unknown.all():
        raise DataError(f"Disparity file {path} has no valid pixel.", "", "Check disparity_scale, or leave it out.")
    return disparity


def left_depth(path: Path, scale: float | None, calibration: Calibration) -> Array:
    """Depth seen by the left camera, metres float32 `[H, W]`, 0 where unknown."""
    return _depth(read_disparity(path, scale, calibration.doffs_px), calibration)


def right_depth(path: Path, scale: float | None, calibration: Calibration) -> Array:
    """Depth seen by the right camera, out of the left one's disparity; 0 where the left does not see."""
    return _depth(to_right(read_disparity(path, scale, calibration.doffs_px)), calibration)


def _depth(disparity: Array, calibration: Calibration) -> Array:
    depth = calibration.focal_px * calibration.baseline_m / (disparity + calibration.doffs_px)
    return np.nan_to_num(depth, nan=0.0).astype(np.float32)


def to_right(disparity: Array) -> Array:
    """Disparity at the right camera's pixels: the nearest surface wins, NaN where none lands.

    Neighbouring left pixels whose disparities differ by at most one pixel are one surface, drawn
    as a line between them, so that a stretched surface leaves no cracks.
    """
    height, width = disparity.shape
    found = np.full((height, width), -np.inf)
    first, second = disparity[:, :-1], disparity[:, 1:]
    joined = np.abs(second - first) <= 1
    start = np.arange(width - 1) - first
    length = 1 - (second - first)
    for step in range(3):
        target = np.ceil(start) + step
        share = np.divide(target - start, length, out=np.zeros_like(start), where=length > 0)
        hit = joined & (target - start <= length) & (target >= 0) & (target < width)
        rows = np.nonzero(hit)[0]
        value = first[hit] + share[hit] * (second - first)[hit]
        np.maximum.at(found, (rows, target[hit].astype(np.int64)), value)
    return np.where(np.isfinite(found), found, np.nan)
