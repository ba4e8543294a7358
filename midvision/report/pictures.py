"""Arrays as small pictures inside the page: photographs, depth, normals and masks as data addresses.

Colours: depth runs from near (light) to far (dark) over the range of the truth; normals show the unit vector of
the camera frame (x right, y down, facing the viewer) as `(x, -y, -z)` mapped from [-1, 1] to colour, the field's
usual picture; masks tint the photograph.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Array = NDArray[np.generic]

_DEPTH_STOPS = np.array(
    [
        (252, 247, 222),
        (247, 209, 134),
        (236, 153, 93),
        (205, 97, 97),
        (148, 64, 116),
        (86, 47, 111),
        (38, 28, 71),
    ],
    dtype=np.float64,
)
_MASK_TINT = np.array((255, 122, 46), dtype=np.float64)
_UNKNOWN = np.array((128, 128, 128), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready for the page: `uri` is a data address, size in pixels, `label` is read aloud."""

    uri: str
    width: int
    height: int
    label: str


def encode(pixels: Pixels, label: str, longest_px: int = 176, quality: int = 76) -> Picture:
    """`pixels [H, W, 3]`, made smaller where its longer side exceeds `longest_px`, as WebP."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if max(image.size) > longest_px:
        image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=4)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{text}", image.width, image.height, label)


def planes(values: Array) -> NDArray[np.float64]:
    """Dense values as `[K, H, W]`; `[H, W]` is read as one channel."""
    array = np.asarray(values, dtype=np.float64)
    return array[None] if array.ndim == 2 else array


def depth_range(target: Array, valid: Array) -> tuple[float, float]:
    """The 2nd and 98th percentile of the known depths, so one far pixel cannot flatten the picture."""
    known = planes(target)[0][known_pixels(target, valid)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(known, (2, 98))
    return float(low), float(max(high, low + 1e-6))


def known_pixels(target: Array, valid: Array) -> NDArray[np.bool_]:
    """`[H, W]`: valid and finite."""
    marked = np.asarray(valid, dtype=bool).reshape(np.asarray(valid).shape[-2:])
    return np.asarray(marked & np.isfinite(planes(target)).all(axis=0))


def depth_picture(depth_m: Array, span_m: tuple[float, float], known: NDArray[np.bool_] | None = None) -> Pixels:
    """Depth `[1, H, W]` in colours over `span_m`; unknown pixels are grey."""
    plane = planes(depth_m)[0]
    low, high = span_m
    place = np.clip((np.nan_to_num(plane, nan=low) - low) / (high - low), 0, 1) * (len(_DEPTH_STOPS) - 1)
    below = np.minimum(place.astype(int), len(_DEPTH_STOPS) - 2)
    share = (place - below)[..., None]
    return _grey_out(_DEPTH_STOPS[below] * (1 - share) + _DEPTH_STOPS[below + 1] * share, known)


def normal_picture(normals: Array, known: NDArray[np.bool_] | None = None) -> Pixels:
    """Unit normals `[3, H, W]` as colours."""
    x, y, z = np.nan_to_num(planes(normals)[:3])
    return _grey_out(np.stack((x, -y, -z), axis=-1) * 127.5 + 127.5, known)


def mask_picture(share: Array, image: Pixels, known: NDArray[np.bool_] | None = None) -> Pixels:
    """A mask or probability `[1, H, W]` as a tint over the dimmed photograph."""
    weight = np.clip(np.nan_to_num(planes(share)[0]), 0, 1)[..., None]
    grey = image.mean(axis=-1, keepdims=True) * 0.45 + 60
    return _grey_out(grey * (1 - 0.82 * weight) + _MASK_TINT * 0.82 * weight, known)


def _grey_out(colours: NDArray[np.float64], known: NDArray[np.bool_] | None) -> Pixels:
    pixels = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
    if known is not None:
        pixels[~known] = _UNKNOWN
    return pixels
