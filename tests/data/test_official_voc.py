"""VOC2007 and VOC2012 from files in the official layout to scores."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import command, document, snapshot
from official_voc import build_kit, lists_12, mask_of, packed, voc07_tars, voc12_tar
from PIL import Image

import midvision as mv
from midvision.cli.main import main
from midvision.core.items import Dataset, DenseItem
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data
from midvision.tasks.task import all_tasks

PAPER = all_tasks()["voc12-seg"].protocols["paper"].images
CORRECTED = all_tasks()["voc12-seg"].protocols["corrected"].images


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def opened(set_name: str, split: str, rules: ImageRules = CORRECTED, limit: int | None = None) -> Dataset:
    return open_data(Request("segmentation", split, DataSpec(set=set_name), rules, limit))  # type: ignore[arg-type]


def ids_of(data: Dataset) -> list[str]:
    return [item.id.split("/")[1] for item in data.items]


def test_both_archives_of_2007_become_trainval_and_test(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tars = voc07_tars(tmp_path)
    before = {path: path.read_bytes() for path in tars}
    done = document(capsys, "prepare", "voc07-seg", "--subset", "--from", *tars)
    assert done["counts"] == {"train": 3, "val": 3, "trainval": 6, "test": 3}
    assert done["files"] == 2 * 9 and not done["official"]
    assert {path: path.read_bytes() for path in tars} == before
    assert ids_of(opened("voc07", "train")) == ["000032", "000039", "000063", "000068", "000121", "000170"]
    assert ids_of(opened("voc07", "test", PAPER)) == ["000175", "000243", "000333"]
    assert opened("voc07", "test").version == "1+subset"


def test_unpacked_kits_of_2007_in_one_folder_or_two(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc07_tars(tmp_path)
    two = document(capsys, "prepare", "voc07", "--subset", "--from", tmp_path / "a", tmp_path / "b")
    assert two["kept_in_place"] == 18
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    one = document(capsys, "prepare", "voc07", "--subset", "--from", tmp_path / "a" / "VOCdevkit" / "VOC2007")
    copied = document(capsys, "prepare", "voc07", "--subset", "--copy", "--from", tmp_path / "a")
    assert one["content"] == two["content"] == copied["content"]
    assert copied["kept_in_place"] == 0 and (root / "voc07/JPEGImages/000032.jpg").is_file()


def test_the_lists_of_2012_and_the_split_of_the_reference(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "voc12", "--subset", "--from", voc12_tar(tmp_path))
    lists = lists_12()
    assert ids_of(opened("voc12", "train")) == lists["train"]
    assert ids_of(opened("voc12", "test")) == lists["val"]
    train, test = ids_of(opened("voc12", "train", PAPER)), ids_of(opened("voc12", "test", PAPER))
    assert (len(train), len(test)) == (8, 2)
    assert sorted(train + test) == lists["trainval"]
    document(capsys, "prepare", "voc12", "--subset", "--again", "--from", tmp_path / "unpacked")
    assert ids_of(opened("voc12", "test", PAPER)) == test
    data = DataSpec(set="voc12", options={"test": "trainval"})
    assert len(open_data(Request("segmentation", "test", data, CORRECTED)).items) == 10
    assert len(opened("voc12", "train", limit=3).items) == 3


def test_the_split_of_the_reference_has_its_published_sizes() -> None:
    from midvision.data.sets.voc import reference_split

    train, test = reference_split(tuple(f"2008_{n:06d}" for n in range(2913)))
    assert (len(train), len(test)) == (2330, 583)


def test_palette_indices_become_background_objects_and_void(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Protocols 13.11: {0, 1, 255} is {0, 1, ignored}, and the reference's reading takes void for an object."""
    from midvision.core.items import Target
    from midvision.tasks.segmentation import MaskScoring, prepare

    document(capsys, "prepare", "voc12", "--subset", "--from", voc12_tar(tmp_path))
    own = ImageRules(image_size=(75, 100))
    data = opened("voc12", "train", own)
    item = data.items[0]
    assert isinstance(item, DenseItem)
    number = lists_12()["trainval"].index(lists_12()["train"][0])
    mask = mask_of(number)
    target = item.target()
    if mask.shape == (75, 100):
        assert torch.equal(target.valid[0], torch.from_numpy(mask != 255))
        assert torch.equal(target.values[0] > 0, torch.from_numpy(mask != 0))
    corrected, paper = prepare(target, MaskScoring()), prepare(target, MaskScoring(void="foreground"))
    assert isinstance(corrected, Target)
    assert not bool((corrected.values[~target.valid] > 0).any())
    assert bool((paper.values[~target.valid] == 1).all()) and bool(paper.valid.all())
    assert set(np.unique(mask)) == {0, 1, 2, 255}


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("task", ["voc07-seg", "voc12-seg"])
def test_oracle_reaches_the_ceiling_and_show_draws(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], task: str, protocol: str
) -> None:
    source = voc07_tars(tmp_path) if task == "voc07-seg" else (voc12_tar(tmp_path),)
    document(capsys, "prepare", task, "--subset", "--from", *source)
    assert document(capsys, "check", task, "--full")["problems"] == []
    page = tmp_path / "show.html"
    assert main(["show", task, "--protocol", protocol, "-o", str(page), "-n", "2"]) == 0
    assert task.removesuffix("-seg") in page.read_text()
    [result] = mv.evaluate("control/oracle", task, protocol=protocol, probe="ridge", output=tmp_path / "results")
    assert result.metrics["iou"].value > 0.95
    assert result.protocol["images"]["selection"] == ("reference" if protocol == "paper" else "official")


