"""Posed RGB-D frames before one wall: geometry must close, and a wrongly declared convention must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import K_FILE, SIZE, build_rgbd, coded, open_set, save, save_numbers

from midvision.core.errors import DataError, UsageError
from midvision.core.items import Dataset, PairItem
from midvision.core.specs import ImageRules
from midvision.data.sets.rgbd import DATA
from midvision.geometry.pose import apply, compose, invert, relative_angle_deg
from midvision.geometry.surface import reprojection_error

SHOTS = {"f1": (0.0, 0.0), "f2": (0.3, -10.0), "f3": (-0.2, 25.0), "f10": (0.1, 5.0)}


def errors(data: Dataset) -> float:
    """Largest median reprojection error of the pairs."""
    medians = []
    for item in data.items:
        assert isinstance(item, PairItem)
        b_from_a = compose(item.b.camera_from_world, invert(item.a.camera_from_world))
        medians.append(float(torch.nanmedian(reprojection_error(item.a.surface(), item.b.surface(), b_from_a))))
    return max(medians)


def wall_distance(data: Dataset) -> float:
    """How far, in metres, the points of all views lie from the wall world z = 2, at most."""
    from midvision.geometry.camera import unproject

    worst = 0.0
    for item in data.items:
        for view in (item.a, item.b):
            surface = view.surface()
            points = unproject(surface.K, surface.depth_m.double()).flatten(1).T[surface.valid.flatten()]
            z = apply(invert(view.camera_from_world), points)[:, 2]
            worst = max(worst, float((z - 2).abs().max()))
    return worst


@pytest.mark.parametrize("centre", [0.0, 0.5])
@pytest.mark.parametrize("direction", ["world_from_camera", "camera_from_world"])
def test_every_convention_is_converted_once(tmp_path: Path, centre: float, direction: str) -> None:
    root = build_rgbd(tmp_path, SHOTS, centre=centre, direction=direction, scale=20000)
    data = open_set(
        "rgbd",
        root,
        "scene-pairs",
        size="160x200",
        depth_scale=20000,
        pixel_centre=centre,
        pose_direction=direction,
    )
    assert wall_distance(data) < 1e-3
    assert errors(data) < 2e-3
    K = data.items[0].a.surface().K
    expected = torch.from_numpy(K_FILE).clone()
    expected[:2, 2] += 0.5
    assert torch.allclose(K, expected)


def test_a_wrongly_declared_pixel_centre_is_seen(tmp_path: Path) -> None:
    """Half a pixel tilts the wall: 2 m away and turned by 25 degrees, points leave it by over a millimetre."""
    root = build_rgbd(tmp_path, SHOTS, centre=0.5, scale=20000)
    right, wrong = (
        open_set("rgbd", root, "scene-pairs", size="160x200", depth_scale=20000, pixel_centre=centre)
        for centre in (0.5, 0.0)
    )
    assert wall_distance(right) < 1e-3 < 2e-3 < wall_distance(wrong)


def test_a_wrongly_declared_pose_direction_is_seen(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS, direction="camera_from_world")
    data = open_set("rgbd", root, "scene-pairs", size="160x200", min_overlap=0)
    assert wall_distance(data) > 0.1


def test_the_card_declares_what_the_reader_assumes() -> None:
    assert (DATA.pixel_centre, DATA.pose_direction) == (0.0, "world_from_camera")


def test_sampled_pairs_carry_angle_and_overlap(tmp_path: Path) -> None:
    data = open_set("rgbd", build_rgbd(tmp_path, SHOTS), "scene-pairs", min_overlap=0.3)
    ids = {item.id for item in data.items}
    assert "f1~f2" in ids
    for item in data.items:
        assert isinstance(item, PairItem)
        turn = {f"{a}~{b}": abs(SHOTS[a][1] - SHOTS[b][1]) for a in SHOTS for b in SHOTS}[item.id]
        assert item.tags["angle_deg"] == pytest.approx(turn, abs=1e-6)
        assert relative_angle_deg(item.a.camera_from_world, item.b.camera_from_world) == pytest.approx(turn, abs=1e-6)
        assert 0.3 <= item.tags["overlap"] <= 1


def test_pairs_are_spread_over_angle_bins(tmp_path: Path) -> None:
    shots = {f"f{n}": (0.0, angle) for n, angle in enumerate((0, 1, 2, 3, 16, 31))}
    root = build_rgbd(tmp_path, shots)
    data = open_set("rgbd", root, "scene-pairs", pairs_per_bin=2, min_overlap=0.05)
    angles = [item.tags["angle_deg"] for item in data.items]
    counts = [sum(low <= a < high for a in angles) for low, high in ((0, 15), (15, 30), (30, 60))]
    assert counts == [2, 2, 1]
    cut = open_set("rgbd", root, "scene-pairs", min_overlap=0.05, limit=3)
    assert len({int(item.tags["angle_deg"] >= 15) + int(item.tags["angle_deg"] >= 30) for item in cut.items}) == 3


def test_no_pair_that_shares_enough_is_an_error(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, {"a": (0.0, 0.0), "b": (20.0, 0.0)})
    with pytest.raises(DataError, match=r"no items for scene-pairs.*lower min_overlap"):
        open_set("rgbd", root, "scene-pairs")


def test_a_pair_list_is_taken_as_it_is(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    (root / "pairs.csv").write_text("frame0,frame1,overlap_0in1\nf1,f10,0.5\nf3.color.png,f2,0.25\n")
    data = open_set("rgbd", root, "scene-pairs")
    assert [item.id for item in data.items] == ["f1~f10", "f3~f2"]
    assert data.items[1].tags == {"angle_deg": pytest.approx(35.0), "overlap": 0.25}
    assert len(open_set("rgbd", root, "scene-pairs", pairs="none", min_overlap=0).items) == 6


def test_a_pair_list_naming_a_missing_frame_is_an_error(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    (root / "list.csv").write_text("frame0,frame1\nf1,f77\n")
    with pytest.raises(DataError, match=r"list\.csv names frame 'f77', which is not there.*f1, f2"):
        open_set("rgbd", root, "scene-pairs", pairs="list.csv")
    with pytest.raises(DataError, match=r"gone\.csv does not exist"):
        open_set("rgbd", root, "scene-pairs", pairs="gone.csv")


@pytest.mark.parametrize(
    ("text", "says"), [("", "no rows"), ("x,y\n1,2\n", "no columns"), ("frame0,frame1\nf1\n", "fields")]
)
def test_broken_pair_lists_are_named(tmp_path: Path, text: str, says: str) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    (root / "list.csv").write_text(text)
    with pytest.raises(DataError, match=rf"list\.csv.*{says}"):
        open_set("rgbd", root, "scene-pairs", pairs="list.csv")


def test_depth_and_normals_of_the_wall(tmp_path: Path) -> None:
    """The wall's normal in the world is (0, 0, -1); in a turned camera it turns along."""
    root = build_rgbd(tmp_path, SHOTS, scale=20000)
    for split in ("train", "test"):
        depth, normals = (open_set("rgbd", root, c, split, depth_scale=20000, size=96) for c in ("depth", "normals"))
        for item in depth.items:
            assert item.target().valid.all()
        for item in normals.items:
            target = item.target()
            angle = np.radians(SHOTS[item.id][1])
            expected = torch.tensor([np.sin(angle), 0.0, -np.cos(angle)], dtype=torch.float32)
            error = torch.rad2deg(torch.acos((target.values * expected[:, None, None]).sum(0).clamp(-1, 1)))
            assert float(error[target.valid[0]].median()) < 1.0
            assert float(target.valid.float().mean()) > 0.9


