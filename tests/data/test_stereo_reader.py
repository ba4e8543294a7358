"""Rectified stereo of a slanted wall and a box before it, whose disparity is known exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import coded, open_set, save

from midvision.core.errors import DataError, UsageError
from midvision.core.items import PairItem
from midvision.data.disparity import read_calibration, to_right
from midvision.geometry.camera import unproject
from midvision.geometry.pose import apply, compose, invert
from midvision.geometry.surface import reprojection_error

H, W = 96, 128
CALIB = {"focal_px": 100.0, "cx_left": 60.0, "cy": 45.0, "doffs_px": 6.0, "baseline_m": 0.2}
NORMAL, DISTANCE = np.array([0.3, 0.1, -1.0]) / np.linalg.norm([0.3, 0.1, -1.0]), 1.6


def wall_disparity(centre: float = 0.0) -> np.ndarray:
    """Disparity of the wall n.X = -DISTANCE seen by the left camera, pixel centres of the file at `centre`."""
    x, y = np.meshgrid(np.arange(W) + centre - 60.0, np.arange(H) + centre - 45.0)
    inverse_z = -(NORMAL[0] * x / 100 + NORMAL[1] * y / 100 + NORMAL[2]) / DISTANCE
    return 100.0 * 0.2 * inverse_z - 6.0


def build(root: Path, disparity: np.ndarray | None = None) -> Path:
    save(root / "left.png", coded((H, W)))
    save(root / "right.png", coded((H, W), blue=9))
    np.savez(
        root / "disparity.npz", disparity=(wall_disparity() if disparity is None else disparity).astype(np.float32)
    )
    (root / "calib.json").write_text(json.dumps(CALIB))
    return root


def test_depth_is_focal_length_times_baseline_over_disparity(tmp_path: Path) -> None:
    root = build(tmp_path)
    expected = 20.0 / (wall_disparity() + 6.0)
    for split in ("train", "test"):
        for item in open_set("stereo", root, "depth", split, tiles="2x2", size="48x64").items:
            row, column = map(int, item.id.split("@")[1].split("."))
            part = expected[row * 48 : row * 48 + 48, column * 64 : column * 64 + 64]
            assert np.allclose(item.target().values[0].numpy(), part, rtol=1e-5)


def test_normals_are_those_of_the_wall(tmp_path: Path) -> None:
    """Right only with the true principal point, which every tile moves."""
    for item in open_set("stereo", build(tmp_path), "normals", tiles="2x2", size="48x64").items:
        target = item.target()
        cosine = (target.values.double() * torch.from_numpy(NORMAL)[:, None, None]).sum(0)
        assert float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))[target.valid[0]].max()) < 0.1
        assert target.valid.float().mean() > 0.9


@pytest.mark.parametrize("size", ["96x128", "48x64", "96x96"])
def test_the_two_views_see_one_wall(tmp_path: Path, size: str) -> None:
    item = open_set("stereo", build(tmp_path), "scene-pairs", size=size).items[0]
    assert isinstance(item, PairItem)
    for view in (item.a, item.b):
        surface = view.surface()
        points = unproject(surface.K, surface.depth_m.double()).flatten(1).T[surface.valid.flatten()]
        world = apply(invert(view.camera_from_world), points)
        off = (world @ torch.from_numpy(NORMAL) + DISTANCE).abs()
        # Nearest reading moves a point by up to half a source pixel along the slant.
        assert float(off.max()) < (1e-4 if size == "96x128" else 0.008)
    b_from_a = compose(item.b.camera_from_world, invert(item.a.camera_from_world))
    assert float(torch.nanmedian(reprojection_error(item.a.surface(), item.b.surface(), b_from_a))) < 0.005


def test_a_wrongly_declared_pixel_centre_is_seen(tmp_path: Path) -> None:
    root = build(tmp_path, wall_disparity(0.5))
    worst = []
    for centre in (0.5, 0.0):
        view = open_set("stereo", root, "scene-pairs", size="96x128", pixel_centre=centre).items[0].a  # type: ignore
        surface = view.surface()
        points = unproject(surface.K, surface.depth_m.double()).flatten(1).T
        worst.append(float((points @ torch.from_numpy(NORMAL) + DISTANCE).abs().max()))
    assert worst[0] < 1e-4 < 2e-3 < worst[1]


def test_the_right_view_by_a_slow_loop() -> None:
    """Whole disparities: each left pixel lands on one right pixel, and the nearer surface wins."""
    rng = np.random.default_rng(0)
    disparity = np.repeat(rng.integers(0, 6, (8, 6)), 5, axis=1).astype(float)
    disparity[rng.random(disparity.shape) < 0.1] = np.nan
    expected = np.full(disparity.shape, np.nan)
    for row in range(8):
        for column in range(30):
            d = disparity[row, column]
            there = column - d
            joined = [n for n in (column - 1, column + 1) if 0 <= n < 30 and abs(disparity[row, n] - d) <= 1]
            if np.isfinite(d) and joined and there >= 0:
                old = expected[row, int(there)]
                expected[row, int(there)] = d if np.isnan(old) else max(old, d)
    found = to_right(disparity)
    known = np.isfinite(expected)
    assert np.array_equal(found[known], expected[known])


def test_a_stretched_surface_has_no_cracks() -> None:
    disparity = np.tile(np.linspace(20, 0, 40), (2, 1))
    found = to_right(np.pad(disparity, ((0, 0), (20, 20)), constant_values=np.nan))
    seen = np.flatnonzero(np.isfinite(found[0]))
    assert np.array_equal(seen, np.arange(seen[0], seen[-1] + 1))
    assert np.allclose(np.diff(found[0][seen], 2), 0, atol=1e-9)


def test_unknown_disparity_is_nan_infinite_or_a_stored_zero(tmp_path: Path) -> None:
    disparity = wall_disparity()
    disparity[:10], disparity[10:20] = np.nan, np.inf
    item = open_set("stereo", build(tmp_path / "a", disparity), "scene-pairs", size="96x128").items[0]
    assert not item.a.surface().valid[0, :20].any()  # type: ignore[union-attr]
    assert item.a.surface().valid[0, 20:].all()  # type: ignore[union-attr]
    root = build(tmp_path / "b")
    stored = np.round((wall_disparity()) * 256)
    stored[:5] = 0
    save(root / "disparity.png", stored.astype(np.uint16))
    (root / "disparity.npz").unlink()
    png = open_set("stereo", root, "scene-pairs", size="96x128").items[0].a.surface()  # type: ignore[union-attr]
    assert not png.valid[0, :5].any()
    assert torch.allclose(png.depth_m[0, 5:], torch.from_numpy(20 / (wall_disparity()[5:] + 6)).float(), rtol=2e-3)


def test_disparity_behind_the_cameras_is_an_error(tmp_path: Path) -> None:
    root = build(tmp_path, -wall_disparity() - 20)
    with pytest.raises(DataError, match=r"disparity\.npz puts \d+ pixels behind the cameras"):
        open_set("stereo", root, "scene-pairs").items[0].a.surface()  # type: ignore[union-attr]
    root = build(tmp_path, np.full((H, W), np.nan))
    with pytest.raises(DataError, match=r"disparity\.npz has no valid pixel"):
        open_set("stereo", root, "scene-pairs").items[0].a.surface()  # type: ignore[union-attr]


def test_object_pairs_by_depth_range(tmp_path: Path) -> None:
    disparity = wall_disparity()
    disparity[30:60, 50:80] = 34.0
    root = build(tmp_path, disparity)
    item = open_set("stereo", root, "object-pairs", size="96x128", region_depth="0.4 0.6").items[0]
    assert isinstance(item, PairItem)
    assert int(item.a.surface().valid.sum()) == 30 * 30
    assert int(item.b.surface().valid.sum()) == 30 * 30
    with pytest.raises(UsageError, match="Which pixels are the object"):
        open_set("stereo", root, "object-pairs")
    with pytest.raises(UsageError, match="region_depth"):
        open_set("stereo", root, "object-pairs", region_depth="0.6 0.4")


def test_middlebury_calibration(tmp_path: Path) -> None:
    path = tmp_path / "calib.txt"
    path.write_text("cam0=[100 0 60; 0 100 45; 0 0 1]\ncam1=[100 0 66; 0 100 45; 0 0 1]\ndoffs=6\nbaseline=200\n")
    known = read_calibration(path)
    assert (known.focal_px, known.cx_left, known.cy, known.doffs_px, known.baseline_m) == (100, 60, 45, 6, 0.2)
    assert torch.equal(known.K(True, 0.0)[0], torch.tensor([100, 0, 66.5], dtype=torch.float64))


def test_declared_numbers_replace_a_calibration_file(tmp_path: Path) -> None:
    root = build(tmp_path)
    before = open_set("stereo", root, "scene-pairs").items[0].a.surface()  # type: ignore[union-attr]
    (root / "calib.json").unlink()
    with pytest.raises(DataError, match=r"left\.png has no calibration file"):
        open_set("stereo", root, "scene-pairs")
    after = open_set("stereo", root, "scene-pairs", **CALIB).items[0].a.surface()  # type: ignore[union-attr]
    assert torch.equal(before.depth_m, after.depth_m)
    assert torch.equal(before.K, after.K)


@pytest.mark.parametrize(
    "text", ["{}", '{"focal_px": "x"}', '{"focal_px": -1, "cx_left": 1, "cy": 1, "baseline_m": 1}', "no"]
)
def test_broken_calibrations_are_named(tmp_path: Path, text: str) -> None:
    root = build(tmp_path)
    (root / "calib.json").write_text(text)
    with pytest.raises(DataError, match=r"calib\.json"):
        open_set("stereo", root, "scene-pairs")


def test_two_photographs_of_other_sizes_are_an_error(tmp_path: Path) -> None:
    root = build(tmp_path)
    save(root / "right.png", coded((H, W - 1)))
    with pytest.raises(DataError, match="differ in size"):
        open_set("stereo", root, "depth")
    (root / "right.png").unlink()
    with pytest.raises(UsageError, match="No left and right photographs"):
        open_set("stereo", root, "depth")


def test_scenes_in_folders(tmp_path: Path) -> None:
    for name in "abc":
        build(tmp_path / name)
    data = open_set("stereo", tmp_path, "scene-pairs")
    assert [(i.id, i.group) for i in data.items] == [(f"{n}/left~{n}/right", n) for n in "abc"]
    ids = {i.id for s in ("train", "test") for i in open_set("stereo", tmp_path, "depth", s).items}
    assert ids == {"a/left", "b/left", "c/left"}
