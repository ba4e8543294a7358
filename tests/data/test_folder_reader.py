"""Photographs with masks, depth or normals in a folder: layouts, values, object crops, bad folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import SIZE, coded, coded_depth, open_set, save, save_palette

from midvision.core.errors import DataError, UsageError
from midvision.core.items import DenseItem
from midvision.core.specs import ImageRules


def only_item(data) -> DenseItem:  # type: ignore[no-untyped-def]
    assert len(data.items) == 1
    return data.items[0]


def voc(root: Path) -> Path:
    for name in ("a", "b"):
        save(root / "JPEGImages" / f"{name}.jpg", coded(), quality=95)
        indices = np.zeros(SIZE, np.uint8)
        indices[40:80, 50:100], indices[80:90, 50:100], indices[100:, 150:] = 3, 255, 1
        save_palette(root / "SegmentationObject" / f"{name}.png", indices)
    return root


def test_voc_layout_is_found_and_void_is_foreground_but_not_valid(tmp_path: Path) -> None:
    data = open_set("folder", voc(tmp_path), "segmentation", size="160x200")
    target = only_item(data).target()
    assert target.values.shape == (1, 160, 200)
    assert target.values.dtype == torch.float32
    assert target.values[0, 60, 60] == target.values[0, 85, 60] == target.values[0, 120, 160] == 1
    assert target.values[0, 0, 0] == 0
    assert int((~target.valid).sum()) == 10 * 50
    assert not target.valid[0, 80:90, 50:100].any()


def test_one_file_per_instance(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", coded())
        for number in range(3):
            mask = np.zeros(SIZE, np.uint8)
            mask[number * 10 : number * 10 + 10] = 255
            save(tmp_path / "masks" / name / f"{number}.png", mask)
    target = only_item(open_set("folder", tmp_path, "segmentation", size="160x200")).target()
    assert target.values[0, :30].all()
    assert not target.values[0, 30:].any()


def test_photographs_without_truth_are_left_out(tmp_path: Path) -> None:
    root = voc(tmp_path)
    save(root / "JPEGImages" / "c.jpg", coded())
    splits = [open_set("folder", root, "segmentation", split) for split in ("train", "test")]
    assert sorted(item.id for data in splits for item in data.items) == ["a", "b"]


def test_depth_beside_the_photographs_in_any_naming(tmp_path: Path) -> None:
    layouts = {
        "dots": ("{}.color.png", "{}.depth.png", {}),
        "folders": ("rgb/{}.png", "depth/{}.png", {}),
        "own": ("left_{}.png", "z/{}_mm.png", {"image": "left_*.png", "depth": "z/*_mm.png"}),
    }
    found = []
    for name, (photo, depth, options) in layouts.items():
        for frame in ("f1", "f2"):
            save(tmp_path / name / photo.format(frame), coded())
            save(tmp_path / name / depth.format(frame), coded_depth())
        target = only_item(open_set("folder", tmp_path / name, "depth", size=64, **options)).target()
        assert target.valid.all()
        found.append(target.values)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_depth_in_metres_is_the_same_from_every_coding(tmp_path: Path) -> None:
    metres = coded_depth() / 1000.0
    for name, array, options in (
        ("mm", coded_depth(), {}),
        ("tum", (coded_depth().astype(np.int64)).astype(np.uint16), {"depth_scale": 1000}),
        ("npy", metres.astype(np.float32), {}),
    ):
        for frame in "ab":
            save(tmp_path / name / f"{frame}.color.png", coded())
            if name == "npy":
                np.save(tmp_path / name / f"{frame}.depth.npy", array)
            else:
                save(tmp_path / name / f"{frame}.depth.png", array)
        target = only_item(open_set("folder", tmp_path / name, "depth", size="160x200", **options)).target()
        assert np.allclose(target.values[0].numpy(), metres, atol=1e-5)


def test_normals_in_a_folder(tmp_path: Path) -> None:
    for frame in "ab":
        save(tmp_path / f"{frame}.color.png", coded())
        normals = np.zeros((*SIZE, 3), np.float32)
        normals[...] = [0.6, 0.0, -0.8]
        np.save(tmp_path / f"{frame}.normals.npy", normals)
    target = only_item(open_set("folder", tmp_path, "normals", size=64)).target()
    assert target.values.shape == (3, 64, 96)
    assert torch.allclose(target.values[:, 5, 5], torch.tensor([0.6, 0.0, -0.8]))
    assert target.valid.all()


def objects(root: Path) -> Path:
    for frame in "ab":
        save(root / f"{frame}.color.png", coded())
        save(root / f"{frame}.depth.png", coded_depth())
        mask = np.zeros(SIZE, np.uint8)
        mask[40:80, 50:110] = 1
        save(root / f"{frame}.mask.png", mask)
    return root


def test_object_depth_is_known_on_the_object_only(tmp_path: Path) -> None:
    target = only_item(open_set("folder", objects(tmp_path), "object-depth", size="160x200")).target()
    assert int(target.valid.sum()) == 40 * 60
    assert not target.values[~target.valid].any()
    assert target.valid[0, 40:80, 50:110].all()


@pytest.mark.parametrize(("end", "side"), [("inclusive", 60), ("exclusive", 59)])
def test_the_object_crop_moves_photo_and_truth_together(tmp_path: Path, end: str, side: int) -> None:
    rules = ImageRules(crop="object", crop_end=end, image_size=(side, side))  # type: ignore[arg-type]
    data = open_set("folder", objects(tmp_path), "object-depth", rules=rules)
    item = only_item(data)
    image = (data.images[item.image].load() * 255).round()
    assert data.frame_size == (side, side)
    assert image.shape == (3, side, side)
    top = 30
    assert (image[0, 0, 0], image[1, 0, 0]) == (50, top)
    depth = item.target().values[0] * 1000 - 1000
    valid = item.target().valid[0]
    assert torch.equal((depth[valid] / 200).floor(), image[0][valid])
    assert torch.allclose(depth[valid] % 200, image[1][valid], atol=0.1)


def test_the_centre_square_drops_the_outer_columns(tmp_path: Path) -> None:
    rules = ImageRules(crop="centre_square", image_size=(160, 160))
    data = open_set("folder", objects(tmp_path), "depth", rules=rules)
    image = data.images[only_item(data).image].load() * 255
    assert image[0, 0].round().tolist() == list(range(20, 180))


def test_tiles_cover_the_photograph_once(tmp_path: Path) -> None:
    splits = [open_set("folder", objects(tmp_path), "depth", s, tiles="2x2", size="80x100") for s in ("train", "test")]
    seen = torch.zeros(SIZE)
    for data in splits:
        for item in data.items:
            image = (data.images[item.image].load() * 255).round().long()
            seen[image[1], image[0]] += 1
            depth = (item.target().values[0] * 1000).round().long() - 1000
            assert torch.equal(depth // 200, image[0])
    assert (seen == 2).all()


def test_one_class_segmentation_is_an_error(tmp_path: Path) -> None:
    for frame in "abc":
        save(tmp_path / "images" / f"{frame}.png", coded())
        save(tmp_path / "masks" / f"{frame}.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(DataError, match=r"Every mask of the test split .* is background only"):
        open_set("folder", tmp_path, "segmentation")
    for frame in "abc":
        save(tmp_path / "masks" / f"{frame}.png", np.full(SIZE, 255, np.uint8))
    with pytest.raises(DataError, match="is foreground only"):
        open_set("folder", tmp_path, "segmentation")


def test_a_mask_of_another_size_is_an_error_on_opening(tmp_path: Path) -> None:
    root = voc(tmp_path)
    save(root / "SegmentationObject" / "b.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(DataError, match=r"SegmentationObject/b\.png is 30x20 pixels, but b\.jpg is 200x160"):
        open_set("folder", root, "segmentation")


def test_a_zero_byte_photograph_is_an_error_on_opening(tmp_path: Path) -> None:
    root = voc(tmp_path)
    (root / "JPEGImages" / "b.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"b\.jpg is empty \(0 bytes\)"):
        open_set("folder", root, "segmentation")


def test_patterns_that_match_no_truth_say_what_was_looked_for(tmp_path: Path) -> None:
    root = voc(tmp_path)
    with pytest.raises(DataError, match=r"None of the 2 photographs.*would need masks/a\.png"):
        open_set("folder", root, "segmentation", mask="masks/*.png")
    with pytest.raises(UsageError, match="No depth files were found"):
        open_set("folder", root, "depth")
    with pytest.raises(UsageError, match="has no scene-pairs"):
        open_set("folder", root, "scene-pairs")
    with pytest.raises(UsageError, match="needs a path"):
        open_without_path()


def open_without_path() -> None:
    from midvision.core.specs import DataSpec
    from midvision.data.card import Request, open_data

    open_data(Request("depth", "test", DataSpec(set="folder")))


def test_cmyk_grey_and_turned_photographs_work_through_the_reader(tmp_path: Path) -> None:
    from PIL import Image

    root = tmp_path
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "images").mkdir()
    Image.fromarray(coded()).convert("CMYK").save(root / "images/cmyk.jpg", quality=98)
    Image.fromarray(coded()[..., 0]).save(root / "images/grey.png")
    Image.fromarray(coded()[..., 0].astype(np.uint16) * 257).save(root / "images/sixteen.png")
    turned = Image.fromarray(coded()).transpose(Image.Transpose.ROTATE_90)
    turned.save(root / "images/turned.jpg", exif=exif, quality=98)
    mask = np.zeros(SIZE, np.uint8)
    mask[:80] = 255
    for name in ("cmyk", "grey", "sixteen", "turned"):
        save(root / "masks" / f"{name}.png", mask)
    found = {}
    for split in ("train", "test"):
        data = open_set("folder", root, "segmentation", split, size="160x200")
        found |= {name: image.load() for name, image in data.images.items()}
    assert len(found) == 4
    for image in found.values():
        assert float((image[0] * 255 - torch.arange(200)).abs().mean()) < 6
