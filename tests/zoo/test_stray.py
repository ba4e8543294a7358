"""Stray checkpoints told by their content: every published container, written by the independent writer, and others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))

import timm
from beyond_files import FILES
from checkpoint_files import prefixed, resnet_state, saved
from published_cases import ALTERNATIVES, MODELS
from published_files import Case

import midvision as mv
from midvision.core.errors import DataError
from midvision.encoders.timm_backbone import build_network
from midvision.zoo import likely as likely_cards
from midvision.zoo import stray
from midvision.zoo.card import Card, FromFile, all_cards
from midvision.zoo.ids import parse_id
from midvision.zoo.read import file_sha256
from midvision.zoo.stray import Report, inspect_file

CASES = {case.name: case for case in (*MODELS, *ALTERNATIVES)}
QUICK = ("npid_resnet50", "mocov2_resnet50", "swav_resnet50", "byol numbered parts", "supervised_resnet50")
SLOW = ("mae training", "maskfeat_vitb16", "mocov3_vitb16", "ibot_vitb16", "byol_resnet50", "dino resnet training")
MARKS = {
    **dict.fromkeys(CASES, pytest.mark.accept),
    **dict.fromkeys(SLOW, pytest.mark.slow),
    **dict.fromkeys(QUICK, ()),
}
# Published in one layout, so content cannot tell them apart: only these may stand beside the right id.
ALIKE = {
    "vissl": {
        "jigsaw_resnet50",
        "rotnet_resnet50",
        "npid_resnet50",
        "npid_pp_resnet50",
        "pirl_resnet50",
        "clusterfit_resnet50",
        "simclr_resnet50",
    },
    "swav": {"swav_resnet50", "deepclusterv2_resnet50", "selav2_resnet50"},
}


def told(case: Case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    """The report on a published content, which is not written: that takes a second and a third of a gigabyte."""
    content = case.build(True).content
    monkeypatch.setattr(stray, "read_checkpoint", lambda path: content)
    path = tmp_path / "stray.pth"
    path.write_bytes(b"PK")
    return inspect_file(path)


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in MARKS.items()])
def test_every_published_container_is_told(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = CASES[name]
    right = case.model.partition("?")[0]
    report = told(case, monkeypatch, tmp_path)
    first = next(found for found in report.networks if right in {likely.id for likely in found.likely})
    arch = "vit_base_patch16_224" if "vit" in right else "resnet50"
    assert all(found.architecture == arch or found.architecture is None for found in report.networks)
    assert first.architecture == arch and first.layouts
    for found in report.networks:
        likely = {entry.id for entry in found.likely}
        for layout, alike in ALIKE.items():
            assert layout not in found.layouts or likely == alike
        supervised = {"supervised_resnet50", "deit_vitb16"}
        assert likely == {right} if right in supervised else not likely & supervised
        assert found.id is None or found.id.startswith("file:") or found.id.partition("?")[0] in likely
    assert len({found.weights for found in report.networks}) == len(report.networks), "twins have names"


# What a file's content cannot tell from the right one, though it decides nothing that is computed.
NAMESAKES = {
    "crocov2_vitb_base": {"crocov2_vitb_small"},
    "slip_vits16": {"slip_clip_vits16", "slip_simclr_vits16"},
    "vicregl_convnext_small_a0.9": {"vicregl_convnext_small_a0.75", "dinov3_convnext_small"},
    "msn_vits16": set(),
    "croco_vitb16": set(),
    "dust3r_vitl16": set(),
    "beit_vitb16": set(),
    "beitv2_vitb16": set(),
    "simmim_vitb16": set(),
}
SOON = ("croco_vitb16", "slip_vits16", "beitv2_vitb16", "vicregl_convnext_small_a0.9", "saycam_dino_say_vitb14")


def _shapes(card: Card) -> dict[str, tuple[int, ...]]:
    assert isinstance(card.route, FromFile)
    with torch.device("meta"):
        network = timm.create_model(card.route.network, num_classes=0, **card.route.options)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize("name", [pytest.param(id, marks=() if id in SOON else pytest.mark.accept) for id in FILES])
def test_files_beyond_the_comparison_are_told(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The id given computes what the right one does: the same network, options (heads) and pixel statistics."""
    right = all_cards()[name]
    content = FILES[name](_shapes(right))
    monkeypatch.setattr(stray, "read_checkpoint", lambda path: content)
    path = tmp_path / "stray.pth"
    path.write_bytes(b"PK")
    networks = inspect_file(path).networks
    found = next(one for one in networks if name in {likely.id for likely in one.likely})
    likely = {one.id for one in found.likely}
    assert likely == {name} | NAMESAKES.get(name, likely)
    assert found.pixels == "imagenet" or name == "beit_vitb16" or name == "dust3r_vitl16"
    model = parse_id(found.id or "")
    assert isinstance(right.route, FromFile)
    if model.kind == "file":
        assert (model.options["arch"], dict(right.route.options)) == (right.route.network, {})
    else:
        given = all_cards()[model.name]
        assert given.route == right.route and found.problem is None
        assert given.pixels.value == right.pixels.value  # type: ignore[union-attr]


def test_twins_get_ids_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = {n.weights: n.id for n in told(CASES["mocov3_resnet50"], monkeypatch, tmp_path).networks}
    assert found == {"base": "mocov3_resnet50", "momentum": "mocov3_resnet50?weights=momentum"}
    found = {n.weights: n.id for n in told(CASES["mocov2_resnet50"], monkeypatch, tmp_path).networks}
    assert found["query"] == "mocov2_resnet50"
    assert found["key"] == f"file:{tmp_path}/stray.pth?arch=resnet50&prefix=state_dict:module.encoder_k."


