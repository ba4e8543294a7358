"""A paper's tables: every number is its record's, bold means best or tied, published numbers are marked."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import fabricated
import fabricated_study
import numpy as np
import pytest

from midvision.analysis.outcome import Bounded, ModelShare, StudyAnalysis, SupervisedShare, TaskGroup
from midvision.cli.main import main
from midvision.core.scores import Scores
from midvision.report.paper.build import paper_tables
from midvision.report.paper.table import PaperTable
from midvision.report.paper.ties import best_rows
from midvision.report.paper.write import latex, table_csv, table_json, table_latex, table_markdown, write_tables
from midvision.report.rows import Row
from midvision.results.query import Results, load_results
from midvision.results.record import write

MODELS = {"dino_vitb16": 0.7, "mae_vitb16": 0.5, "deit_vitb16": 0.6, "swav_resnet50": 0.65, "supervised_resnet50": 0.6}
TASKS = ("nyu-depth", "navi-pairs", "voc12-seg")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("paper")
    return load_results(
        fabricated_study.fabricate_study(
            folder, MODELS, TASKS, controls={"control/oracle": 0.98}, samples=False, curves=True, hostile=True
        )
    )


@pytest.fixture(scope="module")
def tables(results: Results) -> dict[str, PaperTable]:
    return {table.name: table for table in paper_tables(results)}


def test_there_is_a_table_per_setting_and_architecture(tables: dict[str, PaperTable]) -> None:
    kinds = ("vit_b16", "resnet50", "other")
    expected = {f"{name}_{kind}" for name in (*TASKS, "summary") for kind in kinds}
    assert set(tables) == expected
    assert {line.model for line in tables["summary_vit_b16"].lines} == {"dino_vitb16", "mae_vitb16", "deit_vitb16"}
    assert {line.model for line in tables["summary_resnet50"].lines} == {"swav_resnet50", "supervised_resnet50"}


def test_every_metric_of_the_setting_is_there(tables: dict[str, PaperTable]) -> None:
    depth = {heading.name: heading.group for heading in tables["nyu-depth_vit_b16"].headings}
    for name in ("delta1", "delta2", "delta3", "rmse"):
        assert depth[name] == "as predicted" and depth[f"{name}_aligned"] == "scale-and-shift aligned"
    pairs = {heading.name for heading in tables["navi-pairs_vit_b16"].headings}
    assert {"recall_1cm", "recall_2cm", "recall_5cm", "recall_2cm_rot_0_30", "recall_2cm_rot_90_120"} <= pairs
    assert {"miou", "f1", "accuracy"} <= {heading.name for heading in tables["voc12-seg_vit_b16"].headings}


def test_csv_and_json_hold_the_records_numbers_to_the_last_digit(
    results: Results, tables: dict[str, PaperTable]
) -> None:
    by_hash = {record.run_hash: record for record in results}
    compared = 0
    for name, table in tables.items():
        if name.startswith("summary"):
            continue
        rows = list(csv.DictReader(io.StringIO(table_csv(table))))
        body = json.loads(table_json(table))
        for row, held in zip(rows, body["rows"], strict=True):
            for heading in table.headings:
                record = by_hash[row[f"{heading.name} source"]]
                found = record.metrics[heading.name]
                assert (record.model_id, record.task) == (row["model"], name.rsplit("_", 2 if "vit" in name else 1)[0])
                assert float(row[heading.name]) == found.value == held["entries"][heading.name]["value"]
                assert float(row[f"{heading.name} low"]) == found.ci_low
                assert held["entries"][heading.name]["high"] == found.ci_high
                compared += 1
    assert compared > 200


def test_layers_chosen_by_hand_and_later_seeds_stay_out(results: Results, tables: dict[str, PaperTable]) -> None:
    by_hand = {record.run_hash for record in results if record.run.get("layers")}
    assert by_hand
    shown = {entry.source for table in tables.values() for line in table.lines for entry in line.entries.values()}
    assert not by_hand & shown


def test_bold_is_the_best_and_what_cannot_be_told_from_it(tmp_path: Path) -> None:
    """Differences constructed: b is a up to noise around zero, c is worse on every scene, by rmse and by delta1."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 48)
    base = rng.uniform(0.4, 0.6, 48)
    columns = {
        "a": (base, 1 - base),
        "b": (base - noise + noise.mean() - 1e-4, 1 - base + noise - noise.mean() + 1e-4),
        "c": (base - 0.05 + noise, 1 - base + 0.05 - noise),
    }
    rows = []
    for model, (delta1, rmse) in columns.items():
        record = fabricated_study.put(tmp_path, f"timm/{model}", "nyu-depth", 0.5)
        scores = record.scores()
        scores = Scores(scores.ids, scores.groups, {**scores.columns, "delta1": delta1, "rmse": rmse})
        metrics = dict(record.metrics)
        metrics["delta1"] = replace(metrics["delta1"], value=float(delta1.mean()))
        metrics["rmse"] = replace(metrics["rmse"], value=float(rmse.mean()))
        rows.append(Row(replace(record, metrics=metrics), "model", 1, 1, "", scores))
    a, b, c = (row.record.run_hash for row in rows)
    assert best_rows(rows, "delta1") == {a, b}
    assert best_rows(rows, "rmse") == {a, b}
    assert best_rows(rows[1:], "rmse") == {b}
    lost = [rows[0], replace(rows[1], scores=None), rows[2]]
    assert best_rows(lost, "delta1") == {a}
    assert c not in best_rows(rows, "delta1")


