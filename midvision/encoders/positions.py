"""Position tables brought to another grid, where timm offers no way of its own or the publisher another."""

from __future__ import annotations

import math
from functools import partial
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from midvision.core.errors import EncoderError

# Rules that are not timm's: what is added to the number of cells before it is divided by the table's.
EXTRA_CELLS = {"dino": 0.1, "bicubic": 0.0}


def use_positions(network: nn.Module, rule: str) -> None:
    """Let a timm transformer interpolate its position table by another rule than timm's antialiased one.

    Both are bicubic without antialiasing. `dino` (DINO, iBOT, DINOv2): by a scale factor of
    (cells + 0.1) / table cells; the tenth is part of the sampling positions, so a table resized to the same
    number of cells differs. `bicubic` (DeiT, MAE, OpenMMLab): to the number of cells.
    """
    extra = EXTRA_CELLS[rule]
    own: Any = network
    table = getattr(own, "pos_embed", None)
    if table is None or not getattr(own, "dynamic_img_size", False) or getattr(own, "no_embed_class", False):
        raise EncoderError(
            f"{type(network).__name__} has no position table with a class token's row.",
            f"The rule {rule!r} of interpolation needs one.",
            "Choose another rule of positions.",
        )

    # A bound method follows the network into a deep copy; a closure would keep to the original's table.
    own._pos_embed = MethodType(partial(_add_positions, extra), network)


def _add_positions(extra: float, network: Any, tokens: Tensor) -> Tensor:
    size = (tokens.shape[1], tokens.shape[2])
    rows = bicubic_table(network.pos_embed, int(network.num_prefix_tokens), size, extra)
    before = [part.expand(len(tokens), -1, -1) for part in (network.cls_token, network.reg_token) if part is not None]
    summed: Tensor = network.pos_drop(torch.cat([*before, tokens.flatten(1, 2)], dim=1) + rows)
    return summed


def bicubic_table(table: Tensor, prefix: int, size: tuple[int, int], extra: float) -> Tensor:
    """A table `[1, prefix + side * side, C]` at `size` = (rows, columns) of cells; `extra` as in `EXTRA_CELLS`."""
    side = math.isqrt(table.shape[1] - prefix)
    if size == (side, side):
        return table
    grid = table[:, prefix:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if extra:
        scale = ((size[0] + extra) / side, (size[1] + extra) / side)
        resized = F.interpolate(grid, scale_factor=scale, mode="bicubic", align_corners=False)
    else:
        resized = F.interpolate(grid, size=size, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :prefix], resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


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
