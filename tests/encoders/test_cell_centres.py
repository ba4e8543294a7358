"""Measuring where cells look, on maps whose answer is known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from midvision.core.errors import EncoderError
from midvision.encoders.centres import gradient_centroids, measured_first_centres, rerandomise, snap


def one_sided(inside: int, outside: int) -> nn.Module:
    """Padding at the end only, as TensorFlow's for even sizes."""
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(inside, outside, 3, 2))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([nn.Conv2d(3, 32, 7, 2, padding=3), nn.Conv2d(32, 64, 3, 2, padding=1)], [0.5, 0.5]),
        ([nn.Conv2d(3, 32, 4, 4), nn.Conv2d(32, 64, 2, 2)], [2.0, 4.0]),
        ([nn.Conv2d(3, 32, 3, 2, padding=1), nn.AvgPool2d(2)], [0.5, 1.5]),
        ([one_sided(3, 32), one_sided(32, 64)], [1.5, 3.5]),
    ],
)
def test_first_centres_by_hand(steps: list[nn.Module], expected: list[float]) -> None:
    """Cell i of a kernel k, stride s, padding p is centred at index s i - p + (k - 1) / 2 of its input."""
    generator = torch.Generator().manual_seed(0)
    for step in steps:
        for weights in step.parameters():
            weights.data = torch.rand(weights.shape, generator=generator) + 0.5

    def read(pixels: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for step in steps:
            pixels = step(pixels)
            maps.append(pixels)
        return maps

    with torch.no_grad():
        strides = [64 // int(found.shape[2]) for found in read(torch.zeros(1, 3, 64, 64))]
    assert measured_first_centres(read, (64, 64), strides) == expected


def test_centroid_of_one_pixel() -> None:
    def read(pixels: torch.Tensor) -> list[torch.Tensor]:
        return [pixels[:, :, 2::8, 5::8]]

    found = gradient_centroids(read, (32, 32), 0, [(0, 0), (2, 3)])
    assert found.tolist() == [[2.5, 5.5], [18.5, 29.5]]


@pytest.mark.parametrize(
    ("measured", "stride", "exact"),
    [(7.7, 16, 8.0), (1.1, 32, 0.5), (0.4, 4, 0.5), (14.2, 32, 16.0), (6.4, 16, 6.5), (1.52, 4, 1.5)],
)
def test_snapping(measured: float, stride: float, exact: float) -> None:
    assert snap(measured, stride) == exact


def test_constants_stay_when_weights_are_drawn_anew() -> None:
    """One number, or a gain of ones, has no spread: drawn anew it would be nothing, or no number."""
    module = nn.ParameterList([torch.full((1, 1), 2.0), torch.ones(4, 1, 1), torch.randn(4, 4)])
    before = module[2].detach().clone()
    rerandomise(module, torch.Generator().manual_seed(0))
    assert float(module[0]) == 2.0 and torch.equal(module[1], torch.ones(4, 1, 1))
    assert bool(torch.isfinite(module[2]).all()) and not torch.equal(module[2], before)


def test_maps_that_answer_to_no_pixel_are_told() -> None:
    with pytest.raises(EncoderError, match="cannot be measured"):
        measured_first_centres(lambda pixels: [pixels[:, :, ::8, ::8] * 0], (32, 32), [8])
