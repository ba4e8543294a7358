"""The study's folder: complete, linked, escaped, and every number is its record's or the analysis's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import fabricated
import fabricated_study
import numpy as np
import pytest
import study_checks
from fabricated_analysis import fabricated_analysis

from midvision.analysis.outcome import StudyAnalysis
from midvision.analysis.study import analyse
from midvision.cli.main import main
from midvision.report.rows import rankings
from midvision.report.study.charts import curves
from midvision.report.study.items_view import items_view
from midvision.report.study.names import page_name
from midvision.report.study.site import write_study_report
from midvision.report.study.sweeps import plain_records, sweeps, varied
from midvision.results.query import Results, load_results

MODELS = {"dino_vitb16": 0.75, "mae_vitb16": 0.55, "deit_vitb16": 0.65, "swav_resnet50": 0.6}
TASKS = ("nyu-depth", "navi-pairs", "nights")
CONTROLS = {"control/oracle": 0.98, "random/resnet50": 0.3, "control/noise": 0.02}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    fabricated_study.fabricate_study(folder, MODELS, TASKS, controls=CONTROLS, hostile=True)
    for model in ("dino_vitb16", "mae_vitb16"):
        for level in (0, 3):
            run = {"data": {"set": "synthetic", "options": {"axes": {"lighting": level}}}}
            fabricated_study.put(folder, model, "nyu-depth", 0.6 - 0.05 * level, run=run)
        for count in (8, 32):
            fabricated_study.put(folder, model, "nyu-depth", 0.3 + 0.005 * count, run={"train_images": count})
        fabricated_study.put(folder, model, "nyu-depth", 0.8, run={"image_size": [448, 448]})
    return folder


@pytest.fixture(scope="module")
def results(stored: Path) -> Results:
    return load_results(stored)


@pytest.fixture(scope="module")
def site(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "report"
    analysis = fabricated_analysis(results)
    assert write_study_report(results.records, analysis, folder, failures=results.failures) == folder / "index.html"
    return folder


def test_there_is_a_page_per_task_and_per_model(site: Path, results: Results) -> None:
    assert {path.name for path in (site / "tasks").iterdir()} == {f"{task}.html" for task in TASKS}
    assert {path.name for path in (site / "models").iterdir()} == {page_name(model) for model in results.models()}
    assert (site / "models" / "dino_vitb16.html").is_file()


def test_every_number_of_a_record_equals_its_file(site: Path, stored: Path) -> None:
    assert study_checks.check_record_numbers(site, stored) > 300


def test_the_check_of_numbers_finds_a_wrong_one(site: Path, stored: Path, tmp_path: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    record = next(iter(study_checks.stored(stored).values()))
    wrong = f'<i data-record="{record["run_hash"]}" data-metric="{record["main_metric"]}" '
    wrong += 'data-value="0.5" data-low="0" data-high="1">0.5</i>'
    (tmp_path / "index.html").write_text(page + wrong, encoding="utf-8")
    with pytest.raises(AssertionError):
        study_checks.check_record_numbers(tmp_path, stored)


def test_every_number_of_the_analysis_equals_the_stored_analysis(site: Path, results: Results) -> None:
    assert study_checks.check_study_numbers(site) > 100
    held = json.loads((site / "study.json").read_text(encoding="utf-8"))
    assert held == fabricated_analysis(results).as_dict()


def test_all_links_lead_somewhere_inside_the_folder(site: Path) -> None:
    assert study_checks.check_links(site) > 200


def test_hostile_names_are_text_everywhere(site: Path) -> None:
    allowed = {"report.js"}
    for path in study_checks.pages_of(site):
        document = study_checks.Document(path)
        scripts = [one.attributes.get("src", "").rpartition("/")[2] for one in document.elements if one.tag == "script"]
        assert set(scripts) == allowed, path
        assert not any(name.startswith("on") for one in document.elements for name in one.attributes), path
        assert "7*7" in path.read_text(encoding="utf-8") or path.parent.name == "models"
    index = study_checks.Document(site / "index.html")
    named = {one.attributes.get("data-model") for one in index.elements}
    assert set(fabricated.HOSTILE) <= named


def test_every_part_of_the_analysis_is_shown(site: Path) -> None:
    document = study_checks.Document(site / "index.html")
    ids = {one.attributes.get("id") for one in document.elements}
    parts = {"leaderboard", "warnings", "findings", "against", "paradigms", "shares", "agreement", "curves", "costs"}
    assert parts | {"models", "apart"} <= ids
    text = (site / "index.html").read_text(encoding="utf-8")
    for words in ("too few to tell", "does not hold", "undecided", "border cases the other way", "best constant"):
        assert words in text
    task = (site / "tasks" / "navi-pairs.html").read_text(encoding="utf-8")
    for words in ("by viewpoint change", "Hardest for all", "Most disputed", "is the order certain", "Side by side"):
        assert words in task


def test_the_leaderboard_stands_between_ceiling_and_floors(site: Path) -> None:
    document = study_checks.Document(site / "index.html")
    roles = [
        one.attributes["data-role"] for one in document.elements if one.tag == "tr" and "data-role" in one.attributes
    ]
    assert roles[0] == "ceiling"
    assert roles[-3:] == ["floor"] * 3
    assert "floor" not in roles[1:-3] and "ceiling" not in roles[1:]


def test_ranks_are_those_of_the_analysis(results: Results, tmp_path: Path) -> None:
    """Changed ranks in the analysis change the pages: no second kind of rank is shown."""
    results = Results([one for one in results if one.task == "nyu-depth" and not varied(one)])
    analysis = fabricated_analysis(results)
    groups = tuple(
        replace(
            group, standings=tuple(replace(one, rank=7, worst_rank=9) if one.rank else one for one in group.standings)
        )
        for group in analysis.groups
    )
    write_study_report(results.records, replace(analysis, groups=groups), tmp_path)
    document = study_checks.Document(tmp_path / "tasks" / "nyu-depth.html")
    cells = [one for one in document.elements if one.attributes.get("class") == "rank"]
    assert {one.attributes["data-value"] for one in cells} == {"7", "nan"}
    assert any("7–9" in one.text for one in cells)


def test_curves_hold_the_records_that_differ_in_one_thing(results: Results) -> None:
    found = {sweep.kind.name: sweep for sweep in sweeps(results)}
    assert set(found) == {"layers", "labels", "sizes", "factor-lighting"}
    layers = found["layers"].lines["deit_vitb16"]
    assert [place for place, _ in layers] == [2, 5, 8, 11]
    assert all(record.run["layers"] == [place] for place, record in layers)
    light = found["factor-lighting"].lines["dino_vitb16"]
    assert [place for place, _ in light] == [0, 2, 3]
    assert not varied(light[1][1])
    assert all(
        len({record.task for _, record in line}) == 1 for sweep in found.values() for line in sweep.lines.values()
    )


def test_what_was_varied_is_in_no_leaderboard(site: Path, results: Results) -> None:
    document = study_checks.Document(site / "index.html")
    shown = {
        one.attributes["data-record"]
        for one in document.elements
        if "heat" in one.attributes.get("class", "") and one.attributes.get("data-record")
    }
    apart = {record.run_hash for record in results if varied(record)}
    assert apart and not apart & shown
    only = [record for record in results if varied(record)]
    assert plain_records(only) == only


def test_hard_and_disputed_items_are_those_of_the_scores(results: Results) -> None:
    ranking = next(one for one in rankings(plain_records(list(results))) if one.key.task == "nyu-depth")
    view = items_view(ranking)
    assert view is not None
    models = [row.record for row in ranking.rows if row.role == "model"]
    table = np.stack([record.scores().columns["delta1"] for record in models])
    ids = models[0].scores().ids
    assert view.encoders == len(models)
    assert [line.id for line in view.hardest] == [ids[place] for place in np.argsort(table.mean(0))[:6]]
    assert [line.id for line in view.disputed] == [ids[place] for place in np.argsort(-table.std(0))[:6]]
    first = view.disputed[0]
    assert float(first.spread_exact) == pytest.approx(table.std(0).max())
    assert first.best_name == models[int(np.argmax(table[:, ids.index(first.id)]))].model_id[:64]


def test_costs_on_a_models_page_are_the_records(site: Path, stored: Path) -> None:
    bodies = study_checks.stored(stored)
    document = study_checks.Document(site / "models" / "dino_vitb16.html")
    costs = [one.attributes for one in document.elements if "data-cost" in one.attributes]
    assert {one["data-cost"] for one in costs} >= {"parameters", "gflops", "images_per_s"}
    for one in costs:
        assert float(one["data-value"]) == bodies[one["data-record"]]["cost"][one["data-cost"]]


def test_a_card_says_what_is_known_from_where_and_what_is_not(site: Path) -> None:
    document = study_checks.Document(site / "models" / "dino_vitb16.html")
    words = next(one.text for one in document.elements if one.attributes.get("id") == "card")
    assert "self-distillation" in words and "github.com/facebookresearch/dino" in words and "not known" in words
    foreign = study_checks.Document(site / "models" / page_name("control/oracle"))
    assert any("not in the catalogue" in one.text for one in foreign.elements)


def test_page_names_are_safe_and_never_equal() -> None:
    names = [
        "a",
        "A",
        "a/b",
        "a-b",
        "../../etc",
        "CON",
        "",
        ".",
        "x" * 300,
        "x" * 301,
        "😀",
        "a\ud800",
        *fabricated.HOSTILE,
    ]
    made = [page_name(name) for name in names]
    assert len({name.lower() for name in made}) == len(names)
    assert all(len(name) < 100 and name.isascii() and "/" not in name and not name.startswith(".") for name in made)
    assert page_name("dino_vitb16") == "dino_vitb16.html"


def test_stand_ins_are_said_to_be_stand_ins(tmp_path: Path) -> None:
    found = fabricated_study.fabricate_study(
        tmp_path / "results",
        {"random/dino_vitb16": 0.3, "random/mae_vitb16": 0.3},
        TASKS[:1],
        controls={},
        curves=False,
    )
    results = load_results(found)
    write_study_report(results.records, analyse(results), tmp_path / "site")
    assert "stand-ins" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    page = (tmp_path / "site" / "models" / page_name("random/dino_vitb16")).read_text(encoding="utf-8")
    assert "random weights" in page


def test_nothing_gives_a_page_that_says_so(tmp_path: Path) -> None:
    empty = StudyAnalysis((), (), (), (), (), (), (), (), (), ())
    path = write_study_report([], empty, tmp_path)
    assert "No comparable record" in path.read_text(encoding="utf-8")
    assert study_checks.check_links(tmp_path) > 0


def test_one_command_writes_the_folder(stored: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert main(["report", str(stored), "-t", "nights", "-o", str(folder)]) == 0
    assert (folder / "tasks" / "nights.html").is_file()
    assert study_checks.check_record_numbers(folder, stored) > 20
    assert study_checks.check_study_numbers(folder) >= 0


def test_a_persons_table_stands_beside_the_results_and_is_marked(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, folder = tmp_path / "high.csv", tmp_path / "folder"
    table.write_text("model,set,value,source\ndino_vitb16,my set,71.5,lab book\nmae_vitb16,my set,60,lab book\n")
    chosen = ["report", str(stored), "-t", "nights", "--high-level", str(table)]
    assert main([*chosen, "-o", str(folder)]) == 0
    assert "my set (own numbers)" in (folder / "index.html").read_text(encoding="utf-8")
    assert main([*chosen, "-o", str(tmp_path / "page.html")]) == 2
    table.write_text("model,set,value\ndino_vitb16,my set,71.5\n")
    assert main([*chosen, "-o", str(folder)]) == 3
    said = capsys.readouterr().err
    assert "goes with a folder of pages" in said and "no column source" in said


def test_a_curves_axis_names_the_places_that_were_measured() -> None:
    """Bins have their middle at half metres, training sets run into thousands; neither is rounded to another number."""
    drawn = curves({"a": [(0.5, 1, 1, 1), (1.5, 1, 1, 1), (3.0, 2, 1, 3)]}, "metres", "error")
    assert re.findall(r">([\d.k]+)</text>", drawn)[:3] == ["0.5", "1.5", "3"]
    drawn = curves({"a": [(250.0, 1, 1, 1), (1500.0, 1, 1, 1)]}, "images", "score", logarithmic=True)
    assert re.findall(r">([\d.k]+)</text>", drawn)[:2] == ["250", "1.5k"]
