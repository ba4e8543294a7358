"""Controls say what they are said to say, and nothing more."""

from __future__ import annotations

import pytest
import torch

from midvision.core.errors import UsageError
from midvision.encoders.ask import features
from midvision.encoders.controls import CONTROLS, ControlEncoder


@pytest.mark.parametrize("name", sorted(CONTROLS))
def test_shapes_repeatable_and_batch_independent(name: str) -> None:
    encoder = ControlEncoder(name)
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    together = features(encoder, images)
    assert tuple(together.maps[0].shape) == (3, CONTROLS[name].channels, 4, 6)
    assert tuple(together.pooled.shape) == (3, CONTROLS[name].pooled_channels)  # type: ignore[union-attr]
    assert torch.equal(torch.get_rng_state(), before)
    for row in range(3):
        alone = features(encoder, images[row : row + 1])
        assert torch.equal(alone.maps[0][0], together.maps[0][row])
        assert torch.equal(alone.pooled[0], together.pooled[row])  # type: ignore[index]


def test_pixels_hold_every_pixel_of_the_patch() -> None:
    images = torch.rand(1, 3, 32, 48)
    maps = features(ControlEncoder("pixels"), images).maps[0]
    patch = maps[0, :, 1, 2].view(3, 16, 16) + 0.5
    assert torch.allclose(patch, images[0, :, 16:32, 32:48], atol=1e-6)


def test_colour_is_the_mean_and_pooled_is_a_histogram() -> None:
    images = torch.rand(1, 3, 32, 32)
    found = features(ControlEncoder("colour"), images)
    assert torch.allclose(found.maps[0][0, :, 0, 1], images[0, :, :16, 16:].mean((1, 2)), atol=1e-6)
    assert float(found.pooled.square().sum()) == pytest.approx(1.0, abs=1e-5)  # type: ignore[union-attr]
    shuffled = images.flatten(2)[:, :, torch.randperm(1024)].view(1, 3, 32, 32)
    assert torch.equal(features(ControlEncoder("colour"), shuffled).pooled, found.pooled)  # type: ignore[arg-type]


def test_position_is_found_again_by_cosine() -> None:
    maps = features(ControlEncoder("position"), torch.rand(2, 3, 64, 96)).maps[0]
    assert torch.equal(maps[0], maps[1])
    directions = torch.nn.functional.normalize(maps[0].flatten(1), dim=0)
    assert torch.equal((directions.T @ directions).argmax(1), torch.arange(24))
    assert float(maps[0, 0, 0, 0]) == pytest.approx(-1 + 1 / 6) and float(maps[0, 1, 3, 0]) == pytest.approx(0.75)


def test_noise_belongs_to_its_image() -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64)) / 255
    one = features(ControlEncoder("noise"), images)
    almost = features(ControlEncoder("noise"), (images + 1e-7).clamp(0, 1))
    assert torch.equal(one.maps[0], almost.maps[0])
    first, second = one.maps[0].flatten(1)
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.05
    assert float(first.std()) == pytest.approx(1.0, abs=0.05)


def test_controls_ignore_pixel_statistics() -> None:
    images = torch.rand(1, 3, 32, 32)
    encoder = ControlEncoder("colour")
    one, other = features(encoder, images), features(encoder, images, pixel_stats="imagenet")
    assert torch.equal(one.maps[0], other.maps[0])


def test_unknown_control() -> None:
    with pytest.raises(UsageError, match="pixels"):
        ControlEncoder("pixel")
