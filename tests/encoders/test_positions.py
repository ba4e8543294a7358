"""Publishers' rules for position tables: against the sampling written out, and inside a network."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from midvision.core.errors import EncoderError
from midvision.encoders.positions import EXTRA_CELLS, bicubic_table, use_positions
from midvision.encoders.timm_backbone import TimmBackbone, build_network

ARCH = "vit_tiny_patch16_224"


def cubic(distance: float, sharpness: float = -0.75) -> float:
    """The kernel of bicubic interpolation without antialiasing."""
    x = abs(distance)
    if x <= 1:
        return (sharpness + 2) * x**3 - (sharpness + 3) * x**2 + 1
    return sharpness * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def written_out(rows: Tensor, count: int, extra: float) -> Tensor:
    """Rows `[side, C]` at `count` places, one axis, with the scale (count + extra) / side and a clamped border."""
    side = len(rows)
    found = []
    for place in range(count):
        centre = (place + 0.5) * side / (count + extra) - 0.5
        first = math.floor(centre)
        near = [(min(max(first + k, 0), side - 1), cubic(centre - first - k)) for k in (-1, 0, 1, 2)]
        found.append(sum((weight * rows[index] for index, weight in near), torch.zeros_like(rows[0])))
    return torch.stack(found)


@pytest.mark.parametrize(("rule", "extra"), [("dino", 0.1), ("bicubic", 0.0)])
def test_a_table_is_sampled_with_the_tenth_or_without(rule: str, extra: float) -> None:
    table = torch.randn(1, 1 + 36, 5, generator=torch.Generator().manual_seed(0))
    found = bicubic_table(table, 1, (9, 4), EXTRA_CELLS[rule])
    grid = table[0, 1:].reshape(6, 6 * 5).double()
    tall = written_out(grid, 9, extra).reshape(9, 6, 5).transpose(0, 1).reshape(6, 9 * 5)
    expected = written_out(tall, 4, extra).reshape(4, 9, 5).transpose(0, 1)
    assert found.shape == (1, 1 + 36, 5)
    assert torch.equal(found[:, :1], table[:, :1]), "the class token's row stays"
    assert torch.allclose(found[0, 1:].double(), expected.reshape(36, 5), atol=1e-5)
    assert bicubic_table(table, 1, (6, 6), EXTRA_CELLS[rule]) is table


@pytest.mark.parametrize("rule", EXTRA_CELLS)
def test_inside_a_network_only_other_sizes_change(rule: str) -> None:
    usual = TimmBackbone(build_network(ARCH), ARCH)
    other = TimmBackbone(build_network(ARCH), ARCH, positions=rule)
    with torch.no_grad():
        for net in (usual, other):
            net.network.pos_embed.normal_(generator=torch.Generator().manual_seed(1))
        native, larger = torch.randn(1, 3, 224, 224), torch.randn(2, 3, 160, 272)
        assert torch.equal(usual.read(native, [11], False).maps[0], other.read(native, [11], False).maps[0])
        apart = usual.read(larger, [0], False).maps[0] - other.read(larger, [0], False).maps[0]
        assert float(apart.abs().max()) > 0.01
        patches = other.network.patch_embed(larger).flatten(1, 2)
        table = bicubic_table(other.network.pos_embed, 1, (10, 17), EXTRA_CELLS[rule])
        tokens = torch.cat([other.network.cls_token.expand(2, -1, -1), patches], 1) + table
        expected = other.network.blocks[0](tokens)[:, 1:]
        found = other.read(larger, [0], False).maps[0]
    assert torch.allclose(found.flatten(2).transpose(1, 2), expected, atol=1e-5)


def test_networks_without_such_a_table_say_so() -> None:
    with pytest.raises(EncoderError, match="needs one"):
        use_positions(build_network("resnet18"), "dino")


def test_a_copy_uses_its_own_table() -> None:
    network = build_network(ARCH)
    use_positions(network, "dino")
    other = copy.deepcopy(network)
    pixels = torch.rand(1, 3, 160, 96)
    with torch.no_grad():
        before = network(pixels)
        assert torch.equal(other(pixels), before)
        other.get_parameter("pos_embed").zero_()
        assert torch.equal(network(pixels), before)
        assert not torch.equal(other(pixels), before)
