"""NAVI from files in the official layout to scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import command, document, snapshot
from official_navi import FOCAL_PX, RADII_MM, build_navi, packed, scan, write_scene
from PIL import Image

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.core.items import Dataset, DenseItem, PairItem
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data
from midvision.data.navi_files import depth_from_codes, read_annotations, shrunk, small_codes, small_photo
from midvision.tasks.task import all_tasks

OWN = ImageRules(image_size=(120, 160))
CONTENTS = {"navi-depth": "object-depth", "navi-normals": "normals", "navi-pairs": "object-pairs"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release 1.5, unpacked. Tests that break files copy it first."""
    return build_navi(tmp_path_factory.mktemp("official"))


@pytest.fixture(scope="module")
def prepared(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One prepared copy for the tests that only read it."""
    data = tmp_path_factory.mktemp("data")
    words = ["prepare", "navi", "--subset", "--workers", "1", "--from", str(release), "--data-root", str(data)]
    assert main(["data", *words]) == 0
    return data


@pytest.fixture
def root(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(prepared))
    return prepared


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def opened(
    task: str, rules: ImageRules | str, split: str = "test", limit: int | None = None, **options: object
) -> Dataset:
    if isinstance(rules, str):
        rules = all_tasks()[task].protocols[rules].images
    return open_data(Request(CONTENTS[task], split, DataSpec(set="navi", options=options), rules, limit))  # type: ignore[arg-type]


def test_disparity_codes() -> None:
    """Protocols 13.9."""
    metres = depth_from_codes(np.array([[65535, 6553, 1, 0]], np.uint16))
    np.testing.assert_allclose(metres * 1000, [[10, 655350 / 6553, 655350, 0]], rtol=1e-6)
    assert round(float(metres[0, 1]) * 1000, 1) == 100.0


def test_a_pose_by_hand() -> None:
    """q = 90 degrees about y takes the object's x axis to -z; t is millimetres in the camera."""
    half = 0.5**0.5
    camera = {"q": [half, 0, half, 0], "t": [100, 0, 500], "focal_length": 1000.0, "camera_model": "x"}
    [shot] = read_annotations(
        json.dumps([{"filename": "000.jpg", "image_size": [400, 600], "camera": camera}]).encode(), "a.json"
    )
    point = torch.tensor([0.2, 0.0, 0.0, 1.0], dtype=torch.float64)
    assert (shot.camera_from_object @ point).tolist() == pytest.approx([0.1, 0, 0.3, 1])
    assert shot.sides == (400, 600)


def test_both_releases_an_archive_and_a_folder_give_the_same_pictures(
    release: Path, tmp_path: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(release)
    words = ("prepare", "navi", "--subset", "--workers", 1, "--only", "test", "--from")
    folder = document(capsys, *words, release)
    assert folder["counts"] == {"wild": 10, "multiview": 18, "train": 16, "test": 10}
    packed_one = document(capsys, *words, packed(release, tmp_path / "navi_v1.5.tar.gz"))
    assert packed_one["content"] == folder["content"] and packed_one["kept_in_place"] == 0
    older = shutil.copytree(release, tmp_path / "navi_v1.0")
    for scene in [path for path in older.glob("*/*_*_*") if path.name.startswith("multiview")]:
        scene.rename(scene.parent / scene.name.replace("_", "-"))
    shutil.rmtree(older / "bottle_vitamin_d/video_00_pixel_5")
    shutil.copyfile(
        older / "bottle_vitamin_d/wild_set/images/000.jpg",
        older / "bottle_vitamin_d/wild_set/images/downsampled_000.jpg",
    )
    assert document(capsys, *words, older)["content"] == folder["content"]
    assert snapshot(release) == before
    dry = document(capsys, "prepare", "navi", "--subset", "--dry-run", "--from", older)
    assert dry["files"] == 7 + 2 * 28 and dry["counts"]["multiview"] == 18
    manifest = json.loads((fresh / "navi/manifest.json").read_text())
    assert manifest["facts"] == {"objects": 3, "objects in both": 2, "video scenes left out": 0}


def test_lists_of_both_protocols(root: Path) -> None:
    everything = [item.id for item in opened("navi-depth", "corrected").items]
    assert len(everything) == 10 and everything == sorted(everything)
    assert [item.id for item in opened("navi-depth", "paper").items] == everything[::4]
    train = [item.id for item in opened("navi-depth", "corrected", "train").items]
    assert len(train) == 16 and not any("zz_only" in name or "video" in name for name in train)
    assert [item.id for item in opened("navi-depth", "paper", "train").items] == train[::4]
    assert train[0] == "navi/3d_dollhouse_sink/multiview_00_pixel_4a/000"
    assert {item.group for item in opened("navi-depth", "corrected").items} == {
        "navi/3d_dollhouse_sink",
        "navi/bottle_vitamin_d",
    }


def test_a_known_point_falls_on_a_known_pixel_in_both_views(root: Path) -> None:
    """The pole of the ellipsoid, and a point between two cameras, with depth equal to the measured one."""
    data = opened("navi-pairs", OWN)
    pairs = [item for item in data.items if isinstance(item, PairItem)]
    seen = 0
    for item in pairs:
        eyes = [torch.linalg.inv(view.camera_from_world)[:3, 3] for view in (item.a, item.b)]
        middle = eyes[0] / eyes[0].norm() + eyes[1] / eyes[1].norm()
        radii = torch.from_numpy(RADII_MM) / 1000
        point = middle / (middle / radii).norm()
        for view in (item.a, item.b):
            surface = view.surface()
            x, y, z = (view.camera_from_world[:3, :3] @ point + view.camera_from_world[:3, 3]).tolist()
            column, row = (surface.K @ torch.tensor([x / z, y / z, 1.0], dtype=torch.float64)).tolist()[:2]
            measured = float(surface.depth_m[0, int(row), int(column)])
            normal = point / radii**2
            slant = float((view.camera_from_world[:3, :3] @ (normal / normal.norm()))[2])
            if slant < -0.5:  # well visible
                assert measured == pytest.approx(z, rel=5e-3)
                seen += 1
    assert seen > 10
    # By hand: a camera at rest looks at the object's origin, which falls on the photograph's centre.
    view = pairs[0].a
    assert "000" in view.image
    centre = view.surface().K @ view.camera_from_world[:3, 3]
    assert (centre[:2] / centre[2]).tolist() == pytest.approx([80, 60], abs=1e-6)
    assert float(view.surface().K[0, 0]) == pytest.approx(FOCAL_PX)


def test_a_turned_photograph_lies_on_its_depth(root: Path) -> None:
    data = opened("navi-depth", ImageRules(image_size=(160, 120)))
    item = next(item for item in data.items if item.id.endswith("wild_set/001"))
    assert isinstance(item, DenseItem)
    bright = data.images[item.image].load().mean(0) > 0.25
    assert float((bright == item.target().valid[0]).float().mean()) > 0.98
    turned = torch.rot90(bright, 2)
    assert float((turned == item.target().valid[0]).float().mean()) < 0.98


def test_crops_of_both_protocols(root: Path) -> None:
    """`paper` cuts within the middle square and leaves out the last row and column."""
    from midvision.data.frames import Box, choose_box

    mask = np.zeros((40, 60), bool)
    mask[10:31, 0:21] = True
    paper, corrected = (all_tasks()["navi-depth"].protocols[name].images for name in ("paper", "corrected"))
    assert choose_box(corrected, (40, 60), mask, "x") == Box(10, 0, 21, 21)
    # Columns 10..49 are the middle square; in it the object is 21 high and 11 wide.
    assert choose_box(paper, (40, 60), mask, "x") == Box(10, 10, 20, 20)
    assert choose_box(paper, (40, 60), mask[:, ::-1] & False, "x") == Box(0, 10, 40, 40)


def test_pairs_of_both_protocols(root: Path) -> None:
    own, paper = (opened("navi-pairs", name) for name in ("corrected", "paper"))
    assert len(own.items) == 10 and len(paper.items) == 3
    for item in own.items:
        assert isinstance(item, PairItem)
        assert item.a.image != item.b.image and 0 < item.tags["angle_deg"] <= 120
        assert item.a.image.split("/")[1] == item.b.image.split("/")[1]
    around = opened("navi-pairs", "corrected", scenes="multiview")
    assert len(around.items) == 16
    assert all(i.a.image.rsplit("/", 1)[0] == i.b.image.rsplit("/", 1)[0] for i in around.items)  # type: ignore[union-attr]
    assert len(opened("navi-pairs", "corrected", limit=4).items) == 4
    with pytest.raises(DataError, match="google/navi"):
        opened("navi-pairs", "corrected", pairs="official")


def test_the_reference_lets_rounding_pair_an_image_with_itself() -> None:
    from midvision.core.seeds import torch_generator
    from midvision.data.navi_pairs import drawn, drawn_as_reference
    from midvision.geometry.pose import quaternion_wxyz_to_rotation

    poses, turns, draw = {}, {}, torch_generator("test", "navi")
    for number in range(300):
        # Alone in its scene: only rounding gives it a partner.
        q = torch.nn.functional.normalize(torch.randn(4, generator=draw, dtype=torch.float64), dim=0)
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = quaternion_wxyz_to_rotation(q)
        name = f"o/s{number:03d}/000"
        poses[name], turns[name] = pose, tuple(q.tolist())
    pairs = drawn_as_reference(list(poses), poses, turns)
    assert 0.1 < len(pairs) / 300 < 0.4 and all(a == b for a, b, _ in pairs)
    assert drawn(list(poses), poses) == []


def test_official_lists_of_pairs(
    release: Path, tmp_path: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = tmp_path / "pairs-wild_set.txt"
    a, b = (f"bottle_vitamin_d/wild_set/images/00{n}.jpg" for n in (0, 3))
    name.write_text(f"{a} {b} 104.9\n{b}, {a}, 104.9\n")
    words = ("prepare", "navi", "--subset", "--workers", 1, "--only", "test", "--from", release, name)
    document(capsys, *words)
    items = opened("navi-pairs", "corrected", pairs="official").items
    assert [item.id for item in items] == [
        "bottle_vitamin_d/wild_set/000~bottle_vitamin_d/wild_set/003",
        "bottle_vitamin_d/wild_set/003~bottle_vitamin_d/wild_set/000",
    ]
    assert items[0].tags["angle_deg"] == pytest.approx(items[1].tags["angle_deg"])  # type: ignore[union-attr]
    name.write_text(f"{a} nothing/wild_set/images/000.jpg 3\n")
    document(capsys, *words)
    with pytest.raises(DataError, match="which is no image of the copy"):
        opened("navi-pairs", "corrected", pairs="official")


def test_normals_point_as_the_ellipsoid_does(root: Path) -> None:
    """Against the closed form, and the reference's principal point gives the shear of its formula."""
    rules = ImageRules(image_size=(120, 160))
    sheared = rules.model_copy(update={"normals_centre": "crop_corner"})
    straight, shear = (opened("navi-normals", r).items[2] for r in (rules, sheared))
    pair = next(i for i in opened("navi-pairs", rules).items if i.a.image == straight.image)  # type: ignore[union-attr]
    assert isinstance(straight, DenseItem) and isinstance(shear, DenseItem) and isinstance(pair, PairItem)
    surface, pose = pair.a.surface(), pair.a.camera_from_world
    from midvision.geometry.camera import unproject

    points = unproject(surface.K, surface.depth_m.double()).flatten(1).T
    inside = torch.linalg.inv(pose)
    on_object = points @ inside[:3, :3].T + inside[:3, 3]
    true = torch.nn.functional.normalize(on_object / (torch.from_numpy(RADII_MM) / 1000) ** 2, dim=1) @ pose[:3, :3].T
    found = straight.target()
    kept = found.valid.flatten()
    cosine = (found.values.flatten(1).T[kept].double() * true[kept]).sum(1)
    assert float(kept.sum()) > 500 and float(torch.rad2deg(torch.arccos(cosine.clamp(-1, 1))).median()) < 2.0
    a, b = (float(surface.K[i, 2] / surface.K[i, i]) for i in (0, 1))
    n = found.values.flatten(1).T[kept].double()
    n[:, 2] -= a * n[:, 0] + b * n[:, 1]
    expected = torch.nn.functional.normalize(n, dim=1)
    other = shear.target().values.flatten(1).T[kept].double()
    assert float((other * expected).sum(1).median()) > 0.9999


def test_large_photographs_become_small_without_loss() -> None:
    assert shrunk((4032, 3024)) == (1365, 1024) and shrunk((3000, 1024)) == (3000, 1024)
    import io

    one = scan(10, (1100, 1300))
    stream, depth = io.BytesIO(), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(one.photo).transpose(Image.Transpose.ROTATE_90).save(stream, "JPEG", quality=95, exif=exif)
    codes = np.round(np.where(one.depth_mm > 0, 655350 / np.maximum(one.depth_mm, 1), 0)).astype(np.uint16)
    Image.fromarray(codes).save(depth, "PNG")
    photo = small_photo(stream.getvalue(), "p.png", "a.jpg", (1100, 1300))["p.png"]
    small = small_codes(depth.getvalue(), "d.png", "a.png", (1100, 1300))["d.png"]
    shown = Image.open(io.BytesIO(photo))
    upright = Image.open(io.BytesIO(stream.getvalue())).transpose(Image.Transpose.ROTATE_270)
    assert shown.size == (1210, 1024) and shown.format == "PNG"
    assert np.array_equal(np.asarray(shown), np.asarray(upright.resize((1210, 1024), Image.Resampling.BICUBIC)))
    kept = np.asarray(Image.open(io.BytesIO(small)))
    assert kept.dtype == np.uint16 and kept.shape == (1024, 1210) and set(np.unique(kept)) <= set(np.unique(codes))


@pytest.mark.parametrize("protocol", ["paper", pytest.param("corrected", marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", list(CONTENTS))
def test_oracle_reaches_the_ceiling_noise_the_floor_and_show_draws(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, protocol: str
) -> None:
    page = tmp_path / "show.png"
    assert main(["show", task, "--protocol", protocol, "-o", str(page), "-n", "2"]) == 0
    models = ["control/oracle", "control/noise"]
    results = mv.evaluate(
        models, task, protocol=protocol, probe=None if task == "navi-pairs" else "ridge", output=tmp_path / "r"
    )
    oracle, noise = ({name: m.value for name, m in result.metrics.items()} for result in results)
    headline = all_tasks()[task].metrics[0].name
    print(task, protocol, {k: round(v, 3) for k, v in oracle.items()}, round(noise[headline], 3))
    kind = "chance" if task == "navi-pairs" else "constant"
    floor = results[0].baselines[kind][headline].value
    assert oracle[headline] > {"navi-depth": 0.97, "navi-normals": 0.94, "navi-pairs": 0.97}[task]
    assert noise[headline] < floor + 0.1


def test_the_copy_is_checked(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "check", "navi", "--full")["problems"] == []


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    code, _, err = command(capsys, "prepare", "navi", "--workers", 1, *words)
    assert code == 3
    assert len([line for line in err.splitlines() if line.startswith(("Error", "error", "midvision"))]) <= 1
    return err


def test_what_is_missing_cut_short_or_of_another_version_is_named(
    release: Path, tmp_path: Path, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = shutil.copytree(release, tmp_path / "navi_v1.5")
    wild = top / "bottle_vitamin_d/wild_set"
    assert "has 18 entries, the official one 8217" in refused(capsys, "--from", top)

    depth = wild / "depth/002.png"
    content = depth.read_bytes()
    depth.unlink()
    before = snapshot(top)
    assert "No bottle_vitamin_d/wild_set/depth/002.png (listed in annotations.json)" in refused(
        capsys, "--subset", "--from", top
    )
    depth.write_bytes(content[:-30])
    assert f"{depth} cannot be decoded" in refused(capsys, "--subset", "--from", top)
    depth.write_bytes(content)

    photo = wild / "images/003.jpg"
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    assert f"{photo} cannot be decoded" in refused(capsys, "--subset", "--from", top)
    photo.write_bytes(b"")
    assert f"{photo} is empty" in refused(capsys, "--subset", "--from", top)
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(photo)
    assert "is 80x60, but annotations.json says 160x120" in refused(capsys, "--subset", "--from", top)
    photo.write_bytes(whole)

    sheet = wild / "annotations.json"
    entries = json.loads(sheet.read_text())
    for change, words in (
        ({"camera": {"rotation": [1, 0, 0]}}, "without the fields of NAVI 1.0 and 1.5 (KeyError: 'q')"),
        ({"camera": {**entries[0]["camera"], "q": [2, 0, 0, 0]}}, "is not a unit quaternion"),
        ({"filename": "001.jpg"}, "lists 001.jpg twice"),
    ):
        sheet.write_text(json.dumps([{**entries[0], **change}, *entries[1:]]))
        assert words in refused(capsys, "--subset", "--from", top)
    sheet.write_text(json.dumps(entries)[:-20])
    assert "annotations.json is not readable JSON" in refused(capsys, "--subset", "--from", top)
    sheet.write_text(json.dumps(entries))
    changed = {name for name, state in snapshot(top).items() if before.get(name, ("",))[0] != state[0]}
    assert changed <= {depth.relative_to(top).as_posix()}
    assert not (fresh / "navi").exists()

    twin = top / "bottle_vitamin_d/multiview-00-pixel_4a"
    write_scene(twin, "bottle_vitamin_d", [scan(0)])
    assert "are one scene" in refused(capsys, "--subset", "--from", top)
    for folder in ("bottle_vitamin_d/wild_set", "3d_dollhouse_sink/wild_set"):
        shutil.rmtree(top / folder)
    assert "has no OBJECT/wild_set: it is not all of NAVI" in refused(capsys, "--subset", "--from", top)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "navi_v1.0.tar.gz" in refused(capsys, "--subset", "--from", empty)
