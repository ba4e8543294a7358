"""torchvision's ResNets and ConvNeXts, read at their stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torchvision.models as models
from torch import Tensor, nn

from midvision.core.errors import DataError, UsageError, nearest
from midvision.encoders.module_backbone import ModuleBackbone
from midvision.encoders.plan import PIXEL_STATS
from midvision.encoders.seeded import seeded
from midvision.encoders.timm_backbone import Statistics

_RESNET_PARTS = ("maxpool", "layer1", "layer2", "layer3", "layer4")
_CONVNEXT_PARTS = ("features.1", "features.3", "features.5", "features.7")


def is_torchvision(arch: str) -> bool:
    return arch in models.list_models(module=models)


def open_torchvision_random(arch: str) -> ModuleBackbone:
    """Seeded random weights; touches no network."""
    return _backbone(_build(arch), arch, PIXEL_STATS["imagenet"])


def open_torchvision(arch: str, fit: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]) -> ModuleBackbone:
    """With the library's recommended weights: what `fit` makes of their file for the network's names and shapes."""
    network = _build(arch)
    weights: Any = models.get_model_weights(arch).DEFAULT
    network.load_state_dict(fit(network.state_dict()))
    transform = weights.transforms()
    return _backbone(network, arch, (tuple(transform.mean), tuple(transform.std)))


def torchvision_url(arch: str) -> str:
    """Where the library's recommended weights are published."""
    _check(arch)
    try:
        weights: Any = models.get_model_weights(arch).DEFAULT
    except (AttributeError, ValueError) as error:
        raise DataError(f"torchvision has no weights for {arch}.", "Some are needed.", f"Use random/{arch}.") from error
    return str(weights.url)


def _check(arch: str) -> None:
    if not is_torchvision(arch):
        known = [name for name in models.list_models(module=models) if "resne" in name or "convnext" in name]
        raise UsageError(f"torchvision has no network {arch!r}.", nearest(arch, known), "See: midvision list models")


def _build(arch: str) -> nn.Module:
    _check(arch)
    with seeded("random weights", "torchvision", arch):
        network: nn.Module = models.get_model(arch, weights=None)
    return network.eval()


def _backbone(network: nn.Module, arch: str, statistics: Statistics) -> ModuleBackbone:
    parts: tuple[str, ...]
    centres: tuple[float, ...]
    if isinstance(network, models.ResNet):
        parts, centres = _RESNET_PARTS, (0.5,) * 5
    elif isinstance(network, models.ConvNeXt):
        parts, centres = _CONVNEXT_PARTS, (2.0, 4.0, 8.0, 16.0)
    else:
        raise UsageError(
            f"torchvision's {arch} is not read at its layers.",
            "Its ResNets and ConvNeXts are.",
            "Use timm's network of that name (timm/..., random/...), or wrap it with midvision.wrap.",
        )
    backbone = ModuleBackbone(
        network,
        layers=parts,
        patch_size=None,
        prefix=(False, 0),
        statistics=statistics,
        preprocess=None,
        label=f"torchvision/{arch}",
    )
    backbone.probe((128, 128), 32, centres)
    backbone.info = replace(backbone.info, stem_layers=len(parts) - 4)
    return backbone
