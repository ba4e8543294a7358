"""Real photographs through the readers of official layouts. See docs/benchmarks.md for the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from official_files import document
from official_real import nights_of_real_data, voc_of_real_data

import midvision as mv

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
