"""`protocol diff --measure` on the built-in suite, every task: each decision has an effect or a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from midvision.cli.main import main
from midvision.tasks.decisions import differences
from midvision.tasks.task import all_tasks

pytestmark = pytest.mark.accept
BUILT_IN = sorted(name for name, task in all_tasks().items() if task.data_set == "synthetic")
SMALL_DPT = "probes=[{name: dpt, hidden: 16, steps: 40}]"


def measured(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> list[dict[str, Any]]:
    common = ["--measure", "--preset", "tiny", "--output", str(folder), "--no-progress", "--json"]
    assert main(["protocol", "diff", "paper", "corrected", *words, *common]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    for case in found:
        for effect in case["effects"]:
            known = effect["effect"] is not None
            assert effect["state"] in ("measured", "unmoved", "does not apply")
            assert known == (effect["state"] == "measured") and known != bool(effect["said"])
            value = f"{effect['effect']:+.4f} [{effect['ci_low']:+.4f}, {effect['ci_high']:+.4f}]" if known else ""
            with capsys.disabled():
                print(
                    f"{case['task']}, {case['model']}, {case['probe']}: {effect['decision']}: {value}{effect['said']}"
                )
    return found


def test_every_task_with_its_usual_probe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = measured(capsys, tmp_path, "-t", "synth", "-m", "control/descriptor,random/resnet18")
    assert sorted({case["task"] for case in found}) == BUILT_IN
    for case in found:
        task = all_tasks()[case["task"]]
        listed = {one.field for one in differences(task, task.protocols["paper"], task.protocols["corrected"])}
        assert {effect["decision"] for effect in case["effects"]} >= listed
    strided = {case["task"]: case for case in found if case["model"] == "random/resnet18"}
    states = {effect["decision"]: effect["state"] for effect in strided["synth-depth"]["effects"]}
    assert states["features.cell_centres"] == "measured"
    again = measured(capsys, tmp_path, "-t", "synth", "-m", "control/descriptor,random/resnet18")
    assert again == found


def test_decisions_of_decoders_and_training(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trained = "synth-seg,synth-depth,synth-normals"
    words = ["-t", trained, "-m", "random/resnet18", "--limit", "24", "--set", SMALL_DPT]
    found = {case["task"]: case for case in measured(capsys, tmp_path, *words)}
    acting = {
        "synth-seg": ("head.batchnorm_at_test", "head.upsampling", "head.residual_relu", "scoring.pool"),
        "synth-depth": ("train.shuffle", "head.upsampling", "scoring.gradient_axes"),
        "synth-normals": ("train.shuffle", "head.upsampling", "head.residual_relu", "train.batch_images"),
    }
    for task, fields in acting.items():
        states = {effect["decision"]: effect["state"] for effect in found[task]["effects"]}
        assert {field: states[field] for field in fields} == dict.fromkeys(fields, "measured")
