"""Which views of one scene or object make a fair correspondence pair, and in which angle bin it falls.

Everything is measured from depth: a pixel of view a is shared with view b when its surface point
projects into b and b sees the same surface there (inverse depth interpolated between four pixels).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midvision.synth.store import PairInfo
from midvision.synth.suite import OBJECT_BINS, SCENE_BINS

MIN_OVERLAP = 0.10
MIN_OVERLAP_WIDE = 0.05
MAX_OVERLAP = 0.90
MIN_OBJECT_SHARE = 0.30
MIN_OBJECT_POINTS = 200
SCENE_TOLERANCE = 0.01
OBJECT_TOLERANCE = 0.005
FACING_COSINE = 0.1


@dataclass(frozen=True, slots=True)
class Sight:
    """Geometry of one view. `camera_from_frame` maps the common frame (world or object) to the camera.

    `depth_m [H, W]` is 0 where nothing takes part; `normals [H, W, 3]` in the camera frame;
    `objects [H, W]` marks pixels on objects.
    """

    depth_m: np.ndarray
    normals: np.ndarray
    objects: np.ndarray
    K: np.ndarray
    camera_from_frame: np.ndarray


@dataclass(frozen=True, slots=True)
class Sharing:
    """How much two views have in common: shares of each view's surface seen by the other."""

    share_a: float
    share_b: float
    points: int
    object_share: float

    @property
    def smaller(self) -> float:
        return min(self.share_a, self.share_b)


def rotation_angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    """Geodesic angle between the rotations of two transforms `[4, 4]` from one frame."""
    relative = a[:3, :3] @ b[:3, :3].T
    sine = np.linalg.norm(relative - relative.T) / (2 * np.sqrt(2))
    return float(np.degrees(np.arctan2(sine, (np.trace(relative) - 1) / 2)))


def bin_of(angle_deg: float, borders: Sequence[float]) -> int:
    """Index of the half-open bin; the last bin of a range that ends at 180 is closed. -1 outside."""
    if angle_deg == borders[-1] == 180.0:
        return len(borders) - 2
    inside = [i for i in range(len(borders) - 1) if borders[i] <= angle_deg < borders[i + 1]]
    return inside[0] if inside else -1


