"""From ids to encoders: files, factories, random weights, and what is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoint_files import prefixed, resnet_state, saved
from safetensors.torch import save_file

import midvision as mv
from midvision.core.errors import DataError, EncoderError, UsageError
from midvision.encoders.encoder import Encoder
from midvision.zoo.load import encoder_key


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_file_in_an_architecture(tmp_path: Path) -> None:
    state = resnet_state()
    content = {"state_dict": prefixed(state, "module.encoder_q."), "epoch": 7}
    path = saved(tmp_path / "moco.pth.tar", content)
    name = f"file:{path}?arch=resnet18"
    encoder = mv.load_model(name)
    assert isinstance(encoder, Encoder)
    assert torch.equal(encoder.backbone.network.conv1.weight, state["conv1.weight"])  # type: ignore[union-attr]
    assert encoder.info.pixel_mean == (0.485, 0.456, 0.406)
    assert encoder.key == encoder_key(name) and encoder.name == name
    as_weights = mv.load_model("timm/resnet18", weights=path)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(mv.features(encoder, images).maps[-1], mv.features(as_weights, images).maps[-1])
    saved(path, {"state_dict": prefixed(resnet_state("retrained"), "module.encoder_q.")})
    assert encoder_key(name) != encoder.key


def test_file_options(tmp_path: Path) -> None:
    content = {"student": resnet_state("student"), "teacher": resnet_state("teacher")}
    path = saved(tmp_path / "x.pth", content)
    with pytest.raises(DataError, match="2 sets of weights"):
        mv.load_model(f"file:{path}?arch=resnet18")
    encoder = mv.load_model(f"file:{path}?arch=resnet18&prefix=teacher&pixels=half")
    assert encoder.info.pixel_mean == (0.5, 0.5, 0.5)
    keys = {encoder_key(f"file:{path}?arch=resnet18&prefix={part}") for part in ("student", "teacher")}
    assert len(keys) == 2
    with pytest.raises(UsageError, match="arch"):
        mv.load_model(f"file:{path}")
    with pytest.raises(UsageError, match=r"resnet1[0-9]"):
        mv.load_model(f"file:{path}?arch=resnet19")
    with pytest.raises(DataError, match=r"does not fit|holds no weights|has shape"):
        mv.load_model(f"file:{path}?arch=resnet34&prefix=teacher")


FACTORY = """
import torch
from torch import nn
import midvision as mv

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = nn.Conv2d(3, 8, 16, 16)
        with torch.no_grad():
            self.step.weight.fill_(0.01)
            self.step.bias.zero_()
    def forward(self, x):
        return self.step(x)

def module():
    return Net()

def encoder():
    return mv.wrap(Net(), first_centre_px=8.0, name="mine")

def nothing():
    return 3
