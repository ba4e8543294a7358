"""Layer rules, sizes and grids of a plan, against the protocol's own tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midvision.core.errors import UsageError
from midvision.core.features import EncoderInfo, FeatureSpec, LayerInfo
from midvision.encoders.plan import default_layers, make_plan, resolve_layers, resolve_size

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def transformer(blocks: int, patch: int = 16) -> EncoderInfo:
    layer = LayerInfo(192, patch, patch / 2)
    return EncoderInfo((layer,) * blocks, "transformer", 0, 192, True, 0, *IMAGENET, patch, 1)


def resnet() -> EncoderInfo:
    strides, channels = (4, 4, 8, 16, 32), (64, 256, 512, 1024, 2048)
    layers = tuple(LayerInfo(c, s, 0.5) for c, s in zip(channels, strides))
    return EncoderInfo(layers, "stages", 1, 2048, False, 0, *IMAGENET, 32, 1)


def four_stages() -> EncoderInfo:
    layers = tuple(LayerInfo(c, s, s / 2) for c, s in zip((40, 80, 160, 320), (4, 8, 16, 32)))
    return EncoderInfo(layers, "stages", 0, 320, False, 0, *IMAGENET, 32, 1)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (transformer(12), (2, 5, 8, 11)),
        (transformer(24), (5, 11, 17, 23)),
        (transformer(32), (7, 15, 23, 31)),
        (transformer(14), (2, 6, 8, 13)),
        (transformer(2), (0, 1)),
        (resnet(), (1, 2, 3, 4)),
        (four_stages(), (0, 1, 2, 3)),
    ],
)
def test_default_layers(info: EncoderInfo, expected: tuple[int, ...]) -> None:
    assert default_layers(info) == expected


@pytest.mark.parametrize(
    ("info", "wishes", "expected"),
    [
        (transformer(12), (-1,), (11,)),
        (transformer(12), (11, 0), (0, 11)),
        (transformer(12), (0.25, 0.5, 0.75, 1.0), (2, 5, 8, 11)),
        (transformer(12), (1,), (1,)),
        (transformer(12), (1.0,), (11,)),
        (transformer(12), (0.01,), (0,)),
        (transformer(12), (-1, 11, 1.0), (11,)),
        (resnet(), (0,), (0,)),
        (resnet(), (0.25, 1.0), (1, 4)),
        (resnet(), (-1,), (4,)),
        (four_stages(), (0.25, 0.5), (0, 1)),
    ],
)
def test_layer_wishes(info: EncoderInfo, wishes: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert resolve_layers(wishes, info) == expected


@pytest.mark.parametrize("wish", [12, -13, 0.0, 1.5, -0.5, True])
def test_impossible_layers_are_refused(wish: float) -> None:
    with pytest.raises(UsageError):
        resolve_layers((wish,), transformer(12))
    with pytest.raises(UsageError):
        resolve_layers((), transformer(12))


@pytest.mark.parametrize(
    ("asked", "multiple", "expected"),
    [
        ((480, 640), 16, (480, 640)),
        ((480, 640), 14, (476, 644)),
        ((224, 224), 32, (224, 224)),
        ((448, 336), 32, (448, 352)),
        ((5, 100), 16, (16, 96)),
        ((112, 113), 16, (112, 112)),
    ],
)
def test_sizes_go_to_the_nearest_multiple(asked: tuple[int, int], multiple: int, expected: tuple[int, int]) -> None:
    assert resolve_size(asked, multiple, "resize") == (expected, (0, 0, 0, 0))


@given(st.integers(1, 2000), st.sampled_from([14, 16, 32]))
def test_no_multiple_is_nearer(side: int, multiple: int) -> None:
    (found, _), _ = resolve_size((side, side), multiple, "resize")
    assert found % multiple == 0 and found >= multiple
    assert found == multiple or abs(found - side) <= multiple / 2


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((480, 480), (5, 5, 5, 5)),
        ((480, 640), (5, 2, 5, 2)),
        ((476, 476), (0, 0, 0, 0)),
        ((476, 480), (7, 5, 7, 5)),  # one side divides already: the reference gives it a whole patch
        ((481, 481), (4, 4, 5, 5)),
    ],
)
def test_padding_is_the_reference_code_s(asked: tuple[int, int], expected: tuple[int, int, int, int]) -> None:
    assert resolve_size(asked, 14, "pad") == (asked, expected)


def test_padded_grid_lies_on_the_unpadded_image() -> None:
    plan = make_plan(FeatureSpec(image_size=(480, 480), fit="pad"), transformer(12, patch=14))
    grid = plan.layers[0].grid
    assert grid.size == (35, 35)
    assert grid.first_centre == (7.0 - 5, 7.0 - 5)
    assert grid.extent == (480.0, 480.0)


def test_grids_carry_true_first_centres() -> None:
    plan = make_plan(FeatureSpec(image_size=(480, 480)), resnet())
    assert [layer.index for layer in plan.layers] == [1, 2, 3, 4]
    assert [layer.grid.size for layer in plan.layers] == [(120, 120), (60, 60), (30, 30), (15, 15)]
    assert all(layer.grid.first_centre == (0.5, 0.5) for layer in plan.layers)
    patches = make_plan(FeatureSpec(image_size=(480, 640)), transformer(12)).layers[-1].grid
    assert (patches.size, patches.first_centre) == ((30, 40), (8.0, 8.0))


def test_pixel_statistics() -> None:
    spec = FeatureSpec(image_size=(224, 224), pixel_stats="half")
    assert make_plan(spec, resnet()).pixel_mean == (0.5, 0.5, 0.5)
    assert make_plan(replace(spec, pixel_stats="checkpoint"), resnet()).pixel_std == IMAGENET[1]
    plain = replace(resnet(), pixel_mean=(0.0, 0.0, 0.0), pixel_std=(1.0, 1.0, 1.0))
    assert make_plan(spec, plain).pixel_std == (1.0, 1.0, 1.0), "a module that takes [0, 1] pixels keeps them"


def test_pooled_channels() -> None:
    spec = FeatureSpec(image_size=(224, 224), layers=(1,))
    info = replace(resnet(), pooled_channels=100)
    assert make_plan(spec, info).pooled_channels == 100
    assert make_plan(replace(spec, pooled="mean"), info).pooled_channels == 2048
    assert make_plan(replace(spec, pooled="none"), info).pooled_channels == 0
