"""The built-in suite as a data set: eight contents of one set of frames, with truth that agrees with itself."""

from __future__ import annotations

import pickle
from collections import Counter
from functools import cache

import pytest
import torch

from midvision.core.errors import UsageError
from midvision.core.items import Dataset, DenseItem, LabelItem, PairItem, Surface, TripletItem, View
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data
from midvision.data.sets.synthetic import DATA, read_axes

PLAIN = ImageRules()
OBJECT = ImageRules(crop="object")
DENSE = ("segmentation", "depth", "object-depth", "normals")


@cache
def tiny(content: str, split: str, crop: str = "none", limit: int | None = None, target: str | None = None) -> Dataset:
    options = {"target": target} if target else {}
    data = DataSpec(preset="tiny", options=options)
    return open_data(Request(content, split, data, ImageRules(crop=crop), limit))  # type: ignore[arg-type]


def rays(K: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Viewing directions `[3, H, W]` with z = 1."""
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)]).double()
    return (torch.linalg.inv(K) @ pixels.reshape(3, -1)).reshape(3, *size)


def moved_into(a: View, b: View) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Surface points of a in b's camera: z there, and b's own depth at the nearest pixel (0 outside); object pixels."""
    sa, sb = a.surface(), b.surface()
    size = (sa.depth_m.shape[-2], sa.depth_m.shape[-1])
    points = (rays(sa.K, size) * sa.depth_m.double())[:, sa.valid[0]]
    b_from_a = b.camera_from_world @ torch.linalg.inv(a.camera_from_world)
    there = b_from_a[:3, :3] @ points + b_from_a[:3, 3:]
    xy = (sb.K @ there)[:2] / there[2]
    column, row = xy.floor().long()
    inside = (there[2] > 0) & (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    found = torch.zeros_like(there[2])
    depth = torch.where(sb.valid, sb.depth_m, torch.zeros(())).double()[0]
    found[inside] = depth[row[inside], column[inside]]
    return there[2], found, inside


def test_the_card_lists_what_it_opens() -> None:
    assert set(DATA.contents) == {*DENSE, "object-pairs", "scene-pairs", "triplets", "labels"}


@pytest.mark.parametrize("content", DATA.contents)
def test_items_point_at_images_of_the_frame_size(content: str) -> None:
    data = tiny(content, "test")
    assert data.items and data.frame_size == (112, 112) and not data.limited
    assert len({item.id for item in data.items}) == len(data.items)
    assert len({item.group for item in data.items}) >= 4
    for name in list(data.images)[:3]:
        image = data.images[name].load()
        assert image.shape == (3, 112, 112) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1 and image.std() > 0.02
        assert name.startswith("synthetic/tiny/base/test/") and data.images[name].id == name
        assert torch.equal(pickle.loads(pickle.dumps(data.images[name].load))(), image)


def test_one_frame_serves_depth_normals_masks_pairs_and_scene_labels() -> None:
    depth = tiny("depth", "test").images
    assert set(depth) <= set(tiny("normals", "test").images)
    assert set(tiny("scene-pairs", "test").images) <= set(depth)
    assert set(tiny("labels", "test", target="scene").images) == set(depth)
    whole = {name for content in DATA.contents for split in ("train", "test") for name in used(content, split)}
    assert len(whole) <= 120


def used(content: str, split: str) -> set[str]:
    return set() if content == "triplets" and split == "train" else set(tiny(content, split).images)


def test_groups_never_cross_splits() -> None:
    for content in ("segmentation", "depth", "object-depth", "normals", "object-pairs", "labels"):
        train, test = (tiny(content, split) for split in ("train", "test"))
        assert not {item.group for item in train.items} & {item.group for item in test.items}
        digests = [{image.digest() for image in data.images.values()} for data in (train, test)]
        assert not digests[0] & digests[1]


def test_masks_are_objects_within_bounds() -> None:
    for item in tiny("segmentation", "test").items:
        assert isinstance(item, DenseItem)
        target = item.target()
        assert target.values.shape == (1, 112, 112) and set(target.values.unique().tolist()) == {0.0, 1.0}
        assert 0.05 <= float(target.values.mean()) <= 0.60
        assert target.edge is not None and target.edge.dtype == torch.bool and target.edge.any()
        assert target.valid.float().mean() > 0.98


def test_depth_is_metric_and_nearly_everywhere() -> None:
    for item in tiny("depth", "test").items:
        assert isinstance(item, DenseItem)
        target = item.target()
        seen = target.values[target.valid]
        assert target.valid.float().mean() > 0.98 and seen.min() >= 0.2 and seen.max() <= 8.0
        assert seen.std() > 0.05


def test_object_depth_is_of_the_object_only() -> None:
    for item in tiny("object-depth", "test").items:
        assert isinstance(item, DenseItem)
        valid = item.target().valid.float().mean()
        assert 0.08 <= valid <= 0.7


def test_normals_are_unit_and_face_the_viewer() -> None:
    surfaces = {view.image: view for item in tiny("scene-pairs", "test").items for view in (item.a, item.b)}
    items = [item for item in tiny("normals", "test").items if item.image in surfaces]
    assert items
    for item in items[:6]:
        target = item.target()
        length = target.values.norm(dim=0)[target.valid[0]]
        assert torch.allclose(length, torch.ones_like(length), atol=1e-5)
        facing = (target.values.double() * rays(surfaces[item.image].surface().K, (112, 112))).sum(0)
        assert float((facing[target.valid[0]] > 0.2).float().mean()) == 0


@pytest.mark.parametrize(
    ("content", "crop"), [("scene-pairs", "none"), ("object-pairs", "none"), ("object-pairs", "object")]
)
def test_pairs_reproject(content: str, crop: str) -> None:
    """The share of points found at the right depth in the other view is at least what the pair claims."""
    data = tiny(content, "test", crop)
    for item in data.items:
        assert isinstance(item, PairItem)
        z, found, inside = moved_into(item.a, item.b)
        near = inside & ((found - z).abs() < 0.02 * z)
        least = item.tags["visible" if content == "object-pairs" else "overlap"]
        assert float(near.double().mean()) > 0.8 * least, item.id
        assert floating(item.a, item.b) < 0.01, item.id


def floating(a: View, b: View) -> float:
    """Share of a's surface that would stand in front of everything b sees within a pixel of it."""
    surface = b.surface()
    near = torch.where(surface.valid, surface.depth_m, torch.tensor(99.0))[None]
    nearest = -torch.nn.functional.max_pool2d(-near, 3, 1, 1)[0]
    around = Surface(nearest, nearest < 99, surface.K)
    z, found, inside = moved_into(a, View(b.image, lambda: around, b.camera_from_world))
    return float((inside & (found > 0) & (z < 0.98 * found)).double().mean())


def test_pairs_fill_every_bin_and_their_angle_is_the_rotation() -> None:
    for content, borders in (("object-pairs", (0, 30, 60, 90, 120)), ("scene-pairs", (0, 15, 30, 60, 120, 180.0001))):
        items = tiny(content, "test").items
        counts = Counter(int(item.tags["bin"]) for item in items)
        assert all(counts[index] >= 2 for index in range(len(borders) - 1)), (content, counts)
        for item in items:
            a, b = item.a.camera_from_world[:3, :3], item.b.camera_from_world[:3, :3]
            angle = torch.rad2deg(torch.arccos((((a @ b.T).trace() - 1) / 2).clamp(-1, 1)))
            assert float(angle) == pytest.approx(item.tags["angle_deg"], abs=1e-3)
            index = int(item.tags["bin"])
            assert borders[index] <= item.tags["angle_deg"] < borders[index + 1]


def test_object_crops_have_their_own_ids_and_digests() -> None:
    plain, crop = tiny("object-depth", "test"), tiny("object-depth", "test", "object")
    assert all(name.endswith("#object") for name in crop.images)
    assert {name.removesuffix("#object") for name in crop.images} == set(plain.images)
    assert not {i.digest() for i in plain.images.values()} & {i.digest() for i in crop.images.values()}
    first = next(iter(crop.items)).target()
    rows, columns = (torch.nonzero(first.valid[0].any(axis)).flatten() for axis in (1, 0))
    longer = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    assert longer >= 110, "the crop fits the object"


def test_triplets() -> None:
    data = tiny("triplets", "test")
    assert all(isinstance(item, TripletItem) for item in data.items)
    assert {item.tags["kind"] for item in data.items} == {"dominance", "subset", "nuisance"}
    share = sum(item.right_share for item in data.items) / len(data.items)
    assert abs(share - 0.5) < 0.1
    for item in data.items:
        assert len({data.images[name].digest() for name in (item.reference, item.left, item.right)}) == 3


def test_labels() -> None:
    train, test = tiny("labels", "train"), tiny("labels", "test")
    named = {(item.label, item.label_name) for item in [*train.items, *test.items]}
    assert len(named) == len({label for label, _ in named}) >= 7
    assert {item.label for item in test.items} <= {item.label for item in train.items}
    scene = tiny("labels", "test", target="scene")
    assert all(isinstance(item, LabelItem) for item in scene.items) and len({i.label for i in scene.items}) >= 3


def test_limit_spreads_over_kinds_and_groups_and_nests() -> None:
    whole = tiny("object-pairs", "test")
    some, fewer = tiny("object-pairs", "test", limit=8), tiny("object-pairs", "test", limit=4)
    assert len(some.items) == 8 and some.limited and not whole.limited
    assert {i.id for i in fewer.items} <= {i.id for i in some.items} <= {i.id for i in whole.items}
    assert {int(i.tags["bin"]) for i in fewer.items} == {0, 1, 2, 3}
    assert len({i.group for i in tiny("depth", "test", limit=4).items}) == 4
    assert len({i.label for i in tiny("labels", "train", limit=7).items}) == 7
    assert set(some.images) == {name for item in some.items for name in (item.a.image, item.b.image)}
    assert len({data.fingerprint for data in (whole, some, fewer)}) == 3


def test_opening_again_gives_the_same_fingerprint() -> None:
    request = Request("depth", "test", DataSpec(preset="tiny"))
    assert open_data(request).fingerprint == tiny("depth", "test").fingerprint
    assert tiny("normals", "test").fingerprint != tiny("depth", "test").fingerprint


def test_another_image_size_keeps_geometry() -> None:
    rules = ImageRules(image_size=(64, 96))
    data = open_data(Request("scene-pairs", "test", DataSpec(preset="tiny"), rules, 3))
    assert data.frame_size == (64, 96)
    for item in data.items:
        surface = item.a.surface()
        assert surface.depth_m.shape == (1, 64, 96) and data.images[item.a.image].load().shape == (3, 64, 96)
        z, found, inside = moved_into(item.a, item.b)
        assert float((inside & ((found - z).abs() < 0.03 * z)).double().mean()) > 0.7 * item.tags["overlap"]


def test_axes_from_text_and_wrong_options() -> None:
    assert (
        read_axes("texture=0, lighting=3") == {"texture": 0, "lighting": 3} == read_axes({"texture": 0, "lighting": 3})
    )
    assert read_axes(None) == {}
    for wrong in ("texture", "texture=x", 3):
        with pytest.raises(UsageError, match="axes"):
            read_axes(wrong)
    with pytest.raises(UsageError, match="target"):
        open_data(Request("labels", "test", DataSpec(preset="tiny", options={"target": "colour"})))
    with pytest.raises(UsageError, match="axis"):
        open_data(Request("depth", "test", DataSpec(preset="tiny", options={"axes": "textures=1"})))
    with pytest.raises(UsageError, match="keypoint"):
        open_data(Request("keypoint-pairs", "test", DataSpec(preset="tiny")))
