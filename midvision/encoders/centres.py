"""Where the first cell of a map is centred: measured from gradients where no construction tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from midvision.core.errors import EncoderError
from midvision.core.seeds import torch_generator

ReadMaps = Callable[[Tensor], Sequence[Tensor]]


def rerandomise(network: nn.Module, generator: torch.Generator) -> None:
    """Fresh Gaussian weights of the same spread in place: one small random kernel alone leans to a side.

    Constants (gains, layer scales, single numbers) have no spread and stay.
    """
    with torch.no_grad():
        for weights in network.parameters():
            if weights.ndim > 1 and (spread := float(weights.std(correction=0))) > 0:
                weights.copy_(torch.randn(weights.shape, generator=generator) * spread)


def gradient_centroids(
    read: ReadMaps, size: tuple[int, int], layer: int, cells: Sequence[tuple[int, int]], draws: int = 4
) -> Tensor:
    """Centroid (y, x), in pixels with half-integer centres, of what each cell looks at: `[cells, 2]` float64.

    Weights are squared input gradients of random projections of the cell, summed over colours and
    `draws` random images. `read` maps `[1, 3, H, W]` pixels to the maps of its layers.
    """
    generator = torch_generator("cell centres", layer, *size)
    weights = torch.zeros(len(cells), *size, dtype=torch.float64)
    for _ in range(draws):
        pixels = torch.randn(1, 3, *size, generator=generator).requires_grad_(True)
        values = read(pixels)[layer]
        for row, cell in enumerate(cells):
            squared = _squared_gradient(values, cell, pixels, generator)
            weights[row] += squared / squared.sum().clamp_min(1e-300)
    return torch.stack([_centroid(entry) for entry in weights])


def measured_first_centres(
    read: ReadMaps, size: tuple[int, int], strides: Sequence[int], draws: int = 16
) -> list[float]:
    """First cell centres of all layers, in input pixels.

    Each layer is measured against the one before it, in whose cells the truth is a multiple of a
    half (the middle of an even or odd kernel), so that measuring errors cannot add up. Where a map
    handed out is not the one computed on (a permuted copy), pixels take its place. `read` should draw
    its weights anew: in narrow networks many draws are needed, projections of one draw lean alike.
    """
    generator = torch_generator("cell centres", *size)
    seen: list[list[Tensor]] = [[] for _ in strides]
    relative = [False] * len(strides)
    for _ in range(draws):
        pixels = torch.randn(1, 3, *size, generator=generator).requires_grad_(True)
        maps = read(pixels)
        for layer, values in enumerate(maps):
            relative[layer] = layer > 0 and _depends(values, maps[layer - 1])
            source = maps[layer - 1] if relative[layer] else pixels
            seen[layer].append(_looked_at(values, source, generator))
    centres: list[float] = []
    for layer, stride in enumerate(strides):
        weights = torch.stack(seen[layer]).sum(0)
        before = strides[layer - 1]
        if relative[layer]:
            found = _first_centre(weights, stride / before)
            centres.append(centres[-1] + before * (round(2 * (found - 0.5)) / 2))
        else:
            centres.append(snap(_first_centre(weights, float(stride)), stride))
    return centres


def snap(centre: float, stride: float) -> float:
    """The likeliest exact value behind a centre measured in pixels: half a stride, 0.5, or some half pixel."""
    near = min((stride / 2, 0.5), key=lambda exact: abs(exact - centre))
    return near if abs(near - centre) <= max(0.25, 0.06 * stride) else round(centre * 2) / 2


def _looked_at(values: Tensor, source: Tensor, generator: torch.Generator, projections: int = 2) -> Tensor:
    """Squared gradients of the two middle cells of `values` with respect to `source`: `[2, H, W]`."""
    cells = _middle_cells(values.shape[2], values.shape[3])
    summed = [torch.zeros(source.shape[2:], dtype=torch.float64) for _ in cells]
    for weights, cell in zip(summed, cells):
        for _ in range(projections):
            weights += _squared_gradient(values, cell, source, generator)
    return torch.stack(summed)


def _middle_cells(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Near the middle the border cuts a large receptive field evenly."""
    return ((height - 1) // 2, (width - 1) // 2), (height // 2, width // 2)


def _first_centre(weights: Tensor, stride: float) -> float:
    """First centre, in cells of the source (whose first centre is 0.5), from `[2, H, W]` squared gradients.

    A background that every input place shares (global attention, squeeze and excitation) is removed,
    and squaring once more favours the direct path over window attention.
    """
    height, width = weights.shape[1:]
    cells = _middle_cells(round(height / stride), round(width / stride))
    middle = torch.tensor([height, width], dtype=torch.float64) / 2
    found: list[tuple[float, float]] = []
    for seen, cell in zip(weights, cells):
        centroid = _centroid((seen - seen.median()).clamp_min(0).square())
        offset = centroid - torch.tensor(cell, dtype=torch.float64) * stride
        found.append((float((centroid - middle).abs().max()), float(offset.mean())))
    if not all(isfinite(offset) for _, offset in found):
        raise EncoderError(
            "Where the cells of this network look cannot be measured: they answer to no pixel.",
            "Maps that depend on the image are expected.",
            "Choose another network, or wrap it yourself with midvision.wrap.",
        )
    closest = min(distance for distance, _ in found)
    votes = [offset for distance, offset in found if distance <= closest + 0.1 * stride]
    return sum(votes) / len(votes)


def _squared_gradient(values: Tensor, cell: tuple[int, int], source: Tensor, generator: torch.Generator) -> Tensor:
    """Squared gradient `[H, W]` of a random projection of one cell, summed over the channels of `source`."""
    direction = torch.randn(values.shape[1], generator=generator).to(values)
    answer = (values[0, :, cell[0], cell[1]] * direction).sum()
    (gradient,) = torch.autograd.grad(answer, source, retain_graph=True)
    return gradient[0].detach().double().square().sum(0).cpu()


def _depends(values: Tensor, source: Tensor) -> bool:
    (gradient,) = torch.autograd.grad(values.sum(), source, retain_graph=True, allow_unused=True)
    return gradient is not None


def _centroid(weights: Tensor) -> Tensor:
    total = weights.sum()
    rows = torch.arange(weights.shape[0], dtype=torch.float64) + 0.5
    columns = torch.arange(weights.shape[1], dtype=torch.float64) + 0.5
    return torch.stack([(weights.sum(1) * rows).sum(), (weights.sum(0) * columns).sum()]) / total
