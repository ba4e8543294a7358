"""Pair geometry on worlds whose answer is known: planes and a sphere, traced exactly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midvision.synth import pairs
from midvision.synth.store import PairInfo
from midvision.synth.suite import OBJECT_BINS, SCENE_BINS

SIZE = 96
K = np.array([[100.0, 0, SIZE / 2], [0, 100.0, SIZE / 2], [0, 0, 1]])


def rays() -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)
    return np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T


def camera_at(azimuth_deg: float, distance: float = 3.0) -> np.ndarray:
    """Looks at the origin from the xy plane; x right, y down (= -z world), z forward."""
    angle = np.radians(azimuth_deg)
    eye = distance * np.array([np.cos(angle), np.sin(angle), 0])
    forward = -eye / distance
    down = np.array([0.0, 0, -1])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([np.cross(down, forward), down, forward])
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def sphere_sight(azimuth_deg: float) -> pairs.Sight:
    """A unit sphere at the origin and nothing else."""
    pose = camera_at(azimuth_deg)
    directions, centre = rays(), pose[:3, 3]
    a, b, c = (directions**2).sum(-1), directions @ centre, centre @ centre - 1
    inside = b**2 - a * c
    depth = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, 0)
    normals = np.where((depth > 0)[..., None], directions * depth[..., None] - centre, 0)
    return pairs.Sight(depth, normals, depth > 0, K, pose)


def wall_sight(shift_x: float) -> pairs.Sight:
    """A wall 2 m in front of a camera that is moved sideways."""
    pose = np.eye(4)
    pose[0, 3] = -shift_x
    normals = np.broadcast_to([0.0, 0, -1], (SIZE, SIZE, 3))
    return pairs.Sight(np.full((SIZE, SIZE), 2.0), normals, np.zeros((SIZE, SIZE), bool), K, pose)


@pytest.mark.parametrize("angle", [0.0, 1e-6, 14.9, 90.0, 179.9999, 180.0])
def test_rotation_angle(angle: float) -> None:
    a, b = np.eye(4), np.eye(4)
    a[:3, :3] = Rotation.from_rotvec([0.3, -0.2, 0.9]).as_matrix()
    axis = np.array([1.0, 2, -1]) / np.sqrt(6)
    b[:3, :3] = Rotation.from_rotvec(axis * np.radians(angle)).as_matrix() @ a[:3, :3]
    assert pairs.rotation_angle_deg(a, b) == pytest.approx(angle, abs=1e-5)


def test_bins_are_half_open_and_180_belongs_to_the_last() -> None:
    assert [pairs.bin_of(a, OBJECT_BINS) for a in (0, 29.99, 30, 119.99, 120, 170)] == [0, 0, 1, 3, -1, -1]
    assert [pairs.bin_of(a, SCENE_BINS) for a in (0, 15, 59.9, 60, 120, 180)] == [0, 1, 2, 3, 4, 4]


def test_wall_overlap_is_the_shifted_share() -> None:
    """0.48 m at 2 m and 100 px focal length are 24 px of 96: three quarters stay visible."""
    shared = pairs.sharing(wall_sight(0.0), wall_sight(0.48))
    assert shared.share_a == pytest.approx(0.75, abs=0.011)
    assert shared.share_b == pytest.approx(0.75, abs=0.011)
    assert shared.object_share == 0


def test_sphere_sharing_matches_the_caps() -> None:
    """A point is shared exactly when its normal faces both cameras by the required cosine."""
    a, b = sphere_sight(0), sphere_sight(60)
    seen = pairs.seen_by(a, b, tolerance_m=0.005)
    eye_a, eye_b = (-(s.camera_from_frame[:3, :3].T @ s.camera_from_frame[:3, 3]) for s in (a, b))
    rows, columns = np.nonzero(a.depth_m > 0)
    camera_points = rays()[rows, columns] * a.depth_m[rows, columns][:, None]
    points = (camera_points - a.camera_from_frame[:3, 3]) @ a.camera_from_frame[:3, :3]
    to_b = eye_b - points
    cosine_b = (points * to_b).sum(1) / np.linalg.norm(to_b, axis=1)
    expected = cosine_b > pairs.FACING_COSINE
    assert np.linalg.norm(eye_a) == pytest.approx(3)
    # Pixels within a bilinear cell of the silhouette may be lost: none may be invented.
    clear = np.abs(cosine_b - pairs.FACING_COSINE) > 0.15
    assert (seen[rows, columns] == expected)[clear].mean() > 0.995
    assert not seen[rows, columns][cosine_b < 0].any()


def test_hidden_surface_is_not_shared() -> None:
    """The far side: cameras on opposite sides of a sphere share nothing."""
    assert pairs.sharing(sphere_sight(0), sphere_sight(180), 0.005).points == 0
    assert pairs.object_pair(0, 1, sphere_sight(0), sphere_sight(100), 1.0) is not None
    assert pairs.object_pair(0, 1, sphere_sight(0), sphere_sight(130), 1.0) is None


def test_an_occluder_in_b_hides_the_wall() -> None:
    b = wall_sight(0.0)
    blocked = b.depth_m.copy()
    blocked[:, :48] = 1.0
    hidden = pairs.Sight(blocked, b.normals, b.objects, b.K, b.camera_from_frame)
    seen = pairs.seen_by(wall_sight(0.0), hidden, None)
    assert not seen[:, :48].any() and seen[1:-1, 49:-1].all()


def test_inverse_depth_is_exact_on_a_slanted_plane() -> None:
    normal, distance = np.array([0.3, -0.2, 1.0]), 2.0
    depth = distance / (rays() @ normal)
    x, y = np.random.default_rng(0).uniform(1, SIZE - 1, (2, 200))
    exact = distance / (np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T @ normal)
    assert np.allclose(1 / pairs.inverse_depth_at(depth, x, y), exact, rtol=1e-12)
    assert np.isnan(pairs.inverse_depth_at(depth, np.array([0.2]), np.array([5.0]))).all()


def test_scene_pair_rules() -> None:
    def on_objects(sight: pairs.Sight, share: float) -> pairs.Sight:
        objects = np.zeros((SIZE, SIZE), bool)
        objects[: int(SIZE * share)] = True
        return pairs.Sight(sight.depth_m, sight.normals, objects, sight.K, sight.camera_from_frame)

    a, near, far = wall_sight(0.0), wall_sight(0.48), wall_sight(1.85)
    assert pairs.scene_pair(0, 1, on_objects(a, 0.5), near) is not None
    assert pairs.scene_pair(0, 1, on_objects(a, 0.2), near) is None, "decided by structure only"
    assert pairs.scene_pair(0, 1, on_objects(a, 0.5), far) is None, "overlap below 10 %"
    assert pairs.scene_pair(0, 1, on_objects(a, 0.5), wall_sight(0.02)) is None, "overlap above 90 %"
    seventh = wall_sight(1.78)
    turned = np.diag([-1.0, -1.0, 1.0, 1.0]) @ seventh.camera_from_frame
    wide = pairs.Sight(seventh.depth_m, seventh.normals, seventh.objects, K, turned)
    assert pairs.scene_pair(0, 1, on_objects(a, 1.0), seventh) is None, "7 % at a small angle"
    assert pairs.scene_pair(0, 1, on_objects(a, 1.0), wide) is not None, "7 % at a wide angle"


def test_the_smaller_share_counts() -> None:
    """A camera half as far from the wall sees a quarter of it; all it sees is seen from afar."""
    far, pose = wall_sight(0.0), np.eye(4)
    pose[2, 3] = -1.0
    close = pairs.Sight(far.depth_m / 2, far.normals, np.ones_like(far.objects), K, pose)
    for shared in (pairs.sharing(far, close), pairs.sharing(close, far)):
        assert {round(shared.share_a, 1), round(shared.share_b, 1)} == {0.2, 1.0}
        assert shared.smaller == pytest.approx(0.25, abs=0.02)
    found = pairs.scene_pair(0, 1, close, far)
    assert found is not None and found.shared == pytest.approx(0.25, abs=0.02)


def test_choose_views_fills_the_bins_as_brute_force_does() -> None:
    rng = np.random.default_rng(4)
    bins = rng.integers(-1, 4, (8, 8))
    bins = np.triu(bins, 1) + np.triu(bins, 1).T

    def evenness(views: tuple[int, ...]) -> float:
        counts = [sum(bins[a, b] == k for a, b in itertools.combinations(views, 2)) for k in range(4)]
        return float(sum(np.log(1 + count) for count in counts))

    best = max(evenness(views) for views in itertools.combinations(range(8), 4))
    assert evenness(tuple(pairs.choose_views(bins, 4))) == pytest.approx(best)
    many = rng.integers(-1, 4, (40, 40))
    assert len(set(pairs.choose_views(np.triu(many, 1) + np.triu(many, 1).T, 24))) == 24


def test_spread_takes_groups_in_turns() -> None:
    pair = [PairInfo(0, i, 10.0, 0, 0.5, 300, 1.0) for i in range(1, 6)]
    kept = pairs.spread_pairs({"a": pair, "b": pair[:1], "c": pair}, 5, 4)
    assert [len(kept[name]) for name in "abc"] == [2, 1, 2]
    assert pairs.spread_pairs({"a": pair}, None, 4) == {"a": pair}
