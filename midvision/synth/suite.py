"""The built-in suite as numbers: which scenes, objects and triplet families each preset has, and where they lie.

Nothing is drawn here. A scene's random stream depends on the suite version, its part, split and
number only: the same scene appears in every preset and difficulty, so changing one axis changes one thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import UsageError, nearest
from midvision.core.places import data_dir
from midvision.core.seeds import numpy_generator
from midvision.synth.world import Axes

if TYPE_CHECKING:
    import numpy as np

SUITE_VERSION = "1"

DIFFICULTIES = ("easy", "base", "hard")

PartName = Literal["scene", "salient", "object", "triplet", "clip"]
SplitName = Literal["train", "val", "test"]

# Bin borders in degrees: rotation of the object, and of the camera in a static scene.
OBJECT_BINS = (0.0, 30.0, 60.0, 90.0, 120.0)
SCENE_BINS = (0.0, 15.0, 30.0, 60.0, 120.0, 180.0)


@dataclass(frozen=True, slots=True)
class Part:
    """`groups` scenes (or objects, triplet families, clips) with `views` frames each."""

    groups: int
    views: int

    @property
    def frames(self) -> int:
        return self.groups * self.views


@dataclass(frozen=True, slots=True)
class Preset:
    """Sizes of one preset. `masks_from` are the parts whose frames serve segmentation.

    `depth_items` and `pairs_per_bin` cap the items per split, spread over groups; None keeps all.
    """

    name: str
    size: tuple[int, int]
    shard_frames: int
    parts: Mapping[PartName, Mapping[SplitName, Part]]
    masks_from: tuple[PartName, ...]
    object_depth_items: int | None = None
    pairs_per_bin: int | None = None

    def frames(self) -> int:
        """Distinct frames of all tasks; clips are no task and are made only when asked for."""
        return sum(part.frames for name, splits in self.parts.items() if name != "clip" for part in splits.values())


PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        "tiny",
        (112, 112),
        10,
        {
            "scene": {"train": Part(8, 2), "test": Part(4, 5)},
            "object": {"train": Part(10, 2), "test": Part(4, 5)},
            "triplet": {"test": Part(5, 8)},
            "clip": {"train": Part(1, 16), "test": Part(1, 16)},
        },
        ("scene", "object"),
    ),
    "small": Preset(
        "small",
        (224, 224),
        10,
        {
            "scene": {"train": Part(20, 2), "test": Part(10, 5)},
            "object": {"train": Part(19, 2), "test": Part(10, 4)},
            "triplet": {"test": Part(9, 8)},
            "clip": {"train": Part(2, 64), "test": Part(2, 64)},
        },
        ("scene", "object"),
    ),
    "base": Preset(
        "base",
        (224, 224),
        256,
        {
            "scene": {"train": Part(500, 8), "val": Part(63, 8), "test": Part(125, 8)},
            "salient": {"train": Part(2000, 2), "val": Part(250, 2), "test": Part(500, 2)},
            "object": {"train": Part(375, 8), "val": Part(50, 8), "test": Part(120, 24)},
            "triplet": {"train": Part(600, 8), "val": Part(80, 8), "test": Part(200, 8)},
            "clip": {"train": Part(300, 64), "val": Part(40, 64), "test": Part(60, 64)},
        },
        ("salient",),
        object_depth_items=800,
        pairs_per_bin=400,
    ),
}


@dataclass(frozen=True, slots=True)
class ShardJob:
    """One shard to be: groups `first` to `last - 1` of one part and split."""

    part: PartName
    split: SplitName
    index: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Suite:
    """One preset at one difficulty. `difficulty` is a name, or the seven digits of a mixture of axes."""

    preset: Preset
    axes: Axes
    difficulty: str

    def part(self, part: PartName, split: SplitName) -> Part:
        """Its size; zero groups where the preset has none."""
        return self.preset.parts.get(part, {}).get(split, Part(0, 0))

    def jobs(self, part: PartName, split: SplitName) -> list[ShardJob]:
        """Shards of one part, borders independent of how many workers there are."""
        size = self.part(part, split)
        if not size.groups:
            return []
        step = max(1, self.preset.shard_frames // size.views)
        firsts = range(0, size.groups, step)
        return [ShardJob(part, split, i, first, min(first + step, size.groups)) for i, first in enumerate(firsts)]

    def folder(self) -> Path:
        return data_dir() / "synthetic" / f"v{SUITE_VERSION}" / f"{self.preset.name}-{self.difficulty}"

    def shard_path(self, job: ShardJob) -> Path:
        """Without suffix; `.tar` and `.json` lie side by side."""
        return self.folder() / f"{job.part}-{job.split}-{job.index:05d}"

    def identity(self, job: ShardJob) -> dict[str, Any]:
        """What a shard on disk must have been made from to be used."""
        size = self.part(job.part, job.split)
        return {
            "version": SUITE_VERSION,
            "size": list(self.preset.size),
            "axes": asdict(self.axes),
            "part": job.part,
            "split": job.split,
            "first": job.first,
            "last": job.last,
            "views": size.views,
        }


def open_suite(preset: str | None, difficulty: str | None, axes: Mapping[str, int] | None = None) -> Suite:
    """The suite by names; `axes` overrides single axes of the named difficulty with levels 0 to 3."""
    preset, difficulty = preset or "small", difficulty or "base"
    if preset not in PRESETS:
        raise UsageError(f"The built-in suite has no preset {preset!r}.", nearest(preset, PRESETS))
    if difficulty not in DIFFICULTIES:
        raise UsageError(f"The built-in suite has no difficulty {difficulty!r}.", nearest(difficulty, DIFFICULTIES))
    named = Axes.named(difficulty)
    changed = dict(axes or {})
    known = asdict(named)
    for name, level in changed.items():
        if name not in known:
            raise UsageError(f"There is no difficulty axis {name!r}.", nearest(name, known))
        if isinstance(level, bool) or level not in (0, 1, 2, 3):
            raise UsageError(f"Difficulty axis {name!r} got {level!r}.", "A level 0, 1, 2 or 3 was expected.")
    resolved = replace(named, **changed)
    for name in DIFFICULTIES:
        if resolved == Axes.named(name):
            return Suite(PRESETS[preset], resolved, name)
    digits = "".join(f"{name[:3]}{level}" for name, level in asdict(resolved).items())
    return Suite(PRESETS[preset], resolved, digits)


def generator(*purpose: str | int) -> np.random.Generator:
    """The random stream of a purpose in this version of the suite; purposes never share one."""
    return numpy_generator("synthetic", SUITE_VERSION, *purpose)


def group_name(part: PartName, index: int) -> str:
    """Short name of a scene, object, triplet family or clip, unique within a split."""
    return f"{part}-{index:04d}"


def all_parts(suite: Suite, clips: bool = False) -> Iterator[tuple[PartName, SplitName]]:
    """Every part and split that the tasks need; with `clips` the first-person clips too."""
    for part, splits in suite.preset.parts.items():
        if part != "clip" or clips:
            yield from ((part, split) for split in splits)
