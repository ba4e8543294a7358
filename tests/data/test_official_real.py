"""Real photographs through the readers of official layouts. See docs/benchmarks.md for the figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from official_files import document
from official_real import nights_of_real_data, voc_of_real_data
from official_real_rooms import hpatches_of_real_data, navi_of_real_data, scannet_of_real_data

import midvision as mv
from midvision.core.items import Dataset, PairItem
from midvision.core.specs import DataSpec
from midvision.data.card import Request, open_data
from midvision.report.preview_facts import overlap
from midvision.tasks.task import all_tasks

pytestmark = pytest.mark.realdata


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
def test_masks_of_real_photographs(
    real_data: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    document(capsys, "prepare", "voc12", "--subset", "--from", voc_of_real_data(real_data, tmp_path / "kit"))
    assert document(capsys, "check", "voc12", "--full")["problems"] == []
    models = ["control/oracle", "control/descriptor", "control/noise"]
    results = mv.evaluate(models, "voc12-seg", protocol=protocol, probe="ridge", output=tmp_path / "results")
    score = {result.model["id"]: result.metrics["iou"].value for result in results}
    floor = results[0].baselines["constant"]["iou"].value
    print(protocol, {name: round(value, 3) for name, value in score.items()}, "constant", round(floor, 3))
    # The oracle knows shares of 16-pixel cells; thin legs and tails are lost in them.
    assert score["control/oracle"] > 0.7
    assert score["control/oracle"] > score["control/descriptor"] > score["control/noise"]


def test_triplets_of_real_photographs(
    real_data: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "nights", "--subset", "--from", nights_of_real_data(real_data, tmp_path / "files"))
    assert document(capsys, "check", "nights", "--full")["decoded"] == 8
    models = ["control/oracle", "control/colour", "control/noise"]
    results = mv.evaluate(models, "nights", output=tmp_path / "results")
    score = {result.model["id"]: result.metrics["accuracy"].value for result in results}
    print({name: round(value, 3) for name, value in score.items()})
    assert score["control/oracle"] == 1.0
    assert all(0 <= value <= 1 for value in score.values())


def opened(set_name: str, content: str, protocol: str = "corrected") -> Dataset:
    task = next(task for task in all_tasks().values() if (task.data_set, task.content) == (set_name, content))
    return open_data(Request(task.content, "test", DataSpec(set=set_name), task.protocols[protocol].images))


@pytest.mark.parametrize(
    ("set_name", "content", "make", "least_seen", "most_off"),
    [
        ("scannet", "scene-pairs", scannet_of_real_data, 0.15, 0.75),
        # A plain table top looks much the same all over; where its points lie says more than their grey.
        ("navi", "object-pairs", navi_of_real_data, 0.4, 0.95),
        ("hpatches", "scene-pairs", hpatches_of_real_data, 0.15, 0.75),
    ],
)
def test_pairs_of_real_frames_show_each_others_points(
    real_data: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    set_name: str,
    content: str,
    make: Callable[[Path, Path], Path],
    least_seen: float,
    most_off: float,
) -> None:
    """Poses the wrong way round, wrong units or a wrong camera leave hardly a point where the other view has it."""
    document(capsys, "prepare", set_name, "--subset", "--workers", "1", "--from", make(real_data, tmp_path / "files"))
    assert document(capsys, "check", set_name, "--full")["problems"] == []
    data = opened(set_name, content)
    items = [item for item in data.items if isinstance(item, PairItem)]
    seen, off = [], []
    for item in items:
        share, xy_a, xy_b = overlap(item)
        seen.append(share)
        a, b = (data.images[view.image].load().mean(0).numpy() for view in (item.a, item.b))
        here, there = (grey[xy[:, 1].astype(int), xy[:, 0].astype(int)] for grey, xy in ((a, xy_a), (b, xy_b)))
        off += [float(np.abs(here - there).mean() / (np.abs(here[:, None] - there[None]).mean() + 1e-9))]
    print(set_name, len(items), "seen", round(float(np.mean(seen)), 2), "grey off", round(float(np.mean(off)), 2))
    assert np.mean(seen) > least_seen
    # True matches look more alike than points of the two views at random.
    assert np.mean(off) < most_off
