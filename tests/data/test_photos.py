"""Splits, limits, frame sizes and fingerprints of a person's own photographs."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_builders import coded, open_set, save
from hypothesis import given
from hypothesis import strategies as st

from midvision.core.errors import DataError, UsageError
from midvision.core.specs import DataSpec, ImageRules
from midvision.data import patterns
from midvision.data.options import Options
from midvision.data.photos import frame_size, share_of, spread


def masks(root: Path, names: list[str], size: tuple[int, int] = (40, 60)) -> Path:
    for number, name in enumerate(names):
        save(root / "images" / f"{name}.png", coded(size, blue=number))
        mask = np.zeros(size, np.uint8)
        mask[:, : 10 + number] = 255
        save(root / "masks" / f"{name}.png", mask)
    return root


def options(**values: object) -> Options:
    return Options(DataSpec(set="folder", options=values))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 45))
def test_a_limit_is_spread_over_strata(strata: list[int], limit: int) -> None:
    items = list(enumerate(strata))
    kept = spread(items, limit, lambda item: item[1])
    assert kept == sorted(kept)
    assert len(kept) == min(limit, len(items))
    counts = {s: sum(item[1] == s for item in kept) for s in set(strata)}
    full = {s: strata.count(s) for s in set(strata)}
    for s in counts:
        assert counts[s] == full[s] or counts[s] >= max(counts.values()) - 1


def test_a_limit_keeps_what_a_smaller_limit_kept() -> None:
    items = list(range(30))
    assert set(spread(items, 5, lambda n: n % 3)) <= set(spread(items, 12, lambda n: n % 3))


def test_a_share_is_never_all_and_never_none() -> None:
    for count in range(2, 12):
        groups = [f"g{n}" for n in range(count)]
        for share in (0.01, 0.3, 0.99):
            assert 1 <= len(share_of(groups, share)) < count


@pytest.mark.parametrize(
    ("sizes", "values", "expected"),
    [
        ([(480, 640)], {}, (224, 288)),
        ([(640, 480)], {}, (288, 224)),
        ([(480, 640), (240, 320)], {"size": 448}, (448, 608)),
        ([(480, 640), (640, 480)], {}, (224, 224)),
        ([(480, 640)], {"size": "100x77"}, (100, 77)),
        ([(768, 768)], {"size": "64"}, (64, 64)),
    ],
)
def test_frame_size(sizes: list[tuple[int, int]], values: dict[str, object], expected: tuple[int, int]) -> None:
    assert frame_size(sizes, ImageRules(), options(**values)) == expected


def test_rules_of_the_protocol_win_over_the_reader() -> None:
    assert frame_size([(480, 640)], ImageRules(image_size=(480, 480)), options(size=64)) == (480, 480)
    assert frame_size([(480, 640)], ImageRules(crop="centre_square"), options()) == (224, 224)


@pytest.mark.parametrize("wrong", [{"size": "big"}, {"size": -4}, {"tiles": "3"}, {"tiles": "0x2"}, {"test_share": 0}])
def test_odd_options_are_named(tmp_path: Path, wrong: dict[str, object]) -> None:
    masks(tmp_path, ["a", "b"])
    with pytest.raises(UsageError, match=next(iter(wrong))):
        open_set("folder", tmp_path, "segmentation", **wrong)


def test_unknown_options_offer_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no option 'maks'.*mask"):
        open_set("folder", masks(tmp_path, ["a", "b"]), "segmentation", maks="m/*.png")


def test_train_and_test_share_no_photograph_and_no_group(tmp_path: Path) -> None:
    masks(tmp_path, [f"{n}" for n in range(10)])
    train, test = (open_set("folder", tmp_path, "segmentation", split) for split in ("train", "test"))
    assert len(train.items) + len(test.items) == 10
    assert len(test.items) == 3
    assert not {item.group for item in train.items} & {item.group for item in test.items}
    assert train.fingerprint != test.fingerprint


def test_declared_splits_win(tmp_path: Path) -> None:
    masks(tmp_path / "train", ["a", "b", "c"])
    masks(tmp_path / "test", ["a"])
    assert [i.id for i in open_set("folder", tmp_path, "segmentation", "train").items] == [f"train/{n}" for n in "abc"]
    assert [i.id for i in open_set("folder", tmp_path, "segmentation", "test").items] == ["test/a"]
    glob = masks(tmp_path / "flat", ["a1", "a2", "b1"])
    assert [i.id for i in open_set("folder", glob, "segmentation", test="b*").items] == ["b1"]


def test_a_renamed_copy_is_split_alike(tmp_path: Path) -> None:
    first = masks(tmp_path / "first", [f"img{n}" for n in range(12)])
    second = masks(tmp_path / "second", [f"{n:05d}_photo" for n in range(12)])
    blues = [
        [round(float(ds.images[item.image].load()[2].mean()) * 255) for item in ds.items]
        for ds in (open_set("folder", root, "segmentation") for root in (first, second))
    ]
    assert blues[0] == blues[1]


def test_fingerprints_do_not_depend_on_listing_order_or_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = masks(tmp_path / "here", [f"{n}" for n in range(6)])
    before = open_set("folder", root, "segmentation")
    shutil.copytree(root, tmp_path / "there")
    assert open_set("folder", tmp_path / "there", "segmentation").fingerprint == before.fingerprint
    listing = Path.glob

    def shuffled(self: Path, pattern: str) -> list[Path]:
        found = list(listing(self, pattern))
        random.Random(4).shuffle(found)
        return found

    monkeypatch.setattr(patterns.Path, "glob", shuffled)
    again = open_set("folder", root, "segmentation")
    assert again.fingerprint == before.fingerprint
    assert [item.id for item in again.items] == [item.id for item in before.items]


def test_fingerprints_name_content_and_settings(tmp_path: Path) -> None:
    root = masks(tmp_path, [f"{n}" for n in range(6)])
    seen = {open_set("folder", root, "segmentation", size=size).fingerprint for size in (64, 96)}
    seen.add(open_set("folder", root, "segmentation", rules=ImageRules(photo_resample="nearest"), size=64).fingerprint)
    changed = np.zeros((40, 60), np.uint8)
    changed[:5] = 255
    for name in range(6):
        save(root / "masks" / f"{name}.png", changed)
    seen.add(open_set("folder", root, "segmentation", size=64).fingerprint)
    assert len(seen) == 4


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    """Only headers are read on opening, so a photograph whose pixels are broken fails when it is loaded."""
    root = masks(tmp_path, [f"{n}" for n in range(6)])
    path = root / "images/0.png"
    path.write_bytes(path.read_bytes()[:-40])
    data = open_set("folder", root, "segmentation", "train", test="5")
    with pytest.raises(DataError, match=r"images/0\.png"):
        data.images["0"].load()
    data.images["1"].load()


def test_limits_mark_the_data_set(tmp_path: Path) -> None:
    root = masks(tmp_path, [f"{n}" for n in range(9)])
    full, cut = (open_set("folder", root, "segmentation", "train", limit=limit) for limit in (None, 2))
    assert (full.limited, cut.limited, len(cut.items), len(cut.images)) == (False, True, 2, 2)
    assert {item.id for item in cut.items} < {item.id for item in full.items}


def test_one_photograph_cannot_be_split_but_its_tiles_can(tmp_path: Path) -> None:
    root = masks(tmp_path, ["only"])
    with pytest.raises(DataError, match=r"test split of folder:.* has no items.*tiles"):
        open_set("folder", root, "segmentation")
    ids = {i.id for s in ("train", "test") for i in open_set("folder", root, "segmentation", s, tiles="2x1").items}
    assert ids == {"only@0.0", "only@1.0"}


def test_groups_of_folders_and_blocks(tmp_path: Path) -> None:
    root = tmp_path
    for folder in "ab":
        for n in range(6):
            save(root / "images" / folder / f"{n}.png", coded((40, 60)))
            save(root / "masks" / folder / f"{n}.png", np.eye(40, 60, dtype=np.uint8))
    common = {"image": "images/*/*.png", "mask": "masks/*/*.png"}
    assert {i.group for i in open_set("folder", root, "segmentation", "train", **common).items} in ({"a"}, {"b"})
    block = open_set("folder", root, "segmentation", "train", group="block", **common)
    assert {i.group.split("/")[0] for i in block.items} == {"a", "b"}
    image = open_set("folder", root, "segmentation", "train", group="image", **common)
    assert len({i.group for i in image.items}) == len(image.items)


def test_missing_paths_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_set("folder", tmp_path / "nowhere", "segmentation")
    with pytest.raises(UsageError, match="No image files were found in"):
        open_set("folder", tmp_path, "segmentation")
    with pytest.raises(DataError, match="No photographs match"):
        open_set("folder", tmp_path, "segmentation", image="*.png", mask="*.mask.png")
