"""Poses: group laws, angles that stay exact at both ends, and what is not a rotation."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation

from midvision.core.errors import DataError
from midvision.geometry.pose import (
    apply,
    check_pose,
    compose,
    invert,
    quaternion_wxyz_to_rotation,
    relative_angle_deg,
)


def pose(vector_deg: tuple[float, float, float], at: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> torch.Tensor:
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.from_numpy(Rotation.from_rotvec(vector_deg, degrees=True).as_matrix())
    T[:3, 3] = torch.tensor(at)
    return T


A, B = pose((10, 20, -30), (1, 2, 3)), pose((-5, 60, 7), (0.1, -4, 2))


def test_inverse_and_composition() -> None:
    eye = torch.eye(4, dtype=torch.float64)
    assert torch.allclose(compose(A, invert(A)), eye)
    assert torch.allclose(invert(compose(A, B)), compose(invert(B), invert(A)))


def test_apply_by_hand() -> None:
    quarter = pose((0, 0, 90), (1.0, 0.0, 5.0))
    assert torch.allclose(apply(quarter, torch.tensor([[1.0, 0.0, 0.0]])), torch.tensor([[1.0, 1.0, 5.0]]))


def test_composition_order() -> None:
    points = torch.tensor([[0.2, -0.4, 1.5]], dtype=torch.float64)
    assert torch.allclose(apply(compose(A, B), points), apply(A, apply(B, points)))


@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 1.0, 45.0, 90.0, 179.0, 179.9999, 180.0])
def test_relative_angle(angle: float) -> None:
    axis = torch.tensor([1.0, -2.0, 0.5]) / torch.tensor([1.0, -2.0, 0.5]).norm()
    turned = compose(pose(tuple((axis * angle).tolist())), A)
    # Float32 entries of the axis limit the construction to 1e-5 of the angle.
    assert relative_angle_deg(turned, A) == pytest.approx(angle, rel=1e-5, abs=1e-9)


def test_quaternions_agree_with_scipy() -> None:
    for seed in range(5):
        rotation = Rotation.random(random_state=seed)
        x, y, z, w = rotation.as_quat()
        found = quaternion_wxyz_to_rotation(torch.tensor([w, x, y, z]))
        assert torch.allclose(found, torch.from_numpy(rotation.as_matrix()))


def test_a_quaternion_that_is_not_unit_is_an_error() -> None:
    with pytest.raises(DataError, match="view 3"):
        quaternion_wxyz_to_rotation(torch.tensor([2.0, 0, 0, 0]), "view 3")


def test_rounding_in_a_file_is_cleaned() -> None:
    rounded = (A * 1e4).round() / 1e4
    clean = check_pose(rounded, "x")
    assert torch.allclose(clean[:3, :3] @ clean[:3, :3].T, torch.eye(3, dtype=torch.float64), atol=1e-14)
    assert torch.allclose(clean, A, atol=1e-3)


def mirrored() -> torch.Tensor:
    return A @ torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))


@pytest.mark.parametrize(
    "wrong",
    [
        mirrored(),
        A * 2,
        torch.eye(3, dtype=torch.float64),
        torch.full((4, 4), math.nan, dtype=torch.float64),
        torch.ones(4, 4, dtype=torch.float64),
        torch.diag(torch.tensor([1.1, 1, 1, 1], dtype=torch.float64)),
    ],
)
def test_what_is_not_a_rotation_is_an_error_that_names_it(wrong: torch.Tensor) -> None:
    with pytest.raises(DataError, match=r"frame-7\.pose"):
        check_pose(wrong, "frame-7.pose")
