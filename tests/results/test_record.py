"""Records: strict JSON, bit-exact items, complete-or-absent folders, safe names."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from midvision.core.errors import DataError
from midvision.core.scores import Estimate, Scores
from midvision.results import record as module
from midvision.results.record import (
    FailureRecord,
    ResultRecord,
    parse,
    read,
    record_folder,
    record_paths,
    safe_name,
    stored_runs,
    write,
    write_failure,
)


def estimate(value: float = 0.5) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 3, 2, "share", True, 0.0, 1.0, None)


def make_record(run_hash: str = "abc123", **changes: object) -> ResultRecord:
    fields: dict = {
        "run_hash": run_hash,
        "task": "synth-depth",
        "main_metric": "delta1",
        "model": {"id": "timm/vit", "revision": None, "params": 3},
        "protocol": {"name": "corrected", "version": 1, "scoring": {"cap": 10.0}},
        "dataset": {"name": "synthetic", "split": "test", "n_items": 3, "fingerprint": "f00d", "limited": False},
        "features": {"layers": (2, 5), "image_size": (224, 224)},
        "metrics": {
            "delta1": estimate(),
            "rmse": Estimate(math.nan, math.nan, math.nan, 0, 0, "m", False, 0.0, math.inf, None),
        },
        "baselines": {"constant": {"delta1": estimate(0.2)}},
        "probe": {"name": "ridge"},
    }
    return ResultRecord(**{**fields, **changes})


def make_scores() -> Scores:
    columns = {"delta1": np.array([0.1, np.nan, 1 / 3]), "odd": np.array([np.inf, -np.inf, 1e-300])}
    samples = {"a/b#c": {"image": np.arange(12, dtype=np.uint8).reshape(2, 2, 3)}, "x": {"error": np.ones(2)}}
    return Scores(("a/b#c", "x", "ü"), ("g", "g", "h"), columns, samples)


def test_record_and_scores_come_back(tmp_path: Path) -> None:
    state = {"weight": torch.arange(6.0).reshape(2, 3).T}
    stored = write(tmp_path, make_record(), make_scores(), state, "model: x\n", log_jsonl="{}\n")
    found = read(stored.folder)
    assert isinstance(found, ResultRecord)
    assert found.metrics["delta1"] == estimate() and found.main.value == 0.5
    assert math.isnan(found.metrics["rmse"].value) and found.metrics["rmse"].high == math.inf
    assert found.baselines["constant"]["delta1"].value == 0.2
    assert found.items["n"] == 3 and found.features["layers"] == [2, 5]
    scores, wanted = found.scores(), make_scores()
    assert scores.ids == wanted.ids and scores.groups == wanted.groups
    for name in wanted.columns:
        np.testing.assert_array_equal(scores.columns[name], wanted.columns[name])
    np.testing.assert_array_equal(scores.samples["a/b#c"]["image"], wanted.samples["a/b#c"]["image"])
    assert torch.equal(found.probe_state()["weight"], state["weight"])
    names = sorted(path.name for path in stored.folder.iterdir())
    assert names == ["config.yaml", "items.jsonl", "log.jsonl", "probe.safetensors", "result.json", "samples.npz"]
    assert stored.folder.relative_to(tmp_path).parts == (
        "timm__vit",
        "default",
        "synth-depth",
        "corrected@1",
        "abc123",
    )


def test_json_is_strict(tmp_path: Path) -> None:
    stored = write(tmp_path, make_record(timing={"extract_s": np.float32(1.5), "rate": math.inf}), make_scores())

    def refuse(word: str) -> None:
        raise AssertionError(word)

    body = json.loads((stored.folder / "result.json").read_text(), parse_constant=refuse)
    assert body["timing"] == {"extract_s": 1.5, "rate": None} and body["schema_version"] == 1
    for line in (stored.folder / "items.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_unknown_fields_survive_and_other_versions_are_refused(tmp_path: Path) -> None:
    stored = write(tmp_path, make_record(), make_scores())
    path = stored.folder / "result.json"
    body = json.loads(path.read_text())
    body["tomorrow"] = {"a": 1}
    found = parse(json.dumps(body), path)
    assert found.extra == {"tomorrow": {"a": 1}} and found.as_dict()["tomorrow"] == {"a": 1}
    for wrong in ({**body, "schema_version": 2}, {k: v for k, v in body.items() if k != "metrics"}):
        with pytest.raises(DataError, match="Cannot read the result"):
            parse(json.dumps(wrong), path)
    for text in ("", "[1]", "{}", "{", "null"):
        with pytest.raises(DataError):
            parse(text, path)


def test_a_changed_item_file_is_noticed(tmp_path: Path) -> None:
    stored = write(tmp_path, make_record(), make_scores())
    path = stored.folder / "items.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2"))
    with pytest.raises(DataError, match="checksum"):
        stored.scores()


def test_written_once_unless_overwritten(tmp_path: Path) -> None:
    write(tmp_path, make_record(command="first"), make_scores())
    assert write(tmp_path, make_record(command="second"), make_scores()).command == "first"
    assert write(tmp_path, make_record(command="third"), make_scores(), overwrite=True).command == "third"
    assert read(record_folder(tmp_path, make_record())).command == "third"
    assert len(list(record_paths(tmp_path))) == 1
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def failure() -> FailureRecord:
    ok = make_record()
    return FailureRecord(
        run_hash=ok.run_hash, task=ok.task, model=ok.model, protocol=ok.protocol, error="DataError", message="gone"
    )


def test_failure_is_replaced_by_success_and_never_beside_one(tmp_path: Path) -> None:
    folder = write_failure(tmp_path, failure())
    found = read(folder / "failure.json")
    assert isinstance(found, FailureRecord) and found.message == "gone" and stored_runs(tmp_path) == {}
    write(tmp_path, make_record(), make_scores())
    assert not (folder / "failure.json").exists()
    write_failure(tmp_path, failure())
    assert not (folder / "failure.json").exists()
    assert [path.name for path in record_paths(tmp_path)] == ["result.json"]
    assert list(stored_runs(tmp_path)) == ["abc123"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("timm/vit_base.dino", "timm__vit_base.dino"),
        ("hf-hub:org/name", "hf-hub%3Aorg__name"),
        ("file:../x?arch=y", "file%3A..__x%3Farch=y"),
        ("..", "%2E."),
        ("", "%"),
        ("a b\n%", "a%20b%0A%25"),
        ("é", "%C3%A9"),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_long_names_are_cut_and_stay_different() -> None:
    one, two = safe_name("m" * 500), safe_name("m" * 501)
    assert len(one) == len(two) == 120 and one != two


def test_unwritable_output_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        write(tmp_path / "file", make_record(), make_scores())
    with pytest.raises(DataError, match="Cannot write"):
        write_failure(tmp_path / "file", failure())


FULL = """
import resource, signal, sys
sys.path[:0] = [{tests!r}]
from test_record import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write(Path({output!r}), make_record(), Scores(("a",) * 99, ("g",) * 99, {{"x": np.ones(99)}}))
except DataError as error:
    print("DataError", error)
