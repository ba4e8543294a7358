"""Boundaries: thin lines out of a soft map, one-to-one matching within a tolerance, and the best F over a data set.

Maps are `[H, W]`; pixels are rows and columns `[N, 2]`. The counts are those of the Berkeley benchmark (Martin,
Fowlkes, Malik 2004; Arbelaez et al. 2011): a predicted pixel is right if it is matched to some annotator's, and
every annotator's pixel ought to be found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TOLERANCE = 0.0075
"""Largest distance of a match, as a share of the picture's diagonal."""

COUNTS = ("truth_found", "truth", "right", "predicted")
"""Annotators' pixels that are found, all of them, predicted pixels that are right, all of them."""

SAMPLED_PX = 1.0


def radius_px(size: tuple[int, int], tolerance: float = TOLERANCE) -> float:
    """The largest distance of a match in a picture of `size` (H, W)."""
    return float(tolerance * np.hypot(*size))


def ridge_lines(soft: np.ndarray, sigma_px: float) -> np.ndarray:
    """The soft map on the crest of its ridges, 0 elsewhere.

    After smoothing, a pixel stays that is higher than a step ahead and not lower than a step behind, across the
    ridge (where the map curves down most). So of two equal pixels side by side one stays, and a constant map
    has none.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    smooth = gaussian_filter(np.asarray(soft, dtype=np.float64), sigma_px, mode="nearest")
    yy, xx, xy = (
        gaussian_filter(smooth, SAMPLED_PX, order=order, mode="nearest") for order in ((2, 0), (0, 2), (1, 1))
    )
    across = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    dx, dy = np.cos(across), np.sin(across)
    turn = np.where((dx < -1e-9) | ((np.abs(dx) <= 1e-9) & (dy < 0)), -1.0, 1.0)
    dx, dy = dx * turn, dy * turn
    rows, columns = np.mgrid[: smooth.shape[0], : smooth.shape[1]]
    ahead, behind = (
        map_coordinates(smooth, (rows + s * dy, columns + s * dx), order=1, mode="nearest") for s in (1, -1)
    )
    slack = 1e-9 * max(float(np.abs(smooth).max()), 1e-30)
    crest = (smooth > ahead + slack) & (smooth >= behind - slack)
    return np.where(crest, smooth, 0.0)


def match_pixels(predicted: np.ndarray, truth: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Which of `predicted [N, 2]` and `truth [M, 2]` a one-to-one matching of the largest size pairs, `[N]` and `[M]`.

    Partners are at most `radius` apart. The size is exact; where several matchings have it, one of them is taken.
    """
    return _match(_near(predicted, truth, radius))


def _near(predicted: np.ndarray, truth: np.ndarray, radius: float) -> Any:
    """Whether pixel n may pair with pixel m: a sparse matrix `[N, M]`."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import cKDTree

    shape = (len(predicted), len(truth))
    if 0 in shape:
        return csr_matrix(shape, dtype=np.int8)
    near = cKDTree(predicted).query_ball_tree(cKDTree(truth), radius + 1e-9)
    ends = np.cumsum([0, *(len(found) for found in near)])
    columns = np.concatenate([np.asarray(found, dtype=np.int64) for found in near])
    return csr_matrix((np.ones(len(columns), dtype=np.int8), columns, ends), shape=shape)


def _match(near: Any) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse.csgraph import maximum_bipartite_matching

    right, found = np.zeros(near.shape[0], dtype=bool), np.zeros(near.shape[1], dtype=bool)
    if near.shape[0] and near.shape[1]:
        partner = maximum_bipartite_matching(near, perm_type="column")
        right = partner >= 0
        found[partner[right]] = True
    return right, found


def boundary_counts(
    lines: np.ndarray, annotators: np.ndarray, thresholds: Sequence[float], tolerance: float = TOLERANCE
) -> np.ndarray:
    """`COUNTS` at every threshold, `[T, 4]`, of thin `lines [H, W]` against `annotators [A, H, W]` (bool).

    Annotators' pixels count once per annotator.
    """
    pixels = np.argwhere(lines >= max(min(thresholds), np.finfo(np.float64).tiny))
    values = lines[tuple(pixels.T)]
    radius = radius_px((lines.shape[0], lines.shape[1]), tolerance)
    near = [_near(pixels, np.argwhere(own), radius) for own in annotators]
    total = int(np.count_nonzero(annotators))
    counts = np.zeros((len(thresholds), 4))
    for number, threshold in enumerate(thresholds):
        chosen = np.flatnonzero(values >= threshold)
        right, hits = np.zeros(len(chosen), dtype=bool), 0
        for pairs in near:
            own_right, own_found = _match(pairs[chosen])
            right |= own_right
            hits += int(own_found.sum())
        counts[number] = hits, total, int(right.sum()), len(chosen)
    return counts


def f_of(counts: np.ndarray) -> np.ndarray:
    """F of `[..., 4]`: harmonic mean of recall and precision; 0 where nothing is found."""
    found, truth, right, predicted = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    recall = np.divide(found, truth, out=np.zeros_like(found), where=truth > 0)
    precision = np.divide(right, predicted, out=np.zeros_like(found), where=predicted > 0)
    both = recall + precision
    return np.asarray(np.divide(2 * recall * precision, both, out=np.zeros_like(both), where=both > 0))


def best_threshold(counts: np.ndarray) -> int:
    """Which threshold has the best F over all images, of `[N, T, 4]`; the lowest of equals."""
    return int(f_of(counts.sum(0)).argmax())


def best_of_each(counts: np.ndarray) -> np.ndarray:
    """The counts `[N, 4]` of every image at its own best threshold."""
    return np.asarray(counts[np.arange(len(counts)), f_of(counts).argmax(1)])


def f_terms(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numerators and denominators `[N]` whose sums have F of the summed `counts [N, 4]` as their quotient.

    F = 2 / (truth / found + predicted / right), in sums over images. With the ratio of the two sums of hits held
    fixed that is one quotient of sums, which is what an interval over images needs.
    """
    found, truth, right, predicted = np.asarray(counts, dtype=np.float64).T
    hits = right.sum() / found.sum() if found.sum() > 0 and right.sum() > 0 else 1.0
    return 2 * found, truth + predicted / hits
