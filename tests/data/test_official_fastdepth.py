"""The fast-depth and Hugging Face packagings of NYUv2: filled depth, and a clear word on the normals they lack."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
import torch
from cell_ceiling import ceiling
from official_files import command, document, snapshot
from official_nyu import frames, write_fastdepth

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import UsageError
from midvision.core.items import DenseItem
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data
from midvision.tasks.task import all_tasks


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_both_packagings_give_depth_and_say_that_there_are_no_normals(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = frames(4)
    folder = write_fastdepth(tmp_path / "files", seen)
    before = snapshot(folder)
    words = ("--subset", "--workers", "1")
    first = document(capsys, "prepare", "nyu-fastdepth", *words, "--from", folder)
    assert first["counts"] == {"train": 2, "test": 2} and snapshot(folder) == before
    assert document(capsys, "check", "nyu-fastdepth", "--full")["problems"] == []
    rules = ImageRules(image_size=(480, 640))
    data = open_data(Request("depth", "test", DataSpec(set="nyu-fastdepth"), rules))
    item = data.items[1]
    assert isinstance(item, DenseItem) and item.id == "nyu-fastdepth/test/00002"
    expected = torch.from_numpy(seen[3]["depth_m"]).clamp_min(0.7)
    assert torch.equal(item.target().values[0], expected)
    image = (data.images[item.image].load() * 255).round().permute(1, 2, 0).to(torch.uint8)
    assert torch.equal(image, torch.from_numpy(seen[3]["rgb"]))
    with pytest.raises(UsageError, match=r"has no normals\. It offers: depth"):
        open_data(Request("normals", "test", DataSpec(set="nyu-fastdepth")))
    code, _, err = command(capsys, "prepare", "nyu", "--from", folder)
    assert code == 3 and "neither normals nor the raw depth" in err and err.count("Error:") == 1
    shards = [tmp_path / "train-000000.tar", tmp_path / "val-000000.tar"]
    for shard, part in zip(shards, ("train", "val/official"), strict=True):
        with tarfile.open(shard, "w") as tar:
            for path in sorted((folder / part).rglob("*.h5")):
                tar.add(path, path.relative_to(folder / part).as_posix())
    second = document(capsys, "prepare", "nyu-fastdepth", *words, "--again", "--from", *shards)
    assert second["content"] == first["content"]
    where = f"nyu-fastdepth:{root / 'nyu-fastdepth'}"
    for protocol in ("paper", "corrected"):
        page = str(tmp_path / "show.html")
        assert main(["show", "depth", "--data", where, "--protocol", protocol, "-o", page, "-n", "1"]) == 0
        models, there = ["control/oracle", "control/noise"], tmp_path / "results"
        oracle, noise = mv.evaluate(models, "depth", data=where, protocol=protocol, probe="ridge", output=there)
        floor = oracle.baselines["constant"]["delta1"].value
        rules = all_tasks()["depth"].protocols[protocol].images
        most = ceiling(open_data(Request("depth", "test", DataSpec(set="nyu-fastdepth"), rules)), "depth")
        print(protocol, oracle.metrics["delta1"].value, noise.metrics["delta1"].value, floor, most)
        assert oracle.metrics["delta1"].value > most - 0.02 and noise.metrics["delta1"].value < floor + 0.1


def test_a_frame_cut_short_is_one_message(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_fastdepth(tmp_path / "files", frames(3))
    path = folder / "val/official/00001.h5"
    path.write_bytes(path.read_bytes()[:-3000])
    code, _, err = command(capsys, "prepare", "nyu-fastdepth", "--subset", "--workers", "1", "--from", folder)
    assert code == 3 and f"{path} cannot be read" in err and err.count("Error:") == 1
    assert not (root / "nyu-fastdepth").exists()