"""


@pytest.mark.slow
def test_full_disk_is_a_data_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse the write, as a full disk does."""
    code = FULL.format(tests=str(Path(__file__).parent), output=str(tmp_path / "out"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("DataError Cannot write"), done.stderr
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def write_many(output: Path, names: list[str], who: str) -> None:
    for name in names:
        write(output, make_record(name, command=who), make_scores(), {"w": torch.ones(3)})


def test_two_processes_lose_nothing_and_write_nothing_double(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    names = [f"run{number}" for number in range(40)]
    workers = [fork.Process(target=write_many, args=(tmp_path, names, who)) for who in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    found = [read(path) for path in record_paths(tmp_path)]
    assert sorted(entry.run_hash for entry in found) == sorted(names)
    for entry in found:
        assert entry.scores().ids == make_scores().ids
    assert not list(tmp_path.rglob("*.part"))


def test_killed_writer_leaves_complete_records_only(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    names = [f"run{number}" for number in range(2000)]
    worker = fork.Process(target=write_many, args=(tmp_path, names, "a"))
    worker.start()
    while len(list(record_paths(tmp_path))) < 5:
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    done = stored_runs(tmp_path)
    assert 5 <= len(done) < 2000
    for folder in done.values():
        assert len(read(folder).scores().ids) == 3
    write_many(tmp_path, names[: len(done) + 3], "b")
    assert len(stored_runs(tmp_path)) == len(done) + 3


def test_drafts_of_killed_processes_are_removed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = record_folder(tmp_path, make_record())
    left = final.with_name(".abc123.1.2.part")
    left.mkdir(parents=True)
    (left / "result.json").write_text("{}")
    write(tmp_path, make_record(), make_scores())
    assert left.exists() and list(stored_runs(tmp_path)) == ["abc123"]
    monkeypatch.setattr(module, "STALE_SECONDS", -1.0)
    write(tmp_path, make_record("other"), make_scores())
    assert not left.exists()


def test_scores_of_an_unwritten_record_say_so() -> None:
    with pytest.raises(Exception, match="never written"):
        replace(make_record(), items={"path": "items.jsonl", "sha256": ""}).scores()
