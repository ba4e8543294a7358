"""Patterns: which truth belongs to which photograph, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import pytest

from midvision.core.errors import DataError, UsageError
from midvision.data.patterns import Found, detect, detect_beside, find, find_images, matching, natural, one_of, resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "frame-2.color.jpg",
        "frame-10.color.jpg",
        "frame-2.depth.png",
        "frame-10.depth.png",
        "intrinsics.txt",
        "clips/a/0.jpg",
        "clips/b/0.jpg",
        "marks/a/0.png",
        "marks/b/0.png",
        "parts/0/1.png",
        "parts/0/2.png",
        "photos/0.jpg",
        "photos/[x].jpg",
        "photos/.hidden.jpg",
        "marks2/[x].png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_keys_and_natural_order(root: Path) -> None:
    assert [found.key for found in find_images(root, "*.color.*")] == [("frame-2",), ("frame-10",)]
    assert [found.id for found in find_images(root, "clips/*/*.jpg")] == ["a/0", "b/0"]
    assert natural("a2") < natural("a10") < natural("b1")


def test_the_key_fills_the_stars(root: Path) -> None:
    assert matching(root, "*.depth.png", ("frame-10",)) == [root / "frame-10.depth.png"]
    assert matching(root, "*.depth.*", ("frame-10",)) == [root / "frame-10.depth.png"]
    assert matching(root, "marks/*/*.png", ("b", "0")) == [root / "marks/b/0.png"]
    assert matching(root, "parts/*/*.png", ("0",)) == [root / "parts/0/1.png", root / "parts/0/2.png"]
    assert matching(root, "intrinsics.txt", ("frame-2",)) == [root / "intrinsics.txt"]
    assert matching(root, "*.pose.txt", ("frame-2",)) == []


def test_names_with_brackets_are_names(root: Path) -> None:
    assert [found.id for found in find_images(root, "photos/*.jpg")] == ["0", "[x]"]
    assert matching(root, "marks2/*.*", ("[x]",)) == [root / "marks2/[x].png"]
    assert matching(root, "marks2/*.png", ("[x]",)) == [root / "marks2/[x].png"]


def test_several_files_where_one_is_wanted_are_an_error(root: Path) -> None:
    with pytest.raises(DataError, match="2 depth files belong to image '0'"):
        one_of(root, "parts/*/*.png", ("0",), "depth")


def test_two_photographs_with_one_key_are_an_error(root: Path) -> None:
    (root / "photos/0.png").touch()
    with pytest.raises(DataError, match="same name before their endings"):
        find_images(root, "photos/*.*")


def test_detection_says_what_it_looked_for(root: Path) -> None:
    assert detect(root, "image", ["rgb/*.*", "photos/*.*"]) == "photos/*.*"
    with pytest.raises(UsageError, match=r"Looked for: rgb/\*\.\*"):
        detect(root, "image", ["rgb/*.*"])


def test_truth_is_detected_only_where_it_is_clear(root: Path) -> None:
    keys = [("frame-2",), ("frame-10",)]
    assert detect_beside(root, "depth", ["depth/*.*", "*.depth.*"], keys) == "*.depth.*"
    assert detect_beside(root, "pose", ["*.pose.txt"], keys) is None
    (root / "depth").mkdir()
    (root / "depth/frame-2.png").touch()
    with pytest.raises(UsageError, match="Several patterns"):
        detect_beside(root, "depth", ["depth/*.*", "*.depth.*"], keys)


@pytest.mark.parametrize("name", ["frame-2", "frame-2.color.jpg", "frame-2.color"])
def test_lists_may_call_a_frame_by_any_of_its_names(root: Path, name: str) -> None:
    frames = find_images(root, "*.color.*")
    assert resolve(name, frames, Path("pairs.csv")) == frames[0]


def test_a_list_naming_a_missing_frame_is_an_error(root: Path) -> None:
    with pytest.raises(DataError, match=r"pairs\.csv names frame 'frame-7', which is not there"):
        resolve("frame-7", find_images(root, "*.color.*"), Path("pairs.csv"))


def test_a_pattern_without_stars_is_one_file(root: Path) -> None:
    assert find(root, "intrinsics.txt") == [Found(root / "intrinsics.txt", ())]