def seen_by(a: Sight, b: Sight, tolerance_m: float | None) -> np.ndarray:
    """Bool `[H, W]` on a's pixels: the surface point there is seen by b as well.

    `tolerance_m` None means 1 % of the depth in b. The surface must face both cameras.
    """
    height, width = a.depth_m.shape
    rows, columns = np.nonzero(a.depth_m > 0)
    depth = a.depth_m[rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    points = np.linalg.solve(a.K, pixels) * depth
    b_from_a = b.camera_from_frame @ np.linalg.inv(a.camera_from_frame)
    moved = b_from_a[:3, :3] @ points + b_from_a[:3, 3:]
    z = moved[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (b.K @ moved)[:2] / z
    found = inverse_depth_at(b.depth_m, x, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.abs(1 / found - z) < (SCENE_TOLERANCE * z if tolerance_m is None else tolerance_m)
    normals = b_from_a[:3, :3] @ a.normals[rows, columns].T.astype(np.float64)
    facing_b = -(normals * moved).sum(0) > FACING_COSINE * np.linalg.norm(moved, axis=0)
    result = np.zeros((height, width), dtype=bool)
    result[rows, columns] = (z > 0) & near & facing_b
    return result


def inverse_depth_at(depth_m: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear inverse depth at pixel positions (centres at half integers); NaN off the surface.

    Inverse depth is linear over a plane seen by a pinhole, so planes are exact.
    """
    height, width = depth_m.shape
    inside = (x >= 0.5) & (x <= width - 0.5) & (y >= 0.5) & (y <= height - 0.5)
    u, v = np.where(inside, x - 0.5, 0.0), np.where(inside, y - 0.5, 0.0)
    left = np.clip(np.floor(u).astype(int), 0, width - 2)
    top = np.clip(np.floor(v).astype(int), 0, height - 2)
    du, dv = u - left, v - top
    with np.errstate(divide="ignore"):
        inverse = np.where(depth_m > 0, 1 / depth_m.astype(np.float64), np.nan)
    upper = inverse[top, left] * (1 - du) + inverse[top, left + 1] * du
    lower = inverse[top + 1, left] * (1 - du) + inverse[top + 1, left + 1] * du
    return np.where(inside, upper * (1 - dv) + lower * dv, np.nan)


def sharing(a: Sight, b: Sight, tolerance_m: float | None = None) -> Sharing:
    """Both directions of `seen_by`, as shares of the pixels that take part; points and objects from a."""
    ab, ba = seen_by(a, b, tolerance_m), seen_by(b, a, tolerance_m)
    size_a, size_b = int((a.depth_m > 0).sum()), int((b.depth_m > 0).sum())
    shared = int(ab.sum())
    return Sharing(
        shared / max(size_a, 1),
        int(ba.sum()) / max(size_b, 1),
        min(shared, int(ba.sum())),
        float((ab & a.objects).sum()) / max(shared, 1),
    )


def scene_pair(a: int, b: int, sight_a: Sight, sight_b: Sight) -> PairInfo | None:
    """The pair if it is fair: overlap of both directions within bounds, objects carry enough of it."""
    angle = rotation_angle_deg(sight_a.camera_from_frame, sight_b.camera_from_frame)
    shared = sharing(sight_a, sight_b)
    low = MIN_OVERLAP_WIDE if angle >= SCENE_BINS[-2] else MIN_OVERLAP
    if not low <= shared.smaller <= MAX_OVERLAP or shared.object_share < MIN_OBJECT_SHARE:
        return None
    return PairInfo(a, b, angle, bin_of(angle, SCENE_BINS), shared.smaller, shared.points, shared.object_share)


def object_pair(a: int, b: int, sight_a: Sight, sight_b: Sight, radius_m: float) -> PairInfo | None:
    """The pair if its rotation is below 120 degrees and enough of the surface faces both cameras.

    The least count is 200 points at 224 px and goes with the area of the frame.
    """
    angle = rotation_angle_deg(sight_a.camera_from_frame, sight_b.camera_from_frame)
    index = bin_of(angle, OBJECT_BINS)
    if index < 0:
        return None
    shared = sharing(sight_a, sight_b, OBJECT_TOLERANCE * radius_m)
    if shared.points < MIN_OBJECT_POINTS * sight_a.depth_m.size / 224**2:
        return None
    return PairInfo(a, b, angle, index, shared.smaller, shared.points, 1.0)


def choose_views(pair_bins: np.ndarray, count: int) -> list[int]:
    """`count` of N candidate views whose pairs fill the bins most evenly.

    `pair_bins [N, N]` holds the bin of each fair pair and -1 elsewhere. Exhaustive for up to 100000
    subsets, else greedy; ties go to the earlier views, so the choice is a pure function.
    """
    total = len(pair_bins)
    if total <= count:
        return list(range(total))
    if math.comb(total, count) <= 100_000:
        subsets = np.array(list(itertools.combinations(range(total), count)))
        return [int(view) for view in subsets[_evenness(pair_bins, subsets).argmax()]]
    chosen: list[int] = []
    while len(chosen) < count:
        rest = [view for view in range(total) if view not in chosen]
        chosen.append(rest[int(_evenness(pair_bins, np.array([[*chosen, view] for view in rest])).argmax())])
    return sorted(chosen)


def _evenness(pair_bins: np.ndarray, subsets: np.ndarray) -> np.ndarray:
    """`[M]` for subsets `[M, n]`: concave in every bin's count, so an empty bin weighs more than a full one."""
    a, b = np.triu_indices(subsets.shape[1], 1)
    bins = pair_bins[subsets[:, a], subsets[:, b]]
    counts = [(bins == index).sum(1) for index in range(int(pair_bins.max(initial=0)) + 1)]
    # Rounding makes equal counts in different bins exactly equal, whatever the order of the sum.
    return np.asarray(np.log1p(counts).sum(0).round(9))


def spread_pairs(by_group: dict[str, list[PairInfo]], per_bin: int | None, bins: int) -> dict[str, list[PairInfo]]:
    """At most `per_bin` pairs of each bin, taken in turns over groups so that none dominates."""
    if per_bin is None:
        return by_group
    kept: dict[str, list[PairInfo]] = {name: [] for name in by_group}
    for index in range(bins):
        queues = {name: [pair for pair in pairs if pair.bin == index] for name, pairs in by_group.items()}
        taken = 0
        for turn in range(max((len(queue) for queue in queues.values()), default=0)):
            for name, queue in queues.items():
                if turn < len(queue) and taken < per_bin:
                    kept[name].append(queue[turn])
                    taken += 1
    return kept
