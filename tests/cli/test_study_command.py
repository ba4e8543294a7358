"""`midvision study` as typed: what flags change, what is refused, and a study that is killed and goes on."""

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

from midvision.cli.main import main
from midvision.cli.study_command import declared_study, variant
from midvision.core.errors import UsageError
from midvision.results.query import load_results
from midvision.results.record import plain, stored_runs

PROVENANCE = {"timing", "cost", "hardware", "versions", "git", "command", "created_at", "provenance"}
KILLED = "study quick -m control/position,control/pixels --task synth-seg,synth-triplets --preset tiny --json"


@pytest.fixture(autouse=True)
def kept_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDVISION_DATA", os.environ.get("MIDVISION_DATA") or f"{os.environ['MIDVISION_CACHE']}/data")
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MIDVISION_OUTPUT", str(tmp_path / "results"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def out(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_flags_change_the_study() -> None:
    chosen = declared_study("paper22", {"preset": "tiny", "probes": ["ridge"]}, ["control/pixels"], True)
    assert (chosen.data, chosen.preset, chosen.random_init) == ("built-in", "tiny", True)
    assert chosen.models[-2:] == ("deit_vitb16", "control/pixels") and len(chosen.models) == 25
    assert chosen.probes[0].name == "ridge"
    named = declared_study("paper22", {"models": ["dino_*50"], "tasks": ["voc*-seg"]}, [], False)
    assert named.models == ("dino_resnet50",) and named.data == "benchmarks"
    assert named.chosen_tasks() == ("voc07-seg", "voc12-seg")
    with pytest.raises(UsageError, match="built-in data or benchmarks"):
        declared_study("paper22", {"tasks": ["synth-seg,nights"]}, [], False)
    with pytest.raises(UsageError, match="--preset is a size"):
        declared_study("paper22", {"preset": "tiny", "data": "benchmarks"}, [], False)
    with pytest.raises(UsageError, match="no benchmark task"):
        declared_study("factors", {"data": "benchmarks"}, [], False).chosen_tasks()


def test_a_file_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: seeds\nmodels: [control/pixels]\nseeds: [7, 8]\n", encoding="utf-8")
    found = declared_study(str(file), {"preset": "tiny"}, [], False)
    assert (found.models, found.seeds, found.preset) == (("control/pixels",), (7, 8), "tiny")
    file.write_text("extends: seeds\nseed: [7]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"(?s)'seed' in .*mine.yaml.*seeds"):
        declared_study(str(file), {}, [], False)


def test_names_codes_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = out(capsys, "study", "--json")
    assert code == 0 and len(json.loads(printed)["studies"]) == 9
    code, _, said = out(capsys, "study", "paper")
    assert code == 2 and "Nearest: paper22" in said
    code, _, said = out(capsys, "study", "paper22", "--preset", "tiny")
    assert code == 3 and "24 of 24 models" in said and "midvision models fetch jigsaw_resnet50" in said
    code, _, said = out(capsys, "study", "quick", "--data", "everything")
    assert code == 2 and "data in quick" in said


def test_a_dry_run_computes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["study", "quick", "-m", "control/pixels", "--preset", "tiny", "--dry-run"]
    code, printed, _ = out(capsys, *words, "--json")
    plan = json.loads(printed)
    assert code == 0 and len(plan["units"]) == plan["totals"]["to_do"] == 8
    assert plan["totals"]["images_to_encode"] == 156 and plan["totals"]["total_s"] is None
    _, _, said = out(capsys, *words)
    assert "total s: not measured yet" in said
    assert not (tmp_path / "results").exists() and not (tmp_path / "cache").exists()


def test_what_varies_has_a_name() -> None:
    run: dict[str, Any] = {"probe": {"name": "dpt", "hidden": 128}, "seed": 3, "layers": [4], "train_images": 250}
    run |= {"data": {"options": {"axes": {"texture": 0}}}, "image_size": [224, 224], "protocol": "corrected"}
    assert variant(run) == "layers 4 px 224x224 probe dpt-128 trained on 250 axes texture=0 seed 3"
    assert variant({"probe": None, "seed": 0}) == "–"


def start(folder: Path) -> subprocess.Popen[str]:
    places = ["--output", str(folder / "results"), "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "midvision", *KILLED.split(), *places]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ})


def finish(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, Any]:
    places = ["--output", str(folder / "results"), "--cache-dir", str(folder / "cache")]
    code, printed, said = out(capsys, *KILLED.split(), *places, *more)
    assert code == 0, said
    found: dict[str, Any] = json.loads(printed)
    return found


def contents(folder: Path) -> dict[str, Any]:
    results = load_results(folder / "results", strict=True)
    assert not results.failures and not results.unreadable
    bodies = {record.run_hash: plain(record.as_dict()) for record in results}
    return {key: {k: v for k, v in body.items() if k not in PROVENANCE} for key, body in bodies.items()}


@pytest.mark.slow
def test_a_killed_study_goes_on_and_a_model_added_later_is_all_that_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The small twin of the proof on all 24 models; also: partial results make a report."""
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    expected = finish(capsys, undisturbed)
    process = start(killed)
    deadline = time.monotonic() + 300
    while not stored_runs(killed / "results") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    partial = finish(capsys, killed, "--report-only")
    assert 0 < len(partial["results"]) < 4 == len(expected["results"]) and Path(partial["report"]).is_file()
    before = {key: path.stat().st_mtime_ns for key, path in stored_runs(killed / "results").items()}
    grown = finish(capsys, killed, "--also", "control/noise")
    assert len(grown["results"]) == 6 and Path(grown["report"]).is_file()
    after, alone = contents(killed), contents(undisturbed)
    assert {key: after[key] for key in alone} == alone and len(after) == 6
    kept = {key: path.stat().st_mtime_ns for key, path in stored_runs(killed / "results").items() if key in before}
    assert kept == before, "what was there is not computed again"
    analysis = json.loads((Path(partial["report"]).parent / "analysis.json").read_text(encoding="utf-8"))
    assert [group["task"] for group in analysis["groups"]] == ["synth-seg", "synth-triplets"]
