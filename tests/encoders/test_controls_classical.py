"""The classical descriptor: each cue on a picture made so that its answer is known."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from midvision.encoders.controls import CONTROLS
from midvision.encoders.controls_classical import (
    CHANNELS,
    FIRST_CENTRE_PX,
    _border,
    _daisy,
    _lab,
    _place,
    _scales,
    _spread,
    _ways,
    classical_maps,
)


def smooth(size: tuple[int, int], seed: int = 3) -> Tensor:
    return F.avg_pool2d(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed)), 5, 1, 2)


def square_on(ground: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """A square over the inner 2 x 2 of 6 x 6 cells."""
    picture = ground.clone()
    picture[..., 32:64, 32:64] = torch.tensor(colour).view(3, 1, 1)
    return picture


def inner_and_outer(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Values `[channels, cells]` inside the square, and outside it off the border."""
    inside = torch.zeros(6, 6, dtype=torch.bool)
    inside[2:4, 2:4] = True
    return maps[0][:, inside], maps[0][:, ~inside]


def test_shape_is_as_declared() -> None:
    maps = classical_maps(torch.rand(2, 3, 96, 64))
    declared = CONTROLS["descriptor"]
    assert maps.shape == (2, CHANNELS, 6, 4) and CHANNELS == declared.channels == declared.pooled_channels
    assert declared.first_centre_px == FIRST_CENTRE_PX
    assert bool(torch.isfinite(classical_maps(torch.zeros(1, 3, 64, 64))).all()), "a black picture"


def test_pictures_of_a_batch_do_not_mix() -> None:
    images = torch.cat([smooth((64, 96), seed) for seed in (1, 2, 3)])
    alone = torch.cat([classical_maps(image[None]) for image in images])
    assert torch.allclose(classical_maps(images), alone, atol=1e-6)


def test_gradients_follow_the_picture() -> None:
    """Moved by one cell, the descriptors of the inner cells move along."""
    wide = smooth((96, 112))
    left, right = _daisy(wide[..., :96]), _daisy(wide[..., 16:])
    assert torch.allclose(left[..., 2:-2, 3:-2], right[..., 2:-2, 2:-3], atol=0.02)


def test_gradients_are_centred_where_declared() -> None:
    """A spot at a declared centre is seen evenly from both sides; one beside it less so."""
    blank = torch.full((1, 3, 96, 96), 0.5)
    rows = torch.arange(96) + 0.5

    def unevenness(centre: float) -> float:
        spot = torch.exp(-((rows - centre).square()[:, None] + (rows - centre).square()) / 72)
        seen = (_daisy(blank + 0.4 * spot) - _daisy(blank)).norm(dim=1)[0, 1:4, 1:4]
        return float((seen - seen.flip(0)).norm() + (seen - seen.flip(1)).norm())

    here, before, after = (unevenness(FIRST_CENTRE_PX + 16 * 2 + shift) for shift in (0.0, -1.25, 1.25))
    assert here < 0.6 * before and here < 0.6 * after


def test_lab_of_known_colours() -> None:
    """White has lightness 100, black 0, both no colour; red is L 53.2, a 80.1, b 67.2 (D65 tables)."""
    picture = torch.zeros(1, 3, 1, 3)
    picture[..., 0], picture[:, 0, :, 2] = 1.0, 1.0
    white, black, red = (_lab(picture)[0, :, 0] * 50).T
    assert torch.allclose(white, torch.tensor([100.0, 0, 0]), atol=0.1)
    assert torch.allclose(black, torch.zeros(3), atol=0.1)
    assert torch.allclose(red, torch.tensor([53.2, 80.1, 67.2]), atol=0.1)


def test_scales_of_a_flat_picture_are_its_colour_alone() -> None:
    lab = torch.tensor([1.0, 0.2, -0.3]).view(1, 3, 1, 1).expand(1, 3, 96, 96)
    maps = _scales(lab)[0].reshape(-1, 36)
    assert torch.allclose(maps.std(1), torch.zeros(len(maps)), atol=2e-3), "borders count as nothing"
    means = maps[:3, 0]
    assert torch.allclose(means, torch.tensor([1.0, 0.2, -0.3]), atol=1e-6)
    assert float(maps.abs().sum(0)[0]) < 4 * (1.0 + 0.2 + 0.3) + 0.05, "no spread, edge or contrast"


def test_scales_equal_a_loop_over_windows() -> None:
    lab = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    maps = _scales(lab)[0]
    # 7 + 3 channels of the 16 px window, then those of the 32 px one.
    for row, column in ((0, 0), (1, 2), (3, 3)):
        top, left = max(0, 16 * row - 8), max(0, 16 * column - 8)
        window = lab[0, :, top : 16 * row + 24, left : 16 * column + 24].flatten(1)
        assert torch.allclose(maps[10:13, row, column], window.mean(1), atol=1e-5)
        assert torch.allclose(maps[13:16, row, column], window.std(1, correction=0), atol=1e-4)


def test_border_distance_marks_what_the_border_lacks() -> None:
    lab = _lab(square_on(0.4 + 0.2 * smooth((96, 96)), (0.9, 0.1, 0.1)))
    inside, outside = inner_and_outer(_border(lab))
    assert float(inside[0].min()) > 3 * float(outside[0].max())


def test_ways_cross_edges_but_not_slopes() -> None:
    """An object behind an edge is far from the border; the same colour at the end of a slope is near."""
    blank = torch.full((1, 3, 96, 96), 0.2)
    inside, outside = inner_and_outer(_ways(_lab(square_on(blank, (0.8, 0.8, 0.8)))))
    assert float(inside[0].min()) > 3 * float(outside[0].max())
    ramp = torch.linspace(0.2, 0.8, 96).expand(1, 3, 96, 96)
    assert float(_ways(_lab(ramp))[:, 0].max()) < 0.5 * float(inside[0].min())


def test_spread_tells_compact_colours_from_wide_ones() -> None:
    inside, outside = inner_and_outer(_spread(_lab(square_on(torch.full((1, 3, 96, 96), 0.2), (0.9, 0.1, 0.1)))))
    wide, at_rim, often = 0, 1, 2
    assert float(inside[wide].max()) < 0.5 * float(outside[wide].min())
    assert float(inside[at_rim].max()) < 0.01 < float(outside[at_rim].min())
    # Four of 36 cells, and their own colour alone.
    assert torch.allclose(inside[often].exp(), torch.tensor(4 / 36), atol=1e-3)


def test_place_is_the_cell_centre() -> None:
    maps = _place(torch.zeros(1, 3, 32, 64))[0]
    assert torch.allclose(maps[0, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    assert torch.allclose(maps[1, :, 0], torch.tensor([-0.5, 0.5]))
    assert torch.allclose(maps[2:], maps[:2].square())
