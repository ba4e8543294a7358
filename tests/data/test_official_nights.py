"""NIGHTS from files in the official layout to scores."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from official_files import command, document
from official_nights import HEADER, build_nights, in_parts, write_table, zipped

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.core.items import Dataset, TripletItem
from midvision.core.specs import DataSpec
from midvision.data.card import Request, open_data
from midvision.tasks.task import all_tasks

RULES = all_tasks()["nights"].protocols["corrected"].images


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def opened(split: str = "test", **options: object) -> Dataset:
    return open_data(Request("triplets", split, DataSpec(set="nights", options=options), RULES))  # type: ignore[arg-type]


def triplets(data: Dataset) -> dict[str, TripletItem]:
    return {item.id: item for item in data.items if isinstance(item, TripletItem)}


def rows_of(nights: Path) -> list[tuple[object, ...]]:
    with open(nights / "data.csv", newline="") as stream:
        return [tuple(row) for row in csv.reader(stream)][1:]


def test_one_archive_many_parts_and_a_folder_give_the_same(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nights = build_nights(tmp_path / "files")
    one = document(capsys, "prepare", "nights", "--subset", "--from", zipped(nights, tmp_path / "nights.zip", "nights"))
    assert one["counts"] == {"all": 8, "train": 1, "val": 1, "test": 6}
    assert one["files"] == 1 + 3 * 8 and one["kept_in_place"] == 0
    folder = document(capsys, "prepare", "nights", "--subset", "--from", nights)
    assert folder["kept_in_place"] == 25 and not (root / "nights/ref").exists()
    many = document(capsys, "prepare", "nights", "--subset", "--from", in_parts(nights, tmp_path / "parts"))
    assert many["kept_in_place"] == 1
    assert one["content"] == folder["content"] == many["content"]


def test_votes_sides_splits_and_categories(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document(capsys, "prepare", "nights", "--subset", "--from", build_nights(tmp_path))
    found = triplets(opened())
    # Triplet 1 has five votes, 2 trains, 3 validates.
    assert list(found) == ["0", "4", "5", "6", "7"]
    assert {name: item.right_share for name, item in found.items()} == {"0": 0, "4": 0, "5": 0, "6": 1, "7": 1}
    assert found["6"].tags == {"is_imagenet": "false"} and found["4"].tags == {"is_imagenet": "true"}
    assert found["4"].left == "nights/distort/000/004_0#bicubic"
    assert list(triplets(opened("train"))) == ["2"]
    assert list(triplets(opened("test", test="val"))) == ["3"]
    assert len(opened(min_votes=5).items) == 6
    assert opened().frame_size == (224, 224)


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_oracle_answers_every_triplet(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    document(capsys, "prepare", "nights", "--subset", "--from", build_nights(tmp_path))
    assert document(capsys, "check", "nights", "--full")["problems"] == []
    assert main(["show", "nights", "--protocol", protocol, "-o", str(tmp_path / "show.png"), "-n", "3"]) == 0
    models = ["control/oracle", "control/colour"]
    results = mv.evaluate(models, "nights", protocol=protocol, output=tmp_path / "results")
    for result in results:
        # The pictures are made so that colour alone tells which one is alike.
        assert result.metrics["accuracy"].value == 1.0
        assert result.metrics["accuracy.is_imagenet.true"].value == 1.0
        assert result.metrics["accuracy.is_imagenet.false"].value == 1.0


def test_columns_are_found_by_name(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nights = build_nights(tmp_path)
    order = [5, 0, 9, 8, 3, 2, 1, 6, 4, 7]
    rows = [tuple(row[place] for place in order) for row in rows_of(nights)]
    write_table(nights / "data.csv", rows, tuple(HEADER[place] for place in order))
    document(capsys, "prepare", "nights", "--subset", "--from", nights)
    assert triplets(opened())["6"].right_share == 1


def test_another_table_a_missing_picture_and_missing_files(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nights = build_nights(tmp_path)
    code, _, err = command(capsys, "prepare", "nights", "--from", nights)
    assert code == 3 and "has 8 entries, the official one 20019" in err
    write_table(nights / "data.csv", [row[:-1] for row in rows_of(nights)], HEADER[:-1])
    code, _, err = command(capsys, "prepare", "nights", "--subset", "--from", nights)
    assert code == 3 and "lacks the columns: is_imagenet" in err
    shutil.rmtree(nights)
    nights = build_nights(tmp_path)
    (nights / "distort/001/005_1.png").unlink()
    code, _, err = command(capsys, "prepare", "nights", "--subset", "--from", nights)
    assert code == 3 and "No distort/001/005_1.png (triplet 5 of data.csv)" in err and "distort/001.zip" in err
    (nights / "data.csv").unlink()
    code, _, err = command(capsys, "prepare", "nights", "--subset", "--from", nights)
    assert code == 3 and "No data.csv" in err and "nights.zip" in err
    assert not (root / "nights").exists()


def test_one_split_alone(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nights = build_nights(tmp_path)
    archive = zipped(nights, tmp_path / "nights.zip", "nights")
    done = document(capsys, "prepare", "nights", "--subset", "--only", "test", "--from", archive)
    assert done["files"] == 1 + 3 * 6 and done["counts"]["all"] == 8
    assert document(capsys, "check", "nights", "--full")["decoded"] == 6
    assert list(triplets(opened())) == ["0", "4", "5", "6", "7"]
    with pytest.raises(DataError, match=r"no list 'val'\. It has: test"):
        opened("test", test="val")
    code, _, err = command(capsys, "prepare", "nights", "--only", "tset", "--from", archive)
    assert code == 2 and "train, val, test" in err
