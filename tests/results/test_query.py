"""The index heals itself; results can be filtered, compared and turned into rows."""

from __future__ import annotations

import importlib
import multiprocessing
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from midvision.core.errors import DataError, UsageError
from midvision.results import index
from midvision.results.query import Results, comparable, load_results
from midvision.results.record import write, write_failure

sys.path.insert(0, str(Path(__file__).parent))
from test_record import estimate, failure, make_record, make_scores


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, model in enumerate(("timm/a", "timm/b", "control/noise")):
        for task in ("synth-depth", "synth-normals"):
            metrics = {"delta1": estimate(0.1 * number), "rmse": estimate()}
            record = make_record(f"{number}{task}", task=task, metrics=metrics, model={"id": model})
            write(tmp_path, record, make_scores())
    return tmp_path


def test_load_filter_and_pick(folder: Path) -> None:
    results = load_results(folder)
    assert len(results) == 6 and results.tasks() == ["synth-depth", "synth-normals"]
    assert len(results.where(model="timm/*")) == 4 and len(results.where(task="synth-depth", probe="ridge")) == 3
    assert len(results.where(limited=True)) == 0 and len(results.where(seed=0, dataset="synthetic")) == 6
    one = results.where(model="timm/b")["synth-depth"]
    assert one.metrics["delta1"].value == pytest.approx(0.1) and one.scores().ids[0] == "a/b#c"
    with pytest.raises(UsageError, match="3 results"):
        results["synth-depth"]
    with pytest.raises(UsageError, match="synth-depth"):
        results["synth-deph"]
    assert isinstance(results[:2], Results) and len(results[:2]) == 2


def test_table_without_pandas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = load_results(folder)
    rows = results.table()
    assert len(rows) == 12 and sum(row["main"] for row in rows) == 6
    assert {"model", "task", "metric", "value", "ci_low", "ci_high", "unit", "higher_is_better"} <= set(rows[0])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pandas"):
        results.to_frame()


def test_to_frame_hands_the_rows_to_pandas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = type(sys)("pandas")
    fake.DataFrame = lambda rows: ("frame", len(rows))
    monkeypatch.setitem(sys.modules, "pandas", fake)
    assert load_results(folder).to_frame() == ("frame", 12)
    assert importlib.import_module("pandas") is fake


def test_comparable_groups_and_best(folder: Path) -> None:
    write(folder, make_record("lim", dataset={**make_record().dataset, "limited": True}), make_scores())
    results = load_results(folder)
    groups = results.comparable_groups()
    assert sorted(len(group) for group in groups.values()) == [1, 3, 3]
    best = results.where(limited=False).best()
    assert {record.model_id for record in best.values()} == {"control/noise"}
    assert all("corrected v1" in key.reason and "ridge" in key.reason for key in groups)
    base = make_record()
    for change in (
        {"protocol": {**base.protocol, "scoring": {"cap": 5.0}}},
        {"probe": {"name": "ridge", "steps": 3}},
        {"dataset": {**base.dataset, "train": {"fingerprint": "x"}}},
        {"run": {"image_size": [112, 112]}},
    ):
        assert comparable(make_record(**change)) != comparable(base)
    assert comparable(make_record("other", seed=3, model={"id": "z"})) == comparable(base)


def test_index_is_rebuilt_when_deleted_stale_or_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [record.run_hash for record in load_results(folder)]
    reads: list[Path] = []
    real = index._text
    monkeypatch.setattr(index, "_text", lambda path: (reads.append(path), real(path))[1])
    assert [record.run_hash for record in load_results(folder)] == first and reads == []
    for damage in (b"", b"not a database at all, but long enough to look like one" * 50):
        (folder / "index.sqlite").write_bytes(damage)
        assert [record.run_hash for record in load_results(folder)] == first
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    assert [record.run_hash for record in load_results(folder)] == first
    reads.clear()
    write(folder, make_record("new"), make_scores())
    shutil.rmtree(load_results(folder).where(model="timm/a")[0].folder)
    assert len(load_results(folder)) == len(first) and len(reads) == 1
    database = sqlite3.connect(folder / "index.sqlite")
    database.execute("PRAGMA user_version=99")
    database.close()
    assert len(load_results(folder)) == len(first)


def test_index_answers_sql(folder: Path) -> None:
    load_results(folder)
    database = sqlite3.connect(folder / "index.sqlite")
    query = "SELECT model, value FROM records JOIN metrics USING (path) WHERE name = 'delta1' AND task = ? ORDER BY 2"
    rows = database.execute(query, ("synth-depth",)).fetchall()
    database.close()
    assert [row[0] for row in rows] == ["timm/a", "timm/b", "control/noise"]


def test_read_only_folder_is_read_without_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.os, "access", lambda path, mode: False)
    assert len(load_results(folder)) == 6 and not (folder / "index.sqlite").exists()


def test_damaged_records_are_listed_not_hidden(folder: Path) -> None:
    victim = load_results(folder)[0].folder / "result.json"
    victim.write_text("{")
    results = load_results(folder)
    assert len(results) == 5 and len(results.unreadable) == 1 and str(victim) in str(results.unreadable[0])
    with pytest.raises(DataError):
        load_results(folder, strict=True)


def test_failures_are_loaded(tmp_path: Path) -> None:
    write_failure(tmp_path, failure())
    results = load_results(tmp_path)
    assert len(results) == 0 and results.failures[0].error == "DataError"
    assert len(results.where(task="nothing").failures) == 0


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no results folder"):
        load_results(tmp_path / "nowhere")
    assert len(load_results(tmp_path)) == 0


def load_often(folder: Path) -> None:
    for _ in range(10):
        assert len(load_results(folder)) == 6


def test_many_readers_share_one_index(folder: Path) -> None:
    fork = multiprocessing.get_context("fork")
    readers = [fork.Process(target=load_often, args=(folder,)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [reader.exitcode for reader in readers] == [0, 0, 0]
    assert len(load_results(folder)) == 6
