"""ImageNet-1k, Caltech-101 and Caltech-256 from files in the official layouts to scores."""

from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from official_classes import (
    LEAVES,
    build_caltech101,
    build_caltech256,
    build_imagenet,
    build_imagenet_folders,
    caltech101_files,
    devkit,
    tar_of,
    train_pictures,
    val_pictures,
    written,
)
from official_files import command, document, snapshot

import midvision as mv
from midvision.cli.main import main
from midvision.core.items import Dataset, LabelItem
from midvision.core.seeds import seed_for
from midvision.core.specs import DataSpec
from midvision.data.card import Request, open_data
from midvision.tasks.task import all_tasks

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def opened(name: str, split: str = "test", limit: int | None = None, **options: object) -> Dataset:
    rules = all_tasks()[f"{name}-labels"].protocols["corrected"].images
    return open_data(Request("labels", split, DataSpec(set=name, options=options), rules, limit))  # type: ignore[arg-type]


def labels(data: Dataset) -> dict[str, tuple[int, str]]:
    return {item.id: (item.label, item.label_name) for item in data.items if isinstance(item, LabelItem)}


def refused(capsys: Capture, name: str, *paths: Path) -> str:
    code, _, err = command(capsys, "prepare", name, "--subset", "--from", *paths)
    assert code == 3, err
    return err


def test_imagenet_archives_and_folders_give_the_same(tmp_path: Path, root: Path, capsys: Capture) -> None:
    archives = build_imagenet(tmp_path / "archives", 4)
    before = snapshot(tmp_path / "archives")
    one = document(capsys, "prepare", "imagenet", "--subset", "--from", *archives)
    assert one["counts"] == {"train": 12, "val": 12} and one["files"] == 24 and one["kept_in_place"] == 0
    assert snapshot(tmp_path / "archives") == before
    assert document(capsys, "check", "imagenet", "--full")["problems"] == []
    same = document(capsys, "prepare", "imagenet", "--subset", "--again", "--from", tmp_path / "archives")
    assert same["content"] == one["content"]
    folders = build_imagenet_folders(tmp_path / "folders", 4)
    two = document(capsys, "prepare", "imagenet", "--subset", "--from", folders, archives[2])
    assert two["kept_in_place"] == 24 and two["content"] == one["content"]
    three = document(capsys, "prepare", "imagenet", "--subset", "--from", folders)
    assert three["content"] == one["content"]
    assert labels(opened("imagenet"))["imagenet/n01440764/ILSVRC2012_val_00000002"] == (0, "n01440764")


def test_imagenet_classes_follow_wordnet_ids_and_the_kit(tmp_path: Path, root: Path, capsys: Capture) -> None:
    document(capsys, "prepare", "imagenet", "--subset", "--from", *build_imagenet(tmp_path, 4))
    order = sorted(wnid for wnid, _ in LEAVES.values())
    found = labels(opened("imagenet"))
    _, truth = val_pictures(4)
    for number, kit in enumerate(truth, 1):
        wnid, words = LEAVES[kit]
        assert found[f"imagenet/{wnid}/ILSVRC2012_val_{number:08d}"] == (order.index(wnid), words)
    train = labels(opened("imagenet", "train"))
    assert len(train) == 12 and train["imagenet/n02105855/n02105855_0"] == (1, "Shetland sheepdog")
    few = labels(opened("imagenet", "train", limit=3))
    assert sorted(label for label, _ in few.values()) == [0, 1, 2], "a limit keeps every class"
    image = opened("imagenet", "train").images["imagenet/n02105855/n02105855_1#centre_square#bicubic"]
    assert image.load().shape == (3, 224, 224), "CMYK is read"


