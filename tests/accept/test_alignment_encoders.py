"""Alignment (b): every encoder family at 224, 480 and 448 x 336 looks where its plan says.

The scaled-down twin is in `tests/contracts/test_encoders.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import midvision as mv
from midvision.core.features import FeatureSpec
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import PIXEL_STATS, make_plan

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from encoder_alignment import blob_slope, centroid_errors, probe_cells

pytestmark = pytest.mark.accept

SIZES = ((224, 224), (480, 480), (448, 336))
FAMILIES = (
    "random/vit_tiny_patch16_224",
    "random/vit_small_patch14_reg4_dinov2",
    "random/vit_small_patch16_dinov3",
    "random/resnet18",
    "random/resnet50",
    "random/convnext_atto",
    "random/swin_tiny_patch4_window7_224",
    "random/regnetx_002",
    "random/efficientnet_b0",
    "random/vit_tiny_r_s16_p8_224",
    "torchvision/resnet18",
    "transformers/vit",
    "module/tokens",
)


class Tokens(nn.Module):
    """Patch embedding and one attention block with a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 64, 16, 16)
        self.token = nn.Parameter(torch.randn(1, 1, 64))
        self.block = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True, norm_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.embed(x).flatten(2).transpose(1, 2)
        answer: torch.Tensor = self.block(torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1))
        return answer


def build(name: str) -> Encoder:
    if name == "transformers/vit":
        import transformers

        from midvision.encoders.hf_backbone import HFBackbone

        config = transformers.ViTConfig(
            hidden_size=192, num_hidden_layers=6, num_attention_heads=3, intermediate_size=384, image_size=224
        )
        return Encoder(HFBackbone(transformers.ViTModel(config), PIXEL_STATS["imagenet"], name), name, name)
    if name == "torchvision/resnet18":
        from midvision.encoders.torchvision_backbone import open_torchvision_random

        return Encoder(open_torchvision_random("resnet18"), name, name)
    if name == "module/tokens":
        torch.manual_seed(0)
        return mv.wrap(Tokens(), patch_size=16, class_token=True)
    found = mv.load_model(name)
    assert isinstance(found, Encoder)
    return found


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_blobs_are_found_where_they_are(name: str, size: tuple[int, int]) -> None:
    slope = blob_slope(build(name), size)
    print(f"blobs {name} {size}: slope {slope:.4f}")
    assert slope == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_cells_look_where_they_are_declared(name: str, size: tuple[int, int]) -> None:
    encoder = build(name)
    plan = make_plan(FeatureSpec(image_size=size), encoder.info)
    counts = []
    for layer in plan.layers:
        # Few small kernels decide where a convolution's cell leans, so many draws are needed.
        draws = 3 if encoder.info.kind == "transformer" else 16 if layer.grid.stride[0] <= 4 else 12
        errors, cut = centroid_errors(encoder, layer.grid, layer.index, probe_cells(layer.grid.size, 5), draws)
        counted = errors if encoder.info.kind == "transformer" else errors[~cut]
        worst = float(np.abs(counted).max()) if len(counted) else 0.0
        print(f"centroid {name} {size} layer {layer.index}: {len(counted)} cells, worst {worst:.3f} cell")
        assert worst < 0.1
        counts.append(len(counted))
    assert sum(counts) > 0


@pytest.mark.parametrize("name", ["random/vit_tiny_patch16_224", "transformers/vit", "module/tokens"])
def test_every_cell_of_a_transformer_looks_where_it_is_declared(name: str) -> None:
    encoder = build(name)
    layer = make_plan(FeatureSpec(image_size=(224, 224)), encoder.info).layers[-1]
    cells = [(y, x) for y in range(layer.grid.size[0]) for x in range(layer.grid.size[1])]
    errors, _ = centroid_errors(encoder, layer.grid, layer.index, cells, 3)
    worst = float(np.abs(errors).max())
    print(f"centroid {name} (224, 224) layer {layer.index}: all {len(cells)} cells, worst {worst:.3f} cell")
    assert worst < 0.1
