"""NYUv2 from files in the official layouts to scores."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from cell_ceiling import ceiling
from official_files import command, document, snapshot
from official_nyu import LISTS, STEMS, frames, write_fair, write_geonet, write_mat, write_repackaged

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.core.items import Dataset, DenseItem
from midvision.core.specs import DataSpec
from midvision.data.card import Request, open_data
from midvision.tasks.task import all_tasks

TASKS = all_tasks()
MAT, FAIR = "nyu_depth_v2_labeled.mat", "nyuv2_surfacenormal_metadata.zip"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(scope="module")
def seen() -> list[dict[str, np.ndarray]]:
    return frames(6)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory, seen: list[dict[str, np.ndarray]]) -> Path:
    """The labelled file and FAIR's archive, beside GeoNet's two archives unpacked into one folder."""
    folder = tmp_path_factory.mktemp("nyu")
    write_mat(folder / MAT, seen)
    write_fair(folder, seen)
    shutil.rmtree(folder / "surfacenormal_metadata")
    write_geonet(folder / "nyu_geonet", seen)
    return folder


@pytest.fixture(scope="module")
def prepared(official: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all of it, for tests that only read."""
    folder = tmp_path_factory.mktemp("copy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIDVISION_DATA", str(folder))
        assert main(["data", "prepare", "nyu", "--subset", "-q", "--workers", "1", "--from", str(official)]) == 0
    return folder


@pytest.fixture
def copy(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(prepared))
    return prepared


def opened(content: str, split: str, protocol: str = "corrected", limit: int | None = None, **options: str) -> Dataset:
    rules = TASKS[f"nyu-{content}"].protocols[protocol].images
    return open_data(Request(content, split, DataSpec(set="nyu", options=options), rules, limit))  # type: ignore[arg-type]


def target_of(data: Dataset, place: int) -> Any:
    item = data.items[place]
    assert isinstance(item, DenseItem)
    return item.target()


def test_axes_and_metres_of_one_asymmetrical_picture(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], seen: list[dict[str, np.ndarray]]
) -> None:
    """A red pixel in row 100, column 300 at 3.25 m: nothing else in the frame is like it."""
    marked = [{name: array.copy() for name, array in frame.items()} for frame in seen]
    marked[3]["rgb"][100, 300], marked[3]["depth_m"][100, 300] = (255, 0, 1), 3.25
    write_mat(tmp_path / MAT, marked)
    write_fair(tmp_path, marked)
    document(capsys, "prepare", "nyu", "--subset", "--only", "test", "--workers", "1", "--from", tmp_path)
    data = opened("depth", "test")
    assert [item.id for item in data.items] == ["nyu/0001", "nyu/0004", "nyu/0005"]
    assert [item.group for item in data.items] == ["nyu/kitchen_0004", "nyu/office_0001b", "nyu/bedroom_0129"]
    item = data.items[1]
    assert isinstance(item, DenseItem) and data.frame_size == (480, 480)
    image, target = data.images[item.image].load(), item.target()
    # The middle columns 80..559 are kept, without resizing.
    assert (image[:, 100, 220] * 255).round().tolist() == [255, 0, 1]
    assert float(target.values[0, 100, 220]) == 3.25
    expected = torch.from_numpy(marked[3]["depth_m"][:, 80:560])
    assert torch.equal(target.values[0], expected) and torch.equal(target.valid[0], expected > 0)
    assert not bool(target.valid[0, :7].any())


@pytest.mark.parametrize("signs", [(1, 1, 1), pytest.param((-1, 1, -1), marks=pytest.mark.slow)])
def test_normals_face_the_viewer_in_our_axes_whatever_the_files_signs(
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    seen: list[dict[str, np.ndarray]],
    signs: tuple[int, ...],
) -> None:
    write_mat(tmp_path / MAT, seen)
    write_fair(tmp_path, seen, signs)
    document(capsys, "prepare", "nyu", "--subset", "--only", "test", "--workers", "1", "--from", tmp_path)
    target = target_of(opened("normals", "test"), 2)
    truth = torch.from_numpy(seen[4]["normals"][:, 80:560]).permute(2, 0, 1)
    valid = torch.from_numpy(seen[4]["depth_m"][:, 80:560] > 0)
    assert torch.equal(target.valid[0], valid)
    assert float((target.values - truth)[:, valid].abs().max()) < 1e-5


