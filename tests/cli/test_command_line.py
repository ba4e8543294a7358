"""The command line from outside: help, listings, exit codes, what goes to which stream."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import fabricated

from midvision.cli.main import main

LIGHT = ([], ["--help"], ["--version"]) + tuple(
    [*words, "--help"]
    for words in (
        ["demo"],
        ["run"],
        ["show"],
        ["validate"],
        ["report"],
        ["compare"],
        ["export"],
        ["doctor"],
        ["list"],
        ["list", "models"],
        ["models"],
        ["models", "fetch"],
        ["models", "inspect"],
        ["models", "cost"],
        ["cache"],
        ["cache", "prune"],
        ["data"],
        ["data", "prepare"],
        ["protocol"],
        ["protocol", "diff"],
    )
)
LISTS = (*(["list", name] for name in ("models", "tasks", "protocols", "data")), ["data", "list"])
HEAVY = ("torch", "timm", "numpy", "scipy", "pandas", "altair", "trimesh", "numba")
WATCH = """
import sys, time
from midvision.cli.main import main
code = main(sys.argv[1:])
print("\\n" + " ".join(name for name in {heavy!r} if name in sys.modules) + f"|{{time.process_time()}}|{{code}}")
"""


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where compiled modules are kept, as an installed package has them whatever this machine's settings."""
    return tmp_path_factory.mktemp("bytecode")


