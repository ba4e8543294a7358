"""ScanNet's test pairs from files in the official layout to scores."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import command, document, snapshot
from official_rooms import pose_of, trace
from official_scannet import build_scannet, packed, write_tables

import midvision as mv
from midvision.cli.main import main
from midvision.core.items import Dataset, PairItem
from midvision.core.specs import DataSpec
from midvision.data.card import Request, open_data
from midvision.geometry.camera import project
from midvision.geometry.pose import apply
from midvision.tasks.task import all_tasks

TASK = all_tasks()["scannet-pairs"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_scannet(tmp_path_factory.mktemp("scannet"))


@pytest.fixture
def folder(official: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    target = tmp_path / "files" / official.name
    shutil.copytree(official, target)
    return target


def opened(protocol: str = "corrected", limit: int | None = None) -> Dataset:
    rules = TASK.protocols[protocol].images
    return open_data(Request("scene-pairs", "test", DataSpec(set="scannet"), rules, limit))


def test_a_known_point_projects_to_a_known_pixel_in_both_views(
    official: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "scannet", "--subset", "--from", official)
    data = opened()
    assert data.frame_size == (480, 640) and len(data.items) == 4 and len(data.images) == 6
    item = data.items[1]
    assert isinstance(item, PairItem)
    assert (item.id, item.group) == ("scannet/scene0707_00/0-585", "scene0707_00")
    # The corner of a box that all three faces show; scene 707 shows poses 2, 3 and 4.
    corner = torch.tensor([[0.5, 0.2, 0.9]], dtype=torch.float64)
    for view, number in ((item.a, 2), (item.b, 4)):
        pose = pose_of(number)
        in_camera = pose[:3, :3].T @ (corner[0].numpy() - pose[:3, 3])
        by_hand = (
            518.0 * in_camera[0] / in_camera[2] + 325.5,
            519.0 * in_camera[1] / in_camera[2] + 253.5,
        )
        surface = view.surface()
        x, y = project(surface.K, apply(view.camera_from_world, corner))[0].tolist()
        assert (x, y) == pytest.approx(by_hand, abs=0.01)
        assert 8 < x < 640 and 0 < y < 480
        # The depth file shows the box there.
        assert float(surface.depth_m[0, int(y), int(x)]) == pytest.approx(in_camera[2], abs=0.03)


def test_depth_is_millimetres_and_zero_is_missing(
    official: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "scannet", "--subset", "--from", official)
    item = opened().items[0]
    assert isinstance(item, PairItem)
    surface, truth = item.a.surface(), torch.from_numpy(trace(pose_of(2))["depth_m"])
    assert not bool(surface.valid[0, :, :8].any()) and bool(surface.valid[0, :, 8:].all())
    assert float((surface.depth_m[0] - truth)[:, 8:].abs().max()) <= 0.0006
    assert surface.K.tolist() == [[518.0, 0.0, 325.5], [0.0, 519.0, 253.5], [0.0, 0.0, 1.0]]


def test_the_tar_with_tables_apart_and_the_folder_give_one_copy(
    official: Path, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = packed(official, tmp_path / "scannet_test_1500.tar")
    tables = [official / "test.npz", official / "intrinsics.npz"]
    before = snapshot(official), tar.read_bytes()
    first = document(capsys, "prepare", "scannet-pairs", "--subset", "--from", tar, *tables)
    second = document(capsys, "prepare", "scannet", "--subset", "--again", "--from", official.parent)
    assert first["content"] == second["content"] and first["counts"] == {"test": 4}
    assert (first["files"], second["kept_in_place"]) == (20, 20)
    assert (snapshot(official), tar.read_bytes()) == before
    assert document(capsys, "check", "scannet", "--full")["problems"] == []
    code, _, err = command(capsys, "prepare", "scannet", "--from", tar, *tables)
    assert code == 3 and "has 4 entries, the official one 1500" in err


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_oracle_reaches_the_ceiling_and_show_draws(
    official: Path, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    document(capsys, "prepare", "scannet", "--subset", "--from", official)
    page = tmp_path / "show.html"
    assert main(["show", "scannet-pairs", "--protocol", protocol, "-o", str(page), "-n", "2"]) == 0
    assert "true matches" in page.read_text()
    oracle, noise = mv.evaluate(
        ["control/oracle", "control/noise"], "scannet-pairs", protocol=protocol, limit=1, output=tmp_path / "results"
    )
    assert oracle.metrics["recall_10px"].value > 0.98
    floor = oracle.baselines["chance"]["recall_10px"].value
    assert noise.metrics["recall_10px"].value < floor + 0.05, floor
    chance = oracle.baselines["chance"]
    assert (chance["recall_10px_quarter"].value == floor) == (protocol == "paper")


def test_a_limit_spreads_over_scenes_and_nothing_trains(
    official: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "scannet", "--subset", "--from", official)
    assert len(opened(limit=2).items) == 2
    with pytest.raises(Exception, match="need no training"):
        open_data(Request("scene-pairs", "train", DataSpec(set="scannet")))


def break_name(folder: Path) -> str:
    np.savez(folder / "test.npz", pairs=np.zeros((2, 4), int))
    return "no field `name`"


def break_shape(folder: Path) -> str:
    np.savez(folder / "test.npz", name=np.zeros((2, 3), int))
    return "`name` of shape (2, 3)"


def break_pickle(folder: Path) -> str:
    np.savez(folder / "test.npz", name=np.array([{"a": 1}], dtype=object))
    return "test.npz cannot be read"


def bomb_in_table(folder: Path) -> str:
    np.savez_compressed(folder / "test.npz", name=np.zeros((3_000_000, 4), int))
    return "test.npz cannot be read (it unpacks to more than"


def cut_table(folder: Path) -> str:
    table = folder / "intrinsics.npz"
    table.write_bytes(table.read_bytes()[:-60])
    return "intrinsics.npz cannot be read"


def drop_camera(folder: Path) -> str:
    write_tables(folder, [(711, 1, 0, 15)], {"scene0707_00": np.eye(3)})
    return "has no camera of scene0711_01"


def name_twice(folder: Path) -> str:
    write_tables(folder, [(711, 1, 0, 15)] * 2, {"scene0711_01": np.eye(3)})
    return "names 'scene0711_01/0-15' twice"


def drop_pose(folder: Path) -> str:
    (folder / "scene0711_01/pose/15.txt").unlink()
    return "No scene0711_01/pose/15.txt"


def cut_depth(folder: Path) -> str:
    path = folder / "scene0711_01/depth/15.png"
    path.write_bytes(path.read_bytes()[:-2000])
    return f"{path} is cut short"


def drop_scenes(folder: Path) -> str:
    for scene in folder.glob("scene*"):
        shutil.rmtree(scene)
    return "No sceneNNNN_NN/color"


BROKEN = (
    break_name,
    break_shape,
    break_pickle,
    bomb_in_table,
    cut_table,
    drop_camera,
    name_twice,
    drop_pose,
    cut_depth,
    drop_scenes,
)


@pytest.mark.parametrize("harm", BROKEN, ids=lambda harm: harm.__name__)
def test_a_broken_copy_is_one_line(folder: Path, root: Path, capsys: pytest.CaptureFixture[str], harm: object) -> None:
    said = harm(folder)  # type: ignore[operator]
    before = snapshot(folder)
    code, _, err = command(capsys, "prepare", "scannet", "--subset", "--from", folder)
    assert code == 3 and said in err and err.count("Error:") == 1, err
    assert snapshot(folder) == before and not (root / "scannet").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pose/0.txt", "2 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", "pose/0.txt"),
        ("pose/0.txt", "-inf -inf -inf -inf\n" * 4, "pose/0.txt"),
        ("pose/0.txt", "<html>\n", "not a table of numbers"),
    ],
)
def test_check_finds_an_unusable_pose(
    folder: Path, root: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    (folder / "scene0707_00" / name).write_text(content)
    document(capsys, "prepare", "scannet", "--subset", "--from", folder)
    code, _, err = command(capsys, "check", "scannet")
    assert code == 3 and said in err


def test_check_finds_depth_of_another_size_or_kind(
    folder: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    path = folder / "scene0707_00/depth/0.png"
    Image.fromarray(np.full((968, 1296), 1500, np.uint16)).save(path)
    document(capsys, "prepare", "scannet", "--subset", "--from", folder)
    code, _, err = command(capsys, "check", "scannet")
    assert code == 3 and "uint16 of shape (968, 1296)" in err
