"""BSDS500 from files in the official layout to boundary scores."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from official_bsds import TOP, bsds_files, build_bsds, edges_of, mat_of, real_bsds, scene
from official_classes import tar_of, written
from official_files import command, document

import midvision as mv
from midvision.cli.main import main
from midvision.core.items import BoundaryItem, Dataset
from midvision.core.specs import DataSpec, ProbeSpec
from midvision.data.card import Request, open_data
from midvision.metrics.boundaries import COUNTS, f_of, match_pixels, radius_px
from midvision.tasks.boundaries import BoundaryScoring, judge, levels
from midvision.tasks.task import all_tasks

Capture = pytest.CaptureFixture[str]
RULES = all_tasks()["bsds-boundaries"].protocols["corrected"].images


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def opened(split: str = "test", **options: object) -> Dataset:
    return open_data(Request("boundaries", split, DataSpec(set="bsds500", options=options), RULES))  # type: ignore[arg-type]


def items(data: Dataset) -> dict[str, BoundaryItem]:
    return {item.id: item for item in data.items if isinstance(item, BoundaryItem)}


def test_archive_and_folder_give_the_same(tmp_path: Path, root: Path, capsys: Capture) -> None:
    archive = build_bsds(tmp_path / "files")
    one = document(capsys, "prepare", "bsds500", "--subset", "--from", archive)
    assert one["counts"] == {"train": 4, "val": 2, "test": 4} and one["files"] == 20
    assert document(capsys, "check", "bsds500", "--full")["problems"] == []
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    two = document(capsys, "prepare", "bsds500", "--subset", "--from", tmp_path / "out/BSR")
    assert two["content"] == one["content"] and two["kept_in_place"] == 20
    assert len(opened("train").items) == 6 and len(opened("train", train="val").items) == 2


def test_what_people_drew_comes_back_at_its_own_size(tmp_path: Path, root: Path, capsys: Capture) -> None:
    document(capsys, "prepare", "bsds500", "--subset", "--from", build_bsds(tmp_path))
    found = items(opened())
    for number, size in ((7, (161, 241)), (8, (241, 161))):
        item = found[f"bsds500/test/{1000 + number}"]
        drawn = item.annotations()
        truth = [edges_of(one) for one in scene(number, size)[1]]
        assert drawn.dtype == bool and np.array_equal(drawn, np.stack(truth))
        target = item.target()
        assert target.values.shape == (1, 480, 480) and bool(target.valid.all())
        # Averages over areas keep the share of the picture that boundaries take.
        assert float(target.values.mean()) == pytest.approx(np.stack(truth).mean(), rel=0.02)


def test_the_drawing_itself_scores_what_its_annotators_agree_on(tmp_path: Path, root: Path, capsys: Capture) -> None:
    """Annotator 1 drew disc and box, annotator 2 the disc: all that 1 drew is right, and all of both is found."""
    document(capsys, "prepare", "bsds500", "--subset", "--from", build_bsds(tmp_path))
    scoring = BoundaryScoring(smooth_px=1.0)
    for item in items(opened()).values():
        drawn = item.annotations()
        columns = judge(torch.from_numpy(drawn[:1].astype(np.float32)), item, scoring)
        counts = np.array([[columns[f"{name}.{t}"] for name in COUNTS] for t in range(scoring.thresholds)])
        best = f_of(counts).max()
        assert best > 0.97
        other = judge(torch.from_numpy(drawn[1:].astype(np.float32)), item, scoring)
        half = np.array([[other[f"{name}.{t}"] for name in COUNTS] for t in range(scoring.thresholds)])
        recall = 2 * drawn[1].sum() / drawn.sum()
        assert f_of(half).max() == pytest.approx(2 * recall / (1 + recall), abs=0.03)


def test_thresholds_are_even_in_log_odds() -> None:
    found = levels(BoundaryScoring())
    steps = np.diff(np.log(np.array(found) / (1 - np.array(found))))
    assert len(found) == 20 and found[0] == pytest.approx(0.002) and found[-1] == pytest.approx(0.9)
    assert np.allclose(steps, steps[0])


def test_oracle_and_controls(tmp_path: Path, root: Path, capsys: Capture) -> None:
    document(capsys, "prepare", "bsds500", "--subset", "--from", build_bsds(tmp_path, (3, 1, 2)))
    assert main(["show", "bsds-boundaries", "-o", str(tmp_path / "show.png"), "-n", "2"]) == 0
    models = ["control/oracle", "control/shuffled-oracle", "control/noise"]
    results = mv.evaluate(models, "bsds-boundaries", probe="ridge", output=tmp_path / "corrected")
    paper = mv.evaluate(models[:1], "bsds-boundaries", protocol="paper", probe="ridge", output=tmp_path / "paper")
    for oracle in (results[0], paper[0]):
        # The oracle knows shares of 16-pixel cells; the second annotator left half of the lines out.
        assert oracle.main_metric == "ods" and oracle.main.value > 0.75
        # Not bound to be higher, since an image's own best F need not be best for the sums.
        assert oracle.metrics["ois"].value >= oracle.main.value - 0.02
        assert oracle.baselines["constant"]["ods"].value == 0.0
        scores = oracle.scores()
        found = np.array([[scores.columns[f"{n}.{t}"] for n in COUNTS] for t in range(20)]).sum(2)
        assert oracle.main.value == pytest.approx(f_of(found).max(), rel=1e-9), "ods is F of the summed counts"
        both = oracle.metrics["precision"].value, oracle.metrics["recall"].value
        assert oracle.main.value == pytest.approx(2 * both[0] * both[1] / sum(both), rel=1e-9)
    assert all(blind.main.value < 0.25 for blind in results[1:])


def test_with_something_missing_or_broken(tmp_path: Path, root: Path, capsys: Capture) -> None:
    def refused(files: dict[str, bytes]) -> str:
        path = tmp_path / "BSR_bsds500.tgz"
        path.write_bytes(tar_of(files, "w:gz"))
        code, _, err = command(capsys, "prepare", "bsds500", "--subset", "--from", path)
        assert code == 3, err
        return err

    files = bsds_files((1, 1, 1))
    assert "No data/images/test/1003.jpg" in refused({k: v for k, v in files.items() if not k.endswith("/1003.jpg")})
    assert "No data/groundTruth/val/*.mat" in refused({k: v for k, v in files.items() if "groundTruth/val" not in k})
    assert "No data/groundTruth/train" in refused({"BSR/bench/data/groundTruth/8068.mat": b"x"})
    code, _, err = command(capsys, "prepare", "bsds500", "--from", build_bsds(tmp_path / "a", (1, 1, 1)))
    assert code == 3 and "official one" in err
    photo, drawn = scene(1, (161, 241))
    other = mat_of([one.T for one in drawn], [edges_of(one).T for one in drawn])
    folder = written(tmp_path / "b", {**files, f"{TOP}/groundTruth/train/1001.mat": other})
    document(capsys, "prepare", "bsds500", "--subset", "--from", folder)
    code, out, err = command(capsys, "check", "bsds500", "--full")
    assert code != 0 and "is 241x161, its photograph is 161x241" in out + err
    written(folder, {f"{TOP}/groundTruth/train/1001.mat": b"MATLAB 5.0 no more"})
    document(capsys, "prepare", "bsds500", "--subset", "--from", folder)
    code, out, err = command(capsys, "check", "bsds500", "--full")
    assert code != 0 and "1001.mat cannot be read" in out + err
    assert photo.shape == (161, 241, 3)


@pytest.mark.slow
def test_a_trained_probe_learns_shares(tmp_path: Path, root: Path, capsys: Capture) -> None:
    """The protocols' own probe, on the soft truth of several people."""
    document(capsys, "prepare", "bsds500", "--subset", "--from", build_bsds(tmp_path, (3, 1, 1)))
    probe = ProbeSpec(name="linear", steps=24, constant_rate=0.01)
    (result,) = mv.evaluate("control/oracle", "bsds-boundaries", probe=probe, output=tmp_path / "results")
    assert result.probe_name == "linear" and result.main.value > 0.4


