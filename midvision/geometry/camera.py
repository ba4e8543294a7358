"""Pinhole cameras: points to pixels and back, and intrinsics under crops and resizes.

`K [3, 3]` is in frame pixels whose centres lie at half integers: the top-left pixel's centre is
(0.5, 0.5), so an image of width W spans x from 0 to W. Files that put that centre at (0, 0) are
converted once, by their reader, with `shift_K(K, 0.5)`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from midvision.core.errors import DataError


def check_K(K: Tensor, what: str) -> Tensor:
    """`K` as float64 `[3, 3]`, or an error naming `what`.

    Expects positive focal lengths, no skew above a thousandth of them, and a last row 0 0 1.
    """
    expected = "A 3x3 pinhole matrix with positive focal lengths and last row 0 0 1 was expected."
    if tuple(K.shape) != (3, 3):
        raise DataError(f"Intrinsics of {what} have shape {tuple(K.shape)}.", expected)
    K = K.to(torch.float64)
    focal = K.diagonal()[:2]
    last = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    usable = bool(torch.isfinite(K).all()) and bool((focal > 0).all())
    if not usable or not torch.allclose(K[2], last) or float(K[1, 0].abs()) > 1e-3 * float(focal[1]):
        raise DataError(f"Intrinsics of {what} are not a pinhole camera: {K.tolist()}.", expected)
    return K


def pixel_centres(height: int, width: int, like: Tensor) -> Tensor:
    """`[2, H, W]`: x and y of every pixel's centre, in the dtype and on the device of `like`."""
    y = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5
    x = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))


def project(K: Tensor, points: Tensor) -> Tensor:
    """Camera-frame `points [N, 3]` -> `xy [N, 2]` pixels; NaN for points not in front of the camera."""
    K = K.to(points)
    homogeneous = points @ K.T
    z = homogeneous[:, 2:]
    return torch.where(z > 0, homogeneous[:, :2] / z, torch.full_like(z, torch.nan))


def rays(K: Tensor, xy: Tensor) -> Tensor:
    """Pixels `xy [N, 2]` -> directions `[N, 3]` with z = 1."""
    ones = torch.ones_like(xy[:, :1])
    directions: Tensor = torch.cat((xy, ones), dim=1) @ torch.linalg.inv(K.to(torch.float64)).to(xy).T
    return directions


def unproject(K: Tensor, depth_m: Tensor) -> Tensor:
    """`depth_m [1, H, W]` (camera z) -> camera-frame points `[3, H, W]` in metres, at pixel centres."""
    height, width = depth_m.shape[-2:]
    xy = pixel_centres(height, width, depth_m).flatten(1).T
    return rays(K, xy).T.reshape(3, height, width) * depth_m.reshape(1, height, width)


def crop_K(K: Tensor, top: float, left: float) -> Tensor:
    """Intrinsics after cutting `top` rows and `left` columns away."""
    moved = K.clone()
    moved[0, 2] -= left
    moved[1, 2] -= top
    return moved


def scale_K(K: Tensor, sy: float, sx: float) -> Tensor:
    """Intrinsics after resizing by `sy` vertically and `sx` horizontally (new size / old size)."""
    scaled = K.clone()
    scaled[0] *= sx
    scaled[1] *= sy
    return scaled


def shift_K(K: Tensor, d: float) -> Tensor:
    """Intrinsics when the origin moves so that every coordinate grows by `d`.

    Files with the top-left centre at 0 become ours with d = 0.5.
    """
    return crop_K(K, -d, -d)


def shift_homography(b_from_a: Tensor, d: float) -> Tensor:
    """A homography when the coordinates of both images grow by `d`."""
    shift = torch.eye(3, dtype=b_from_a.dtype)
    shift[:2, 2] = d
    moved: Tensor = shift @ b_from_a @ torch.linalg.inv(shift)
    return moved


def apply_homography(b_from_a: Tensor, xy: Tensor) -> Tensor:
    """`xy [N, 2]` of image a -> `[N, 2]` of image b; NaN behind the horizon."""
    mapped = torch.cat((xy, torch.ones_like(xy[:, :1])), dim=1) @ b_from_a.to(xy).T
    w = mapped[:, 2:]
    return torch.where(w > 0, mapped[:, :2] / w, torch.full_like(w, torch.nan))
