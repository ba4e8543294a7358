"""Normals out of depth on planes and spheres, and covisibility on scenes worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from midvision.core.items import Surface
from midvision.geometry.camera import crop_K, pixel_centres, rays
from midvision.geometry.surface import covisibility, normals_from_depth, reprojection_error

H, W = 40, 50
K = torch.tensor([[60.0, 0, 25.3], [0, 55.0, 19.1], [0, 0, 1]], dtype=torch.float64)
EYE = torch.eye(4, dtype=torch.float64)


def directions(K: torch.Tensor = K) -> torch.Tensor:
    return rays(K, pixel_centres(H, W, torch.zeros(1, dtype=torch.float64)).flatten(1).T)


def plane_depth(normal: torch.Tensor, distance: float, K: torch.Tensor = K) -> torch.Tensor:
    return (-distance / (directions(K) @ normal)).reshape(1, H, W)


def tilted(x: float, y: float) -> torch.Tensor:
    return F.normalize(torch.tensor([x, y, -1.0], dtype=torch.float64), dim=0)


@pytest.mark.parametrize("radius", [1, 2, 4])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.5, -0.3), (-0.8, 0.4)])
@pytest.mark.parametrize("corner", [(0, 0), (7, -30)])
def test_planes_are_exact_for_any_principal_point(
    radius: int, tilt: tuple[float, float], corner: tuple[int, int]
) -> None:
    """The reference drops the principal point, which tilts normals by degrees (protocols D39)."""
    camera = crop_K(K, *corner)
    normal = tilted(*tilt)
    depth = plane_depth(normal, 2.0, camera)
    valid = depth > 0
    found, known = normals_from_depth(depth.float(), camera, valid, radius, step=1.0)
    inner = (slice(None), slice(radius, H - radius), slice(radius, W - radius))
    assert known[inner].all() or not valid.all()
    angles = torch.rad2deg(torch.acos((found.double() * normal[:, None, None]).sum(0).clamp(-1, 1)))
    assert float(angles[known[0]].max()) < 0.2


def test_a_sphere_gives_its_own_normals() -> None:
    """Slow oracle: ray-sphere intersection in closed form."""
    ray = directions()
    centre = torch.tensor([0.1, -0.05, 3.0], dtype=torch.float64)
    a, b, c = (ray * ray).sum(1), ray @ centre, centre @ centre - 1.0
    discriminant = b * b - a * c
    hit = discriminant > 0.05
    z = torch.where(hit, (b - discriminant.clamp_min(0).sqrt()) / a, torch.zeros_like(a))
    truth = (ray * z[:, None] - centre).T.reshape(3, H, W)
    found, known = normals_from_depth(z.reshape(1, H, W), K, hit.reshape(1, H, W))
    cosine = (found.double() * truth).sum(0).clamp(-1, 1)
    assert int(known.sum()) > 300
    assert float(torch.rad2deg(torch.acos(cosine[known[0]])).median()) < 0.6


def test_normals_face_the_viewer_and_have_length_one() -> None:
    found, known = normals_from_depth(plane_depth(tilted(0.7, 0.2), 1.5), K, torch.ones(1, H, W, dtype=torch.bool))
    facing = (found.double().flatten(1).T * directions()).sum(1).reshape(1, H, W)
    assert (facing[known] < 0).all()
    assert torch.allclose(found.norm(dim=0)[known[0]], torch.ones(()))


def test_a_depth_step_does_not_bend_the_normals_beside_it() -> None:
    depth = torch.full((1, H, W), 2.0, dtype=torch.float64)
    depth[..., 25:] = 3.0
    found, known = normals_from_depth(depth, K, torch.ones(1, H, W, dtype=torch.bool))
    assert torch.allclose(found[:, known[0]], torch.tensor([0.0, 0.0, -1.0])[:, None], atol=1e-6)


def test_lonely_pixels_have_no_normal() -> None:
    depth, valid = torch.ones(1, H, W), torch.zeros(1, H, W, dtype=torch.bool)
    valid[0, 10, 10] = valid[0, 20, 20] = valid[0, 20, 21] = True
    found, known = normals_from_depth(depth, K, valid)
    assert not known.any()
    assert not found.any()


def flat(depth_m: float) -> Surface:
    depth = torch.full((1, H, W), depth_m)
    return Surface(depth, depth > 0, K)


def test_a_view_sees_all_of_itself() -> None:
    assert covisibility(flat(2.0), flat(2.0), EYE) == 1.0
    assert float(reprojection_error(flat(2.0), flat(2.0), EYE).max()) == pytest.approx(0, abs=1e-12)


def test_a_sideways_step_leaves_the_share_that_stays_in_frame() -> None:
    """At 2 m one metre is 30 pixels: exactly 20 of 50 columns stay."""
    b_from_a = EYE.clone()
    b_from_a[0, 3] = 1.0
    assert covisibility(flat(2.0), flat(2.0), b_from_a) == pytest.approx(20 / 50)


def test_a_nearer_wall_hides_everything_and_unknown_depth_shows_nothing() -> None:
    assert covisibility(flat(2.0), flat(1.0), EYE) == 0.0
    blind = Surface(torch.zeros(1, H, W), torch.zeros(1, H, W, dtype=torch.bool), K)
    assert covisibility(flat(2.0), blind, EYE) == 0.0
    assert covisibility(blind, flat(2.0), EYE) == 0.0


def test_moving_forward_shortens_depth_by_the_step() -> None:
    b_from_a = EYE.clone()
    b_from_a[2, 3] = -0.5
    assert float(torch.nanmedian(reprojection_error(flat(2.0), flat(1.5), b_from_a))) == pytest.approx(0, abs=1e-9)
    assert float(torch.nanmedian(reprojection_error(flat(2.0), flat(2.0), b_from_a))) == pytest.approx(0.25)
