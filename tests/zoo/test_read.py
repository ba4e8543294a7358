"""Checkpoint files: what can be read, and what is refused with a reason."""

from __future__ import annotations

import argparse
import collections
import datetime
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import saved
from safetensors.torch import save_file

from midvision.core.errors import DataError
from midvision.zoo.read import file_sha256, read_checkpoint


class Trap:
    """Runs a command when unpickled."""

    marker: Path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(Trap.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_tensors(tmp_path: Path, zipped: bool) -> None:
    state = collections.OrderedDict(a=torch.randn(3, 4), b=torch.tensor(5))
    found = read_checkpoint(saved(tmp_path / "x.pth.tar", {"state_dict": state, "epoch": 3}, zipped))
    assert torch.equal(found["state_dict"]["a"], state["a"]) and found["epoch"] == 3


def test_safetensors_whatever_the_name(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "weights.pth")
    assert torch.equal(read_checkpoint(tmp_path / "weights.pth")["a"], torch.ones(2))


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_data_classes_of_publishers(tmp_path: Path, zipped: bool) -> None:
    content = {
        "args": argparse.Namespace(arch="vit"),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "scalar": np.float64(0.5),
    }
    found = read_checkpoint(saved(tmp_path / "x.pth", content, zipped))
    assert np.array_equal(found["array"], content["array"])
    assert found["args"].arch == "vit"


@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_by_name_and_not_run(tmp_path: Path, zipped: bool) -> None:
    Trap.marker = tmp_path / "ran"
    path = saved(tmp_path / "x.pth", {"model": {"w": torch.ones(2)}, "extra": Trap()}, zipped)
    with pytest.raises(DataError, match=r"asks for (posix|nt)\.mkdir to be run"):
        read_checkpoint(path)
    assert not Trap.marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_any_other_class_is_refused_by_name(tmp_path: Path, zipped: bool) -> None:
    path = saved(tmp_path / "x.pth", {"when": datetime.date(2020, 1, 1)}, zipped)
    with pytest.raises(DataError, match=r"asks for datetime\.date to be run"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated(tmp_path: Path, zipped: bool, share: float) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.randn(5000)}, zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"x\.pth is not a readable checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("kind", ["zip", "old format", "safetensors"])
def test_weights_do_not_follow_what_happens_to_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.pth"
    if kind == "safetensors":
        save_file({"a": torch.ones(5000)}, path)
    else:
        saved(path, {"a": torch.ones(5000)}, zipped=kind == "zip")
    found = read_checkpoint(path)["a"]
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert float(found.min()) == 1.0


def test_truncated_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.randn(100)}, path)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match="damaged safetensors"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
        (b"\n  <html>", "web page"),
        (b'{"error": "gated"}', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "LFS pointer"),
        (b"\x00\x01\x02\x03" * 100, "first bytes"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_checkpoint(path)


def test_missing_and_foreign_pickles(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(DataError, match="no file"):
        file_sha256(tmp_path / "absent.pth")
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps({"when": datetime.date(2020, 1, 1)}))
    with pytest.raises(DataError):
        read_checkpoint(path)


def test_sha256_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert file_sha256(path) != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
