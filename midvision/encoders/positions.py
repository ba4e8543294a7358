"""Position tables brought to another grid, where timm offers no way of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rebuilt_for_size(network: nn.Module, other: nn.Module, size: tuple[int, int]) -> nn.Module:
    """`other`, the same architecture made for images of `size` (H, W), with the weights of `network`.

    Learned position tables are resized (bicubic, antialiased); anything else must fit as it is.
    Raises `ValueError` naming the first tensor that does not.
    """
    own, target = network.state_dict(), other.state_dict()
    state: dict[str, Tensor] = {}
    for name, wanted in target.items():
        source = own.get(name)
        if source is None:
            raise ValueError(f"{name} has no counterpart")
        if source.shape == wanted.shape:
            state[name] = source
        elif "pos_embed" in name:
            state[name] = resize_table(source, tuple(wanted.shape), size[0] / size[1])
        else:
            raise ValueError(f"{name} depends on the image size")
    other.load_state_dict(state)
    return other


def resize_table(table: Tensor, shape: tuple[int, ...], aspect: float) -> Tensor:
    """A table `[1, N, C]` (a square grid's) or `[1, h, w, C]` at another grid, `aspect` = height / width."""
    if table.ndim == 4 and len(shape) == 4 and shape[-1] == table.shape[-1]:
        return _resize(table, (shape[1], shape[2]))
    side = math.isqrt(table.shape[1]) if table.ndim == 3 else 0
    height = round(math.sqrt(shape[1] * aspect)) if len(shape) == 3 else 0
    if side == 0 or side * side != table.shape[1] or height == 0 or shape[1] % height:
        raise ValueError(f"a position table of shape {tuple(table.shape)} cannot become {shape}")
    grid = table.reshape(1, side, side, -1)
    return _resize(grid, (height, shape[1] // height)).reshape(shape)


def _resize(grid: Tensor, size: tuple[int, int]) -> Tensor:
    channels_first = grid.permute(0, 3, 1, 2).to(torch.float32)
    resized = F.interpolate(channels_first, size=size, mode="bicubic", antialias=True, align_corners=False)
    return resized.permute(0, 2, 3, 1).to(grid.dtype).contiguous()
