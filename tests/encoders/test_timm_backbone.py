"""timm networks: declared layers, raw block outputs, tokens, sizes, against slow and obvious ways."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

from midvision.core.errors import EncoderError
from midvision.encoders.seeded import seeded
from midvision.encoders.timm_backbone import TimmBackbone, build_network


@functools.cache
def backbone(arch: str) -> TimmBackbone:
    return TimmBackbone(build_network(arch), arch)


def hooked(part: Any, run: Any) -> Any:
    seen: list[Any] = []
    handle = part.register_forward_hook(lambda _m, _i, output: seen.append(output))
    try:
        run()
    finally:
        handle.remove()
    return seen[0]


def test_resnet_stages_start_after_the_pool() -> None:
    net = backbone("resnet18")
    assert [(x.channels, x.stride, x.first_centre_px) for x in net.info.layers] == [
        (64, 4, 0.5), (64, 4, 0.5), (128, 8, 0.5), (256, 16, 0.5), (512, 32, 0.5)
    ]  # fmt: skip
    assert (net.info.kind, net.info.stem_layers, net.info.size_multiple) == ("stages", 1, 32)
    pixels = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        maps = net.read(pixels, [0, 2, 4], False).maps
        stem = net.network.maxpool(net.network.act1(net.network.bn1(net.network.conv1(pixels))))
        deep = net.network.layer2(net.network.layer1(stem))
    assert torch.equal(maps[0], stem)
    assert torch.equal(maps[1], deep)


def test_vit_maps_are_raw_block_outputs() -> None:
    net = backbone("vit_tiny_patch16_224")
    assert (net.info.kind, len(net.info.layers), net.info.has_class_token) == ("transformer", 12, True)
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        block = hooked(net.network.blocks[11], lambda: net.network.forward_features(pixels))
        raw = net.read(pixels, [11], False)
        normed = net.read(pixels, [11], True)
        final = net.network.norm(block)
    assert torch.equal(raw.maps[0].flatten(2).transpose(1, 2), block[:, 1:])
    assert torch.equal(raw.pooled, block[:, 0])  # type: ignore[arg-type]
    assert torch.allclose(normed.maps[0].flatten(2).transpose(1, 2), final[:, 1:], atol=1e-5)
    assert torch.allclose(normed.pooled, final[:, 0], atol=1e-5)  # type: ignore[arg-type]


def test_layers_come_in_the_order_asked() -> None:
    net = backbone("vit_tiny_patch16_224")
    pixels = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        swapped = net.read(pixels, [11, 2], False).maps
        ordered = net.read(pixels, [2, 11], False).maps
    assert torch.equal(swapped[0], ordered[1]) and torch.equal(swapped[1], ordered[0])


def test_registers_are_dropped() -> None:
    net = backbone("vit_small_patch14_reg4_dinov2")
    assert (net.info.has_class_token, net.info.register_tokens, net.info.size_multiple) == (True, 4, 14)
    pixels = torch.randn(1, 3, 42, 56)
    with torch.no_grad():
        block = hooked(net.network.blocks[5], lambda: net.network.forward_features(pixels))
        found = net.read(pixels, [5], False).maps[0]
    assert found.shape == (1, 384, 3, 4)
    assert torch.equal(found.flatten(2).transpose(1, 2), block[:, 5:])


def test_no_class_token_means_no_pooled_vector() -> None:
    net = backbone("convnext_atto")
    assert [(x.stride, x.first_centre_px) for x in net.info.layers] == [(4, 2.0), (8, 4.0), (16, 8.0), (32, 16.0)]
    with torch.no_grad():
        assert net.read(torch.randn(1, 3, 64, 64), [3], False).pooled is None


def test_swin_takes_other_sizes() -> None:
    net = backbone("swin_tiny_patch4_window7_224")
    with torch.no_grad():
        maps = net.read(torch.randn(1, 3, 256, 192), [0, 3], False).maps
    assert [tuple(m.shape[1:]) for m in maps] == [(96, 64, 48), (768, 8, 6)]


def test_position_table_is_interpolated_not_cut() -> None:
    """A constant position table must act the same at every size."""
    net = TimmBackbone(build_network("vit_tiny_patch16_224"), "vit_tiny_patch16_224")
    with torch.no_grad():
        net.network.pos_embed.fill_(0.25)
        flat = torch.zeros(1, 3, 224, 224)
        native = net.read(flat, [11], False).maps[0]
        wide = net.read(torch.zeros(1, 3, 96, 320), [11], False).maps[0]
    assert torch.allclose(native[:, :, 0, 0], wide[:, :, 3, 9], atol=0.01)
    assert float(native.std()) > 0.1


@pytest.mark.slow
def test_copy_with_resized_tables_where_a_network_has_one_size() -> None:
    net = backbone("cait_xxs24_224")
    with torch.no_grad():
        native = net.read(torch.zeros(1, 3, 224, 224), [0], False).maps[0]
        other = net.read(torch.zeros(1, 3, 160, 256), [0], False).maps[0]
    assert native.shape[2:] == (14, 14) and other.shape[2:] == (10, 16)


def test_a_network_of_one_size_says_so() -> None:
    net = backbone("mixer_s32_224")
    with pytest.raises(EncoderError, match=r"cannot take images of 256 x 224.*made for 224 x 224"):
        net.read(torch.zeros(1, 3, 256, 224), [0], False)


@pytest.mark.parametrize("arch", ["resnet18", "vit_tiny_patch16_224"])
def test_random_weights_ignore_and_keep_global_state(arch: str) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    one = build_network(arch).state_dict()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]  # noqa: NPY002
    torch.manual_seed(2)
    other = build_network(arch).state_dict()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not torch.equal(one[next(iter(one))], torch.zeros_like(one[next(iter(one))]))


def test_random_resnet_has_live_branches() -> None:
    """timm starts the last normalisation of every block at zero, which would leave identities."""
    assert all(float(block.bn2.weight.detach().abs().min()) > 0 for block in backbone("resnet18").network.layer3)


def test_seed_depends_on_its_purpose_only() -> None:
    with seeded("a", "b"):
        one = torch.rand(3)
    with seeded("a", "b"):
        again = torch.rand(3)
    with seeded("ab"):
        other = torch.rand(3)
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        # By hand: padded odd kernels keep 0.5; TensorFlow's one-sided padding adds a stride each step.
        ("efficientnet_b0", [0.5, 0.5, 0.5, 0.5, 0.5]),
        ("tf_efficientnet_b0", [1.5, 3.5, 7.5, 15.5, 31.5]),
    ],
)
def test_measured_first_centres(arch: str, expected: list[float]) -> None:
    assert [layer.first_centre_px for layer in backbone(arch).info.layers] == expected