def test_another_year_is_named(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = voc07_tars(tmp_path)
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", first)
    assert code == 3 and "is not VOC2012" in err and "VOCtrainval_11-May-2012.tar" in err
    code, _, err = command(capsys, "prepare", "voc07", "--subset", "--from", first)
    assert code == 3 and "VOCtest_06-Nov-2007.tar" in err and "test.txt" in err
    code, _, err = command(capsys, "prepare", "voc07", "--from", first, second)
    assert code == 3 and "has 3 entries, the official one 209" in err
    assert not (root / "voc07").exists() and not (root / "voc12").exists()


def test_kits_of_both_years_side_by_side_or_at_different_depths(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voc07_tars(tmp_path)
    voc12_tar(tmp_path)
    both = tmp_path / "both"
    shutil.copytree(tmp_path / "unpacked", both)
    shutil.copytree(tmp_path / "b/VOCdevkit/VOC2007", both / "VOC2007")
    shutil.copytree(tmp_path / "a/VOCdevkit/VOC2007", both / "VOCdevkit/VOC2007")
    assert document(capsys, "prepare", "voc12", "--subset", "--from", both)["counts"]["trainval"] == 10
    assert document(capsys, "prepare", "voc07", "--subset", "--from", both)["counts"]["test"] == 3


def test_missing_pieces_are_named(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = build_kit(tmp_path, "2012", lists_12())
    (kit / "SegmentationObject" / f"{lists_12()['val'][1]}.png").unlink()
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path)
    assert code == 3 and f"No SegmentationObject/{lists_12()['val'][1]}.png" in err
    (kit / "ImageSets/Segmentation/val.txt").unlink()
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path)
    assert code == 3 and "No VOC2012/ImageSets/Segmentation/val.txt" in err


def test_a_photograph_cut_short_is_named(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = build_kit(tmp_path / "files", "2012", lists_12())
    photo = kit / "JPEGImages" / f"{lists_12()['train'][0]}.jpg"
    photo.write_bytes(photo.read_bytes()[:-500])
    before = snapshot(tmp_path / "files")
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path / "files")
    assert code == 3 and f"{photo} is cut short" in err
    photo.write_bytes(b"")
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path / "files")
    assert code == 3 and f"{photo} is empty" in err
    del before[photo.relative_to(tmp_path / "files").as_posix()]
    assert before.items() <= snapshot(tmp_path / "files").items()
    assert not (root / "voc12").exists()


def test_a_list_with_an_id_twice_or_of_another_kind(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = build_kit(tmp_path, "2012", lists_12())
    name = kit / "ImageSets/Segmentation/val.txt"
    name.write_text(name.read_text() + lists_12()["val"][0] + "\n")
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path)
    assert code == 3 and "twice" in err
    name.write_text("<html>\n")
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tmp_path)
    assert code == 3 and "names '<html>'" in err


def test_check_finds_a_mask_that_is_no_palette_picture(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = build_kit(tmp_path, "2012", lists_12())
    wrong = kit / "SegmentationObject" / f"{lists_12()['val'][0]}.png"
    Image.open(wrong).convert("RGB").save(wrong)
    document(capsys, "prepare", "voc12", "--subset", "--from", packed(tmp_path, tmp_path / "x.tar"))
    code, _, err = command(capsys, "check", "voc12")
    assert code == 3 and "is no palette picture" in err


def test_a_run_without_a_copy_says_how_to_make_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["show", "voc12-seg"])
    err = capsys.readouterr().err
    assert code == 3 and "not prepared" in err and "VOCtrainval_11-May-2012.tar" in err
    assert "midvision data prepare voc12 --from" in err
