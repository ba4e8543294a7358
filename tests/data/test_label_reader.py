"""Class folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_builders import coded, open_set, save

from midvision.core.errors import DataError
from midvision.core.items import LabelItem


def build(root: Path, counts: dict[str, int]) -> Path:
    for name, count in counts.items():
        for number in range(count):
            save(root / name / f"{number}.png", coded((40, 60), blue=number))
    return root


def labels(root: Path, split: str = "test", **options: object) -> list[LabelItem]:
    limit = options.pop("limit", None)
    data = open_set("labels", root, "labels", split, limit=limit, **options)  # type: ignore[arg-type]
    return [item for item in data.items if isinstance(item, LabelItem)]


def test_the_folder_is_the_class(tmp_path: Path) -> None:
    items = labels(build(tmp_path, {"cat": 4, "dog": 4}))
    assert {(item.label, item.label_name) for item in items} == {(0, "cat"), (1, "dog")}
    assert all(item.id.startswith(item.label_name) for item in items)


def test_every_class_is_in_both_splits(tmp_path: Path) -> None:
    root = build(tmp_path, {"a": 2, "b": 40, "c": 5})
    for split in ("train", "test"):
        assert {item.label_name for item in labels(root, split)} == {"a", "b", "c"}
    assert len(labels(root, "train")) + len(labels(root, "test")) == 47


def test_declared_splits(tmp_path: Path) -> None:
    build(tmp_path / "train", {"a": 3, "b": 2})
    build(tmp_path / "val", {"a": 1, "b": 1})
    assert len(labels(tmp_path, "train")) == 5
    assert [(i.label_name, i.label) for i in labels(tmp_path, "test")] == [("a", 0), ("b", 1)]


def test_a_limit_is_spread_over_classes(tmp_path: Path) -> None:
    root = build(tmp_path, {"a": 30, "b": 30, "c": 30})
    names = [item.label_name for item in labels(root, "train", limit=6)]
    assert sorted(names) == ["a", "a", "b", "b", "c", "c"]


def test_one_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="photographs of 1 class"):
        labels(build(tmp_path, {"a": 4}))


def test_a_test_class_that_training_lacks_is_an_error(tmp_path: Path) -> None:
    build(tmp_path / "train", {"a": 2, "b": 2})
    build(tmp_path / "test", {"a": 1, "c": 1})
    with pytest.raises(DataError, match=r"Class 'c' of .* has no training photographs"):
        labels(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No photographs match"):
        labels(tmp_path)


def test_a_photograph_moved_to_another_class_changes_the_fingerprint(tmp_path: Path) -> None:
    root = build(tmp_path, {"a": 4, "b": 4})
    before = open_set("labels", root, "labels", "train").fingerprint
    first, second = root / "a/0.png", root / "b/1.png"
    swap = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swap)
    assert open_set("labels", root, "labels", "train").fingerprint != before