@pytest.mark.realdata
@pytest.mark.slow
def test_real_photographs(real_data: Path, tmp_path: Path, root: Path, capsys: Capture) -> None:
    """Some shared photographs in the official layout. See docs/benchmarks.md for the figures of all."""
    files = written(tmp_path / "files", real_bsds(real_data / "bsds500", 3, 8))
    done = document(capsys, "prepare", "bsds500", "--subset", "--from", files)
    assert done["counts"] == {"train": 4, "val": 1, "test": 3}
    models = ["control/oracle", "control/descriptor", "control/noise"]
    results = mv.evaluate(models, "bsds-boundaries", probe="ridge", output=tmp_path / "results")
    score = {result.model_id: result.main.value for result in results}
    print({name: round(value, 3) for name, value in score.items()})
    assert score["control/oracle"] > score["control/descriptor"] > score["control/noise"]


@pytest.mark.realdata
def test_another_order_of_pixels_moves_precision_little(real_data: Path) -> None:
    """Matchings of the largest size are not unique; what the union over annotators loses or gains by that."""
    kept = np.load(real_data / "bsds500/2018.npz")
    drawn = [kept[name] for name in sorted(kept) if name.startswith("boundary_")]
    pixels = np.argwhere(drawn[0])
    unions = []
    for order in (slice(None), slice(None, None, -1)):
        right = np.zeros(len(pixels), dtype=bool)
        for other in drawn[1:]:
            own, found = match_pixels(pixels[order], np.argwhere(other)[order], radius_px(drawn[0].shape))
            right[order] |= own
            assert own.sum() == found.sum()
        unions.append(right.mean())
    print(unions)
    assert abs(unions[0] - unions[1]) < 0.02
