"""`protocol diff` lists exactly what differs, with words and the numbers of repaired defects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from decision_cases import TASKS, flat

from midvision.cli.main import main
from midvision.core.specs import Protocol
from midvision.results.query import load_results
from midvision.tasks.decisions import DECISIONS, LARGEST, differences, elsewhere


@pytest.mark.parametrize("name", TASKS)
def test_exactly_the_differing_fields_are_listed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paper, corrected = (dict(flat(TASKS[name].protocols[p].model_dump(mode="json"))) for p in ("paper", "corrected"))
    differing = {field: (paper[field], corrected[field]) for field in paper if paper[field] != corrected[field]}
    differing.pop("name", None)
    assert main(["protocol", "diff", "paper", "corrected", "--task", name, "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert {one["field"]: (one["a"], one["b"]) for one in document["decisions"]} == differing
    assert all(one["meaning"] and one["acts"] for one in document["decisions"])
    assert main(["protocol", "diff", "corrected", "corrected", "--task", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["decisions"] == []


def test_a_planted_difference_is_found_and_nothing_else() -> None:
    task = TASKS["synth-depth"]
    base = task.protocols["corrected"]
    planted: dict[str, Any] = {
        "head.upsampling": base.model_copy(update={"head": base.head.model_copy(update={"upsampling": "nearest"})}),
        "scoring.top": base.model_copy(update={"scoring": {**base.scoring, "top": "sigmoid"}}),
        "default_probe": base.model_copy(update={"default_probe": "dpt"}),
    }
    for field, other in planted.items():
        assert [one.field for one in differences(task, other, base)] == [field]
    renamed = base.model_copy(update={"name": "paper", "version": 7})
    assert differences(task, renamed, base) == []


def test_the_decisions_that_matter_most_are_fields_with_their_numbers() -> None:
    """Each is a field of the protocol, differs in some task, and is listed there under its number."""
    listed: dict[str, set[str]] = {}
    for task in TASKS.values():
        found = differences(task, task.protocols["paper"], task.protocols["corrected"])
        for one in found:
            listed.setdefault(one.field, set()).update(re.findall(r"D\d\d", one.defect))
        assert set(elsewhere(found)) == {n for n, f in LARGEST.items() if f not in {one.field for one in found}}
    assert set(LARGEST) >= {"D03", "D05", "D08", "D09", "D17", "D18", "D22", "D24", "D34", "D39"}
    for number, field in LARGEST.items():
        assert field in listed
        assert number in listed[field] or field == "features.cell_centres"


def test_every_described_decision_is_a_field() -> None:
    fields = {name for task in TASKS.values() for p in task.protocols.values() for name, _ in flat(p.model_dump())}
    assert set(DECISIONS) <= fields
    assert "name" in Protocol.model_fields


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["papre", "corrected", "--task", "synth-depth"], "paper"),
        (["paper", "corrected", "--task", "synth-dept"], "synth-depth"),
        (["paper", "corrected"], "No task"),
        (["paper", "corrected", "--task", "depth", "--measure"], "needs your data"),
        (["paper", "corrected", "-t", "synth-depth", "--measure", "-m", "control/pixel"], "Nearest: pixels"),
        (["paper", "corrected", "-t", "synth-depth", "--measure", "--set", "overrides.head.upsampling=nearest"], "own"),
    ],
)
def test_wrong_words_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["protocol", "diff", *words]) == 2
    assert told in capsys.readouterr().err


def test_measuring_on_the_built_in_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thresholds of quarter pixels: the effect is what the same run prints beside its headline."""
    words = ["-t", "synth-scene-pairs", "--measure", "--preset", "tiny", "-m", "control/pixels", "--json"]
    assert main(["protocol", "diff", "paper", "corrected", *words, "--output", str(tmp_path), "--no-progress"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    effects = {effect["decision"]: effect for effect in found["effects"]}
    base = next(record for record in load_results(tmp_path) if record.run_hash == found["run_hash"])
    wider = base.metrics["recall_10px_quarter"].value - base.metrics["recall_10px"].value
    unit = effects["scoring.pixel_unit"]
    assert unit["effect"] == pytest.approx(wider) and wider > 0.01
    assert unit["ci_low"] <= unit["effect"] <= unit["ci_high"] and unit["defect"] == "D36"
    assert effects["features.pixel_stats"]["state"] == "does not apply" and effects["all at once"]["effect"] > 0
    assert effects["scoring.self_pairs"]["state"] == "unmoved" and effects["scoring.self_pairs"]["effect"] is None
    monkeypatch.setenv("COLUMNS", "300")
    table = main(["protocol", "diff", "paper", "corrected", *words[:-1], "--output", str(tmp_path), "--no-progress"])
    printed = capsys.readouterr().out
    assert table == 0 and f"{unit['effect']:+.4f}" in printed and "does not apply: " in printed
