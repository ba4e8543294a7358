"""Pieces that the decoders share: seeded convolutions and where a decoder's maps lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from midvision.core.features import FeaturePlan, Grid
from midvision.geometry.lookup import Centres, as_read

Top = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Channels and grids of the maps that a decoder reads, shallow to deep."""

    channels: tuple[int, ...]
    grids: tuple[Grid, ...]

    @staticmethod
    def of(plan: FeaturePlan, centres: Centres) -> Inputs:
        """Those of a plan; `uniform` centres let the grids tile the image."""
        layers = plan.layers
        return Inputs(tuple(p.channels for p in layers), tuple(as_read(p.grid, centres) for p in layers))

    @property
    def same_size(self) -> bool:
        """Whether all maps have the same cells: a transformer rather than stages."""
        return len(set(self.grids)) == 1


def seeded_conv(
    generator: torch.Generator, inputs: int, outputs: int, kernel: int, padding: int = 0, bias: bool = True
) -> nn.Conv2d:
    """A convolution with torch's usual uniform initial weights, drawn from `generator` alone."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias, device="meta").to_empty(device="cpu")
    bound = 1 / math.sqrt(inputs * kernel * kernel)
    with torch.no_grad():
        conv.weight.uniform_(-bound, bound, generator=generator)
        if conv.bias is not None:
            conv.bias.uniform_(-bound, bound, generator=generator)
    return conv


def sizes_of(maps: Sequence[Tensor]) -> list[tuple[int, int]]:
    return [(int(m.shape[-2]), int(m.shape[-1])) for m in maps]