def test_imagenet_with_something_missing_or_broken(tmp_path: Path, root: Path, capsys: Capture) -> None:
    train, val, kit = build_imagenet(tmp_path, 4)
    code, _, err = command(capsys, "prepare", "imagenet", "--from", train, val, kit)
    assert code == 3 and "official one 1281167" in err
    assert "ILSVRC2012_devkit_t12.tar.gz" in refused(capsys, "imagenet", train, val)
    assert "No training photographs" in refused(capsys, "imagenet", val, kit)
    assert "No validation photographs" in refused(capsys, "imagenet", train, kit)
    kit.write_bytes(devkit([1, 2, 99]))
    assert "'99', which is no class" in refused(capsys, "imagenet", train, val, kit)
    kit.write_bytes(devkit([1, 2, 4]))
    assert "'4', which is no class" in refused(capsys, "imagenet", train, val, kit)
    kit.write_bytes(devkit([1, 2]))
    assert "has 2 lines and none for ILSVRC2012_val_00000003" in refused(capsys, "imagenet", train, val, kit)
    kit.write_bytes(tar_of({"ILSVRC2012_devkit_t12/data/meta.mat": b"MATLAB 5.0, but not really"}, "w:gz"))
    assert "meta.mat cannot be read" in refused(capsys, "imagenet", train, val, kit)
    tench = {name[10:]: content for name, content in train_pictures(9).items() if name.startswith("n01440764")}
    wrong = {"n01440764_1.JPEG": b"x", "n02119789_1.JPEG": b"x"}
    train.write_bytes(tar_of({"n01440764.tar": tar_of(wrong)}))
    assert "holds train/n01440764/n02119789_1.JPEG" in refused(capsys, "imagenet", train, val, kit)
    train.write_bytes(tar_of({"n01440764.tar": tar_of({"../n01440764_1.JPEG": b"x"})}))
    assert "outside the folder" in refused(capsys, "imagenet", train, val, kit)
    train.write_bytes(tar_of({"n01440764.tar": tar_of(tench)[:-12000]}))
    assert "cut short" in refused(capsys, "imagenet", train, val, kit)
    train.write_bytes(tar_of({"n01440764.tar": b"no archive at all" * 100}))
    assert "no tar archive" in refused(capsys, "imagenet", train, val, kit)
    assert not (root / "imagenet").exists()


def test_a_photograph_cut_short_is_found(tmp_path: Path, root: Path, capsys: Capture) -> None:
    folders = build_imagenet_folders(tmp_path, 2)
    for name in ("n02105855_0", "n02119789_0"):  # a PNG by the name of a JPEG, and a JPEG
        path = folders / f"train/{name[:9]}/{name}.JPEG"
        whole = path.read_bytes()
        path.write_bytes(whole[:-200])
        assert f"{name}.JPEG is cut short" in refused(capsys, "imagenet", folders)
        path.write_bytes(whole)
    document(capsys, "prepare", "imagenet", "--subset", "--from", folders)


def test_caltech101_from_zip_tar_and_folder(tmp_path: Path, root: Path, capsys: Capture) -> None:
    archive = build_caltech101(tmp_path / "zip")
    one = document(capsys, "prepare", "caltech101", "--subset", "--from", archive)
    assert one["counts"] == {"train": 90, "test": 15, "background-train": 30, "background-test": 3}
    assert one["files"] == 36 + 35 + 34 + 33
    assert document(capsys, "check", "caltech101", "--full")["problems"] == []
    tar = tmp_path / "101_ObjectCategories.tar.gz"
    tar.write_bytes(tar_of(caltech101_files(), "w:gz"))
    two = document(capsys, "prepare", "caltech101", "--subset", "--again", "--from", tar)
    folder = written(tmp_path / "unpacked", caltech101_files())
    three = document(capsys, "prepare", "caltech101", "--subset", "--from", folder)
    assert one["content"] == two["content"] == three["content"] and three["kept_in_place"] == one["files"]


def test_caltech101_split_classes_and_background(tmp_path: Path, root: Path, capsys: Capture) -> None:
    document(capsys, "prepare", "caltech101", "--subset", "--from", build_caltech101(tmp_path))
    train, test = labels(opened("caltech101", "train")), labels(opened("caltech101"))
    assert Counter(name for _, name in train.values()) == {"Faces": 30, "Faces_easy": 30, "accordion": 30}
    assert Counter(name for _, name in test.values()) == {"Faces": 5, "Faces_easy": 4, "accordion": 6}
    assert dict(test.values()) == {0: "Faces", 1: "Faces_easy", 2: "accordion"} and not set(train) & set(test)
    ids = [f"Faces/image_{n:04d}" for n in range(1, 36)]
    order = sorted(ids, key=lambda id: seed_for("caltech101", "split", id))
    assert {f"caltech101/{id}" for id in order[30:]} == {id for id, (_, name) in test.items() if name == "Faces"}
    both = labels(opened("caltech101", background="class"))
    assert Counter(name for _, name in both.values())["BACKGROUND_Google"] == 3 and len(both) == 18
    assert dict(both.values())[3] == "BACKGROUND_Google"


