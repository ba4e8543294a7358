"""Architectures told from names and shapes, for every timm network of the families that are known."""

from __future__ import annotations

import pytest
import timm
import torch

from midvision.encoders.timm_shapes import empty_state
from midvision.zoo.shapes import guess


def shapes(arch: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = timm.create_model(arch, num_classes=0)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize(
    ("arch", "title", "facts"),
    [
        ("resnet18", "ResNet-18", {"depth": 18, "width": 64}),
        ("resnet34", "ResNet-34", {"depth": 34}),
        ("resnet50", "ResNet-50", {"depth": 50, "groups": 1, "input_channels": 3}),
        ("resnet101", "ResNet-101", {"blocks": "3 4 23 3"}),
        ("resnet152", "ResNet-152", {"depth": 152}),
        ("wide_resnet50_2", "Wide ResNet-50-2", {"width": 128}),
        ("resnext50_32x4d", "ResNeXt-50 32x4d", {"groups": 32}),
        ("resnet50d", "ResNet-50", {"stem": "three convolutions"}),
        ("vit_tiny_patch16_224", "ViT-Ti/16", {"width": 192, "depth": 12, "registers": 0, "heads": None}),
        ("vit_small_patch32_224", "ViT-S/32", {"patch": 32, "grid": 7}),
        ("vit_base_patch8_224", "ViT-B/8", {"grid": 28, "image_size": 224, "class_token": True}),
        ("vit_large_patch16_384", "ViT-L/16", {"grid": 24, "image_size": 384, "mlp_width": 4096}),
        ("vit_small_patch14_dinov2", "ViT-S/14", {"grid": 37, "layer_scale": True, "image_size": 518}),
        ("vit_small_patch14_reg4_dinov2", "ViT-S/14 with 4 registers", {"registers": 4, "grid": 37}),
        ("vit_small_patch16_dinov3", "ViT-S/16 with 4 registers", {"positions": "rotary, or none", "grid": None}),
        ("vit_base_patch16_siglip_224", "ViT-B/16", {"class_token": False, "grid": 14}),
        ("vit_base_patch16_clip_224", "ViT-B/16", {"grid": 14}),
        ("deit3_small_patch16_224", "ViT-S/16", {"layer_scale": True, "grid": 14}),
        ("deit_tiny_distilled_patch16_224", "ViT-Ti/16", {"grid": 14}),
        ("beit_base_patch16_224", "ViT-B/16", {"positions": "relative", "heads": 12}),
        ("convnext_tiny", "ConvNeXt tiny", {"blocks": "3 3 9 3"}),
        ("convnextv2_atto", "ConvNeXt-V2 atto", {"width": 40}),
        ("swin_tiny_patch4_window7_224", "Swin tiny", {"window": 7, "heads": 3}),
        ("swin_base_patch4_window12_384", "Swin base", {"window": 12}),
    ],
)
def test_a_network_is_told_from_its_shapes(arch: str, title: str, facts: dict[str, object]) -> None:
    found = guess(shapes(arch))
    assert found is not None
    assert found.title == title
    assert {name: found.facts[name] for name in facts} == facts
    assert arch in found.candidates


@pytest.mark.parametrize("arch", ["efficientnet_b0", "regnety_002", "mixer_s16_224", "hiera_tiny_224"])
def test_other_families_are_not_mistaken(arch: str) -> None:
    assert guess(shapes(arch)) is None


def test_tokens_for_video_are_not_taken_for_an_image_network() -> None:
    wanted = {**shapes("vit_base_patch16_224"), "patch_embed.proj.weight": (768, 3, 2, 16, 16)}
    found = guess(wanted)
    assert found is not None
    assert found.facts["frames_per_token"] == 2 and "video" in found.title and found.candidates == ()


def test_sizes_without_a_name_are_described() -> None:
    few = {name: shape for name, shape in shapes("vit_base_patch16_224").items() if not name.startswith("blocks.7.")}
    less = {name: shape for name, shape in few.items() if not name.startswith(("blocks.8", "blocks.9", "blocks.1"))}
    found = guess(less)
    assert found is not None and found.title == "a ViT/16 of width 768 and depth 7" and found.candidates == ()


def test_an_empty_network_takes_no_memory() -> None:
    state = empty_state("vit_giant_patch14_dinov2")
    assert state is not None and {value.device.type for value in state.values()} == {"meta"}
    assert empty_state("no_such_architecture") is None
