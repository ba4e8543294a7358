"""Cameras: exact constructed cases, and pixel centres that a wrong convention would miss."""

from __future__ import annotations

import pytest
import torch

from midvision.core.errors import DataError
from midvision.geometry.camera import (
    apply_homography,
    check_K,
    crop_K,
    pixel_centres,
    project,
    scale_K,
    shift_homography,
    shift_K,
    unproject,
)

K = torch.tensor([[100.0, 0.0, 32.0], [0.0, 80.0, 24.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def test_the_top_left_pixel_has_its_centre_at_one_half() -> None:
    x, y = pixel_centres(2, 3, torch.zeros(1))
    assert x.tolist() == [[0.5, 1.5, 2.5]] * 2
    assert y.tolist() == [[0.5] * 3, [1.5] * 3]


def test_projection_by_hand() -> None:
    points = torch.tensor([[0.0, 0.0, 2.0], [1.0, -0.5, 2.0]], dtype=torch.float64)
    assert project(K, points).tolist() == [[32.0, 24.0], [82.0, 4.0]]


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert torch.isnan(project(K, torch.tensor([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]]))).all()


def test_projection_undoes_unprojection_at_pixel_centres() -> None:
    depth = torch.rand(1, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    points = unproject(K, depth)
    assert torch.equal(points[2], depth[0])
    assert torch.allclose(project(K, points.flatten(1).T), pixel_centres(5, 7, depth).flatten(1).T)


def test_intrinsics_follow_a_crop_and_a_resize() -> None:
    point = torch.tensor([[0.3, 0.1, 2.0]], dtype=torch.float64)
    moved = project(scale_K(crop_K(K, 4, 10), 0.5, 2.0), point)
    x, y = project(K, point)[0].tolist()
    assert torch.allclose(moved, torch.tensor([[(x - 10) * 2.0, (y - 4) * 0.5]], dtype=torch.float64))


def test_arguments_are_never_changed() -> None:
    before = K.clone()
    for _ in (crop_K(K, 1, 2), scale_K(K, 0.5, 3), shift_K(K, 0.5)):
        assert torch.equal(K, before)


def test_a_file_with_centres_at_zero_gains_half_a_pixel() -> None:
    """The ray through the top-left pixel must not depend on how its centre is called."""
    in_file = torch.linalg.inv(K) @ torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    ours = torch.linalg.inv(shift_K(K, 0.5)) @ torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    assert torch.allclose(in_file, ours)
    unconverted = torch.linalg.inv(K) @ torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    assert not torch.allclose(in_file, unconverted, atol=1e-4)


def test_a_homography_follows_a_shift_of_both_origins() -> None:
    H = torch.tensor([[1.1, 0.2, 3.0], [-0.1, 0.9, 5.0], [1e-3, -2e-3, 1.0]], dtype=torch.float64)
    xy = torch.tensor([[2.0, 7.0], [40.0, 31.0]], dtype=torch.float64)
    assert torch.allclose(apply_homography(shift_homography(H, 0.5), xy + 0.5), apply_homography(H, xy) + 0.5)


def test_points_behind_the_horizon_have_no_image() -> None:
    H = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 1.0]], dtype=torch.float64)
    assert torch.isnan(apply_homography(H, torch.tensor([[2.0, 0.0]], dtype=torch.float64))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        torch.eye(4),
        torch.ones(2, 3),
        torch.tensor([[-1.0, 0, 5], [0, 1, 5], [0, 0, 1]]),
        torch.tensor([[9.0, 0, 5], [0, 9, 5], [0, 1, 1]]),
        torch.tensor([[9.0, 0, 5], [2, 9, 5], [0, 0, 1]]),
        torch.full((3, 3), torch.nan),
    ],
)
def test_what_is_not_a_pinhole_is_an_error_that_names_it(wrong: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"frame-7\.txt"):
        check_K(wrong, "frame-7.txt")
