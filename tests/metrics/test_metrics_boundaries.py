"""Boundaries: matchings against a slow one, constructed counts, thin lines, and F as a quotient of sums."""

from __future__ import annotations

import numpy as np
import pytest

from midvision.metrics.boundaries import (
    best_of_each,
    best_threshold,
    boundary_counts,
    f_of,
    f_terms,
    match_pixels,
    radius_px,
    ridge_lines,
)

SIZE = (321, 481)


def largest_matching(predicted: np.ndarray, truth: np.ndarray, radius: float) -> int:
    """Augmenting paths, one pixel after the other: slow and obvious."""
    near = np.linalg.norm(predicted[:, None] - truth[None], axis=2) <= radius
    owner: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(near[row]).tolist():
            if column not in tried:
                tried.add(column)
                if column not in owner or place(owner[column], tried):
                    owner[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(predicted)))


@pytest.mark.parametrize("seed", range(6))
def test_matchings_have_the_largest_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = (rng.permutation(400)[:n] for n in (40, 25 + 10 * (seed % 3)))
    predicted, truth = (np.stack(np.divmod(cells, 20), 1) for cells in (predicted, truth))
    for radius in (1.0, 1.5, 3.0):
        right, found = match_pixels(predicted, truth, radius)
        assert right.sum() == found.sum() == largest_matching(predicted, truth, radius)


def test_greedy_would_not_do() -> None:
    """The first pixel is nearest to the one that the second needs."""
    right, found = match_pixels(np.array([[0, 1], [0, 2]]), np.array([[0, -1], [0, 1]]), 2.0)
    assert right.tolist() == [True, True] == found.tolist()
    assert match_pixels(np.empty((0, 2)), np.array([[0, 0]]), 2.0)[1].tolist() == [False]


def line(row: int) -> np.ndarray:
    drawn = np.zeros(SIZE, dtype=bool)
    drawn[row, 50:150] = True
    return drawn


def test_the_tolerance_is_a_share_of_the_diagonal() -> None:
    assert radius_px(SIZE) == pytest.approx(0.0075 * np.hypot(321, 481)) == pytest.approx(4.337, abs=1e-3)
    for shift, hits in ((0, 100), (4, 100), (5, 0)):
        counts = boundary_counts(line(100 + shift).astype(float), line(100)[None], [0.5])
        assert counts.tolist() == [[hits, 100, hits, 100]]


def test_a_drawn_pixel_is_found_once_and_annotators_count_each() -> None:
    twice = (line(99) | line(101)).astype(float)
    assert boundary_counts(twice, line(100)[None], [0.5]).tolist() == [[100, 100, 100, 200]]
    both = np.stack((line(100), line(200)))
    counts = boundary_counts(line(101).astype(float), both, [0.5])
    assert counts.tolist() == [[100, 200, 100, 100]] and f_of(counts)[0] == pytest.approx(2 * 0.5 / 1.5)
    agreed = np.stack((line(100), line(102)))
    assert boundary_counts(line(101).astype(float), agreed, [0.5]).tolist() == [[200, 200, 100, 100]]
    assert boundary_counts(np.zeros(SIZE), both, [0.5]).tolist() == [[0, 200, 0, 0]]


def test_thresholds_take_what_is_at_least_as_high() -> None:
    soft = 0.3 * line(100) + 0.6 * line(200)
    counts = boundary_counts(soft, line(200)[None], [0.1, 0.3, 0.5, 0.7])
    assert counts[:, 3].tolist() == [200, 200, 100, 0] and counts[:, 2].tolist() == [100, 100, 100, 0]
    assert best_threshold(counts[None]) == 2


@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0, 90.0, 120.0])
def test_ridges_become_lines_where_they_are(angle: float) -> None:
    rows, columns = np.mgrid[:80, :90].astype(float)
    dy, dx = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    distance = (columns - 44.3) * dy - (rows - 39.2) * dx
    found = ridge_lines(0.4 * np.exp(-0.5 * (distance / 4) ** 2), 1.0)
    inside = found[8:-8, 8:-8] > 0.2
    where = np.abs(distance[8:-8, 8:-8])[inside]
    length = max(inside.any(0).sum(), inside.any(1).sum())
    assert where.max() < 1.2 and length >= 60
    assert inside.sum() <= 1.45 * length, "a line, not a band"


def test_flat_maps_have_no_lines_and_plateaus_one() -> None:
    assert not ridge_lines(np.full((40, 40), 0.7), 2.0).any() and not ridge_lines(np.zeros((40, 40)), 2.0).any()
    step = np.zeros((40, 40))
    step[:, 20:] = 1.0
    assert not (ridge_lines(step, 1.0)[5:-5, 5:-5] > 0.6).any(), "an edge of brightness is no ridge"
    two = np.zeros((40, 40))
    two[:, 19:21] = 1.0
    lines = ridge_lines(two, 1.0)[5:-5] > 0.1
    assert lines.sum(1).tolist() == [1] * 30


def test_f_of_sums_is_a_quotient_of_sums() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 50, (12, 5, 4)).astype(float)
    counts[..., 1] += counts[..., 0]
    counts[..., 3] += counts[..., 2]
    by_hand = []
    for threshold in range(5):
        found, truth, right, predicted = counts[:, threshold].sum(0)
        recall, precision = found / truth, right / predicted
        by_hand.append(2 * recall * precision / (recall + precision))
    best = best_threshold(counts)
    assert best == int(np.argmax(by_hand))
    above, below = f_terms(counts[:, best])
    assert above.sum() / below.sum() == pytest.approx(by_hand[best], rel=1e-12)
    own = best_of_each(counts)
    for image in range(12):
        assert f_of(own[image]) == max(f_of(counts[image, t]) for t in range(5))
    nothing = np.array([[0.0, 30.0, 0.0, 0.0]])
    assert f_of(nothing)[0] == 0.0 and f_terms(nothing)[0].sum() == 0.0 and f_terms(nothing)[1].sum() == 30.0
