"""Surfaces seen by a camera: normals out of depth, and what two views share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from midvision.core.items import Surface
from midvision.geometry.camera import pixel_centres, project, rays, unproject
from midvision.geometry.pose import apply

SAME_SURFACE = 0.05
PRESENT_SHARE = 0.6


def normals_from_depth(
    depth_m: Tensor, K: Tensor, valid: Tensor, radius: int = 1, step: float = SAME_SURFACE
) -> tuple[Tensor, Tensor]:
    """Unit normals `[3, H, W]` in the camera frame, facing the viewer, and where they are known.

    Takes `depth_m [1, H, W]`, `valid [1, H, W]` and the true `K`. A plane n.X = d has inverse depth
    1/z = (K^-T n / d).(x, y, 1), linear in the pixel, so each pixel fits such a function to its
    (2 radius + 1)^2 neighbours by least squares and reads n off it: exact on planes for any
    principal point. Neighbours whose depth differs by more than the share `step` lie on another
    surface and are left out; with fewer than 60 % left (or no solution) the normal is unknown.
    """
    height, width = depth_m.shape[-2:]
    z = torch.where(valid, depth_m, torch.zeros_like(depth_m)).to(torch.float64).reshape(height, width)
    moments, count = _window_moments(z, radius, step)
    a, b, c, solvable = _solve_plane(moments, count)
    K64 = K.to(torch.float64)
    x, y = pixel_centres(height, width, z)
    # The fit is in offsets from the pixel: 1/z = a dx + b dy + c.
    line = torch.stack((a, b, c - a * x - b * y)).reshape(3, -1)
    normals = F.normalize((K64.T @ line), dim=0)
    normals = -normals * torch.sign((normals * rays(K64, torch.stack((x, y)).flatten(1).T).T).sum(0))
    enough = count >= PRESENT_SHARE * (2 * radius + 1) ** 2
    known = (solvable & enough & (z > 0)).reshape(1, height, width)
    normals = normals.reshape(3, height, width).to(torch.float32)
    return torch.where(known, normals, torch.zeros_like(normals)), known


def normals_by_differences(depth_m: Tensor, K: Tensor, valid: Tensor, missing_m: float) -> tuple[Tensor, Tensor]:
    """As the reference takes them: the mean of four cross products of neighbouring differences.

    Missing depth counts as `missing_m`, so pixels beside it get an arbitrary direction; unknown are those
    without depth and the outermost row and column on each side. `[3, H, W]`, and `[1, H, W]` bool.
    """
    z = torch.where(valid, depth_m.to(torch.float64), torch.full_like(depth_m, missing_m, dtype=torch.float64))
    xyz = unproject(K.to(torch.float64), z)
    inner = xyz[:, 1:-1, 1:-1]
    left, right = xyz[:, 1:-1, :-2] - inner, xyz[:, 1:-1, 2:] - inner
    top, bottom = xyz[:, :-2, 1:-1] - inner, xyz[:, 2:, 1:-1] - inner
    sides = ((left, top), (top, right), (right, bottom), (bottom, left))
    # This order of the sides gives a vector away from the viewer.
    inside = -F.normalize(torch.stack([torch.linalg.cross(a, b, dim=0) for a, b in sides]).mean(0), dim=0)
    normals = F.pad(inside, (1, 1, 1, 1)).to(torch.float32)
    known = valid & (normals.abs().sum(0, keepdim=True) > 0)
    return torch.where(known, normals, torch.zeros_like(normals)), known


def _window_moments(z: Tensor, radius: int, step: float) -> tuple[Tensor, Tensor]:
    """Sums over each window of dx, dy, dx dx, dx dy, dy dy, q, dx q, dy q (q = 1/z), and the count."""
    height, width = z.shape
    padded = F.pad(z[None, None], (radius,) * 4)[0, 0]
    sums = torch.zeros(8, height, width, dtype=z.dtype, device=z.device)
    count = torch.zeros_like(z)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            there = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
            near = (there > 0) & (z > 0) & ((there - z).abs() <= step * z)
            weight = near.to(z.dtype)
            q = torch.where(near, 1 / there.clamp_min(1e-9), torch.zeros_like(z))
            count += weight
            for row, factor in enumerate((dx, dy, dx * dx, dx * dy, dy * dy)):
                sums[row] += factor * weight
            sums[5] += q
            sums[6] += dx * q
            sums[7] += dy * q
    return sums, count


def _solve_plane(sums: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Least squares of q = a dx + b dy + c by Cramer's rule on centred sums; and where it has one answer."""
    n = count.clamp_min(1)
    sx, sy, sxx, sxy, syy, sq, sxq, syq = sums
    cxx, cxy, cyy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
    cxq, cyq = sxq - sx * sq / n, syq - sy * sq / n
    determinant = cxx * cyy - cxy * cxy
    solvable = (determinant > 1e-6) & (count >= 3)
    safe = torch.where(solvable, determinant, torch.ones_like(determinant))
    a = (cxq * cyy - cyq * cxy) / safe
    b = (cyq * cxx - cxq * cxy) / safe
    return a, b, (sq - a * sx - b * sy) / n, solvable


def covisibility(a: Surface, b: Surface, b_from_a: Tensor, tolerance: float = SAME_SURFACE) -> float:
    """Share of a's valid pixels whose point b sees: inside b's frame and agreeing with b's depth.

    `b_from_a` maps a's camera frame to b's. Agreement is relative, within `tolerance`; a point that
    lands on an unknown pixel of b counts as not seen.
    """
    total = int(a.valid.sum())
    if total == 0:
        return 0.0
    error = reprojection_error(a, b, b_from_a)
    return int((error <= tolerance).sum()) / total


def reprojection_error(a: Surface, b: Surface, b_from_a: Tensor) -> Tensor:
    """Relative depth error `[N]` of each valid pixel of a, in row order, where it lands in b.

    |predicted - measured| / measured at the pixel of b that holds the point; NaN where the point
    leaves b's frame or b knows no depth.
    """
    points = unproject(a.K.to(torch.float64), a.depth_m.to(torch.float64)).flatten(1).T
    in_b = apply(b_from_a, points[a.valid.flatten()])
    xy = project(b.K, in_b)
    height, width = b.depth_m.shape[-2:]
    inside = (xy[:, 0] >= 0) & (xy[:, 0] < width) & (xy[:, 1] >= 0) & (xy[:, 1] < height)
    column, row = torch.where(inside[:, None], xy, torch.zeros_like(xy)).floor().long().unbind(1)
    measured = b.depth_m.reshape(height, width)[row, column].to(torch.float64)
    known = inside & b.valid.reshape(height, width)[row, column]
    error = (in_b[:, 2] - measured).abs() / measured
    return torch.where(known, error, torch.full_like(error, torch.nan))
