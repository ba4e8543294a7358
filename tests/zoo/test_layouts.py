"""Layouts on hand-made contents: what is found, renamed, dropped, chosen and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor

from midvision.core.errors import DataError, UsageError
from midvision.zoo.fit import match
from midvision.zoo.layouts import all_layouts, read_layout, recognise
from midvision.zoo.layouts_resnet import resnet50_names
from midvision.zoo.layouts_vit import openmmlab_vit_name

NET = {"conv1.weight": torch.ones(2, 3, 1, 1), "layer1.0.bn1.weight": torch.full((4,), 2.0)}
VIT = {"patch_embed.proj.weight": torch.ones(2, 3, 1, 1), "cls_token": torch.full((1, 1, 2), 3.0)}
TWIN = {name: -value for name, value in NET.items()}
HEAD = {"fc.0.weight": torch.zeros(2, 2)}


def under(prefix: str, *tables: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for table in tables for name, value in table.items()}


def read(layout: str, content: Any, choice: str = "") -> dict[str, Tensor]:
    return read_layout(layout, content, choice, "a.pth")


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return set(found) == set(expected) and all(torch.equal(found[name], expected[name]) for name in expected)


MM_VIT = {
    "backbone.patch_embed.projection.weight": VIT["patch_embed.proj.weight"],
    "backbone.cls_token": VIT["cls_token"],
}
CONTENTS: list[tuple[str, Any, dict[str, Tensor]]] = [
    (
        "vissl",
        {"classy_state_dict": {"base_model": {"model": {"trunk": under("_feature_blocks.", NET), "heads": HEAD}}}},
        NET,
    ),
    (
        "vissl",
        {"classy_state_dict": {"base_model": {"model": {"trunk": under("base_model._feature_blocks.", NET)}}}},
        NET,
    ),
    ("vissl", {"model_state_dict": {k: v.numpy() for k, v in {**under("_feature_blocks.", NET), **HEAD}.items()}}, NET),
    (
        "swav",
        under(
            "module.", NET, {"prototypes.prototypes0.weight": torch.ones(2)}, {"projection_head.0.bias": torch.ones(2)}
        ),
        NET,
    ),
    (
        "moco",
        {"state_dict": {**under("module.encoder_q.", NET, HEAD), **under("module.encoder_k.", TWIN)}, "epoch": 3},
        NET,
    ),
    (
        "mocov3",
        {"state_dict": {**under("module.base_encoder.", NET, HEAD), **under("module.momentum_encoder.", TWIN)}},
        NET,
    ),
    (
        "simsiam",
        {"state_dict": {**under("module.encoder.", NET, HEAD), "module.predictor.0.weight": torch.ones(2)}},
        NET,
    ),
    ("barlow", NET, NET),
    ("barlow", {"model": {**under("module.backbone.", NET), "module.projector.0.weight": torch.ones(2)}}, NET),
    ("byol", {"online_backbone": under("module.", NET, HEAD), "target_backbone": under("module.", TWIN)}, NET),
    (
        "byol",
        {
            "model": {
                "module.online_network.encoder.0.weight": NET["conv1.weight"],
                "module.online_network.encoder.4.0.bn1.weight": NET["layer1.0.bn1.weight"],
                "module.online_network.projetion.l1.weight": torch.ones(2),
            }
        },
        NET,
    ),
    ("densecl", {"state_dict": NET, "author": "DenseCL"}, NET),
    ("dino", VIT, VIT),
    ("dino", {"teacher": under("backbone.", VIT), "student": under("module.backbone.", TWIN), "epoch": 1}, VIT),
    ("ibot", {"state_dict": {**VIT, "masked_embed": torch.ones(1, 2), "head.mlp.0.weight": torch.ones(2)}}, VIT),
    (
        "ibot",
        {"student": under("module.backbone.", TWIN), "teacher": under("backbone.", VIT, {"head.x": torch.ones(1)})},
        VIT,
    ),
    ("mae", {"model": {**VIT, "mask_token": torch.ones(1), "decoder_pred.weight": torch.ones(2)}}, VIT),
    ("deit", {"model": {**VIT, "head.weight": torch.ones(2)}}, VIT),
    ("openmmlab", {"state_dict": {**under("backbone.", NET), "neck.fc0.weight": torch.ones(2)}, "meta": {}}, NET),
    (
        "openmmlab",
        {"state_dict": {**MM_VIT, "backbone.mask_token": torch.ones(1), "neck.fc.weight": torch.ones(2)}},
        VIT,
    ),
    ("bare", {**NET, "fc.weight": torch.ones(2)}, NET),
]


@pytest.mark.parametrize(
    ("layout", "content", "expected"), CONTENTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_network_is_found_without_its_heads(layout: str, content: Any, expected: dict[str, Tensor]) -> None:
    assert same(read(layout, content), expected)
    assert layout in recognise(content)


def test_every_layout_has_a_case() -> None:
    assert {layout for layout, *_ in CONTENTS} <= set(all_layouts())


def test_an_extracted_network_is_taken_under_every_layout() -> None:
    """What a person saves who follows our own advice on refused files."""
    for name in {layout for layout, *_ in CONTENTS}:
        expected = VIT if name in ("mae", "ibot", "deit") else NET
        assert same(read(name, expected), expected), name


def test_momentum_is_neither_mixed_in_nor_taken_instead() -> None:
    both = {"state_dict": {**under("module.momentum_encoder.", TWIN), **under("module.base_encoder.", NET)}}
    assert same(read("mocov3", both), NET) and same(read("mocov3", both, "momentum"), TWIN)
    alone = {"state_dict": under("module.momentum_encoder.", TWIN)}
    assert same(read("mocov3", alone, "momentum"), TWIN)
    with pytest.raises(DataError, match=r"a\.pth holds no base weights, only 'momentum'.*\?weights=momentum"):
        read("mocov3", alone)
    with pytest.raises(DataError, match="no momentum weights, only 'base'"):
        read("mocov3", {"state_dict": under("module.base_encoder.", NET)}, "momentum")
    with pytest.raises(DataError, match="laid out otherwise"):
        read("mocov3", NET, "momentum")
    assert same(read("mocov3", NET, "base"), NET)


def test_another_layout_is_named() -> None:
    with pytest.raises(DataError, match=r"holds a dict of model\. It looks like layout mae"):
        read("swav", {"model": VIT})
    with pytest.raises(DataError, match="holds list"):
        read("swav", [1])
    with pytest.raises(UsageError, match="Nearest: swav"):
        read("swaw", NET)


def test_openmmlab_names() -> None:
    pairs = {
        "patch_embed.projection.weight": "patch_embed.proj.weight",
        "layers.11.ffn.layers.0.0.bias": "blocks.11.mlp.fc1.bias",
        "layers.0.ffn.layers.1.weight": "blocks.0.mlp.fc2.weight",
        "layers.3.ln1.weight": "blocks.3.norm1.weight",
        "layers.3.attn.qkv.bias": "blocks.3.attn.qkv.bias",
        "ln1.bias": "norm.bias",
        "pos_embed": "pos_embed",
    }
    assert {name: openmmlab_vit_name(name) for name in pairs} == pairs


def test_byol_by_order_only_where_names_are_another_system_s() -> None:
    network = torchvision.models.resnet50().state_dict()
    network = {name: value for name, value in network.items() if not name.startswith("fc.")}
    assert list(network) == list(resnet50_names())
    for wrapper in ("", "module."):
        renamed = {f"{wrapper}net.{name}": value for name, value in network.items()}
        assert same(read("byol", {"online_backbone": renamed}), network)
    one = {("odd.weight" if name == "conv1.weight" else name): value for name, value in network.items()}
    found = read("byol", {"online_backbone": one})
    with pytest.raises(DataError, match=r"1 missing \(conv1\.weight\); 1 left over \(odd\.weight\)"):
        match(found, network, "a.pth")


def test_match_refuses_what_would_fail_later() -> None:
    assert same(
        match({"conv1.weight": NET["conv1.weight"]}, {"conv1.weight": torch.zeros(2, 3, 1, 1)}, "a.pth"),
        {"conv1.weight": NET["conv1.weight"]},
    )
    cases = {
        r"conv1\.weight in a\.pth is all zeros": {**NET, "conv1.weight": torch.zeros(2, 3, 1, 1)},
        r"conv1\.weight in a\.pth holds NaN": {**NET, "conv1.weight": torch.full((2, 3, 1, 1), float("inf"))},
        r"conv1\.weight in a\.pth has shape \[2, 1, 1, 1\].*expects \[2, 3, 1, 1\]": {
            **NET,
            "conv1.weight": torch.ones(2, 1, 1, 1),
        },
        r"1 left over \(layer1\.0\.bn1\.weigth\)": {**NET, "layer1.0.bn1.weigth": torch.ones(4)},
    }
    for message, state in cases.items():
        with pytest.raises(DataError, match=message):
            match(state, NET, "a.pth")


def test_contents_are_not_changed() -> None:
    content = {"model_state_dict": {name: value.numpy() for name, value in under("_feature_blocks.", NET).items()}}
    before = {name: np.array(value) for name, value in content["model_state_dict"].items()}
    recognise(content)
    assert all(np.array_equal(before[name], value) for name, value in content["model_state_dict"].items())
