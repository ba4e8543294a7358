"""Ranks, floors, differences and exports, against constructed records."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import fabricated
import numpy as np
import pytest
from scipy import stats

from midvision.core.errors import ComparisonError
from midvision.core.scores import Estimate, Scores
from midvision.report.difference import compare_all
from midvision.report.figures import Dot, dot_plot, short
from midvision.report.numbers import interval, number
from midvision.report.rows import rankings, role_of, set_apart
from midvision.report.standing import verdict
from midvision.report.tables import to_csv, to_json, to_latex, to_markdown
from midvision.results.query import Results, load_results
from midvision.results.record import ResultRecord, write

AT_THE_FLOOR = "not better than a constant"


def scored(folder: Path, model: str, values: np.ndarray, floor: float = 0.3, task: str = "synth-depth") -> ResultRecord:
    """A record whose items score `values` (one group each) and whose constant scores `floor`."""
    template = fabricated.put(folder / "template", model, task, 0.5)
    ids = tuple(f"item-{place}" for place in range(len(values)))
    columns = {"delta1": values, "constant.delta1": np.full(len(values), floor)}
    value = float(values.mean())
    main = replace(template.main, value=value, ci_low=value - 0.01, ci_high=value + 0.01)
    record = replace(template, metrics={"delta1": main}, run_hash=f"hash-{model}", folder=None)
    return write(folder, record, Scores(ids, ids, columns))


def test_records_that_cannot_be_told_apart_share_a_rank(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.5, 0.6, 40)
    models = {"timm/a": base + 0.2, "timm/b": base + 0.2 + rng.normal(0, 0.05, 40), "timm/c": base}
    records = [scored(tmp_path, name, values) for name, values in models.items()]
    (ranking,) = rankings(records)
    assert {row.record.model_id: row.rank for row in ranking.rows} == {"timm/a": 1, "timm/b": 1, "timm/c": 3}
    assert [row.worst_rank for row in ranking.rows] == [2, 2, 3]


def test_references_take_no_rank_from_others(tmp_path: Path) -> None:
    values = np.linspace(0.5, 0.6, 20)
    records = [scored(tmp_path, "control/oracle", values + 0.3), scored(tmp_path, "timm/a", values)]
    (ranking,) = rankings(records)
    assert [(row.role, row.rank) for row in ranking.rows] == [("ceiling", None), ("model", 1)]
    assert ranking.ceiling is not None and ranking.ceiling.value == pytest.approx(0.85)


@pytest.mark.parametrize(("lift", "words"), [(0.0, AT_THE_FLOOR), (-0.2, AT_THE_FLOOR), (0.1, "")])
def test_the_floor_is_cleared_only_by_a_paired_difference(tmp_path: Path, lift: float, words: str) -> None:
    values = 0.3 + lift + np.random.default_rng(1).normal(0, 0.02, 30)
    record = scored(tmp_path, "timm/a", values)
    assert verdict(record, record.scores()) == words


def test_without_items_the_interval_decides(tmp_path: Path) -> None:
    record = scored(tmp_path, "timm/a", np.full(5, 0.9))
    level = record.baselines["constant"]["delta1"].value
    assert level < 0.5
    assert verdict(record, None) == ""
    main = replace(record.main, value=level, ci_low=level - 0.1, ci_high=level + 0.1)
    assert verdict(replace(record, metrics={"delta1": main}), None) == AT_THE_FLOOR


def test_lower_is_better_turns_the_order_and_the_floor(tmp_path: Path) -> None:
    records = []
    for model, value in (("timm/a", 0.5), ("timm/b", 0.2)):
        record = fabricated.put(tmp_path, model, "synth-depth", 0.5)
        main = replace(record.metrics["rmse"], value=value, ci_low=value - 0.01, ci_high=value + 0.01)
        records.append(replace(record, main_metric="rmse", metrics={"rmse": main}, folder=None))
    (ranking,) = rankings(records)
    assert [row.record.model_id for row in ranking.rows] == ["timm/b", "timm/a"]


def test_roles() -> None:
    assert role_of("control/oracle") == "ceiling"
    assert role_of("control/noise") == role_of("control/shuffled-oracle") == "floor"
    assert role_of("control/pixels") == role_of("random/resnet50") == "control"
    assert role_of("timm/x") == "model"


def test_limited_records_are_set_apart(tmp_path: Path) -> None:
    record = fabricated.put(tmp_path, "timm/a", "synth-depth", 0.5)
    assert set_apart(record) == ""
    assert "limited" in set_apart(replace(record, dataset={**record.dataset, "limited": True}))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.12345, "share", "0.123"), (12.34, "deg", "12.3°"), (1.2, "m", "1.200 m"), (float("nan"), "m", "–")],
)
def test_numbers_by_unit(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_an_unknown_interval_is_left_out() -> None:
    nan = float("nan")
    assert interval(Estimate(0.5, nan, nan, 3, 1, "share", True, 0, 1, None)) == ""


def test_paired_difference_of_two_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    base = rng.uniform(0.3, 0.7, 30)
    a, b = scored(tmp_path, "timm/a", base + 0.05), scored(tmp_path, "timm/b", base + rng.normal(0, 0.01, 30))
    (found,) = compare_all([a], [b])
    expected = float(a.scores().columns["delta1"].mean() - b.scores().columns["delta1"].mean())
    assert found.difference.value == pytest.approx(expected)
    assert found.difference.ci_low < expected < found.difference.ci_high
    assert found.words()[-1] == "timm/a is better"
    assert json.loads(json.dumps(found.as_dict()))["a"]["model"] == "timm/a"


def test_several_comparisons_share_one_chance_of_error(tmp_path: Path) -> None:
    """p = 0.03 tells two models apart once, not twice: 2 x 0.03 > 0.05."""
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.01, 10)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * 0.01
    gain = float(stats.t.isf(0.015, 9)) * 0.01 / np.sqrt(10)
    base = np.linspace(0.3, 0.7, 10)
    first = scored(tmp_path, "timm/a", base + gain + noise), scored(tmp_path, "timm/b", base)
    again = [replace(record, seed=1, run_hash=f"again-{record.model_id}") for record in first]
    pair = list(zip(first, again, strict=True))
    (alone,) = compare_all(pair[0][:1], pair[1][:1])
    assert alone.difference.p_value == pytest.approx(0.03) and alone.words()[-1] == "timm/a is better"
    both = compare_all(*pair)
    assert [one.adjusted_p for one in both] == pytest.approx([0.06, 0.06])
    assert [one.words()[-1] for one in both] == ["cannot be told apart"] * 2
    assert [one.as_dict()["better"] for one in both] == ["", ""]


def test_other_data_cannot_be_compared(tmp_path: Path) -> None:
    a, b = fabricated.put(tmp_path, "timm/a", "synth-depth", 0.5), fabricated.put(tmp_path, "timm/b", "synth-seg", 0.5)
    with pytest.raises(ComparisonError, match="can be compared"):
        compare_all([a], [b])
    c = fabricated.put(tmp_path, "timm/b", "synth-depth", 0.5, protocol="paper")
    with pytest.raises(ComparisonError, match="paper"):
        compare_all([a], [c])


@pytest.fixture
def two(tmp_path: Path) -> Results:
    return load_results(fabricated.fabricate(tmp_path, {"timm/a_b": 0.7, "x|y&z": 0.3}, ("synth-depth",), extras=False))


def test_csv_and_json_hold_all_digits(two: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(two))))
    assert {(row["model"], row["metric"]) for row in rows} >= {("timm/a_b", "delta1"), ("x|y&z", "delta1")}
    assert float(rows[0]["value"]) in {record.metrics[rows[0]["metric"]].value for record in two}
    document = json.loads(to_json(two))
    assert [entry["run_hash"] for entry in document["results"]] == [record.run_hash for record in two]


def test_markdown_and_latex_are_escaped_and_ordered(two: Results) -> None:
    markdown, latex = to_markdown(two), to_latex(two)
    assert r"x\|y&z" in markdown and markdown.index("timm/a_b") < markdown.index("x\\|y")
    body = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in body}) == 1
    assert r"timm/a\_b" in latex and r"x|y\&z" in latex
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1


def test_nothing_to_export_is_an_empty_table() -> None:
    assert to_csv(Results([])) == "model,task\n"
    assert json.loads(to_json(Results([]))) == {"results": [], "failures": []}


def test_plots_are_static_and_escaped() -> None:
    hostile = "<script>'\"\\ \u202e😀" + "x" * 400
    svg = dot_plot([Dot(hostile, "model", 0.5, 0.4, 0.6), Dot("b", "control", 0.2, 0.2, 0.2)], [0.1], "delta1", (0, 1))
    assert svg.startswith("<svg") and "<script" not in svg and "http" not in svg
    assert "&lt;script&gt;" in svg
    assert svg.count('stroke-dasharray="2,3"') == 1


def test_long_names_lose_their_middle() -> None:
    assert short("a" * 10, 10) == "a" * 10
    assert short("abcdefghijklmno", 10) == "abcdef…mno"
    assert len(short("x" * 300, 26)) == 26
