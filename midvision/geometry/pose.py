"""Rigid poses `[4, 4]`: `b_from_a` maps points of frame a to frame b, in metres."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from midvision.core.errors import DataError

ROTATION_TOLERANCE = 1e-3


def check_pose(T: Tensor, what: str, tolerance: float = ROTATION_TOLERANCE) -> Tensor:
    """`T` as float64 `[4, 4]` with its rotation made exactly orthonormal, or an error naming `what`.

    Files print few digits, so a deviation up to `tolerance` is rounding; a mirrored, scaled or
    sheared matrix is not a pose.
    """
    expected = "A 4x4 rigid pose was expected: a rotation with determinant 1, and last row 0 0 0 1."
    if tuple(T.shape) != (4, 4):
        raise DataError(f"The pose of {what} has shape {tuple(T.shape)}.", expected)
    T = T.to(torch.float64)
    if not bool(torch.isfinite(T).all()):
        raise DataError(f"The pose of {what} has values that are not numbers.", expected)
    R = T[:3, :3]
    off = float((R @ R.T - torch.eye(3, dtype=torch.float64)).abs().max())
    last = float((T[3] - torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)).abs().max())
    if off > tolerance or last > tolerance or float(torch.linalg.det(R)) < 0:
        raise DataError(f"The pose of {what} is not a rotation (R R^T is off by {off:.3g}).", expected)
    U, _, Vh = torch.linalg.svd(R)
    clean = torch.eye(4, dtype=torch.float64)
    clean[:3, :3] = U @ Vh
    clean[:3, 3] = T[:3, 3]
    return clean


def invert(b_from_a: Tensor) -> Tensor:
    """`a_from_b`."""
    R = b_from_a[:3, :3].T
    a_from_b = torch.eye(4, dtype=b_from_a.dtype, device=b_from_a.device)
    a_from_b[:3, :3] = R
    a_from_b[:3, 3] = -(R @ b_from_a[:3, 3])
    return a_from_b


def compose(c_from_b: Tensor, b_from_a: Tensor) -> Tensor:
    """`c_from_a`."""
    return c_from_b @ b_from_a


def apply(b_from_a: Tensor, xyz: Tensor) -> Tensor:
    """Points `[N, 3]` of frame a, in frame b; computed in the points' dtype."""
    T = b_from_a.to(xyz)
    return xyz @ T[:3, :3].T + T[:3, 3]


def relative_angle_deg(Ta: Tensor, Tb: Tensor) -> float:
    """Geodesic angle between the rotations of two poses, in degrees; exact near 0 and near 180.

    The arc cosine of the trace loses half the digits at small angles, so the sine comes from the
    Frobenius distance: |Ra - Rb| = 2 sqrt(2) sin(angle / 2).
    """
    Ra, Rb = Ta[:3, :3].to(torch.float64), Tb[:3, :3].to(torch.float64)
    half_sine = float(torch.linalg.norm(Ra - Rb)) / (2 * math.sqrt(2))
    cosine = (float((Ra * Rb).sum()) - 1) / 2
    half_cosine = math.sqrt(max(0.0, (1 + cosine) / 2))
    return math.degrees(2 * math.atan2(half_sine, half_cosine))


def quaternion_wxyz_to_rotation(wxyz: Tensor, what: str = "a quaternion") -> Tensor:
    """Unit quaternion (w, x, y, z) -> rotation `[3, 3]` float64; normalised if slightly off."""
    q = wxyz.to(torch.float64)
    length = float(torch.linalg.norm(q))
    if tuple(q.shape) != (4,) or not math.isfinite(length) or abs(length - 1) > 1e-2:
        raise DataError(f"The rotation of {what} is not a unit quaternion: {wxyz.tolist()}.")
    w, x, y, z = (q / length).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ],
        dtype=torch.float64,
    )
