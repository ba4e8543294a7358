"""The linear head: one convolution over all maps, read on the stride-4 grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from midvision.core.features import Grid
from midvision.geometry.lookup import resize_map
from midvision.probes.decoders.layers import Inputs, Top, seeded_conv


def fine_size(inputs: Inputs) -> tuple[int, int]:
    """Cells of the grid with stride 4 or so: the finest map's grid, times 4 for 16-pixel patches."""
    finest = min(inputs.grids, key=lambda grid: grid.stride[0] * grid.stride[1])
    scale = [max(1, round(stride / 4)) for stride in finest.stride]
    return finest.size[0] * scale[0], finest.size[1] * scale[1]


class Linear(nn.Module):
    """Maps on their own grids -> `[B, K, H/4, W/4]`, the top applied.

    With kernel 1, projecting first and resizing the few outputs equals the literal order (resize
    every map, concatenate, convolve), because both steps are linear and the resize is the same
    for every channel. With kernel 3 (`paper`) the literal order is used.
    """

    def __init__(self, inputs: Inputs, outputs: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs = inputs
        self.conv = seeded_conv(generator, sum(inputs.channels), outputs, kernel, padding=kernel // 2)

    def forward(self, maps: Sequence[Tensor], top: Top) -> Tensor:
        if self.conv.kernel_size != (1, 1):
            return top(self.literal(maps))
        size = fine_size(self.inputs)
        by_grid: dict[Grid, Tensor] = {}
        weights = torch.split(self.conv.weight, list(self.inputs.channels), 1)
        for x, weight, grid in zip(maps, weights, self.inputs.grids, strict=True):
            projected = functional.conv2d(x, weight)
            by_grid[grid] = by_grid[grid] + projected if grid in by_grid else projected
        total = sum(resize_map(x, grid, size) for grid, x in by_grid.items())
        assert self.conv.bias is not None and isinstance(total, Tensor)
        return top(total + self.conv.bias[:, None, None])

    def literal(self, maps: Sequence[Tensor]) -> Tensor:
        """Raw outputs in the order of the definition: resize, concatenate, convolve."""
        size = fine_size(self.inputs)
        fine = [resize_map(x, grid, size) for x, grid in zip(maps, self.inputs.grids, strict=True)]
        raw: Tensor = self.conv(torch.cat(fine, 1))
        return raw
