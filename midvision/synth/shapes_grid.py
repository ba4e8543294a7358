"""Closed surfaces from grids of points: rings stacked along an axis, capped at both ends."""

from __future__ import annotations

import numpy as np
import trimesh

Surface = tuple[np.ndarray, np.ndarray]
"""Vertices float64 `[V, 3]` and faces int `[F, 3]`, counter-clockwise seen from outside."""


def rings(points: np.ndarray, closed: bool = False) -> Surface:
    """Rings `points [M, N, 3]`, counter-clockwise about the direction of growing M.

    Consecutive rings are joined by quads. The ends are closed by fans about their mean, or, with
    `closed`, the last ring joins the first.
    """
    m, n = points.shape[:2]
    index = np.arange(m * n).reshape(m, n)
    rows = np.arange(m if closed else m - 1)
    low, high = index[rows], index[(rows + 1) % m]
    low_next, high_next = np.roll(low, -1, 1), np.roll(high, -1, 1)
    faces = [np.stack([low, low_next, high_next], -1), np.stack([low, high_next, high], -1)]
    vertices = points.reshape(-1, 3)
    if not closed:
        bottom, top = m * n, m * n + 1
        vertices = np.concatenate([vertices, points[:1].mean(1), points[-1:].mean(1)])
        first, last = index[0], index[-1]
        faces.append(np.stack([np.full(n, bottom), np.roll(first, -1), first], -1))
        faces.append(np.stack([np.full(n, top), last, np.roll(last, -1)], -1))
    return vertices, np.concatenate([part.reshape(-1, 3) for part in faces])


def sphere_directions(level: int) -> Surface:
    """Unit icosphere: 20 * 4^level triangles."""
    sphere = trimesh.creation.icosphere(subdivisions=level)
    return np.asarray(sphere.vertices, dtype=np.float64), np.asarray(sphere.faces, dtype=np.int64)


def convex(points: np.ndarray) -> Surface:
    """The convex hull of `points [N, 3]`."""
    hull = trimesh.convex.convex_hull(points)
    return np.asarray(hull.vertices, dtype=np.float64), np.asarray(hull.faces, dtype=np.int64)


def joined(*parts: Surface) -> Surface:
    """Several closed surfaces as one; where they overlap, the inside is never seen."""
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    return (
        np.concatenate([vertices for vertices, _ in parts]),
        np.concatenate([faces + start for (_, faces), start in zip(parts, starts[:-1], strict=True)]),
    )


def moved(part: Surface, shift: tuple[float, float, float] = (0, 0, 0), scale: float = 1.0) -> Surface:
    return part[0] * scale + np.asarray(shift, dtype=np.float64), part[1]


def circle(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of `n` angles around the circle."""
    angle = np.arange(n) * (2 * np.pi / n)
    return np.cos(angle), np.sin(angle)


def between(value: float, low: float, high: float) -> float:
    """A number in [0, 1] as one in [low, high]."""
    return float(low + value * (high - low))


def turned(points: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points `[..., 3]` turned about z by `angle [...]` radians."""
    c, s = np.cos(angle), np.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return np.stack([c * x - s * y, s * x + c * y, points[..., 2]], -1)
