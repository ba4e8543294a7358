"""The general readers on the real data beside the project, with plain options, and on copies in another dress."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import open_set
from PIL import Image
from realdata_sets import DATA, SETS, TRAINED, copy_masks, copy_rgbd, copy_stereo, nights_table

from midvision.core.items import Dataset, DenseItem, KeypointPairItem, PairItem, TripletItem
from midvision.core.specs import ImageRules
from midvision.geometry.camera import apply_homography, pixel_centres
from midvision.geometry.pose import compose, invert
from midvision.geometry.surface import reprojection_error

pytestmark = pytest.mark.realdata


def opened(
    name: str, split: str = "test", rules: ImageRules | None = None, limit: int | None = None, **more: object
) -> Dataset:
    content, reader, folder, options = SETS[name]
    return open_set(reader, DATA / folder, content, split, rules, limit, **(options | more))  # type: ignore[arg-type]


def pairs(data: Dataset) -> list[PairItem]:
    return [item for item in data.items if isinstance(item, PairItem)]


def dense(*sets: Dataset) -> list[DenseItem]:
    return [item for data in sets for item in data.items if isinstance(item, DenseItem)]


def median_errors(data: Dataset) -> list[float]:
    found = []
    for item in pairs(data):
        b_from_a = compose(item.b.camera_from_world, invert(item.a.camera_from_world))
        found.append(float(torch.nanmedian(reprojection_error(item.a.surface(), item.b.surface(), b_from_a))))
    return found


def grey(data: Dataset, image: str) -> torch.Tensor:
    return data.images[image].load().mean(0) * 255


@pytest.mark.parametrize("name", SETS)
def test_every_set_opens_with_plain_options(name: str) -> None:
    splits = ("train", "test") if SETS[name][0] in TRAINED else ("test",)
    for split in splits:
        data = opened(name, split)
        assert data.items
        assert data.fingerprint == opened(name, split).fingerprint
        for image in list(data.images.values())[:8]:
            assert tuple(image.load().shape) == (3, *data.frame_size)
        for item in dense(data)[:8]:
            target = item.target()
            assert tuple(target.values.shape[1:]) == tuple(target.valid.shape[1:]) == data.frame_size
            assert target.valid.any()


@pytest.mark.parametrize(
    ("name", "count", "typical"),
    [
        ("scene-pairs-7scenes", 172, 0.0100),
        ("scene-pairs-7scenes-sampled", 100, 0.0100),
        ("scene-pairs-slambook", 10, 0.0200),
        ("object-pairs-7scenes", 80, 0.0100),
        ("scene-pairs-motorcycle", 1, 0.0005),
        ("object-pairs-motorcycle", 1, 0.0005),
    ],
)
def test_depth_of_one_view_agrees_with_the_other_through_the_poses(name: str, count: int, typical: float) -> None:
    """Median over pairs of the median relative error, as the notes of the data say (7-Scenes 0.8 %, slambook 1.9 %)."""
    assert len(opened(name).items) >= count
    errors = median_errors(opened(name, limit=40))
    assert float(np.median(errors)) < typical
    assert np.mean(np.array(errors) < 0.06) > 0.95


def test_the_wrong_pose_direction_and_scale_would_be_seen() -> None:
    wrong = opened("scene-pairs-7scenes", pose_direction="camera_from_world", limit=30)
    assert float(np.nanmedian(median_errors(wrong))) > 0.05
    scaled = opened("scene-pairs-7scenes", depth_scale=5000, limit=30)
    assert float(np.nanmedian(median_errors(scaled))) > 0.03


def test_angles_and_overlaps_of_the_pair_list() -> None:
    import csv

    with open(DATA / "rgbd_7scenes/pairs.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    data = pairs(opened("scene-pairs-7scenes"))
    assert [(r["frame0"], r["frame1"]) for r in rows] == [(i.a.image, i.b.image) for i in data]
    for row, item in zip(rows, data):
        assert item.tags["angle_deg"] == pytest.approx(float(row["rel_rotation_deg"]), abs=0.05)
        assert item.tags["overlap"] == float(row["overlap_0in1"])


def test_stereo_depth_equals_the_depth_file() -> None:
    stereo = {i.id: i for s in ("train", "test") for i in dense(opened("depth-motorcycle", s, size="250x247"))}
    stored = np.array(Image.open(DATA / "stereo_motorcycle/left.depth.png")) / 1000
    assert len(stereo) == 6
    for name, item in stereo.items():
        row, column = map(int, name.split("@")[1].split("."))
        part = stored[row * 250 : row * 250 + 250, column * 247 : column * 247 + 247]
        target = item.target()
        assert np.array_equal(target.valid[0].numpy(), part > 0)
        assert np.abs(target.values[0].numpy() - part)[part > 0].max() < 0.00051


def test_the_right_photograph_looks_like_the_left_one_moved_by_the_surface() -> None:
    """Colours at projected points agree; with the baseline turned round they do not."""
    from midvision.geometry.camera import project, unproject
    from midvision.geometry.pose import apply

    data = opened("scene-pairs-motorcycle", size="500x741")
    item = pairs(data)[0]
    surface = item.a.surface()
    points = unproject(surface.K, surface.depth_m.double()).flatten(1).T[surface.valid.flatten()]
    left = grey(data, item.a.image)[surface.valid[0]]
    right = grey(data, item.b.image)
    gaps = []
    for way in (item.b.camera_from_world, invert(item.b.camera_from_world)):
        xy = project(item.b.surface().K, apply(way, points))
        inside = (xy[:, 0] >= 0) & (xy[:, 0] < 741)
        column, row = xy[inside].floor().long().unbind(1)
        gaps.append(float((left[inside] - right[row, column]).abs().median()))
    assert gaps[0] < 5 < 3 * gaps[0] < gaps[1]


@pytest.mark.parametrize("size", ["640x800", "224x288"])
def test_the_graffiti_homographies_map_grey_to_grey(size: str) -> None:
    data = opened("scene-pairs-graffiti", size=size)
    assert [item.id for item in data.items] == ["1~2", "1~3", "2~3"]
    for item in pairs(data):
        a, b = grey(data, item.a.image), grey(data, item.b.image)
        surface = item.a.surface()
        height, width = data.frame_size
        xy = pixel_centres(height, width, torch.zeros(1, dtype=torch.float64)).flatten(1).T[surface.valid.flatten()]
        assert item.planar is not None
        column, row = apply_homography(item.planar.b_from_a, xy).floor().long().unbind(1)
        pair = torch.stack((a[surface.valid[0]], b[row, column]))
        unmoved = torch.stack((a[surface.valid[0]], b[surface.valid[0]]))
        assert float(torch.corrcoef(pair)[0, 1]) > 0.83
        assert float(torch.corrcoef(unmoved)[0, 1]) < 0.2
        # The shares that the notes of the data give: how much of b is on a.
        shown = float(item.b.surface().valid.float().mean())
        assert shown == pytest.approx({"1~2": 0.69, "1~3": 0.55, "2~3": 0.66}[item.id], abs=0.01)


@pytest.mark.parametrize(
    ("folder", "reader", "photo", "limit_deg"),
    [
        ("stereo_motorcycle", "stereo", "left", 6.0),
        ("rgbd_tum_frame", "rgbd", "frame", 8.0),
        ("rgbd_7scenes", "rgbd", "frame-000000", 8.0),
        ("rgbd_slambook2", "rgbd", "frame-5", 8.0),
    ],
)
def test_normals_out_of_depth_agree_with_the_derived_files(
    folder: str, reader: str, photo: str, limit_deg: float
) -> None:
    """The files are another estimate (PCA of points over 9x9), confident pixels only."""
    size = "250x370" if reader == "stereo" else "240x320"
    file = {"normals": f"{photo}.normal_derived.png"}
    image = f"{photo}.png" if reader == "stereo" else f"{photo}.color.*"
    angles = []
    ours = {
        item.id: item
        for split in ("train", "test")
        for item in dense(open_set(reader, DATA / folder, "normals", split, size=size, tiles="2x1"))  # type: ignore[arg-type]
    }
    for split in ("train", "test"):
        for item in dense(
            open_set("folder", DATA / folder, "normals", split, size=size, tiles="2x1", image=image, **file)  # type: ignore[arg-type]
        ):
            mine = next(o for name, o in ours.items() if name.endswith(item.id) or item.id.endswith(name)).target()
            theirs = item.target()
            both = mine.valid[0] & theirs.valid[0]
            cosine = (mine.values * theirs.values).sum(0)[both].clamp(-1, 1)
            angles.append(torch.rad2deg(torch.acos(cosine)))
    angle = torch.cat(angles)
    assert len(angle) > 1000
    assert float(angle.median()) < limit_deg


def test_voc_masks_hold_the_objects_with_void_apart() -> None:
    data = opened("segmentation-voc", "train"), opened("segmentation-voc", "test")
    items = {item.id: item for item in dense(*data)}
    assert set(items) == {"2011_000003", "2011_000006"}
    for name, item in items.items():
        indices = np.array(Image.open(DATA / f"masks_voc_labelme/SegmentationObject/{name}.png"))
        target = item.target()
        assert float((~target.valid).float().mean()) == pytest.approx((indices == 255).mean(), abs=0.01)
        assert float(target.values.mean()) == pytest.approx((indices > 0).mean(), abs=0.01)


def test_davis_clips_are_groups_that_never_cross_the_split() -> None:
    train, test = opened("segmentation-davis", "train"), opened("segmentation-davis", "test")
    groups = [{item.group for item in data.items} for data in (train, test)]
    assert groups[0] | groups[1] == {"blackswan", "car-shadow", "libby"}
    assert not groups[0] & groups[1]
    assert len(train.items) + len(test.items) == 139


def test_open_images_unite_their_instances() -> None:
    data = opened("segmentation-openimages", "train"), opened("segmentation-openimages", "test")
    items = dense(*data)
    assert len(items) == 3
    for item in items:
        masks = [np.array(Image.open(p)) > 0 for p in (DATA / "masks_openimages/masks" / item.id).glob("*.png")]
        share = np.logical_or.reduce(masks).mean()
        assert float(item.target().values.mean()) == pytest.approx(share, abs=0.01)


def test_keypoints_of_animals() -> None:
    data = opened("keypoints-animals")
    items = [item for item in data.items if isinstance(item, KeypointPairItem)]
    assert sorted(len(item.xy_a) for item in items) == [8, 11, 14, 19]
    for item in items:
        for xy in (item.xy_a, item.xy_b):
            assert (xy >= 0).all()
            assert (xy <= torch.tensor([data.frame_size[1], data.frame_size[0]])).all()
        assert 20 < item.scale_px < max(data.frame_size)


def test_triplets_by_class_and_in_the_nights_layout(tmp_path: Path) -> None:
    classes = opened("triplets-classes")
    answers = [item.right_share for item in classes.items if isinstance(item, TripletItem)]
    assert len(answers) == 8
    assert 0 < sum(answers) < 8
    sample = DATA / "triplet_nights_sample"
    data = open_set("triplets", nights_table(tmp_path), "triplets", images=str(sample))
    assert data.frame_size == (224, 224)
    assert len(data.items) == 1


@pytest.mark.parametrize("crop", ["centre_square", "object"])
def test_crops_of_the_paper_on_real_frames(crop: str) -> None:
    rules = ImageRules(crop=crop, crop_end="exclusive", photo_resample="nearest", image_size=(128, 128))  # type: ignore
    data = opened("object-pairs-7scenes", rules=rules, limit=8)
    assert len(data.items) == 8
    assert float(np.median(median_errors(data))) < 0.02


def test_a_copy_of_the_rgbd_frames_gives_the_same_items(tmp_path: Path) -> None:
    source = DATA / "rgbd_7scenes"
    options = copy_rgbd(source, tmp_path, (384, 512))
    for content in ("depth", "normals", "scene-pairs"):
        theirs, ours = opened(f"{content}-7scenes"), open_set("rgbd", tmp_path, content, **options)
        assert ours.frame_size == theirs.frame_size
        assert len(ours.items) == len(theirs.items)
        for a, b in zip(theirs.items[:20], ours.items[:20]):
            if isinstance(a, DenseItem) and isinstance(b, DenseItem):
                assert float((theirs.images[a.image].load() - ours.images[b.image].load()).abs().mean()) < 0.02
                both = a.target().valid[0] & b.target().valid[0]
                gap = (a.target().values - b.target().values).norm(dim=0)[both]
                assert float(gap.median()) < (0.01 if content == "depth" else 0.15)
    assert float(np.median(median_errors(open_set("rgbd", tmp_path, "scene-pairs", limit=40, **options)))) < 0.012


def test_a_copy_of_the_stereo_pair_gives_the_same_depth(tmp_path: Path) -> None:
    options = copy_stereo(DATA / "stereo_motorcycle", tmp_path, (400, 593))
    theirs, ours = opened("scene-pairs-motorcycle"), open_set("stereo", tmp_path, "scene-pairs", **options)
    assert ours.frame_size == theirs.frame_size
    for side in ("a", "b"):
        first, second = (getattr(pairs(data)[0], side).surface() for data in (theirs, ours))
        both = first.valid & second.valid
        assert both.float().mean() > 0.75
        assert float((first.depth_m - second.depth_m).abs()[both].median()) < 0.02
        assert torch.allclose(first.K, second.K, rtol=2e-3)


def test_a_copy_of_the_masks_gives_the_same_foreground(tmp_path: Path) -> None:
    options = copy_masks(DATA / "masks_openimages", tmp_path, 0.8)
    theirs, ours = opened("segmentation-openimages"), open_set("folder", tmp_path, "segmentation", **options)
    assert [item.id for item in ours.items] == [item.id for item in theirs.items]
    for a, b in zip(dense(theirs), dense(ours)):
        assert float((a.target().values != b.target().values).float().mean()) < 0.01
