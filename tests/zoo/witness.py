"""Features of a checkpoint by another way than midvision's: library networks filled directly, read through hooks.

ResNets are torchvision's, transformers timm's with the position table of the image's size. DINO and iBOT enlarge the
table by a scale factor of (cells + 0.1) / 14, MAE, MaskFeat and DeiT to the number of cells, all bicubic without
antialiasing; MoCo v3, whose code knows no other size, takes timm's rule (antialiased).
"""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
import torchvision
from published_files import Case, Published
from published_tensors import GRID, State
from torch import Tensor, nn

import midvision as mv
from midvision.core.features import ImageEncoder

MEAN = (0.485, 0.456, 0.406)
STD = {"imagenet": (0.229, 0.224, 0.225), "swav": (0.228, 0.224, 0.225)}
BLOCKS = (2, 5, 8, 11)
# Largest difference over the standard deviation of the layer's features, which is between 1.5 and 3.5 here.
RESNET_LIMIT, VIT_LIMIT = 1e-5, 2e-5


def sample_images(size: int, count: int = 1) -> Tensor:
    """Random images in [0, 1], smooth enough to carry structure at every scale."""
    generator = torch.Generator().manual_seed(size)
    coarse = torch.rand(count, 3, 7, 7, generator=generator)
    fine = torch.rand(count, 3, size, size, generator=generator)
    return (F.interpolate(coarse, size=(size, size), mode="bilinear") + fine) / 2


def witness_maps(case: Case, tensors: State, images: Tensor) -> list[Tensor]:
    """Four maps `[B, C, h, w]`, before any final norm."""
    deviation = STD[case.facts.get("pixels", "imagenet")]
    pixels = (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(deviation).view(1, 3, 1, 1)
    if case.is_resnet:
        return _resnet_maps(tensors, pixels)
    return _vit_maps(tensors, pixels, case.facts.get("positions", "size"))


def found_maps(encoder: ImageEncoder, images: Tensor) -> list[Tensor]:
    return list(mv.features(encoder, images).maps)


def difference(found: list[Tensor], expected: list[Tensor]) -> float:
    """The largest over all layers, in standard deviations of the layer."""
    assert [values.shape for values in found] == [values.shape for values in expected]
    return max(float((a - b).abs().max() / b.std()) for a, b in zip(found, expected))


def limit(case: Case) -> float:
    return RESNET_LIMIT if case.is_resnet else VIT_LIMIT


def assert_same_tensors(encoder: Any, published: Published, tensors: State | None = None) -> None:
    """Every parameter and statistic of the network is bit for bit the file's."""
    held = encoder.backbone.network.state_dict()
    given = published.tensors if tensors is None else tensors
    rest = set(held) - set(given)
    assert all(name.endswith("num_batches_tracked") for name in rest) and set(given) <= set(held)
    for name, value in given.items():
        assert torch.equal(held[name], value), name


def _hooked(network: nn.Module, parts: list[nn.Module], pixels: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []
    hooks = [part.register_forward_hook(lambda _m, _i, output: kept.append(output)) for part in parts]
    with torch.inference_mode():
        network.eval()(pixels)
    for hook in hooks:
        hook.remove()
    return kept


def _resnet_maps(tensors: State, pixels: Tensor) -> list[Tensor]:
    with torch.device("meta"):
        network = torchvision.models.resnet50()
    network.fc = nn.Identity()
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith("num_batches_tracked")}
    network.load_state_dict({**counters, **tensors}, strict=True, assign=True)
    return _hooked(network, [network.layer1, network.layer2, network.layer3, network.layer4], pixels)


def _vit_maps(tensors: State, pixels: Tensor, rule: str) -> list[Tensor]:
    cells = pixels.shape[-1] // 16
    with torch.device("meta"):
        network: Any = timm.create_model("vit_base_patch16_224", num_classes=0, img_size=pixels.shape[-1])
    table = positions_at(tensors["pos_embed"], cells, rule)
    network.load_state_dict({**tensors, "pos_embed": table}, strict=True, assign=True)
    tokens = _hooked(network, [network.blocks[block] for block in BLOCKS], pixels)
    return [values[:, 1:].unflatten(1, (cells, cells)).permute(0, 3, 1, 2) for values in tokens]


def positions_at(table: Tensor, cells: int, rule: str) -> Tensor:
    """`[1, 1 + cells * cells, C]` of a table for 14 x 14 cells."""
    if cells == GRID:
        return table
    grid = table[:, 1:].unflatten(1, (GRID, GRID)).permute(0, 3, 1, 2)
    if rule == "offset":
        factor = (cells + 0.1) / GRID
        grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
    else:
        grid = F.interpolate(grid, size=(cells, cells), mode="bicubic", antialias=rule == "size")
    assert grid.shape[-2:] == (cells, cells)
    return torch.cat([table[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
