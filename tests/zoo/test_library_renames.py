"""Publishers' own files for cards whose library holds a converted copy: DINOv2, with registers, and DINOv3.

The files are fabricated after the notes on these checkpoints; no real file was opened.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor

import midvision as mv
from midvision.core.errors import DataError
from midvision.encoders.timm_weights import renamed
from midvision.zoo.stray import inspect_file

State = dict[str, Tensor]


def drawn(network: torch.nn.Module, seed: int) -> State:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(v.shape, generator=draw) * 0.05 for name, v in network.state_dict().items()}


def dinov2(state: State, registers: bool, gated: bool = False) -> State:
    """Official names: a mask token; registers, and a position for the class token even where there are registers."""
    own = dict(state)
    if registers:
        own["register_tokens"] = own.pop("reg_token")
        first = torch.full_like(own["cls_token"], 0.25)
        own["cls_token"] = own["cls_token"] - first
        own["pos_embed"] = torch.cat([first, own["pos_embed"]], dim=1)
    if gated:
        own = {n.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): v for n, v in own.items()}
    return {**own, "mask_token": torch.zeros(1, own["cls_token"].shape[-1])}


def dinov3(state: State) -> State:
    own = {"storage_tokens" if name == "reg_token" else name: value for name, value in state.items()}
    own = {n.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma"): v for n, v in own.items()}
    width = own["cls_token"].shape[-1]
    for block in range(12):
        own[f"blocks.{block}.attn.qkv.bias"] = torch.zeros(3 * width)
        own[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(3 * width)
    return {**own, "mask_token": torch.zeros(1, width), "rope_embed.periods": torch.ones(16, dtype=torch.bfloat16)}


CASES = {
    "dinov2_vits14": ("vit_small_patch14_dinov2", lambda state: dinov2(state, registers=False)),
    "dinov2_vits14_reg": ("vit_small_patch14_reg4_dinov2", lambda state: dinov2(state, registers=True)),
    "dinov3_vits16": ("vit_small_patch16_dinov3", dinov3),
}


@pytest.mark.parametrize("id", CASES)
def test_the_publisher_s_own_file_is_the_library_s_network(id: str, tmp_path: Path) -> None:
    arch, official = CASES[id]
    network = timm.create_model(arch, num_classes=0, dynamic_img_size=True).eval()
    state = drawn(network, 3)
    network.load_state_dict(state)
    path = tmp_path / "official_pretrain.pth"
    torch.save(official(state), path)
    encoder = mv.load_model(id, weights=path)
    size = 16 * 8 if "v3" in id else 14 * 37  # the stored grid: no position is resampled
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(s).view(3, 1, 1) for s in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = network.forward_intermediates((images - mean) / std, indices=[2, 11], intermediates_only=True)
    found = mv.features(encoder, images, layers=[2, 11]).maps
    for one, two in zip(found, expected, strict=True):
        assert (one - two).abs().max() <= 2e-5 * two.abs().max()


def test_the_gated_network_is_read_too(tmp_path: Path) -> None:
    network = timm.create_model("vit_giant_patch14_dinov2", num_classes=0, depth=1, embed_dim=96, num_heads=1)
    state = drawn(network, 1)
    found = renamed(network, dinov2(state, registers=False, gated=True))
    assert found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


def test_separate_biases_have_none_of_the_keys() -> None:
    """The variant with biases takes those of queries and values; keys with a bias are another network's."""
    network = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, depth=1)
    state = {name: v for name, v in drawn(network, 1).items() if name.rpartition(".")[2] not in ("q_bias", "v_bias")}
    table = {name: v for name, v in dinov3(state).items() if not name.startswith("blocks.") or ".0." in name[:9]}
    q, k, v = torch.full((384,), 0.1), torch.zeros(384), torch.full((384,), 0.3)
    found = renamed(network, {**table, "blocks.0.attn.qkv.bias": torch.cat((q, k, v))})
    assert found.keys() >= {name for name, _ in network.named_parameters()}
    assert torch.equal(found["blocks.0.attn.q_bias"], q) and torch.equal(found["blocks.0.attn.v_bias"], v)
    assert renamed(network, {**table, "blocks.0.attn.qkv.bias": torch.cat((q, v, q))}) == {}


def test_a_resampled_kernel_as_large_as_another_tensor_is_refused() -> None:
    """At width 768 a kernel of 16 x 16 has as many numbers as a square matrix of the network."""
    network = timm.create_model("vit_base_patch16_dinov3", num_classes=0, depth=1)
    table = {name: v for name, v in dinov3(drawn(network, 1)).items() if ".0." in name[:9] or name[:6] != "blocks"}
    assert renamed(network, table).keys() == network.state_dict().keys()
    assert renamed(network, {**table, "patch_embed.proj.weight": torch.ones(768, 3, 14, 14)}) == {}


@pytest.mark.parametrize("id", CASES)
def test_a_file_of_another_network_stays_refused(id: str, tmp_path: Path) -> None:
    """Nothing is resampled, no tensor invented, no bias dropped."""
    arch, official = CASES[id]
    state = official(drawn(timm.create_model(arch, num_classes=0), 3))
    last = "blocks.11.mlp.fc2.weight"
    kernel = torch.ones(384, 3, 8, 8)
    broken = {
        "other patch": {**state, "patch_embed.proj.weight": kernel},
        "renamed": {name.replace(last, "blocks.11.mlp.fc3.weight"): value for name, value in state.items()},
    }
    if "v2" in id:
        broken["other grid"] = {**state, "pos_embed": state["pos_embed"][:, : 16 * 16 + 1]}
    else:
        broken["a bias"] = {**state, "blocks.3.attn.qkv.bias": torch.ones(3 * 384)}
    for what, content in broken.items():
        path = tmp_path / f"{what}.pth"
        torch.save(content, path)
        with pytest.raises(DataError, match=r"does not fit the network"):
            mv.load_model(id, weights=path)


@pytest.mark.parametrize("id", CASES)
def test_inspect_names_an_official_file(id: str, tmp_path: Path) -> None:
    """The file is told by its architecture, and the id given runs it."""
    arch, official = CASES[id]
    path = tmp_path / "official.pth"
    torch.save(official(drawn(timm.create_model(arch, num_classes=0), 3)), path)
    (found,) = inspect_file(path).networks
    assert found.architecture == arch and found.problem is None
    assert found.id is not None and found.command is not None and str(path) in found.command
    chosen = mv.load_model(found.id, None if found.id.startswith("file:") else path)
    images = torch.rand(1, 3, 112, 112)
    one, two = (mv.features(encoder, images).maps[-1] for encoder in (chosen, mv.load_model(id, path)))
    assert torch.equal(one, two)
