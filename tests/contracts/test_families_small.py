"""A few families through the walk; all of them are in `tests/accept/test_families.py`."""

from __future__ import annotations

import dataclasses

import pytest
from families import FAMILIES
from family_bounds import DEEP
from family_walk import bounds_broken, build, centroid_error_in_pixels, walk

from midvision.core.features import FeatureSpec
from midvision.encoders.plan import make_plan

FEW = (
    "timm/test_convnext",
    "timm/test_vit",
    "timm/test_efficientnet",
    "timm/starnet_s050",
    "timm/test_mambaout",
    "transformers/Beit",
    "transformers/DINOv3ViT",
    "transformers/SiglipVision",
    "transformers/ConvNextV2",
    "transformers/Swin",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_family(name: str) -> None:
    assert bounds_broken(walk(FAMILIES[name])) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm/starnet_s050", "transformers/Beit"])
def test_a_wrong_centre_is_seen(name: str) -> None:
    """Half a stride from the truth: what a family gets that is taken for one of patches, or for a ResNet."""
    encoder = build(FAMILIES[name])
    plan = make_plan(FeatureSpec(image_size=(128, 128)), encoder.info)
    for layer in (plan.layers[0], plan.layers[-1]):
        half = layer.grid.stride[0] / 2
        centre = half if layer.grid.first_centre[0] < half else 0.5
        wrong = dataclasses.replace(layer, grid=dataclasses.replace(layer.grid, first_centre=(centre, centre)))
        assert centroid_error_in_pixels(encoder, plan, wrong, draws=6) > DEEP
