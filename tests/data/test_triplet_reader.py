"""Triplets in both layouts, by column name, with votes that are checked."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_builders import coded, open_set, save

from midvision.core.errors import DataError
from midvision.core.items import Dataset, TripletItem

HEADER = "id,left_vote,right_vote,votes,ref_path,left_path,right_path,split,is_imagenet,prompt"


def build(root: Path, *lines: str, header: str = HEADER, name: str = "data.csv") -> Path:
    for folder in ("ref", "distort"):
        for number in range(3):
            save(root / folder / f"{number}.png", coded((40, 60), blue=number))
    (root / name).write_text("\n".join((header, *lines)) + "\n")
    return root


def line(id: str = "7", votes: str = "0,1,6", split: str = "test") -> str:
    return f"{id},{votes},ref/0.png,distort/1.png,distort/2.png,{split},True,a cat"


def triplets(data: Dataset) -> list[TripletItem]:
    return [item for item in data.items if isinstance(item, TripletItem)]


def test_the_nights_layout(tmp_path: Path) -> None:
    root = build(tmp_path, line(), line("8", "1,0,7"), line("9", "1,0,6", "train"))
    data = triplets(open_set("triplets", root / "data.csv", "triplets"))
    assert [(t.id, t.reference, t.left, t.right, t.right_share) for t in data] == [
        ("7", "ref/0.png", "distort/1.png", "distort/2.png", 1.0),
        ("8", "ref/0.png", "distort/1.png", "distort/2.png", 0.0),
    ]
    assert data[0].tags == {"is_imagenet": "true"}
    assert data[0].group == "ref/0.png"
    assert [t.id for t in triplets(open_set("triplets", root, "triplets", "train"))] == ["9"]


def test_columns_are_read_by_name_whatever_their_order(tmp_path: Path) -> None:
    header = "right_path,votes,left_path,ref_path,right_vote,left_vote"
    root = build(tmp_path, "distort/2.png,6,distort/1.png,ref/0.png,1,0", header=header)
    [item] = triplets(open_set("triplets", root, "triplets"))
    assert (item.left, item.right, item.right_share) == ("distort/1.png", "distort/2.png", 1.0)


def test_vote_counts_become_a_share_and_few_votes_are_left_out(tmp_path: Path) -> None:
    root = build(tmp_path, line("1", "2,6,8"), line("2", "0,1,5"))
    [item] = triplets(open_set("triplets", root, "triplets"))
    assert item.right_share == 0.75
    assert len(open_set("triplets", root, "triplets", min_votes=5).items) == 2


@pytest.mark.parametrize("votes", ["1,1,6", "0,0,6", "-1,2,6", "2,3,6", "x,1,6", "0,1,0", ",1,6", "nan,1,6"])
def test_odd_votes_are_an_error_that_names_the_line(tmp_path: Path, votes: str) -> None:
    root = build(tmp_path, line(), line("8", votes))
    with pytest.raises(DataError, match=r"Line 3 of .*data\.csv has odd votes"):
        open_set("triplets", root, "triplets")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    root = build(tmp_path, "0,1,6,ref/0.png", header="left_vote,right_vote,votes,ref_path")
    with pytest.raises(DataError, match=r"data\.csv lacks the columns: left_path, right_path"):
        open_set("triplets", root, "triplets")
    root = build(tmp_path, "ref/0.png,ref/1.png,0", header="ref,left,closer")
    with pytest.raises(DataError, match=r"lacks the columns: right\."):
        open_set("triplets", root, "triplets")


def test_the_simple_layout(tmp_path: Path) -> None:
    lines = ["ref/0,distort/1,distort/2,1,cat", "ref/1.png,distort/1,distort/2.png,left,dog"]
    root = build(tmp_path, *lines, header='ref,left,right,"closer(0=left,1=right)",ref_class')
    data = triplets(open_set("triplets", root, "triplets"))
    assert [t.right_share for t in data] == [1.0, 0.0]
    assert [t.id for t in data] == ["line-2", "line-3"]


@pytest.mark.parametrize("closer", ["2", "", "maybe", "0.5"])
def test_an_odd_answer_is_an_error(tmp_path: Path, closer: str) -> None:
    root = build(tmp_path, f"ref/0,distort/1,distort/2,{closer}", header="ref,left,right,closer")
    with pytest.raises(DataError, match=r"Line 2 of .*data\.csv has closer="):
        open_set("triplets", root, "triplets")


def test_a_missing_image_is_named_with_its_triplet(tmp_path: Path) -> None:
    root = build(tmp_path, line(), "9,0,1,6,ref/9.png,distort/1.png,distort/2.png,test,True,x")
    with pytest.raises(DataError, match=r"data\.csv names image 'ref/9\.png' \(triplet 9\)"):
        open_set("triplets", root, "triplets")


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    build(tmp_path / "pictures", line())
    (tmp_path / "votes").mkdir()
    (tmp_path / "pictures/data.csv").rename(tmp_path / "votes/data.csv")
    assert len(open_set("triplets", tmp_path / "votes/data.csv", "triplets", images="../pictures").items) == 1


def test_an_answer_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    one = open_set("triplets", build(tmp_path / "a", line()), "triplets").fingerprint
    other = open_set("triplets", build(tmp_path / "b", line(votes="1,0,6")), "triplets").fingerprint
    assert one != other


def test_two_tables_need_a_choice_and_none_is_an_error(tmp_path: Path) -> None:
    build(tmp_path, line())
    build(tmp_path, line("8"), name="other.csv")
    with pytest.raises(DataError, match=r"not clear: data\.csv, other\.csv"):
        open_set("triplets", tmp_path, "triplets")
    assert open_set("triplets", tmp_path, "triplets", csv="other.csv").items[0].id == "8"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not clear: none"):
        open_set("triplets", tmp_path / "empty", "triplets")


def test_a_split_without_items_names_the_splits_there_are(tmp_path: Path) -> None:
    root = build(tmp_path, line(split="val"))
    with pytest.raises(DataError, match="has the splits: val"):
        open_set("triplets", root, "triplets")
    assert len(open_set("triplets", root, "triplets", split="val").items) == 1


def test_too_few_votes_everywhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No triplet of .* has 9 votes"):
        open_set("triplets", build(tmp_path, line()), "triplets", min_votes=9)


def test_a_limit_takes_both_answers(tmp_path: Path) -> None:
    lines = [line(str(n), "0,1,6") for n in range(20)] + [line(str(n), "1,0,6") for n in range(20, 24)]
    data = triplets(open_set("triplets", build(tmp_path, *lines), "triplets", limit=6))
    assert sorted(t.right_share for t in data) == [0, 0, 0, 1, 1, 1]