def watched(words: list[str], bytecode: Path) -> tuple[list[str], float, int]:
    """Heavy modules that the command loaded, its CPU seconds, its exit code."""
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    program = [sys.executable, "-c", WATCH.format(heavy=HEAVY), *words]
    done = subprocess.run(program, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    heavy, seconds, code = done.stdout.splitlines()[-1].split("|")
    return heavy.split(), float(seconds), int(code)


@pytest.mark.parametrize("words", [*LIGHT, *LISTS], ids=" ".join)
def test_help_and_listings_are_quick_and_load_no_torch(words: list[str], bytecode: Path) -> None:
    runs = []
    for _ in range(4):
        runs.append(watched(words, bytecode))
        if runs[-1][1] < 0.5:
            break
    heavy, _, code = runs[-1]
    assert heavy == []
    # The best of a few runs: the first one compiles, and CPU time depends on what else the machine does.
    assert min(seconds for _, seconds, _ in runs) < 0.5
    assert code == (2 if not words else 0)


def out(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def kept_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets folders in the environment; here they must not outlive a test."""
    for name in ("MIDVISION_CACHE", "MIDVISION_DATA", "MIDVISION_OUTPUT", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, os.environ.get(name, "x"))
        if os.environ[name] == "x":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {"timm/a": 0.8, "timm/b": 0.5, "control/oracle": 0.95}
    return fabricated.fabricate(tmp_path_factory.mktemp("results"), models, ("synth-depth", "synth-triplets"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu"], "run"),
        (["list", "taks"], "tasks"),
        (["run", "--taks", "x"], "--task"),
        (["list", "tasks", "sinth-depth"], "synth-depth"),
        (["run", "-m", "control/pixels", "-t", "synth-dept"], "synth-depth"),
        (["run", "-m", "control/pixel", "-t", "synth-depth"], "pixels"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--probe", "rigde"], "ridge"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--protocol", "papre"], "paper"),
        (["run", "-m", "control/pixels", "-t", "depth", "--data", "foldr:x"], "folder"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--set", "batch-sise=3"], "batch_size"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--set", "data.presett=tiny"], "preset"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--image-size", "12y"], "448x336"),
        (["run", "-m", "control/pixels", "-t", "synth-depth", "--layers", "last"], "2,5,8,11"),
        (["run", "-t", "synth-depth"], "-m/--model"),
        (["run", "-m", "control/pixels"], "-t/--task"),
        (["run", "-m", "a,b", "-t", "synth-depth", "--weights", "x.pth"], "exactly one"),
        (["show", "synth-dept"], "synth-depth"),
        (["show", "synth-depth", "--split", "tset"], "test"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_words_name_the_nearest_right_ones(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    more = ["--output", str(tmp_path)] if words[0] == "run" else []
    code, printed, said = out(capsys, *words, *more)
    assert code == 2
    assert told in said
    assert printed == ""


def test_underscores_are_hyphens(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("run", "-m", "control/pixels", "-t", "synth-depth", "--dry_run", "--batch_size", "4", "--json")
    code, printed, _ = out(capsys, *words, "--output", str(tmp_path))
    assert code == 0 and json.loads(printed)["totals"]["units"] == 1


def test_list_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = out(capsys, "list", "tasks", "synth-*", "--json")
    tasks = json.loads(printed)
    assert code == 0 and {"synth-seg", "synth-labels"} <= {task["name"] for task in tasks}
    assert all(task["name"].startswith("synth-") for task in tasks)
    ids = {model["id"] for model in json.loads(out(capsys, "list", "models", "--json")[1])}
    assert {"control/oracle", "control/pixels", "random/resnet50"} <= ids
    protocols = json.loads(out(capsys, "list", "protocols", "synth-depth", "--json")[1])
    assert [entry["protocol"] for entry in protocols if entry["task"] == "synth-depth"] == ["paper", "corrected"]
    assert "folder" in {card["name"] for card in json.loads(out(capsys, "list", "data", "--json")[1])}


def test_dry_run_tells_what_is_stored_and_writes_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("run", "-m", "control/pixels,control/oracle", "-t", "synth-triplets,synth-depth", "--dry-run", "--json")
    code, printed, _ = out(
        capsys, *words, "--output", str(tmp_path / "results"), "--probe", "ridge", "--probe", "linear"
    )
    plan = json.loads(printed)
    assert code == 0
    assert plan["totals"]["units"] == plan["totals"]["to_do"] == 2 * (1 + 2)
    assert {unit["probe"] for unit in plan["units"] if unit["task"] == "synth-depth"} == {"ridge", "linear"}
    assert not (tmp_path / "results").exists()


def test_report_writes_one_page(results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    code, printed, said = out(capsys, "report", str(results), "-o", str(page), "--title", "My <encoders>")
    assert code == 0 and printed == "" and str(page) in said
    html = page.read_text(encoding="utf-8")
    assert "My &lt;encoders&gt;" in html and html.count("data-record=") == 8
    code, printed, _ = out(capsys, "report", str(results), "-o", str(page), "--task", "synth-triplets", "--json")
    assert json.loads(printed)["records"] == 3


def test_report_of_nothing_is_an_error_about_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, said = out(capsys, "report", str(tmp_path / "none"))
    assert code == 3 and "no results folder" in said


def test_compare_gives_the_paired_difference(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "timm/a", "timm/b", "--task", "synth-depth", "--results", str(results))
    code, printed, _ = out(capsys, *words, "--json")
    (found,) = json.loads(printed)
    assert code == 0 and found["better"] == "a" and found["ci_low"] <= found["value"] <= found["ci_high"]
    assert found["value"] == pytest.approx(found["a"]["value"] - found["b"]["value"])
    code, printed, _ = out(capsys, *words)
    assert "timm/a is better" in printed


def test_compare_refuses_what_is_not_comparable(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "timm/b", "timm/resnet50.a1_in1k", "--task", "synth-depth", "--results", str(results))
    code, printed, said = out(capsys, *words)
    assert code == 4 and printed == "" and "paper" in said
    code, _, said = out(capsys, "compare", "timm/a", "timm/bb", "--results", str(results))
    assert code == 2 and "timm/b" in said


@pytest.mark.parametrize("format", ["csv", "json", "latex", "markdown"])
def test_export_to_stdout_and_to_a_file(
    format: str, results: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, printed, _ = out(capsys, "export", str(results), "--format", format)
    assert code == 0 and "timm/a" in printed
    file = tmp_path / "table"
    code, nothing, _ = out(capsys, "export", str(results), "--format", format, "-o", str(file))
    assert code == 0 and nothing == "" and file.read_text(encoding="utf-8") == printed
    if format == "json":
        assert len(json.loads(printed)["results"]) == 9
    if format == "csv":
        assert "delta1" in {row["metric"] for row in csv.DictReader(io.StringIO(printed))}


def test_doctor_tells_folders_with_their_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "mine"))
    monkeypatch.delenv("MIDVISION_DATA", raising=False)
    code, printed, _ = out(capsys, "doctor", "--json")
    found = json.loads(printed)
    folders = {entry["name"]: entry for entry in found["folders"]}
    assert code == 0 and found["problems"] == []
    assert (folders["cache"]["path"], folders["cache"]["source"]) == (str(tmp_path / "mine"), "MIDVISION_CACHE")
    assert folders["data"]["source"] == "default"
    assert found["devices"][0]["device"] == "cpu"


def test_doctor_fails_where_a_folder_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("MIDVISION_OUTPUT", str(tmp_path / "file"))
    code, _, said = out(capsys, "doctor")
    assert code == 4 and "cannot be written" in said


def test_cache_of_an_empty_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = ("--cache-dir", str(tmp_path))
    assert json.loads(out(capsys, "cache", "info", *place, "--json")[1])["entries"] == []
    assert out(capsys, "cache", "verify", *place)[0] == 0
    assert json.loads(out(capsys, "cache", "prune", *place, "--json")[1]) == {"removed_bytes": 0}


def test_an_unexpected_error_keeps_its_trace_for_verbose(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr("midvision.cli.work.check_models", broken)
    words = ("run", "-m", "control/pixels", "-t", "synth-depth", "--output", str(tmp_path))
    code, _, said = out(capsys, *words)
    assert code == 1 and "ZeroDivisionError: inside" in said and "Traceback" not in said
    assert "Traceback" in out(capsys, *words, "-v")[2]


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "midvision", "nonsense"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "No such command" in done.stderr