def test_what_lies_beside_the_network_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert told(CASES["swav_resnet50"], monkeypatch, tmp_path).beside == ("a projection head", "prototypes")
    report = told(CASES["mocov2_resnet50"], monkeypatch, tmp_path)
    assert "a queue of negatives" in report.beside and report.top[:2] == ("epoch", "arch")


def only(path: Path) -> stray.Found:
    (found,) = inspect_file(path).networks
    return found


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_id_given_runs_the_file(tmp_path: Path, zipped: bool) -> None:
    state = resnet_state()
    path = saved(tmp_path / "odd name.pth", {"net": prefixed(state, "module.backbone."), "epoch": 3}, zipped)
    report = inspect_file(path)
    found = only(path)
    assert report.container == ("torch, zip" if zipped else "torch, legacy pickle")
    assert (found.architecture, found.layouts, found.pixels) == ("resnet18", (), "imagenet")
    assert found.where == "net:module.backbone." and found.pixel_source.startswith("assumed")
    assert found.id is not None and found.command is not None and "'file:" in found.command
    encoder: Any = mv.load_model(found.id)
    assert torch.equal(encoder.backbone.network.conv1.weight, state["conv1.weight"])


def test_the_id_given_picks_the_right_twin(tmp_path: Path) -> None:
    online, target = resnet_state("online"), resnet_state("target")
    path = saved(tmp_path / "t.pth", {"ema": target, "net": online})
    networks = {found.where: found.id for found in inspect_file(path).networks}
    for where, state in (("ema:", target), ("net:", online)):
        encoder: Any = mv.load_model(networks[where] or "")
        assert torch.equal(encoder.backbone.network.conv1.weight, state["conv1.weight"])


def test_a_twin_with_something_left_over_does_not_borrow_the_other_s_id(tmp_path: Path) -> None:
    online, target = resnet_state("online"), {**resnet_state("target"), "projector.0.weight": torch.ones(3, 3)}
    path = saved(tmp_path / "t.pth", {"ema": target, "net": online})
    networks = {found.where: found for found in inspect_file(path).networks}
    assert networks["net:"].id is not None
    assert networks["ema:"].id is None and "projector.0.weight" in (networks["ema:"].problem or "")


def test_a_network_with_something_left_over_has_no_id_but_a_reason(tmp_path: Path) -> None:
    path = saved(tmp_path / "more.pth", {**resnet_state(), "projector.0.weight": torch.ones(3, 3)})
    found = only(path)
    assert found.id is None and found.architecture is None
    assert found.problem is not None and "1 left over (projector.0.weight)" in found.problem


def test_safetensors_and_a_family_without_card(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file({name: value.contiguous() for name, value in build_network("convnext_atto").state_dict().items()}, path)
    found = only(path)
    assert inspect_file(path).container == "safetensors"
    assert (found.network.title, found.architecture) == ("ConvNeXt atto", "convnext_atto")
    assert parse_id(found.id or "").options["arch"] == "convnext_atto"


def test_a_checkpoint_of_transformers_runs_by_its_folder(tmp_path: Path) -> None:
    state = {
        "embeddings.patch_embeddings.projection.weight": torch.ones(192, 3, 16, 16),
        **{f"encoder.layer.{number}.layernorm_before.weight": torch.ones(192) for number in range(12)},
    }
    path = tmp_path / "model.safetensors"
    save_file(prefixed(state, "vit."), path)
    found = only(path)
    assert found.network.title == "ViT-Ti/16 under the names of transformers" and found.id is None
    (tmp_path / "config.json").write_text("{}")
    assert only(path).id == f"transformers:{tmp_path}"


def test_statistics_in_the_file_are_used(tmp_path: Path) -> None:
    state = prefixed(resnet_state(), "backbone.")
    for values, word in (((123.675, 116.28, 103.53), "imagenet"), ((127.5, 127.5, 127.5), "half")):
        std = (58.395, 57.12, 57.375) if word == "imagenet" else values
        stored = {"data_preprocessor.mean": torch.tensor(values), "data_preprocessor.std": torch.tensor(std)}
        found = only(saved(tmp_path / "s.pth", {"state_dict": {**state, **stored}}))
        assert (found.pixels, found.pixel_source) == (word, "stored in the file")
        assert ("pixels=half" in (found.id or "")) == (word == "half")


def test_a_published_hash_says_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "w.pth", resnet_state())
    digest = file_sha256(path)
    monkeypatch.setattr(
        likely_cards, "published_sha256", lambda card: digest[:8] if card.id == "swav_resnet50" else "f" * 8
    )
    found = only(path)
    assert [(likely.id, likely.because) for likely in found.likely] == [
        ("swav_resnet50", "the published file, by its SHA-256")
    ]


def test_tensors_of_no_known_network(tmp_path: Path) -> None:
    report = inspect_file(saved(tmp_path / "w.pth", {"a": {"weight": torch.ones(3, 4)}}))
    assert (report.networks, report.tensors, report.parameters, report.top) == ((), 1, 12, ("a",))


def test_a_file_without_tensors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no tensors"):
        inspect_file(saved(tmp_path / "w.pth", {"epoch": 3, "names": ["a"]}))


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        inspect_file(tmp_path)


def test_weights_that_are_not_finite_are_told(tmp_path: Path) -> None:
    state = resnet_state()
    state["layer1.0.conv1.weight"][0, 0, 0, 0] = float("nan")
    found = only(saved(tmp_path / "w.pth", state))
    assert found.id is None and found.problem is not None
    assert "layer1.0.conv1.weight" in found.problem and "NaN" in found.problem
