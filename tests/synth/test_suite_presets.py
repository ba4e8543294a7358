"""Budgets of the presets, shard borders, difficulty names."""

from __future__ import annotations

import pytest

from midvision.core.errors import UsageError
from midvision.synth.suite import PRESETS, all_parts, generator, open_suite
from midvision.synth.world import Axes


def test_budgets_of_tiny_and_small() -> None:
    assert PRESETS["tiny"].frames() <= 120 and PRESETS["tiny"].size == (112, 112)
    assert PRESETS["small"].frames() <= 240 and PRESETS["small"].size == (224, 224)


def test_base_has_the_sizes_of_its_table() -> None:
    parts = PRESETS["base"].parts
    assert [parts["scene"][split].frames for split in ("train", "val", "test")] == [4000, 504, 1000]
    assert [parts["salient"][split].frames for split in ("train", "val", "test")] == [4000, 500, 1000]
    assert [parts["object"][split].frames for split in ("train", "val")] == [3000, 400]
    assert (parts["object"]["test"].groups, parts["object"]["test"].views) == (120, 24)
    assert [parts["clip"][split].groups for split in ("train", "val", "test")] == [300, 40, 60]


@pytest.mark.parametrize("preset", ["tiny", "small", "base"])
def test_shards_cover_every_group_once(preset: str) -> None:
    suite = open_suite(preset, "base")
    for part, split in all_parts(suite, clips=True):
        jobs = suite.jobs(part, split)
        groups = [index for job in jobs for index in range(job.first, job.last)]
        assert groups == list(range(suite.part(part, split).groups))
        assert len({suite.shard_path(job) for job in jobs}) == len(jobs)
    assert suite.jobs("salient", "val") == [] or preset == "base"


def test_axes_one_by_one() -> None:
    suite = open_suite("tiny", "base", {"texture": 0})
    assert suite.axes == Axes(texture=0) and suite.difficulty not in ("easy", "base", "hard")
    assert open_suite("tiny", "base", {"texture": 2}).difficulty == "base"
    everything = dict.fromkeys(Axes.__slots__, 3)
    assert open_suite("tiny", "base", everything).difficulty == "hard"
    assert suite.folder() != open_suite("tiny", "base", {"colour": 0}).folder()


def test_wrong_names_are_answered() -> None:
    with pytest.raises(UsageError, match="smal"):
        open_suite("smal", "base")
    with pytest.raises(UsageError, match="medium"):
        open_suite("small", "medium")
    with pytest.raises(UsageError, match=r"textur.*texture"):
        open_suite("small", "base", {"textur": 1})
    for level in (4, -1, True, "1"):
        with pytest.raises(UsageError, match="0, 1, 2 or 3"):
            open_suite("small", "base", {"texture": level})  # type: ignore[dict-item]


def test_streams_of_different_purposes_differ() -> None:
    draws = {tuple(generator("scene", split, index).integers(0, 2**40, 3)) for split in "ab" for index in range(5)}
    assert len(draws) == 10
    assert generator("scene", "a", 1).random() == generator("scene", "a", 1).random()