def test_normals_of_files_are_taken_when_declared(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    for name in ("f1", "f3"):
        np.save(root / f"{name}.n.npy", np.broadcast_to(np.float32([0, 0.6, -0.8]), (*SIZE, 3)))
    data = [open_set("rgbd", root, "normals", s, normals="*.n.npy") for s in ("train", "test")]
    assert sorted(item.id for d in data for item in d.items) == ["f1", "f3"]
    assert torch.allclose(data[0].items[0].target().values[:, 0, 0], torch.tensor([0.0, 0.6, -0.8]))


def test_object_pairs_through_a_box_in_the_world(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    box = {"region_box": "-0.3 -0.3 1.9 0.3 0.3 2.1"}
    data = open_set("rgbd", root, "object-pairs", size="160x200", **box)
    surface = data.items[0].a.surface()
    from midvision.geometry.camera import unproject

    points = unproject(surface.K, surface.depth_m.double()).flatten(1).T[surface.valid.flatten()]
    world = apply(invert(data.items[0].a.camera_from_world), points)
    assert float(world[:, :2].abs().max()) <= 0.301
    assert 1000 < int(surface.valid.sum()) < 10_000
    with pytest.raises(UsageError, match="Which pixels are the object is not declared"):
        open_set("rgbd", root, "object-pairs")
    with pytest.raises(UsageError, match="region_box"):
        open_set("rgbd", root, "object-pairs", region_box="0 0 0 1 1")


def test_object_pairs_through_masks_and_an_object_crop(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS, scale=20000)
    for name in SHOTS:
        mask = np.zeros(SIZE, np.uint8)
        mask[50:110, 60:140] = 1
        save(root / "regions" / f"{name}.png", mask)
    rules = ImageRules(crop="object", image_size=(80, 80))
    options = {"region": "regions/*.png", "depth_scale": 20000, "min_overlap": 0.2}
    data = open_set("rgbd", root, "object-pairs", rules=rules, **options)
    image = (data.images["f1#object"].load() * 255).round()
    assert (image[0, 0, 0], image[1, 0, 0], image.shape[-1]) == (60, 40, 80)
    assert errors(data) < 5e-3
    assert wall_distance(data) < 2e-3


def test_a_frame_names_its_missing_file(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    (root / "f3.pose.txt").unlink()
    with pytest.raises(DataError, match=r"f3\.color\.png has no file of pose"):
        open_set("rgbd", root, "scene-pairs")


def test_pairs_without_poses_or_intrinsics_ask_for_them(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    for path in root.glob("*.pose.txt"):
        path.unlink()
    with pytest.raises(UsageError, match="No pose is known for"):
        open_set("rgbd", root, "scene-pairs")
    (root / "intrinsics.txt").unlink()
    assert open_set("rgbd", root, "depth").items
    with pytest.raises(UsageError, match="No intrinsics are known for"):
        open_set("rgbd", root, "normals")
    assert open_set("rgbd", root, "normals", intrinsics="180 170 98.5 77").items


def test_a_pose_or_intrinsics_that_are_wrong_are_errors_on_opening(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    save_numbers(root / "f2.pose.txt", np.diag([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(DataError, match=r"f2\.pose\.txt is not a rotation"):
        open_set("rgbd", root, "scene-pairs")
    save_numbers(root / "intrinsics.txt", np.eye(2))
    with pytest.raises(DataError, match=r"Intrinsics of .*intrinsics\.txt have shape \(2, 2\)"):
        open_set("rgbd", root, "depth")


def test_depth_of_another_size_is_an_error(tmp_path: Path) -> None:
    root = build_rgbd(tmp_path, SHOTS)
    save(root / "f2.color.png", coded((80, 100)))
    with pytest.raises(DataError, match=r"f2\.depth\.png is 200x160 pixels, but f2\.color\.png is 100x80"):
        open_set("rgbd", root, "depth")


def test_a_copy_with_other_names_scale_and_size_says_the_same(tmp_path: Path) -> None:
    first = build_rgbd(tmp_path / "first", SHOTS)
    names = ("color/x_{}.png", "range/{}.png", "cam/{}.txt")
    renamed = {name.replace("f", "view0"): shot for name, shot in SHOTS.items()}
    second = build_rgbd(tmp_path / "second", renamed, scale=5000, names=names)
    options = {"image": "color/x_*.png", "depth": "range/*.png", "pose": "cam/*.txt", "depth_scale": 5000}
    a = open_set("rgbd", first, "scene-pairs", min_overlap=0.2)
    b = open_set("rgbd", second, "scene-pairs", min_overlap=0.2, **options)
    assert [i.id.replace("f", "view0") for i in a.items] == [i.id for i in b.items]
    for left, right in zip(a.items, b.items):
        assert torch.allclose(left.a.surface().depth_m, right.a.surface().depth_m, atol=2e-3)


def test_sequences_pair_within_themselves(tmp_path: Path) -> None:
    for sequence in ("s1", "s2"):
        build_rgbd(tmp_path / sequence, {"f1": (0.0, 0.0), "f2": (0.1, 5.0)})
    data = open_set("rgbd", tmp_path, "scene-pairs")
    assert [(item.id, item.group) for item in data.items] == [("s1/f1~s1/f2", "s1"), ("s2/f1~s2/f2", "s2")]


def test_pairs_have_no_training_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all in the test split"):
        open_set("rgbd", build_rgbd(tmp_path, SHOTS), "scene-pairs", "train")
