"""One call from images to features."""

from __future__ import annotations

import functools

import pytest
import torch

import midvision as mv
from midvision.core.errors import UsageError
from midvision.core.features import ImageEncoder


@functools.cache
def vit() -> ImageEncoder:
    return mv.load_model("random/vit_tiny_patch16_224")


def test_usual_layers_shallow_to_deep() -> None:
    found = mv.features(vit(), torch.rand(2, 3, 64, 96))
    assert [tuple(m.shape) for m in found.maps] == [(2, 192, 4, 6)] * 4
    assert tuple(found.pooled.shape) == (2, 192)
    one = mv.features(vit(), torch.rand(2, 3, 64, 96), layers=-1, pooled="none")
    assert len(one.maps) == 1 and one.pooled is None


def test_images_are_brought_to_a_size_the_network_takes() -> None:
    assert tuple(mv.features(vit(), torch.rand(1, 3, 70, 100)).maps[0].shape) == (1, 192, 4, 6)


def test_pooled_mean() -> None:
    found = mv.features(vit(), torch.rand(1, 3, 64, 64), pooled="mean")
    assert torch.allclose(found.pooled, found.maps[-1].mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize(
    "images",
    [
        torch.rand(3, 64, 64),
        torch.rand(1, 1, 64, 64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
        torch.ones(1, 3, 64, 64) * 255,
    ],
)
def test_images_that_are_no_images(images: torch.Tensor) -> None:
    with pytest.raises(UsageError):
        mv.features(vit(), images)
