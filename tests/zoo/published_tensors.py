"""Tensors of the two networks under their public names, with random values that keep features of order one.

Written from a description of the published files alone; nothing of midvision, timm or torchvision is used.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
from torch import Tensor

State = dict[str, Tensor]
GRID, WIDTH, DEPTH = 14, 768, 12


def resnet50_shapes(classes: int = 0) -> dict[str, tuple[int, ...]]:
    """318 names of a ResNet-50 with its stride in the 3 x 3 convolution (320 with a classifier)."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), **_norm("bn1", 64)}
    before = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            shapes[f"{at}.conv1.weight"] = (width, before, 1, 1)
            shapes |= _norm(f"{at}.bn1", width)
            shapes[f"{at}.conv2.weight"] = (width, width, 3, 3)
            shapes |= _norm(f"{at}.bn2", width)
            shapes[f"{at}.conv3.weight"] = (4 * width, width, 1, 1)
            shapes |= _norm(f"{at}.bn3", 4 * width)
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = (4 * width, before, 1, 1)
                shapes |= _norm(f"{at}.downsample.1", 4 * width)
            before = 4 * width
    if classes:
        shapes |= {"fc.weight": (classes, 2048), "fc.bias": (classes,)}
    return shapes


def vitb16_shapes(classes: int = 0) -> dict[str, tuple[int, ...]]:
    """150 names of a ViT-B/16 with class token and learned or stored positions (152 with a classifier)."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + GRID * GRID, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 16, 16),
        "patch_embed.proj.bias": (WIDTH,),
    }
    for block in range(DEPTH):
        at = f"blocks.{block}"
        shapes |= _pair(f"{at}.norm1", (WIDTH,))
        shapes |= _pair(f"{at}.attn.qkv", (3 * WIDTH, WIDTH)) | _pair(f"{at}.attn.proj", (WIDTH, WIDTH))
        shapes |= _pair(f"{at}.norm2", (WIDTH,))
        shapes |= _pair(f"{at}.mlp.fc1", (4 * WIDTH, WIDTH)) | _pair(f"{at}.mlp.fc2", (WIDTH, 4 * WIDTH))
    shapes |= _pair("norm", (WIDTH,))
    return shapes | (_pair("head", (classes, WIDTH)) if classes else {})


def resnet50_tensors(seed: str, counters: bool = True, classes: int = 0) -> State:
    """Random weights; running statistics differ from their start values. `counters`: with batch counters."""
    random = _generator(seed)
    shapes = resnet50_shapes(classes)
    return {
        name: _resnet_value(name, shape, random)
        for name, shape in shapes.items()
        if counters or not name.endswith("num_batches_tracked")
    }


def vitb16_tensors(seed: str, positions: str = "learned", classes: int = 0) -> State:
    """Random weights; `positions` are `learned` (random), `rows first` or `columns first` (sines, class row zero)."""
    random = _generator(seed)
    state = {name: _vit_value(name, shape, random) for name, shape in vitb16_shapes(classes).items()}
    if positions != "learned":
        state["pos_embed"] = sine_positions(rows_first=positions == "rows first")
    return state


def sine_positions(rows_first: bool) -> Tensor:
    """`[1, 197, 768]`: half of the channels for one coordinate, half for the other, sines before cosines."""
    rates = 1.0 / 10000 ** (np.arange(WIDTH // 4) / (WIDTH / 4))
    rows, columns = (axis.reshape(-1, 1) * rates for axis in np.mgrid[:GRID, :GRID].astype(np.float64))
    first, second = (rows, columns) if rows_first else (columns, rows)
    table = np.concatenate([np.sin(first), np.cos(first), np.sin(second), np.cos(second)], axis=1)
    return torch.from_numpy(np.concatenate([np.zeros((1, WIDTH)), table]).astype(np.float32))[None]


def twin(state: State) -> State:
    """The same names with other values of the same spread: a momentum encoder. Positions stay."""
    return {name: value.roll(1) if name != "pos_embed" else value for name, value in state.items()}


def shaped(*shape: int) -> Tensor:
    """A head's tensor in its full shape over one stored number, so that files stay small."""
    return torch.tensor(0.01).expand(shape)


def shaped_norm(name: str, width: int, affine: bool = True) -> State:
    """The tensors of a batch norm in a head."""
    parts = ("weight", "bias", "running_mean", "running_var") if affine else ("running_mean", "running_var")
    return {
        **{f"{name}.{part}": shaped(width) for part in parts},
        f"{name}.num_batches_tracked": torch.tensor(7),
    }


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {**{f"{name}.{part}": (width,) for part in parts}, f"{name}.num_batches_tracked": ()}


def _pair(name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def _generator(seed: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(seed.encode()))


def _normal(shape: tuple[int, ...], spread: float, random: np.random.Generator) -> Tensor:
    values = random.standard_normal(shape, dtype=np.float32)
    values *= spread
    return torch.from_numpy(values)


def _between(shape: tuple[int, ...], low: float, high: float, random: np.random.Generator) -> Tensor:
    return torch.from_numpy(random.uniform(low, high, shape).astype(np.float32))


def _resnet_value(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(1234)
    if len(shape) > 1:
        fan_in = math.prod(shape[1:])
        return _normal(shape, math.sqrt(2.0 / fan_in), random)
    if name.endswith("running_var"):
        return _between(shape, 0.6, 1.5, random)
    if name.endswith("weight"):
        # The last norm of a branch is kept weak, or sixteen branches would add up.
        return _between(shape, 0.2, 0.4, random) if ".bn3." in name else _between(shape, 0.7, 1.1, random)
    return _normal(shape, 0.1, random)


def _vit_value(name: str, shape: tuple[int, ...], random: np.random.Generator) -> Tensor:
    if "norm" in name and name.endswith("weight"):
        return _between(shape, 0.8, 1.2, random)
    if name in ("pos_embed", "cls_token"):
        return _normal(shape, 0.15, random)
    if len(shape) > 1:
        return _normal(shape, 0.02 if name.endswith(("attn.proj.weight", "fc2.weight")) else 0.04, random)
    return _normal(shape, 0.05, random)