def test_caltech101_with_something_missing(tmp_path: Path, root: Path, capsys: Capture) -> None:
    code, _, err = command(capsys, "prepare", "caltech101", "--from", build_caltech101(tmp_path / "a"))
    assert code == 3 and "has 90 entries, the official one 3030" in err
    assert "'Faces' of caltech101 has 29 photographs" in refused(
        capsys, "caltech101", build_caltech101(tmp_path / "b", 30)
    )
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("caltech-101/Annotations.tar", b"x")
    assert "caltech-101.zip (or 101_ObjectCategories.tar.gz out of it)" in refused(capsys, "caltech101", other)
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(broken, "w") as file:
        file.writestr("caltech-101/101_ObjectCategories.tar.gz", tar_of(caltech101_files(), "w:gz")[:-5000])
    assert "damaged or cut short" in refused(capsys, "caltech101", broken)
    bomb = tmp_path / "bomb.zip"
    zeros = tar_of({"101_ObjectCategories/a/image_0001.jpg": bytes(2**28)}, "w:gz")
    with zipfile.ZipFile(bomb, "w") as file:
        file.writestr("caltech-101/101_ObjectCategories.tar.gz", zeros)
    assert "would unpack" in refused(capsys, "caltech101", bomb)


def test_caltech256_leaves_out_clutter_and_strays(tmp_path: Path, root: Path, capsys: Capture) -> None:
    archive = build_caltech256(tmp_path)
    done = document(capsys, "prepare", "caltech256", "--subset", "--from", archive)
    assert done["counts"] == {"train": 90, "test": 12, "clutter-train": 30, "clutter-test": 4}
    assert done["files"] == 4 * 34
    assert dict(labels(opened("caltech256")).values()) == {0: "ak47", 1: "dog", 2: "spider"}
    assert dict(labels(opened("caltech256", clutter="class")).values())[3] == "clutter"
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    folder = document(capsys, "prepare", "caltech256", "--subset", "--from", tmp_path / "out")
    assert folder["content"] == done["content"]
    assert document(capsys, "check", "caltech256", "--full")["decoded"] == 4 * 34


@pytest.mark.parametrize("name", ["imagenet", "caltech101", "caltech256"])
def test_oracle_reaches_the_ceiling_and_noise_does_not(
    name: str, tmp_path: Path, root: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = {"caltech101": build_caltech101, "caltech256": build_caltech256}
    files = build_imagenet(tmp_path / "files", 12) if name == "imagenet" else [build[name](tmp_path / "files", 40)]
    document(capsys, "prepare", name, "--subset", "--from", *files)
    task = f"{name}-labels"
    assert main(["show", task, "-o", str(tmp_path / "show.png"), "-n", "3"]) == 0 and (tmp_path / "show.png").is_file()
    models = ["control/oracle", "control/shuffled-oracle", "control/noise", "control/colour"]
    paper = mv.evaluate(models[:1], task, protocol="paper", output=tmp_path / "paper")
    results = mv.evaluate(models, task, output=tmp_path / "corrected")
    for oracle in (results[0], paper[0]):
        main_metric = "top1" if name == "imagenet" else "top1_per_class"
        assert oracle.main_metric == main_metric and oracle.main.value == 1.0 == oracle.metrics["knn"].value
        assert oracle.metrics["shots1"].value == oracle.metrics["shots5_per_class"].value == 1.0
        assert oracle.baselines["constant"][main_metric].value == pytest.approx(1 / 3)
        assert oracle.dataset["version"].endswith("+subset")
    _, shuffled, noise, colour = results
    assert colour.main.value == 1.0, "the pictures are made so that colour tells the class"
    for blind in (shuffled, noise):
        assert blind.main.value < 0.75 and blind.metrics["knn"].value < 0.75