"""


def test_factory_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets_of_a_person.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    for function in ("module", "encoder"):
        name = f"python:nets_of_a_person:{function}"
        made = mv.load_model(name)
        assert made.key == encoder_key(name)
        assert mv.features(made, torch.rand(1, 3, 32, 48)).maps[0].shape == (1, 8, 2, 3)
    with pytest.raises(EncoderError, match="returned a int"):
        mv.load_model("python:nets_of_a_person:nothing")
    with pytest.raises(UsageError, match="no function 'absent'"):
        mv.load_model("python:nets_of_a_person:absent")
    with pytest.raises(UsageError, match="cannot import"):
        mv.load_model("python:absent_package.nets:make")
    with pytest.raises(UsageError, match="not complete"):
        mv.load_model("python:nets_of_a_person")


@pytest.mark.parametrize("name", ["timm/resnet18", "hf-hub:timm/absent-network", "torchvision/resnet18"])
def test_weights_that_are_not_here_while_offline(name: str) -> None:
    with pytest.raises(DataError, match=r"not on this machine.*HF_HUB_OFFLINE"):
        mv.load_model(name)


def test_random_weights_never_need_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("timm/resnet18", "torchvision/resnet18", "random/resnet18"):
        encoder = mv.load_model(name, random_init=True)
        assert encoder.key == encoder_key("random/resnet18")
    with pytest.raises(DataError, match="architecture"):
        mv.load_model("hf-hub:timm/absent-network", random_init=True)


def test_torchvision_architectures_that_timm_lacks() -> None:
    with pytest.raises(UsageError, match="ResNets and ConvNeXts"):
        mv.load_model("random/shufflenet_v2_x0_5")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet50", "random/resnet50"),
        ("random/resnet5", "resnet50"),
        ("timm/vit_tiny_patch16_22", "vit_tiny_patch16_224"),
        ("timm/resnet50.a1_in1", "resnet50.a1_in1k"),
        ("control/pixel", "pixels"),
        ("torchvision/resnet5", "resnet50"),
    ],
)
def test_unknown_models_offer_near_names(name: str, near: str) -> None:
    for ask in (mv.load_model, encoder_key):
        with pytest.raises(UsageError, match=near):
            ask(name)


def test_wishes_that_exclude_each_other(tmp_path: Path) -> None:
    for name in ("control/pixels", "random/resnet18", "file:x.pth?arch=resnet18", "torchvision/resnet18"):
        with pytest.raises(UsageError, match="weights file"):
            mv.load_model(name, weights=tmp_path / "x.pth")
    with pytest.raises(UsageError, match="Random weights"):
        mv.load_model("file:x.pth?arch=resnet18", random_init=True)
    with pytest.raises(UsageError, match="truth"):
        mv.load_model("control/oracle")


def test_controls_have_no_weights_to_randomise() -> None:
    assert mv.load_model("control/pixels", random_init=True).key == encoder_key("control/pixels")


PUBLISHED = """
import sys, torch
import midvision as mv
from midvision.zoo.load import encoder_key
from midvision.zoo.read import read_checkpoint
from pathlib import Path
name, path = sys.argv[1:]
encoder = mv.load_model(name)
state = read_checkpoint(Path(path))
assert torch.equal(encoder.backbone.network.conv1.weight, state["conv1.weight"])
assert encoder.name == name and encoder.key == encoder_key(name) != encoder_key("random/resnet18")
assert encoder.info.pixel_mean == (0.485, 0.456, 0.406)
print(encoder.key)
"""


@pytest.mark.slow
def test_published_weights_from_the_hub_s_cache(tmp_path: Path) -> None:
    """A cache folder as the hub's client lays it out; the process starts with the network forbidden."""
    revision = "0" * 40
    cached = tmp_path / "hub" / "models--timm--resnet18.a1_in1k"
    path = cached / "snapshots" / revision / "model.safetensors"
    path.parent.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    classifier = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    keys = set()
    for purpose in ("published", "published again"):
        save_file({**resnet_state(purpose), **classifier}, path)
        environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
        environment.pop("HF_HUB_CACHE", None)
        done = subprocess.run(
            [sys.executable, "-c", PUBLISHED, "timm/resnet18.a1_in1k", str(path)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        keys.add(done.stdout.strip())
    assert len(keys) == 2, "the key follows the weights' bytes"


def test_published_weights_of_torchvision_and_their_damage(tmp_path: Path) -> None:
    import torchvision

    from midvision.encoders.torchvision_backbone import torchvision_url

    path = tmp_path / "torch" / "hub" / "checkpoints" / torchvision_url("resnet18").rsplit("/", 1)[-1]
    path.parent.mkdir(parents=True)
    network = torchvision.models.resnet18()
    torch.save(network.state_dict(), path)
    encoder = mv.load_model("torchvision/resnet18")
    held = encoder.backbone.state_dict()  # type: ignore[attr-defined]
    assert any(torch.equal(value, network.conv1.weight) for value in held.values())
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(DataError, match="damaged or cut short"):
        mv.load_model("torchvision/resnet18")


def test_damaged_published_weights_of_timm_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    from midvision.encoders import timm_weights
    from midvision.zoo import load

    def damaged(_: str) -> None:
        raise SafetensorError("header too large")

    monkeypatch.setattr(timm_weights, "open_pretrained", damaged)
    monkeypatch.setattr(load, "_published_file", lambda _: tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"timm/resnet18 in .*model\.safetensors cannot be loaded: header too large"):
        mv.load_model("timm/resnet18")
