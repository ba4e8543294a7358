"""The multiscale head of Probe3D: every map projected, joined on the last map's grid, two stacks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from midvision.core.features import Grid
from midvision.geometry.lookup import Mode, resize_map, upsample
from midvision.probes.decoders.layers import Inputs, Top, seeded_conv


class Multiscale(nn.Module):
    """Maps -> `[B, K, 8h, 8w]` of the last map's grid (`h`, `w`), the top applied.

    Convolutions are unpadded, so kernel 3 (`paper`) eats the border of every map.
    """

    def __init__(
        self, inputs: Inputs, outputs: int, hidden: int, kernel: int, upsampling: Mode, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.inputs, self.upsampling = inputs, upsampling
        levels = len(inputs.channels)
        self.project = nn.ModuleList(seeded_conv(generator, c, hidden, kernel) for c in inputs.channels)
        widths = (levels * hidden, hidden, hidden, hidden)
        self.join = nn.ModuleList(seeded_conv(generator, a, b, kernel) for a, b in pairwise(widths))
        self.refine = seeded_conv(generator, hidden, hidden, kernel)
        self.out = seeded_conv(generator, hidden, outputs, kernel)

    @staticmethod
    def fits(inputs: Inputs, kernel: int) -> bool:
        """Whether unpadded convolutions leave anything of the last map."""
        eaten = kernel - 1
        return all(((side - eaten) * 2 - 3 * eaten) * 4 - 2 * eaten > 0 for side in inputs.grids[-1].size) and all(
            min(grid.size) > eaten for grid in inputs.grids
        )

    def forward(self, maps: Sequence[Tensor], top: Top) -> Tensor:
        projected = [conv(x) for conv, x in zip(self.project, maps, strict=True)]
        size = (int(projected[-1].shape[-2]), int(projected[-1].shape[-1]))
        placed = [resize_map(x, self._grid(x, grid), size) for x, grid in zip(projected, self.inputs.grids)]
        x = self._enlarge(functional.relu(torch.cat(placed, 1)), 2)
        for conv in self.join:
            x = functional.relu(conv(x))
        x = functional.relu(self.refine(self._enlarge(x, 4)))
        return top(self.out(x))

    def _grid(self, x: Tensor, grid: Grid) -> Grid:
        """The map's grid, or equal cells where an unpadded convolution has eaten the border."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        return grid if size == grid.size else Grid.uniform(size, grid.extent)

    def _enlarge(self, x: Tensor, times: int) -> Tensor:
        return upsample(x, (int(x.shape[-2]) * times, int(x.shape[-1]) * times), self.upsampling)
