"""The DPT head of the reference, in its transformer and its residual-network form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from midvision.core.specs import HeadRules
from midvision.geometry.lookup import resize_map, upsample
from midvision.probes.decoders.layers import Inputs, Top, seeded_conv


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions plus identity.

    `order` says where the ReLUs stand: `after` each convolution (transformers), `before` (stages),
    or `in_place` (before, and the identity is rectified too: the reference's in-place ReLU).
    """

    def __init__(self, width: int, order: str, generator: torch.Generator) -> None:
        super().__init__()
        self.order = order
        self.first = seeded_conv(generator, width, width, 3, padding=1)
        self.second = seeded_conv(generator, width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.order == "after":
            return x + functional.relu(self.second(functional.relu(self.first(x))))
        active = functional.relu(x)
        identity = active if self.order == "in_place" else x
        raised: Tensor = self.second(functional.relu(self.first(active)))
        return identity + raised


class Fusion(nn.Module):
    """Adds what comes from deeper levels to a level; the deepest level has nothing to add."""

    def __init__(self, width: int, order: str, deepest: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.level = None if deepest else ResidualUnit(width, order, generator)
        self.after = ResidualUnit(width, order, generator)

    def forward(self, level: Tensor, deeper: Tensor | None) -> Tensor:
        if self.level is not None and deeper is not None:
            level = self.level(level) + deeper
        fused: Tensor = self.after(level)
        return fused


class DPT(nn.Module):
    """Maps -> `[B, K, H, W]` at the final scale (patch grid x16, or stage-1 grid x4), the top applied.

    The top stands before the last x2 resize: the same number where that resize is `nearest`
    (`paper`), a quarter of the memory everywhere. Transformer form where all maps have the same
    grid, residual form otherwise; there, strided maps are first moved to equal cells, each level
    is brought to the size of the next, and `paper` aligns corners in that step.
    """

    def __init__(self, inputs: Inputs, outputs: int, hidden: int, rules: HeadRules, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs, self.rules = inputs, rules
        self.patches = inputs.same_size
        order = "after" if self.patches else "in_place" if rules.residual_relu == "in_place" else "before"
        kernel = 1 if self.patches else 3
        self.project = nn.ModuleList(
            seeded_conv(generator, channels, hidden, kernel, padding=kernel // 2, bias=self.patches)
            for channels in inputs.channels
        )
        last = len(inputs.channels) - 1
        self.fuse = nn.ModuleList(Fusion(hidden, order, level == last, generator) for level in range(last + 1))
        self.refine = seeded_conv(generator, hidden, hidden, 3, padding=1)
        self.out = seeded_conv(generator, hidden, outputs, 3, padding=1)

    def forward(self, maps: Sequence[Tensor], top: Top) -> Tensor:
        x = self._fused_patches(maps) if self.patches else self._fused_stages(maps)
        x = top(self.out(functional.relu(self.refine(x))))
        return upsample(x, _times(x, 2), self.rules.upsampling)

    def _levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        even = [resize_map(x, grid, grid.size) for x, grid in zip(maps, self.inputs.grids, strict=True)]
        return [conv(x) for conv, x in zip(self.project, even)]

    def _fused_patches(self, maps: Sequence[Tensor]) -> Tensor:
        x: Tensor | None = None
        for level, fuse in reversed(list(zip(self._levels(maps), self.fuse))):
            x = fuse(upsample(level, _times(level, 2), self.rules.upsampling), x)
        assert x is not None
        return upsample(x, _times(x, 4), self.rules.upsampling)

    def _fused_stages(self, maps: Sequence[Tensor]) -> Tensor:
        levels = self._levels(maps)
        mode: Literal["corners", "bilinear"] = "corners" if self.rules.upsampling == "nearest" else "bilinear"
        sizes = [_times(levels[0], 2), *(_times(level, 1) for level in levels[:-1])]
        x: Tensor | None = None
        for level, fuse, size in reversed(list(zip(levels, self.fuse, sizes))):
            x = upsample(fuse(level, x), size, mode)
        assert x is not None
        return x


def _times(x: Tensor, factor: int) -> tuple[int, int]:
    return int(x.shape[-2]) * factor, int(x.shape[-1]) * factor
