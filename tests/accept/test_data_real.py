"""Real frames in official layouts through every task that reads them, both protocols; figures: docs/benchmarks.md."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "data"))
from official_files import document
from official_real_rooms import hpatches_of_real_data, navi_of_real_data, nyu_of_real_data, scannet_of_real_data
from realdata_sets import DATA

import midvision as mv
from midvision.tasks.task import all_tasks

pytestmark = [pytest.mark.accept, pytest.mark.realdata]

MODELS = ["control/oracle", "control/descriptor", "control/noise"]
MADE: dict[str, Callable[[Path, Path], Path]] = {
    "nyu": nyu_of_real_data,
    "navi": navi_of_real_data,
    "scannet": scannet_of_real_data,
    "hpatches": hpatches_of_real_data,
}


@pytest.mark.parametrize("set_name", MADE)
def test_real_frames_in_official_layouts(
    set_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    files = MADE[set_name](DATA, tmp_path / "files")
    document(capsys, "prepare", set_name, "--subset", "--workers", "1", "--from", files)
    assert document(capsys, "check", set_name, "--full")["problems"] == []
    for task in (task for task in all_tasks().values() if task.data_set == set_name):
        for protocol in ("paper", "corrected"):
            results = mv.evaluate(
                MODELS,
                task.name,
                protocol=protocol,
                probe="ridge" if task.learner else None,
                limit=None if task.learner else 4,
                output=tmp_path / "results",
            )
            name = task.metrics[0].name
            oracle, descriptor, noise = (result.metrics[name].value for result in results)
            floor = results[0].baselines["constant" if task.learner else "chance"][name].value
            with capsys.disabled():
                print(f"{task.name} {protocol} {name}: {oracle:.3f} {descriptor:.3f} {noise:.3f}, floor {floor:.3f}")
            # At a metre NAVI's code steps by millimetres; `paper` takes differences of neighbouring pixels: of steps.
            if (task.name, protocol) != ("navi-normals", "paper"):
                assert oracle > max(descriptor, noise, floor), f"{task.name} {protocol}"
            assert noise < floor + 0.1, f"{task.name} {protocol}"
