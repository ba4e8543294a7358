"""The frozen wrapper: what it refuses, what it checks, what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from midvision.core.errors import EncoderError, UsageError
from midvision.core.features import EncoderInfo, FeaturePlan, FeatureSpec, LayerInfo
from midvision.encoders.encoder import Encoder, Reading, normalise
from midvision.encoders.plan import make_plan


class Patches(nn.Module):
    """Two layers: a patch embedding and its double; `break_with` spoils the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 5, 8, 8)
        self.norm = nn.BatchNorm2d(5)
        self.break_with = ""
        layer = LayerInfo(5, 8, 4.0)
        self.info = EncoderInfo(
            (layer, layer), "transformer", 0, 5, False, 0, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 8, 1
        )

    def read(self, pixels: Tensor, layers: Sequence[int], final_norm: bool) -> Reading:
        first = self.norm(self.embed(pixels))
        maps = [first, first * 2]
        if self.break_with == "shape":
            maps[1] = maps[1][:, :, :-1]
        if self.break_with == "nan":
            maps[1] = maps[1].clone()
            maps[1][1, 0, 0, 0] = float("nan")
        return Reading(tuple(maps[index] for index in layers), None)


def build() -> tuple[Patches, Encoder, FeaturePlan]:
    torch.manual_seed(0)
    backbone = Patches()
    encoder = Encoder(backbone, "key", "patches")
    return backbone, encoder, make_plan(FeatureSpec(image_size=(32, 40), layers=(0, 1)), encoder.info)


def test_maps_and_pooled() -> None:
    _, encoder, plan = build()
    images = torch.rand(3, 3, 32, 40)
    found = encoder(images, plan)
    assert [tuple(m.shape) for m in found.maps] == [(3, 5, 4, 5)] * 2
    assert found.pooled is not None
    assert torch.allclose(found.pooled, found.maps[1].mean((2, 3)))
    only_pooled = encoder(images, replace(plan, maps=False))
    assert only_pooled.maps == () and torch.equal(only_pooled.pooled, found.pooled)  # type: ignore[arg-type]
    shallow = encoder(images, replace(plan, layers=plan.layers[:1]))
    assert len(shallow.maps) == 1 and torch.equal(shallow.pooled, found.pooled)  # type: ignore[arg-type]


def test_nothing_needs_gradients_and_nothing_moves() -> None:
    backbone, encoder, plan = build()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    images = torch.rand(2, 3, 32, 40)
    kept = images.clone()
    found = encoder(images.requires_grad_(True), plan)
    assert not any(p.requires_grad for p in backbone.parameters())
    assert not any(m.requires_grad or m.is_inference() for m in found.maps)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert torch.equal(images, kept)


def test_training_mode_is_refused() -> None:
    backbone, encoder, plan = build()
    with pytest.raises(UsageError, match="frozen"):
        encoder.train()
    assert encoder.train(False) is encoder and encoder.eval() is encoder
    backbone.norm.train()
    with pytest.raises(EncoderError, match=r"norm.*training mode"):
        encoder(torch.rand(1, 3, 32, 40), plan)


def test_wrong_shape_names_the_layer() -> None:
    backbone, encoder, plan = build()
    backbone.break_with = "shape"
    with pytest.raises(EncoderError, match=r"patches returned layer 1 of shape \[2, 5, 3, 5\]"):
        encoder(torch.rand(2, 3, 32, 40), plan)


def test_nan_names_layer_and_image() -> None:
    backbone, encoder, plan = build()
    backbone.break_with = "nan"
    with pytest.raises(EncoderError, match=r"layer 1 for image scene7/view2 \(row 1\)"):
        encoder.encode(["scene7/view1", "scene7/view2"], torch.rand(2, 3, 32, 40), plan)


@pytest.mark.parametrize("shape", [(2, 3, 40, 32), (2, 1, 32, 40), (3, 32, 40)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    _, encoder, plan = build()
    with pytest.raises(EncoderError, match="plan expects"):
        encoder.encode(["a", "b"], torch.rand(*shape), plan)


def test_integer_images_are_refused() -> None:
    _, encoder, plan = build()
    with pytest.raises(EncoderError, match="Floats"):
        encoder(torch.zeros(1, 3, 32, 40, dtype=torch.uint8), plan)


def test_normalised_then_padded_with_zeros() -> None:
    _, encoder, _ = build()
    plan = make_plan(FeatureSpec(image_size=(30, 39), fit="pad"), encoder.info)
    pixels = normalise(torch.full((1, 3, 30, 39), 0.75), plan)
    assert plan.padding == (1, 0, 1, 1)
    assert pixels.shape == (1, 3, 32, 40)
    assert float(pixels[0, 0, 1, 0]) == 1.0, "(0.75 - 0.5) / 0.25"
    assert float(pixels[0, :, 0].abs().max()) == 0.0 and float(pixels[0, :, :, -1].abs().max()) == 0.0


def test_precision_is_another_function() -> None:
    _, encoder, plan = build()
    rough = encoder.at_precision("bf16")
    assert rough.key != encoder.key and encoder.at_precision("fp32").key == encoder.key
    images = torch.rand(2, 3, 32, 40)
    one, other = encoder(images, plan).maps[0], rough(images, plan).maps[0]
    assert one.dtype == other.dtype == torch.float32
    assert not torch.equal(one, other) and torch.allclose(one, other, atol=0.1)
