"""`run`, `demo`, `validate` and `show` around a stand-in for the evaluation: streams, codes, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import fabricated

from midvision.cli.main import main
from midvision.core.errors import DataError, EncoderError
from midvision.run.local import Outcome, RunFailure

RUN = ("run", "-m", "control/pixels", "-t", "synth-depth")


@pytest.fixture(autouse=True)
def kept_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command sets folders in the environment; here they must not outlive a test."""
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIDVISION_OUTPUT", str(tmp_path / "results"))
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


class Evaluation:
    """Stands in for `evaluate_runs`: remembers what it was asked, gives what it was told to give."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: dict[str, Any] = {}
        self.failures: list[RunFailure] = []
        self.empty = False

    def __call__(self, model: list[str], tasks: list[str], **settings: Any) -> Outcome:
        self.asked = {"model": model, "tasks": tasks, **settings}
        records = [] if self.empty else [fabricated.put(self.folder, one, task, 0.5) for one in model for task in tasks]
        return Outcome(records, self.failures)


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Evaluation:
    found = Evaluation(tmp_path / "results")
    monkeypatch.setattr("midvision.run.front.evaluate_runs", found)
    return found


def out(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_flags_reach_the_evaluation(evaluation: Evaluation, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = "--probe ridge --probe dpt --seed 1 --seed 2 --limit 3 --layers 2,-1 --image-size 448x336 --preset tiny"
    words += " --difficulty hard --batch-size 4 --workers 1 --device cpu --precision bf16 --overwrite never --fail-fast"
    words += " --final-norm"
    folders = ("--cache-dir", str(tmp_path / "c"), "--output", str(tmp_path / "o"), "--data-root", str(tmp_path / "d"))
    code, _, _ = out(capsys, *RUN, *words.split(), *folders, "--protocol", "paper", "--offline")
    asked, options = evaluation.asked, evaluation.asked["options"]
    assert code == 0
    assert (asked["model"], asked["tasks"], asked["protocols"]) == (["control/pixels"], ["synth-depth"], ("paper",))
    assert [probe.name for probe in asked["probes"]] == ["ridge", "dpt"] and asked["seeds"] == (1, 2)
    template = asked["template"]
    assert (template.limit, template.layers, template.image_size) == (3, (2, -1), (448, 336))
    assert template.precision == "bf16" and template.final_norm is True
    assert (asked["data"].preset, asked["data"].difficulty) == ("tiny", "hard")
    assert (options.batch_size, options.workers, options.device) == (4, 1, "cpu")
    assert (options.overwrite, options.fail_fast) == ("never", True)
    assert (options.output, options.cache_folder) == (tmp_path / "o", tmp_path / "c" / "features")
    assert os.environ["MIDVISION_DATA"] == str(tmp_path / "d") and os.environ["HF_HUB_OFFLINE"] == "1"


def test_the_training_batch_is_a_decision_beside_others(evaluation: Evaluation, tmp_path: Path) -> None:
    from midvision.run.plan import resolve_protocol
    from midvision.tasks.task import all_tasks

    words = ("--train-batch-size", "4", "--set", "overrides.head.upsampling=nearest", "--log-to", "tensorboard")
    assert main([*RUN, *words]) == 0
    task = all_tasks()["synth-depth"]
    protocol = resolve_protocol(evaluation.asked["template"], task)
    assert (protocol.name, protocol.train.batch_images, protocol.head.upsampling) == ("custom", 4, "nearest")
    assert protocol.train.epochs == task.protocols["corrected"].train.epochs
    assert evaluation.asked["options"].log_to == ("tensorboard",)
    assert main([*RUN]) == 0
    assert resolve_protocol(evaluation.asked["template"], task).name == "corrected"


def test_no_resume_repeats_everything(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    out(capsys, *RUN, "--no-resume")
    assert evaluation.asked["options"].overwrite == "always"
    out(capsys, *RUN)
    assert evaluation.asked["options"].overwrite == "missing"


def test_the_command_is_recorded(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["x/midvision", *RUN])
    out(capsys, *RUN)
    assert evaluation.asked["options"].command == "midvision run -m control/pixels -t synth-depth"


def test_json_is_one_document_and_all_else_goes_to_stderr(
    evaluation: Evaluation, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation.failures = [RunFailure("timm/x", "synth-seg", EncoderError("It holds NaN."))]
    code, printed, said = out(capsys, *RUN, "--json")
    document = json.loads(printed)
    assert code == 1
    assert [record["task"] for record in document["results"]] == ["synth-depth"]
    assert document["failures"] == [
        {"model": "timm/x", "task": "synth-seg", "error": "EncoderError", "reason": "It holds NaN."}
    ]
    assert "Failed: timm/x on synth-seg: It holds NaN." in said


def test_the_table_shows_value_interval_and_floor(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, said = out(capsys, *RUN)
    (record,) = evaluation(["control/pixels"], ["synth-depth"]).records
    assert code == 0 and said == ""
    assert f"{record.main.value:.3f} ±" in printed and "control/pixels" in printed
    assert f"{record.baselines['constant']['delta1'].value:.3f}" in printed


def test_all_failed_for_want_of_data_is_code_three(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    evaluation.empty = True
    evaluation.failures = [RunFailure("timm/x", "synth-seg", DataError("No weights."))]
    assert out(capsys, *RUN)[0] == 3
    evaluation.failures.append(RunFailure("timm/x", "synth-seg", ValueError("odd")))
    assert out(capsys, *RUN)[0] == 1


def test_an_interruption_says_how_to_go_on(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr("midvision.run.front.evaluate_runs", interrupted)
    monkeypatch.setattr("sys.argv", ["midvision", *RUN, "--overwrite", "always"])
    code, printed, said = out(capsys, *RUN, "--overwrite", "always")
    assert code == 130 and printed == ""
    assert "midvision run -m control/pixels -t synth-depth\n" in said and "--overwrite" not in said


def test_a_real_signal_gives_130(tmp_path: Path) -> None:
    program = (
        "import signal, sys, time, midvision.run.front as front\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait(*a, **k):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "front.evaluate_runs = wait\n"
        "from midvision.cli.main import run\nrun()\n"
    )
    words = [sys.executable, "-c", program, *RUN, "--output", str(tmp_path)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "To go on" in said and "Traceback" not in said


def test_demo_ends_with_a_table_and_a_page(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, said = out(capsys, "demo", "-m", "random/resnet18", "--preset", "tiny")
    asked = evaluation.asked
    assert code == 0
    assert len(asked["tasks"]) == 6 and asked["probes"][0].name == "ridge" and asked["data"].preset == "tiny"
    assert {"control/oracle", "control/pixels", "control/descriptor", "random/resnet50"} <= set(asked["model"])
    assert asked["model"][-1] == "random/resnet18"
    page = Path(said.strip().splitlines()[-1].removeprefix("Report: "))
    html = page.read_text(encoding="utf-8")
    assert html.count("data-record=") == 6 * len(asked["model"])
    assert all(name in printed for name in asked["model"])


def test_demo_weights_need_their_model(evaluation: Evaluation, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = out(capsys, "demo", "--weights", "x.pth")
    assert code == 2 and "exactly one" in said


def test_validate_runs_nothing(evaluation: Evaluation, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("models: [control/pixels, random/resnet50]\ntasks: [synth-depth, synth-triplets]\npreset: tiny\n")
    code, _, said = out(capsys, "validate", str(file))
    assert code == 0 and "4 runs of 2 models on 2 tasks" in said
    assert evaluation.asked == {} and not (tmp_path / "data").exists()
    file.write_text("models: [control/pixls]\ntasks: [synth-depth]\n")
    code, _, said = out(capsys, "validate", str(file))
    assert code == 2 and "pixels" in said
    file.write_text("models: control/pixels\ntasks: depth\ndata: folder:/does/not/exist\n")
    code, _, said = out(capsys, "validate", str(file))
    assert code == 3 and "/does/not/exist" in said
