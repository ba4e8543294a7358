"""One family of networks taken through the contract of encoders: what it is found to be, or its refusal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from encoder_alignment import blob_slope
from family_bounds import BATCH, BLOB_SLOPE, DEEP, SHALLOW
from torch import Tensor

import midvision as mv
from midvision.core.errors import EncoderError
from midvision.core.features import FeaturePlan, Features, FeatureSpec, Grid, PlannedLayer
from midvision.encoders.centres import rerandomise
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import PIXEL_STATS, make_plan


@dataclass(frozen=True)
class Family:
    """`model` is a timm architecture, or a transformers configuration without "Config" that takes `settings`.

    `sizes` are the image sizes walked; the first is also where alignment is measured.
    """

    name: str
    model: str
    sizes: tuple[tuple[int, int], ...] = ((128, 128), (96, 160))
    library: str = "timm"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Walked:
    """What was found. `shallow_error`, `deep_error` and `slope` are the measures of alignment."""

    layers: int
    kind: str
    strides: tuple[int, ...]
    centres: tuple[float, ...]
    channels: tuple[int, ...]
    tokens: str
    sizes: tuple[tuple[int, int], ...]
    other_size: str
    shallow_error: float
    deep_error: float
    slope: float
    batch_error: float
    seconds: float


def build(family: Family) -> Encoder:
    if family.library == "timm":
        found = mv.load_model(f"random/{family.model}")
        assert isinstance(found, Encoder)
        return found
    import transformers

    from midvision.encoders.hf_backbone import HFBackbone

    torch.manual_seed(0)
    config = getattr(transformers, f"{family.model}Config")(**family.settings)
    network = getattr(transformers, f"{family.model}Model")(config)
    name = f"transformers/{family.model}"
    return Encoder(HFBackbone(network.eval(), PIXEL_STATS["imagenet"], family.model), name, name)


def walk(family: Family, blobs: int = 20) -> Walked:
    """All checks on one family. `EncoderError` where it cannot be built or takes none of the sizes."""
    start = time.process_time()
    encoder = build(family)
    info = encoder.info
    taken, refusal, batch_error = [], "", 0.0
    for size in family.sizes:
        plan = make_plan(FeatureSpec(image_size=size, layers=tuple(range(len(info.layers))), dtype="float32"), info)
        try:
            batch_error = max(batch_error, check_at(encoder, plan))
        except EncoderError as error:
            if not taken:
                raise
            refusal = str(error)
            continue
        taken.append(plan.input_size)
    plan = make_plan(FeatureSpec(image_size=taken[0], dtype="float32"), info)
    shallow = centroid_error_in_pixels(encoder, plan, plan.layers[0], draws=12)
    deep = centroid_error_in_pixels(encoder, plan, plan.layers[-1], draws=5)
    return Walked(
        layers=len(info.layers),
        kind=info.kind,
        strides=tuple(layer.stride for layer in info.layers),
        centres=tuple(layer.first_centre_px for layer in info.layers),
        channels=tuple(layer.channels for layer in info.layers),
        tokens=own_tokens(info.has_class_token, info.register_tokens),
        sizes=tuple(dict.fromkeys(taken)),
        other_size=refusal,
        shallow_error=shallow,
        deep_error=deep,
        slope=blob_slope(encoder, taken[0], blobs=blobs),
        batch_error=batch_error,
        seconds=time.process_time() - start,
    )


def own_tokens(has_class: bool, others: int) -> str:
    """In words: "class", "class + 4", "4, no class", or nothing."""
    if has_class:
        return f"class + {others}" if others else "class"
    return f"{others}, no class" if others else ""


def bounds_broken(walked: Walked) -> list[str]:
    """Which measurements are out of bounds, in words."""
    checks = (
        (walked.shallow_error, SHALLOW, "first planned layer's centre"),
        (walked.deep_error, DEEP, "last planned layer's centre"),
        (abs(walked.slope - 1), BLOB_SLOPE, "slope of blobs"),
        (walked.batch_error, BATCH, "batch independence"),
    )
    return [f"{what}: {value:.3g} exceeds {bound:g}" for value, bound, what in checks if not value <= bound]


def check_at(encoder: Encoder, plan: FeaturePlan) -> float:
    """Shapes, finite values, pooled shape, the same twice; returns how far a row is from its image alone."""
    images = torch.rand(3, 3, *plan.input_size, generator=torch.Generator().manual_seed(0))
    together = encoder(images, plan)
    assert [tuple(m.shape) for m in together.maps] == [(3, x.channels, *x.grid.size) for x in plan.layers]
    for layer in plan.layers:
        covered = [cells * stride for cells, stride in zip(layer.grid.size, layer.grid.stride)]
        assert tuple(covered) == plan.input_size, (layer, plan.input_size)
    assert together.pooled is not None and tuple(together.pooled.shape) == (3, encoder.info.pooled_channels)
    again = encoder(images, plan)
    assert all(torch.equal(a, b) for a, b in zip(_all(together), _all(again)))
    alone = encoder(images[2:], plan)
    worst = 0.0
    for one, many in zip(_all(alone), _all(together)):
        assert float(many.std()) > 0, "features do not vary"
        worst = max(worst, float((one[0] - many[2]).abs().max() / many.abs().max()))
    return worst


def centroid_error_in_pixels(encoder: Encoder, plan: FeaturePlan, layer: PlannedLayer, draws: int) -> float:
    """Distance, in cells, from declared centres to gradient centroids in pixels.

    Measured on cells about the middle, where borders cut most evenly. What every pixel shares (global
    attention, squeeze and excitation) is taken off. Weights are drawn anew for every image.
    """
    generator = torch.Generator().manual_seed(1000 + layer.index)
    cells = middle_cells(layer.grid)
    seen = torch.zeros(len(cells), *plan.input_size, dtype=torch.float64)
    before = {name: value.clone() for name, value in encoder.backbone.state_dict().items()}
    for _ in range(draws):
        rerandomise(encoder.backbone, generator)
        pixels = torch.randn(1, 3, *plan.input_size, generator=generator).requires_grad_(True)
        values = encoder.backbone.read(pixels, [layer.index], False).maps[0]
        for row, (y, x) in enumerate(cells):
            direction = torch.randn(values.shape[1], generator=generator)
            (gradient,) = torch.autograd.grad((values[0, :, y, x] * direction).sum(), pixels, retain_graph=True)
            squared = gradient[0].double().square().sum(0)
            seen[row] += squared / squared.sum()
    encoder.backbone.load_state_dict(before)
    return _error(seen, cells, layer.grid)


def _error(seen: Tensor, cells: Sequence[tuple[int, int]], grid: Grid) -> float:
    found = torch.stack([_centroid((entry - entry.median()).clamp_min(0)) for entry in seen])
    declared = [[grid.first_centre[i] + cell[i] * grid.stride[i] for i in (0, 1)] for cell in cells]
    offsets = (found - torch.tensor(declared, dtype=torch.float64)) / torch.tensor(grid.stride, dtype=torch.float64)
    return float(offsets.mean(0).abs().max())


def middle_cells(grid: Grid) -> Sequence[tuple[int, int]]:
    """The one or two cells whose declared centres are nearest to the middle of the image, evenly about it."""
    axes = []
    for side in (0, 1):
        centres = grid.first_centre[side] + np.arange(grid.size[side]) * grid.stride[side]
        distance = np.abs(centres - grid.extent[side] / 2)
        axes.append([int(i) for i in np.flatnonzero(distance < distance.min() + 0.1 * grid.stride[side])])
    return sorted({(axes[0][0], axes[1][0]), (axes[0][-1], axes[1][-1])})


def _centroid(weights: Tensor) -> Tensor:
    rows, columns = (torch.arange(side, dtype=torch.float64) + 0.5 for side in weights.shape)
    return torch.stack([(weights.sum(1) * rows).sum(), (weights.sum(0) * columns).sum()]) / weights.sum()


def _all(features: Features) -> tuple[Tensor, ...]:
    assert features.pooled is not None
    return (*features.maps, features.pooled)
