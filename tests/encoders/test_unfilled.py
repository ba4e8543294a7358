"""Networks built without random weights and filled from a file are the networks filled in the ordinary way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from midvision.encoders.seeded import Unfilled, seeded
from midvision.encoders.timm_backbone import build_network
from midvision.encoders.timm_weights import fill, open_with_tensors

ARCHITECTURES = (
    "resnet18",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "swin_tiny_patch4_window7_224",
    "eva02_tiny_patch14_224",
    "hiera_tiny_224",
    "efficientnet_b0",
)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_filled_networks_agree_in_every_value_and_answer(arch: str) -> None:
    ordinary = build_network(arch, purpose=("file",))
    state = {name: value.clone() for name, value in ordinary.state_dict().items()}
    network = build_network(arch, filled=False)
    fill(network, state)
    buffers, expected = dict(network.named_buffers()), dict(ordinary.named_buffers())
    assert buffers.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in buffers.items())
    held = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in held.items())
    assert all(value.data_ptr() == state[name].data_ptr() for name, value in held.items()), "no copy is made"
    side = ordinary.default_cfg["input_size"][-1] if "resnet" not in arch else 64  # type: ignore[union-attr, index]
    images = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        assert torch.equal(network(images), ordinary(images))


def test_only_parameters_stay_unfilled_and_only_inside() -> None:
    with seeded("unfilled"), Unfilled():
        layer, norm = nn.Linear(3000, 3000), nn.BatchNorm2d(5)
        nn.init.trunc_normal_(tensor=layer.weight, std=9.0)
        layer.weight.requires_grad_(False)
    assert not layer.weight.requires_grad
    assert float(norm.running_var.sum()) == 5.0 and int(norm.num_batches_tracked) == 0  # type: ignore[union-attr, arg-type]
    nn.init.constant_(layer.weight, 2.0)
    assert float(layer.weight.min()) == 2.0


def test_half_precision_and_other_layouts_become_the_network_s_own() -> None:
    ordinary = build_network("resnet18", purpose=("file",))
    state = {
        name: value.half() if value.ndim == 1 else value.contiguous(memory_format=torch.channels_last)
        for name, value in ordinary.state_dict().items()
        if value.ndim in (1, 4)
    }
    backbone = open_with_tensors("resnet18", lambda network: {**network.state_dict(), **state}, None)
    held = backbone.network.state_dict()
    assert all(held[name].is_contiguous() and held[name].dtype == torch.float32 for name in state)
    assert all(torch.equal(held[name], value.float()) for name, value in state.items())