def test_geonet_gives_back_the_picture_whose_mean_was_subtracted_twice(
    copy: Path, seen: list[dict[str, np.ndarray]]
) -> None:
    data = opened("depth", "train")
    assert [item.id for item in data.items] == [f"nyu/{stem}" for stem in STEMS]
    assert [item.group for item in data.items][:3] == ["nyu/dining_room_0000"] * 2 + ["nyu/dining_room_0001"]
    item = data.items[2]
    assert isinstance(item, DenseItem)
    image = (data.images[item.image].load() * 255).round().permute(1, 2, 0).to(torch.uint8).numpy()
    np.testing.assert_array_equal(image, seen[2]["rgb"][:, 80:560])
    assert torch.equal(item.target().values[0], torch.from_numpy(seen[2]["depth_m"][:, 80:560]))
    normals = target_of(opened("normals", "train"), 2)
    truth = torch.from_numpy(seen[2]["normals"][:, 80:560]).permute(2, 0, 1)
    assert float((normals.values - truth)[:, normals.valid[0]].abs().max()) < 1e-5


@pytest.mark.slow
def test_the_references_folders_train_alike(
    official: Path,
    tmp_path: Path,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    seen: list[dict[str, np.ndarray]],
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = write_repackaged(tmp_path / "nyu_train", seen)
    done = document(
        capsys, "prepare", "nyu", "--subset", "--workers", "1", "--from", official / MAT, official / FAIR, folders
    )
    assert done["counts"]["train"] == 6 and done["kept_in_place"] == 18
    ours = {content: opened(content, "train", "paper") for content in ("depth", "normals")}
    monkeypatch.setenv("MIDVISION_DATA", str(prepared))
    for content, data in ours.items():
        theirs = opened(content, "train", "paper")
        assert [item.id for item in data.items] == [item.id for item in theirs.items]
        a, b = target_of(data, 4), target_of(theirs, 4)
        assert torch.equal(a.valid, b.valid) and torch.equal(a.values, b.values)


def test_lists_and_what_trains_without_geonet(official: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(official)
    words = ("--subset", "--workers", "1", "--from", official / MAT, official / FAIR)
    assert document(capsys, "prepare", "nyu", *words)["counts"] == {"labelled-train": 3, "test": 3}
    assert snapshot(official) == before
    data = opened("depth", "train")
    assert data.version == "1+labelled-train+subset" or data.version == "1+subset+labelled-train"
    assert [item.id for item in data.items] == [f"nyu/{index + 1:04d}" for index in LISTS["train"]]
    with pytest.raises(DataError, match="no frames of GeoNet"):
        opened("depth", "train", "paper")
    assert len(opened("depth", "train", "paper", train="labelled-train").items) == 3
    code, _, err = command(capsys, "prepare", "nyu", *words[3:])
    assert code == 3 and "'labelled-train' of nyu has 3 entries, the official one 795" in err


def test_other_windows_and_lists(copy: Path, seen: list[dict[str, np.ndarray]]) -> None:
    data = opened("depth", "test", window="eigen")
    assert data.frame_size == (480, 640)
    valid = target_of(data, 0).valid[0]
    expected = torch.zeros(480, 640, dtype=torch.bool)
    expected[45:471, 41:601] = torch.from_numpy(seen[0]["depth_m"] > 0)[45:471, 41:601]
    assert torch.equal(valid, expected)
    assert len(opened("depth", "test", test="train-twentieth").items) == 1
    assert len(opened("depth", "train", train="train-nineteen").items) == 5
    assert len(opened("normals", "train", limit=2).items) == 2


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("task", ["nyu-depth", "nyu-normals"])
def test_oracle_reaches_the_ceiling_and_show_draws(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], task: str, protocol: str
) -> None:
    assert document(capsys, "check", "nyu", "--full")["problems"] == []
    page = tmp_path / "show.html"
    assert main(["show", task, "--protocol", protocol, "-o", str(page), "-n", "2"]) == 0
    assert "of the pixels are invalid" in page.read_text()
    models = ["control/oracle", "control/noise"]
    oracle, noise = mv.evaluate(models, task, protocol=protocol, probe="ridge", output=tmp_path / "results")
    name = TASKS[task].metrics[0].name
    floor = oracle.baselines["constant"][name].value
    found = {"oracle": oracle.metrics[name].value, "noise": noise.metrics[name].value, "constant": floor}
    # The oracle knows means of 16-pixel cells, which mix the faces at an edge.
    most = ceiling(opened(task.removeprefix("nyu-"), "test", protocol), task.removeprefix("nyu-"))
    print(task, protocol, found, most)
    assert most - 0.02 < found["oracle"] and found["noise"] < floor + 0.1, found


def swap_axes(folder: Path) -> str:
    with h5py.File(folder / MAT, "r+") as file:
        images = file["images"][()].transpose(0, 3, 2, 1)
        del file["images"]
        file["images"] = images
    return "images of shape (6, 480, 640, 3)"


def drop_raw_depth(folder: Path) -> str:
    with h5py.File(folder / MAT, "r+") as file:
        del file["rawDepths"]
    return "has no rawDepths"


def in_millimetres(folder: Path) -> str:
    with h5py.File(folder / MAT, "r+") as file:
        file["rawDepths"][...] = file["rawDepths"][()] * 1000
    return "Metres, with 0 where missing, were expected"


def cut_mat(folder: Path) -> str:
    os.truncate(folder / MAT, (folder / MAT).stat().st_size - 4000)
    return f"{MAT} cannot be read"


def old_mat(folder: Path) -> str:
    scipy.io.savemat(folder / MAT, {"images": np.zeros((4, 4, 3, 2), np.uint8)})
    return f"{MAT} cannot be read"


def drop_mat(folder: Path) -> str:
    (folder / MAT).unlink()
    return f"No {MAT} is in"


def drop_normals(folder: Path) -> str:
    (folder / FAIR).unlink()
    return "No all_normals.pklz is in"


def cut_normals(folder: Path) -> str:
    rewrite(folder, lambda content: content[:-9000])
    return "all_normals.pklz is"


def rewrite(folder: Path, change: Any) -> None:
    with zipfile.ZipFile(folder / FAIR) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = "surfacenormal_metadata/all_normals.pklz"
    members[name] = change(members[name])
    with zipfile.ZipFile(folder / FAIR, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


def changed(folder: Path, change: Any) -> None:
    def again(content: bytes) -> bytes:
        found = pickle.loads(gzip.decompress(content))
        change(found)
        return gzip.compress(pickle.dumps(found, protocol=4), 1)

    rewrite(folder, again)


def other_shape(folder: Path) -> str:
    changed(folder, lambda found: found.update(all_normals=found["all_normals"].transpose(0, 3, 1, 2).copy()))
    return "all_normals of float32 (6, 3, 480, 640)"


def other_order(folder: Path) -> str:
    changed(folder, lambda found: found["all_filenames"].reverse())
    return "another order"


def other_axes(folder: Path) -> str:
    changed(folder, lambda found: found.update(all_normals=found["all_normals"][..., [1, 2, 0]].copy()))
    return "do not fit the depth"


def not_units(folder: Path) -> str:
    changed(folder, lambda found: found.update(all_normals=found["all_normals"] * np.float32(0.7)))
    return "are not unit vectors"


def hostile(folder: Path) -> str:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("touch /nonexistent/hacked",)

    rewrite(folder, lambda content: gzip.compress(pickle.dumps({"all_normals": Evil()})))
    return "asks for posix.system to be run"


def bad_list(folder: Path) -> str:
    with zipfile.ZipFile(folder / FAIR) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["surfacenormal_metadata/test_SN40.json"] = json.dumps([{"img": "2000_rgb.jpg"}]).encode()
    with zipfile.ZipFile(folder / FAIR, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return "names frame 2000 of 6"


def cut_geonet(folder: Path) -> str:
    path = folder / f"nyu_geonet/{STEMS[1]}.mat"
    os.truncate(path, path.stat().st_size // 2)
    return f"{path} cannot be read"


def swapped_geonet(folder: Path) -> str:
    path = folder / f"nyu_geonet/{STEMS[1]}.mat"
    found = scipy.io.loadmat(path)
    scipy.io.savemat(path, {name: found[name].swapaxes(0, 1) for name in ("img", "depth", "norm")})
    return f"{path}: img is float32 of shape (641, 481, 3)"


BROKEN = (
    swap_axes,
    drop_raw_depth,
    in_millimetres,
    cut_mat,
    old_mat,
    drop_mat,
    drop_normals,
    cut_normals,
    other_shape,
    other_order,
    other_axes,
    not_units,
    hostile,
    bad_list,
    cut_geonet,
    swapped_geonet,
)


@pytest.mark.parametrize("harm", BROKEN, ids=lambda harm: harm.__name__)
def test_a_broken_source_is_one_message(
    official: Path, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], harm: Any
) -> None:
    folder = tmp_path / "files"
    shutil.copytree(official, folder)
    if "geonet" not in harm.__name__:
        shutil.rmtree(folder / "nyu_geonet")
    said = harm(folder)
    before = snapshot(folder)
    code, _, err = command(capsys, "prepare", "nyu", "--subset", "--workers", "1", "--from", folder)
    assert code == 3 and said in err and err.count("Error:") == 1, err
    assert snapshot(folder) == before and not (root / "nyu").exists()
    assert not list(root.glob("tmp*"))
