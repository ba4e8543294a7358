"""Every reader under every crop and size: the colour of a frame's pixel, put through the frame's own
geometry, comes back to that pixel within half a pixel; and so does the truth beside it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import K_FILE, SIZE, coded, coded_depth, open_set, save, save_numbers

from midvision.core.items import Dataset, DenseItem, PairItem
from midvision.core.specs import ImageRules

RULES = {
    "whole": ImageRules(),
    "square": ImageRules(crop="centre_square"),
    "lanczos": ImageRules(photo_resample="lanczos"),
    "nearest": ImageRules(photo_resample="nearest"),
    "exact": ImageRules(image_size=(90, 110)),
    "enlarged": ImageRules(image_size=(320, 448)),
    "square-480": ImageRules(crop="centre_square", image_size=(480, 480)),
}
Builder = Callable[[Path, ImageRules], Dataset]


def folder(root: Path, rules: ImageRules) -> Dataset:
    for name in "ab":
        save(root / f"{name}.color.png", coded())
        save(root / f"{name}.depth.png", coded_depth())
    return open_set("folder", root, "depth", rules=rules)


def object_folder(root: Path, rules: ImageRules) -> Dataset:
    mask = np.zeros(SIZE, np.uint8)
    mask[20:110, 60:170] = 1
    for name in "ab":
        save(root / f"{name}.color.png", coded())
        save(root / f"{name}.depth.png", coded_depth())
        save(root / f"{name}.mask.png", mask)
    return open_set("folder", root, "object-depth", rules=rules.model_copy(update={"crop": "object"}))


def rgbd(root: Path, rules: ImageRules) -> Dataset:
    save_numbers(root / "intrinsics.txt", K_FILE)
    for name in "ab":
        save(root / f"{name}.color.png", coded())
        save(root / f"{name}.depth.png", coded_depth())
        save_numbers(root / f"{name}.pose.txt", np.eye(4))
    return open_set("rgbd", root, "scene-pairs", rules=rules)


def tiled(root: Path, rules: ImageRules) -> Dataset:
    rgbd(root, rules)
    return open_set("rgbd", root, "depth", rules=rules, tiles="2x2")


def stereo(root: Path, rules: ImageRules) -> Dataset:
    for side in ("left", "right"):
        save(root / f"{side}.png", coded())
    np.save(root / "disparity.npy", 1e6 / (coded_depth().astype(np.float64)))
    calibration = {"focal_px": 180.0, "cx_left": 98.5, "cy": 77.0, "baseline_m": 1000 / 180.0}
    (root / "calib.json").write_text(json.dumps(calibration))
    return open_set("stereo", root, "depth", "test", rules=rules, tiles="1x2")


def source_of(image: torch.Tensor) -> torch.Tensor:
    """Column and row of the photograph, `[2, H, W]`, that a frame's colours show."""
    return image[:2].double() * 255 + 0.5


def position_of(depth_m: torch.Tensor) -> torch.Tensor:
    code = (depth_m[0].double() * 1000 - 1000).round()
    return torch.stack((torch.div(code, 200, rounding_mode="floor"), code % 200)) + 0.5


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("build", [folder, object_folder, rgbd, tiled, stereo], ids=lambda b: b.__name__)
def test_photo_and_depth_show_the_same_place(tmp_path: Path, build: Builder, rules: ImageRules) -> None:
    data = build(tmp_path, rules)
    item = data.items[0]
    if isinstance(item, PairItem):
        surface = item.a.surface()
        depth, valid, name = surface.depth_m, surface.valid[0], item.a.image
    else:
        assert isinstance(item, DenseItem)
        target = item.target()
        depth, valid, name = target.values, target.valid[0], item.image
    image = data.images[name].load()
    assert tuple(image.shape[1:]) == data.frame_size == tuple(depth.shape[1:])
    shown, true = source_of(image), position_of(depth)
    # One frame pixel in source pixels, along x and y.
    step = torch.stack((shown[0, 0, -1] - shown[0, 0, 0], shown[1, -1, 0] - shown[1, 0, 0]))
    step = step / (torch.tensor([image.shape[2], image.shape[1]]) - 1)
    # The wide kernels see one side only at a border: three source pixels, ten in an enlarged frame.
    gap = (shown - true)[:, 10:-10, 10:-10][:, valid[10:-10, 10:-10]]
    # Half a frame pixel, and where the frame is the finer grid, half a source pixel of each reading.
    slack = torch.maximum(step, torch.ones(2))[:, None]
    assert (gap.abs() <= slack * 0.5 + 0.5 + 1e-6).all()
    assert (gap.mean(1).abs() < 0.1 * slack[:, 0]).all()


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_intrinsics_point_at_the_place_that_the_colour_shows(tmp_path: Path, rules: ImageRules) -> None:
    """The ray of a frame pixel is the ray of the photograph's pixel that it shows."""
    data = rgbd(tmp_path, rules)
    item = data.items[0]
    assert isinstance(item, PairItem)
    shown = source_of(data.images[item.a.image].load())
    K = item.a.surface().K
    height, width = shown.shape[1:]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    file_K = torch.from_numpy(K_FILE).clone()
    file_K[:2, 2] += 0.5
    for axis, centres in ((0, x), (1, y)):
        ray = (centres - K[axis, 2]) / K[axis, axis]
        column = ray * file_K[axis, axis] + file_K[axis, 2]
        gap = (column - shown[axis])[4:-4, 4:-4]
        assert float(gap.abs().max()) <= 0.5 * max(1.0, SIZE[0] / height, SIZE[1] / width) + 1e-6
        assert float(gap.mean().abs()) < 0.1


@pytest.mark.parametrize("build", [folder, object_folder, rgbd, tiled, stereo], ids=lambda b: b.__name__)
def test_data_sets_travel_to_worker_processes(tmp_path: Path, build: Builder) -> None:
    data = build(tmp_path, ImageRules(image_size=(64, 64)))
    copy = pickle.loads(pickle.dumps(data))
    assert copy.fingerprint == data.fingerprint
    for name in data.images:
        assert torch.equal(copy.images[name].load(), data.images[name].load())
        assert copy.images[name].digest() == data.images[name].digest()


def test_digests_follow_crop_size_and_resampling(tmp_path: Path) -> None:
    """A cache keyed by digest must never serve another crop or size."""
    seen = [folder(tmp_path, rules).images for rules in RULES.values()]
    digests = {images[next(iter(images))].digest() for images in seen}
    assert len(digests) == len(RULES)


def test_tasks_with_other_rules_never_share_an_image_id(tmp_path: Path) -> None:
    """Features belong to image ids: two crops or two ways of resizing need two ids."""
    same_size = [
        ImageRules(image_size=(80, 80)),
        ImageRules(image_size=(80, 80), photo_resample="lanczos"),
        ImageRules(image_size=(80, 80), crop="centre_square"),
        ImageRules(image_size=(80, 80), crop="centre_square", photo_resample="nearest"),
        ImageRules(image_size=(80, 80), crop="object"),
        ImageRules(image_size=(80, 80), crop="object", crop_end="exclusive"),
    ]
    object_folder(tmp_path, ImageRules())
    seen = [open_set("folder", tmp_path, "object-depth", rules=rules) for rules in same_size]
    assert len({next(iter(data.images)) for data in seen}) == len(same_size)
    for data in seen:
        assert {item.image for item in data.items} == set(data.images)  # type: ignore[union-attr]
        assert data.items[0].id == seen[0].items[0].id
