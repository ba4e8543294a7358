"""Every family of encoders keeps the same contract; random weights, no network.

The full measurement of alignment is `tests/accept/test_alignment_encoders.py`; here it is scaled down.
"""

from __future__ import annotations

import functools
import importlib.util

import numpy as np
import pytest
import torch
from encoder_alignment import blob_slope, centroid_errors, probe_cells
from torch import Tensor, nn

import midvision as mv
from midvision.core.features import FeatureSpec
from midvision.encoders.controls import CONTROLS
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import make_plan
from midvision.zoo.ids import CONTROL_TITLES
from midvision.zoo.load import encoder_key

NETWORKS = (
    "random/vit_tiny_patch16_224",
    "random/resnet18",
    "random/convnext_atto",
    "random/swin_tiny_patch4_window7_224",
    "random/regnetx_002",
    "module",
)
SMALL = ("random/vit_tiny_patch16_224", "random/resnet18", "random/convnext_atto", "module")


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Conv2d(3, 48, 8, 8), nn.Conv2d(48, 64, 3, 2, padding=1)])

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.steps[0](x)
        return [first, self.steps[1](first.tanh())]


@functools.cache
def encoder(name: str) -> Encoder:
    if name == "module":
        torch.manual_seed(0)
        return mv.wrap(Tiny())
    found = mv.load_model(name)
    assert isinstance(found, Encoder)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_declared_shapes_hold_at_two_sizes(name: str) -> None:
    net = encoder(name)
    for size in ((64, 96), (128, 64)):
        plan = make_plan(FeatureSpec(image_size=size, layers=tuple(range(len(net.info.layers)))), net.info)
        found = net(torch.rand(2, 3, *plan.input_size), plan)
        assert [tuple(m.shape[1:]) for m in found.maps] == [(x.channels, *x.grid.size) for x in plan.layers]
        assert found.pooled is not None and tuple(found.pooled.shape) == (2, net.info.pooled_channels)
        assert all(bool(torch.isfinite(m).all()) for m in found.maps)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_image_is_the_same_alone_in_a_batch_and_twice(name: str) -> None:
    net = encoder(name)
    plan = make_plan(FeatureSpec(image_size=(64, 64)), net.info)
    images = torch.rand(5, 3, *plan.input_size, generator=torch.Generator().manual_seed(0))
    together = net(images, plan)
    for row in (0, 4):
        alone = net(images[row : row + 1], plan)
        for one, many in zip((*alone.maps, alone.pooled), (*together.maps, together.pooled)):
            assert one is not None and many is not None
            assert torch.allclose(one[0], many[row], rtol=1e-4, atol=1e-5 * float(many.abs().max()))
    again = net(images, plan)
    assert all(torch.equal(a, b) for a, b in zip(together.maps, again.maps))


@pytest.mark.parametrize("name", NETWORKS)
def test_use_changes_no_weights_no_mode_and_no_random_state(name: str) -> None:
    net = encoder(name)
    module = net.backbone
    assert isinstance(module, nn.Module)
    plan = make_plan(FeatureSpec(image_size=(64, 64)), net.info)
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    net(torch.ones(2, 3, *plan.input_size) * 0.3, plan)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]  # noqa: NPY002
    assert all(torch.equal(weights[key], value) for key, value in module.state_dict().items())
    assert not any(part.training for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "module"])
def test_loading_is_independent_of_random_state_and_names_its_key(name: str) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    one = mv.load_model(name)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(321)
    assert one.key == mv.load_model(name).key == encoder_key(name) == encoder(name).key
    plan = make_plan(FeatureSpec(image_size=(64, 64), layers=(-1,)), one.info)
    images = torch.rand(1, 3, *plan.input_size)
    assert torch.equal(one.encode(["a"], images, plan).maps[0], encoder(name)(images, plan).maps[0])


def test_controls_are_listed_as_they_are() -> None:
    assert {name: control.title for name, control in CONTROLS.items()} == CONTROL_TITLES


def test_transformers_is_installed_for_tests() -> None:
    assert importlib.util.find_spec("transformers") is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_cells_look_where_they_are_declared(name: str) -> None:
    net = mv.wrap(Tiny()) if name == "module" else mv.load_model(name)
    assert isinstance(net, Encoder)
    plan = make_plan(FeatureSpec(image_size=(224, 224)), net.info)
    checked = 0
    for layer in (plan.layers[0], plan.layers[-1]):
        errors, cut = centroid_errors(net, layer.grid, layer.index, probe_cells(layer.grid.size, 4))
        counted = errors if net.info.kind == "transformer" else errors[~cut]
        assert len(counted) == 0 or float(np.abs(counted).max()) < 0.1
        checked += len(counted)
    assert checked > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_blobs_are_found_where_they_are(name: str) -> None:
    assert blob_slope(encoder(name), (224, 224), blobs=60) == pytest.approx(1.0, abs=0.02)
