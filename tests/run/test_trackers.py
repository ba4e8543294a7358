"""Trackers get every number of a run and can never harm it."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import UsageError
from midvision.core.specs import DataSpec
from midvision.run.options import RunOptions
from midvision.run.trackers import KNOWN, Logged, check_trackers, open_trackers

TASKS = ["depth", "scene-pairs"]


class Notebook:
    """Writes down what it is told; breaks where asked to."""

    name = "notebook"

    def __init__(self, output: Path, breaks_at: str = "") -> None:
        self.output, self.breaks_at = output, breaks_at
        self.heard: list[str] = []
        self.logged: list[Logged] = []
        self.description: Mapping[str, Any] = {}

    def _hear(self, word: str) -> None:
        self.heard.append(word)
        if word == self.breaks_at:
            raise ConnectionError("the server is away")

    def on_run_start(self, description: Mapping[str, Any]) -> None:
        self.description = description
        self._hear("start")

    def on_unit_end(self, logged: Logged) -> None:
        assert logged.record.folder is not None and (logged.record.folder / "result.json").is_file()
        self.logged.append(logged)
        self._hear("unit")

    def on_run_end(self, summary: Mapping[str, Any]) -> None:
        self._hear("end")


def score(encoder: Any, data: DataSpec, options: RunOptions, **more: Any) -> Any:
    return mv.evaluate(encoder, TASKS, data=data, probe="ridge", options=options, **more)


def test_every_number_arrives_after_it_is_on_disk(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    book = Notebook(live.output)
    results = score(counting, memory_set, replace(live, log_to=(book,)))
    assert book.heard == ["start", "unit", "unit", "end"]
    assert {entry.series for entry in book.logged} == {"counting"}
    told = {name: value for entry in book.logged for name, value in entry.values.items()}
    for record in results:
        finite = {name: metric.value for name, metric in record.metrics.items() if metric.value == metric.value}
        assert {name: told[f"{record.task}/{name}"] for name in finite} == finite
        assert told[f"{record.task}/{record.main_metric}_ci_low"] == record.main.ci_low
    (run,) = [spec for spec in book.description["runs"].values() if spec["task"] == "depth"]
    assert run["probe"]["name"] == "ridge"
    assert book.description["protocols"]["depth/corrected"]["scoring"]


def test_stored_results_are_told_too_and_seeds_are_series_of_their_own(
    memory_set: DataSpec, counting: Any, live: RunOptions
) -> None:
    score(counting, memory_set, live)
    book = Notebook(live.output)
    score(counting, memory_set, replace(live, log_to=(book,)), seeds=(0, 1))
    assert {(entry.series, entry.record.task) for entry in book.logged} == {
        ("counting, seed 0", "depth"),
        ("counting, seed 1", "depth"),
        ("counting, seed 0", "scene-pairs"),
    }


@pytest.mark.parametrize("place", ["start", "unit", "end"])
def test_a_tracker_that_breaks_is_one_warning(
    memory_set: DataSpec, counting: Any, live: RunOptions, place: str
) -> None:
    broken, sound = Notebook(live.output, breaks_at=place), Notebook(live.output)
    with pytest.warns(UserWarning, match="Tracker notebook failed") as warned:
        results = score(counting, memory_set, replace(live, log_to=(broken, sound)))
    assert len(results) == len(mv.load_results(live.output)) == 2
    assert len([entry for entry in warned if "Tracker" in str(entry.message)]) == 1
    assert broken.heard.count(place) == 1
    assert sound.heard == ["start", "unit", "unit", "end"]


def test_tensorboard_files_hold_the_values(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = score(counting, memory_set, replace(live, log_to=("tensorboard",)))
    events = EventAccumulator(str(live.output / "tensorboard" / "counting"))
    events.Reload()
    for record in results:
        (point,) = events.Scalars(f"{record.task}/{record.main_metric}")
        assert point.value == pytest.approx(record.main.value, rel=1e-6)
        assert point.step == 0


class FakeRun:
    def __init__(self, **asked: Any) -> None:
        self.asked, self.rows, self.summary, self.finished = asked, [], {}, False

    def log(self, values: dict[str, float], step: int) -> None:
        self.rows.append((step, values))

    def finish(self) -> None:
        self.finished = True


def test_wandb_gets_flat_names_and_the_description(
    memory_set: DataSpec, counting: Any, live: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[FakeRun] = []
    fake = types.ModuleType("wandb")
    fake.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    fake.init = lambda **asked: runs.append(FakeRun(**asked)) or runs[-1]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    results = score(counting, memory_set, replace(live, log_to=("wandb",)))
    (run,) = runs
    assert run.finished and run.asked["project"] == "mine" and run.asked["name"] == "counting"
    json.dumps(run.asked["config"])
    assert run.asked["config"]["tasks"] == TASKS
    values = {name: value for _, row in run.rows for name, value in row.items()}
    assert values["depth/delta1"] == results["depth"].main.value


class FakeClient:
    def __init__(self) -> None:
        self.metrics: list[tuple[str, str, float, int]] = []
        self.files: dict[str, Any] = {}
        self.ended: list[str] = []

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"experiment {name}"

    def create_run(self, experiment: str, run_name: str) -> Any:
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=f"{experiment}/{run_name}"))

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.metrics.append((run, name, value, step))

    def log_dict(self, run: str, body: Any, name: str) -> None:
        self.files[name] = json.loads(json.dumps(body))

    def set_terminated(self, run: str) -> None:
        self.ended.append(run)


def test_mlflow_gets_the_same(
    memory_set: DataSpec, counting: Any, live: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = FakeClient()
    fake = types.ModuleType("mlflow")
    fake.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    fake.MlflowClient = lambda: client  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    results = score(counting, memory_set, replace(live, log_to=("mlflow",)))
    run = "experiment midvision/counting"
    assert (run, "depth/delta1", results["depth"].main.value, 0) in client.metrics
    assert client.ended == [run]
    assert client.files["config.json"]["models"] == ["counting"]
    assert client.files["summary.json"] == {"results": 2, "planned": 2}


def test_unknown_and_missing_trackers_are_told_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(UsageError, match=r"no tracker 'tensorbord'. Nearest: tensorboard"):
        check_trackers(["tensorbord"])
    monkeypatch.setattr("midvision.run.trackers.find_spec", lambda name: None)
    arguments = ["run", "-m", "control/pixels", "-t", "synth-depth", "--preset", "tiny", "--dry-run"]
    assert main([*arguments, "--log-to", "mlflow"]) == 2
    assert "pip install 'midvision[mlflow]'" in capsys.readouterr().err


def test_a_tracker_that_cannot_be_opened_is_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(output: Path) -> Any:
        raise OSError("no login")

    monkeypatch.setattr("midvision.run.trackers.KNOWN", {**KNOWN, "tensorboard": refuse})
    with pytest.warns(UserWarning, match="cannot be opened"):
        assert open_trackers(["tensorboard"], tmp_path).alive == []