def test_latex_has_as_many_cells_in_every_row_and_no_bare_mark(tables: dict[str, PaperTable]) -> None:
    table = tables["nyu-depth_other"]
    text = table_latex(table)
    assert {line.model for line in table.lines} >= set(fabricated.HOSTILE)
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == len(table.lines)
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(table.headings) for row in rows)
    assert r"\cmidrule(lr){2-6}" in text and r"\multicolumn{5}{c}{as predicted}" in text
    for mark in "&%#_":
        bare = re.sub(rf"\\{mark}", "", "\n".join(row.split(" & ", 1)[0] for row in rows))
        assert mark not in bare
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    bold = sum(entry.best for line in table.lines for entry in line.entries.values())
    assert text.count(r"\textbf{") == bold > 0
    assert latex("a_b\n%\x07<é†") == r"a\_b \%<é$^\dagger$"


def test_markdown_shows_hostile_names_as_text(tables: dict[str, PaperTable]) -> None:
    text = table_markdown(tables["voc12-seg_other"])
    assert "<script>" not in text and r"\<script\>" in text
    counts = {line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(counts) == 1


def test_published_accuracies_are_marked_and_only_beside_their_own_weights(
    results: Results, tables: dict[str, PaperTable]
) -> None:
    summary = tables["summary_vit_b16"]
    published = {line.model: line.entries.get("imagenet_linear") for line in summary.lines}
    dino, deit = published["dino_vitb16"], published["deit_vitb16"]
    assert dino is not None and dino.value == 78.2 and "facebookresearch/dino" in dino.source
    assert deit is None
    assert r"ImageNet linear (\%)$^\dagger$" in table_latex(summary)
    assert "imagenet_linear (published)" in table_csv(summary).splitlines()[0]
    assert any("published by the models' authors" in note for note in json.loads(table_json(summary))["notes"])
    fakes = Results([replace(one, model={**one.model, "weights_source": "elsewhere"}) for one in results])
    texts = "".join(map(table_csv, paper_tables(fakes)))
    assert "imagenet_linear" not in texts


def test_no_unverified_figure_of_a_summary_is_shown(tables: dict[str, PaperTable]) -> None:
    """Second-hand figures of the paper are not sound, so they stand nowhere."""
    texts = "".join(table_csv(table) + table_latex(table) for table in tables.values())
    assert not any(figure in texts for figure in ("69.63", "74.11", "79.94", "84.72"))


def test_shares_of_supervised_come_from_the_analysis(results: Results) -> None:
    share = Bounded(1.2, 1.1, 1.3, 24)
    short = Bounded(0.9, float("nan"), float("nan"), 5, "too few to tell")
    group = TaskGroup(
        "g1", "nyu-depth", "Scene depth", "mid", "corrected", 1, "linear", "nyu", "delta1", "share", True, 24, "", (),
        (), (),
    )  # fmt: skip
    made = SupervisedShare("g1", "", "best constant", share, short, (ModelShare("dino_vitb16", "deit", share, short),))
    high = SupervisedShare("", "imagenet", "chance", short, short, (ModelShare("dino_vitb16", "deit", short, short),))
    analysis = StudyAnalysis((), (group,), (), (), (), (), (made, high), (), (), ())
    found = {table.name: table for table in paper_tables(results, "vit_b16", analysis)}
    ratio, corrected = found["mid_high_ratio"], found["mid_high_ratio_corrected"]
    assert [heading.group for heading in ratio.headings] == ["mid level", "high level"]
    line = next(line for line in ratio.lines if line.model == "dino_vitb16")
    assert (line.entries["g1"].value, line.entries["g1"].low) == (1.2, 1.1)
    assert r"120.0 {\scriptsize[110.0, 130.0]}" in table_latex(ratio)
    assert r"90.0 &" in table_latex(corrected)
    assert ratio.lines[-1].label == "mean over models"


def test_tables_are_drawn(tables: dict[str, PaperTable], tmp_path: Path) -> None:
    chosen = [tables["voc12-seg_vit_b16"]]
    svg, pdf = (write_tables(chosen, tmp_path, kind)[0] for kind in ("svg", "pdf"))
    text = svg.read_text(encoding="utf-8")
    assert all(line.label in text for line in chosen[0].lines) and "miou" in text
    assert pdf.read_bytes().startswith(b"%PDF")


def test_one_command_writes_them(results: Results, tmp_path: Path) -> None:
    folder = str(results[0].folder.parents[4]) if results[0].folder else ""
    out = tmp_path / "tables"
    wish = ["--format", "latex", "--table", "paper", "--architecture", "resnet50"]
    assert main(["export", folder, *wish, "-o", str(out)]) == 0
    written = {path.name for path in out.iterdir()}
    assert {"summary_resnet50.tex", "nyu-depth_resnet50.tex"} <= written
    assert not any("vit_b16" in name for name in written)


@pytest.mark.parametrize("wish", [["--format", "pdf"], ["--architecture", "vit_b16"]])
def test_drawings_and_architectures_go_with_tables(
    results: Results, wish: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(results[0].folder), *wish]) == 2
    assert "--table paper" in capsys.readouterr().err


def test_a_written_record_is_what_the_tables_read(tmp_path: Path) -> None:
    """A changed record changes the table: nothing is kept elsewhere."""
    record = fabricated_study.put(tmp_path, "dino_vitb16", "nyu-depth", 0.5)
    moved = replace(record, metrics={**record.metrics, "delta1": replace(record.main, value=0.125)})
    write(tmp_path / "again", moved, record.scores())
    table = next(table for table in paper_tables(load_results(tmp_path / "again")) if table.name.startswith("nyu"))
    assert "12.5" in table_latex(table)
