"""All six tasks on the real data beside the project through the general readers, and again on a copy in another dress.

The copy has other file names and folders, other image sizes, PNG for JPG, depth in 1/5000 m,
disparity as integers and the other pixel centre. A score of the copy may differ from that of the
original by two standard errors or 0.05, whichever is more.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from realdata_runs import ENCODERS, LIMIT, Case, case, copies, floor_of, heading, nights_case, row, scored, tolerance

pytestmark = pytest.mark.realdata

DENSE = [f"{task}-{place}" for task in ("depth", "normals") for place in ("7scenes", "slambook", "tum", "motorcycle")]
MASKS = ["segmentation-openimages", "segmentation-voc", "segmentation-davis"]
SCENE_PAIRS = [f"scene-pairs-{place}" for place in ("7scenes", "slambook", "graffiti", "motorcycle")]
OBJECT_PAIRS = ["object-pairs-7scenes", "object-pairs-motorcycle"]
ALL = [*DENSE, *MASKS, *SCENE_PAIRS, *OBJECT_PAIRS, "keypoints-animals", "triplets-classes"]
COPIED = [
    *("depth-7scenes", "normals-7scenes", "depth-motorcycle", "normals-motorcycle", "segmentation-openimages"),
    *("scene-pairs-7scenes", "scene-pairs-slambook", "scene-pairs-graffiti", *OBJECT_PAIRS),
    *("keypoints-animals", "triplets-classes"),
]
FEW = ["control/oracle", "control/descriptor"]


def limited(name: str, limit: int = LIMIT) -> Case:
    return case(name, limit if "pairs" in name or name == "segmentation-davis" else None)


def check_scores(cases: list[Case], encoders: list[str], folder: Path) -> None:
    """Every score is a number within its range, and the truth scores above its floor and above every other."""
    print("\n" + heading(encoders))
    for made in cases:
        records = scored(made, encoders, folder)
        print(row(made.name, records), flush=True)
        oracle = records["control/oracle"]
        if made.name != "triplets-nights-format":
            assert oracle.main.value > floor_of(oracle), made.name
        for record in records.values():
            main = record.main
            assert np.isfinite(main.value), f"{made.name}: {record.model_id}"
            assert main.low <= main.value <= main.high
            assert oracle.main.value >= main.value, f"{made.name}: {record.model_id} above the truth"


def check_copies(pairs: list[tuple[Case, Case]], encoders: list[str], folder: Path) -> None:
    """The copy has as many items, and every encoder scores the same on it within noise."""
    apart = []
    print("\n" + heading(encoders))
    for original, copy in pairs:
        ours, theirs = scored(original, encoders, folder), scored(copy, encoders, folder)
        print(row(original.name, ours))
        print(row("  its copy", theirs), flush=True)
        for name in encoders:
            assert ours[name].main.n == theirs[name].main.n, original.name
            difference = theirs[name].main.value - ours[name].main.value
            if abs(difference) > tolerance(ours[name]):
                apart.append(f"{original.name} {name} {difference:+.3f}, allowed {tolerance(ours[name]):.3f}")
    assert not apart


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results and features of this module: what one test has scored the next one finds.

    `REALDATA_FOLDER` keeps them between runs of this proof.
    """
    kept = os.environ.get("REALDATA_FOLDER")
    return Path(kept) if kept else tmp_path_factory.mktemp("realdata")


@pytest.mark.accept
def test_all_tasks_on_all_sets(folder: Path, tmp_path: Path) -> None:
    check_scores([*map(limited, ALL), nights_case(tmp_path)], ENCODERS, folder)


@pytest.mark.accept
def test_all_tasks_on_a_copy(folder: Path, tmp_path: Path) -> None:
    check_copies(copies(tmp_path, COPIED), ENCODERS, folder)


SMALL = [
    "depth-slambook",
    "normals-motorcycle",
    "segmentation-openimages",
    "scene-pairs-graffiti",
    "object-pairs-7scenes",
    "keypoints-animals",
    "triplets-classes",
]


def test_every_task_on_one_set(folder: Path, tmp_path: Path) -> None:
    """The scaled-down twin: a set per task, two encoders, and few pairs."""
    check_scores([*(limited(name, 4) for name in SMALL), nights_case(tmp_path)], FEW, folder)


def test_every_task_on_one_copy(folder: Path, tmp_path: Path) -> None:
    check_copies(copies(tmp_path, SMALL, 4), FEW, folder)
