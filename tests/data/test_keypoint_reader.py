"""Named points: coordinates move with the frame, and broken annotation files are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from data_builders import coded, open_set, save

from midvision.core.errors import DataError
from midvision.core.items import KeypointPairItem

POINTS = {
    "a.png": [[10, 20, 1], [50.5, 30, 1], [199, 159, 1], [0, 0, 1]],
    "b.png": [[100, 80, 1], [20, 30, 1], [7, 9, 1], [5, 5, 0]],
}


def build(root: Path, **changes: Any) -> Path:
    images = {
        name: {"width": 200, "height": 160, "bbox_xywh": [5, 5, 80, 100], "keypoints": points}
        for name, points in POINTS.items()
    }
    for name in images:
        save(root / name, coded())
    fields = {"images": images, "pairs": [{"src": "a.png", "trg": "b.png", "common": [0, 1, 2]}]} | changes
    (root / "annotations.json").write_text(json.dumps(fields))
    return root


def first(root: Path, **options: object) -> KeypointPairItem:
    item = open_set("keypoints", root, "keypoint-pairs", **options).items[0]
    assert isinstance(item, KeypointPairItem)
    return item


def test_points_lie_at_pixel_centres_of_the_frame(tmp_path: Path) -> None:
    """A click on pixel (10, 20) of a coded photograph must find the colour (10, 20)."""
    data = open_set("keypoints", build(tmp_path), "keypoint-pairs", size="160x200")
    item = data.items[0]
    assert isinstance(item, KeypointPairItem)
    assert item.xy_a.tolist() == [[10.5, 20.5], [51.0, 30.5], [199.5, 159.5]]
    image = (data.images[item.image_a].load() * 255).round()
    column, row = item.xy_a[0].floor().long().tolist()
    assert image[:2, row, column].tolist() == [10, 20]
    half = first(tmp_path, size="160x200", pixel_centre=0.5)
    assert half.xy_a.tolist() == [[10, 20], [50.5, 30], [199, 159]]


def test_points_and_unit_follow_the_frame_size(tmp_path: Path) -> None:
    item = first(build(tmp_path), size="80x50")
    assert torch.allclose(item.xy_b[0], torch.tensor([100.5 / 4, 80.5 / 2], dtype=torch.float64))
    assert item.scale_px == max(80 / 4, 100 / 2)


def test_without_a_list_every_pair_and_every_common_point(tmp_path: Path) -> None:
    item = first(build(tmp_path, pairs=[]), size="160x200")
    assert item.id == "a.png~b.png"
    assert len(item.xy_a) == 3


def test_several_folders(tmp_path: Path) -> None:
    build(tmp_path / "horse")
    build(tmp_path / "dog")
    data = open_set("keypoints", tmp_path, "keypoint-pairs")
    assert [item.id for item in data.items] == ["dog/a.png~dog/b.png", "horse/a.png~horse/b.png"]


def test_pairs_with_few_points_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Pairs need 4 common points"):
        open_set("keypoints", build(tmp_path), "keypoint-pairs", min_points=4)


def test_broken_annotations_are_named(tmp_path: Path) -> None:
    build(tmp_path, pairs=[{"src": "a.png", "trg": "z.png"}])
    with pytest.raises(DataError, match=r"annotations\.json pairs image 'z\.png'"):
        first(tmp_path)
    build(tmp_path, images={"a.png": {"keypoints": [[1, 2, 1]]}})
    with pytest.raises(DataError, match=r"annotations\.json does not have the expected fields"):
        first(tmp_path)
    build(tmp_path, images={"a.png": {"width": 9, "height": 9, "bbox_xywh": [0, 0, 1, 1], "keypoints": []}})
    with pytest.raises(DataError, match=r"another size of a\.png"):
        first(tmp_path)
    (tmp_path / "annotations.json").write_text("{")
    with pytest.raises(DataError, match=r"annotations\.json is not readable JSON"):
        first(tmp_path)
    (tmp_path / "annotations.json").unlink()
    with pytest.raises(DataError, match=r"No annotations\.json was found"):
        first(tmp_path)


def test_indices_beyond_the_points_are_an_error(tmp_path: Path) -> None:
    build(tmp_path, pairs=[{"src": "a.png", "trg": "b.png", "common": [0, 1, 99]}])
    with pytest.raises(DataError, match=r"annotations\.json"):
        first(tmp_path)
