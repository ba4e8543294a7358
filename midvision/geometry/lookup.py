"""Reading grids: the only code that interpolates maps or samples them at pixel positions.

A map's cell `i` is centred at `first_centre + i * stride` pixels of `grid.extent` (half-integer
pixel centres). `centres="uniform"` ignores that and tiles the extent equally, as the reference
tools do; for patches both agree, for strided convolutions they differ by almost half a cell.
Outside the outermost centres the border value holds.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from midvision.core.features import Grid

Mode = Literal["bilinear", "bicubic", "nearest"]
Centres = Literal["true", "uniform"]
Border = Literal["clamp", "zeros"]

_CUBIC_A = -0.75
"""The constant of the usual (Keys) bicubic kernel, as torch and OpenCV use it."""


def as_read(grid: Grid, centres: Centres) -> Grid:
    """The grid that a lookup uses: the true one, or equal cells over the same extent."""
    return grid if centres == "true" else Grid.uniform(grid.size, grid.extent)


def is_uniform(grid: Grid) -> bool:
    """Whether the cells tile the extent equally (to a millionth of a cell)."""
    even = Grid.uniform(grid.size, grid.extent)
    pairs = zip(grid.stride + grid.first_centre, even.stride + even.first_centre, strict=True)
    return all(abs(have - want) <= 1e-6 * max(even.stride) for have, want in pairs)


def resize_map(
    x: Tensor, grid: Grid, size: tuple[int, int], mode: Mode = "bilinear", centres: Centres = "true"
) -> Tensor:
    """Values of `x [B, C, h, w]` at the pixel centres of an `size` (H, W) raster over `grid.extent`.

    For a uniform grid this equals `interpolate(align_corners=False)` (nearest: `nearest-exact`).
    """
    grid = as_read(grid, centres)
    _check(x, grid)
    if is_uniform(grid):
        if tuple(size) == grid.size:
            return x
        if mode == "nearest":
            return functional.interpolate(x, size=size, mode="nearest-exact")
        return functional.interpolate(x, size=size, mode=mode, align_corners=False)
    rows = _weights(_positions(size[0], grid, 0), grid.size[0], mode, x)
    columns = _weights(_positions(size[1], grid, 1), grid.size[1], mode, x)
    return torch.matmul(torch.matmul(rows, x), columns.T)


def upsample(x: Tensor, size: tuple[int, int], mode: Mode | Literal["corners"] = "bilinear") -> Tensor:
    """`x [B, C, h, w]`, equal cells over some extent, on a raster of `size`.

    `corners` is bilinear with the outermost centres of both rasters on each other
    (`align_corners=True`), as parts of the reference have it.
    """
    height, width = int(x.shape[-2]), int(x.shape[-1])
    if mode != "corners":
        return resize_map(x, Grid.uniform((height, width), (float(size[0]), float(size[1]))), size, mode)
    stride = ((size[0] - 1) / max(height - 1, 1) or 1.0, (size[1] - 1) / max(width - 1, 1) or 1.0)
    return resize_map(x, Grid((height, width), stride, (0.5, 0.5), (float(size[0]), float(size[1]))), size)


def sample_map(
    x: Tensor,
    grid: Grid,
    xy: Tensor,
    mode: Mode = "bilinear",
    centres: Centres = "true",
    border: Border = "clamp",
) -> Tensor:
    """Values `[N, C]` of `x [C, h, w]` at `xy [N, 2]`, given in pixels of `grid.extent`.

    `border="zeros"` lets cells outside the map count as zero (grid sampling with zero padding).
    """
    grid = as_read(grid, centres)
    _check(x, grid)
    xy = xy.to(x.device)
    columns, column_weights = _taps((xy[:, 0] - grid.first_centre[1]) / grid.stride[1], grid.size[1], mode, border)
    rows, row_weights = _taps((xy[:, 1] - grid.first_centre[0]) / grid.stride[0], grid.size[0], mode, border)
    flat = x.flatten(1).T
    out = torch.zeros((xy.shape[0], x.shape[0]), dtype=x.dtype, device=x.device)
    for row, row_weight in zip(rows.unbind(1), row_weights.unbind(1), strict=True):
        for column, column_weight in zip(columns.unbind(1), column_weights.unbind(1), strict=True):
            weight = (row_weight * column_weight).to(x.dtype)
            out = out + weight[:, None] * flat[row * grid.size[1] + column]
    return out


def sample_lattice(
    x: Tensor, grid: Grid, y: Tensor, across: Tensor, mode: Mode = "bilinear", centres: Centres = "true"
) -> Tensor:
    """`sample_map` at every crossing of rows `y [R]` and columns `across [S]`, in row order: `[R * S, C]`.

    One axis after the other, which needs a fraction of the work.
    """
    grid = as_read(grid, centres)
    _check(x, grid)
    rows = _weights((y - grid.first_centre[0]) / grid.stride[0], grid.size[0], mode, x)
    columns = _weights((across - grid.first_centre[1]) / grid.stride[1], grid.size[1], mode, x)
    return torch.matmul(torch.matmul(rows, x), columns.T).flatten(1).T


def recentre(x: Tensor, grid: Grid) -> Tensor:
    """`x [B, C, h, w]` read bilinearly at equally spaced centres; patches stay as they are."""
    return resize_map(x, grid, grid.size)


def bring_to(x: Tensor, grid: Grid, target: Grid, centres: Centres = "true") -> Tensor:
    """`x [B, C, h, w]` on the cells of the uniform grid `target` over the same extent.

    Finer maps are averaged over the target's cells by overlap area, coarser ones read bilinearly.
    """
    grid = as_read(grid, centres)
    _check(x, grid)
    if grid.stride[0] > target.stride[0] * 1.001 or grid.stride[1] > target.stride[1] * 1.001:
        return resize_map(x, grid, target.size)
    if is_uniform(grid) and grid.size == target.size:
        return x
    rows, columns = (_averaging(grid, target, axis, x) for axis in (0, 1))
    return torch.matmul(torch.matmul(rows, x), columns.T)


def cell_average(values: Tensor, weight: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Mean of `values [B, K, H, W]` over the weighted pixels of each true cell.

    `weight [B, 1, H, W]` is bool or 0..1; the raster covers `grid.extent`. Returns
    `(mean [B, K, h, w], share [B, 1, h, w])`; the share is of the whole cell, and a cell without
    any weight has mean 0. Values under zero weight are never read, NaN included.
    """
    size = (values.shape[-2], values.shape[-1])
    dtype = values.dtype if values.dtype.is_floating_point else torch.float32
    weight = weight.to(dtype)
    weighted = torch.where(weight > 0, values.to(dtype), torch.zeros((), dtype=dtype, device=values.device)) * weight
    rows = _overlap(_cells(grid, 0), _pixels(size[0], grid.extent[0]), values.device, dtype)
    columns = _overlap(_cells(grid, 1), _pixels(size[1], grid.extent[1]), values.device, dtype)
    total = torch.matmul(torch.matmul(rows, weight), columns.T)
    mean = torch.matmul(torch.matmul(rows, weighted), columns.T) / total.clamp_min(torch.finfo(dtype).tiny)
    share = total / (grid.stride[0] * grid.stride[1])
    return torch.where(total > 0, mean, torch.zeros_like(mean)), share.clamp(0, 1)


def _check(x: Tensor, grid: Grid) -> None:
    if tuple(x.shape[-2:]) != tuple(grid.size):
        raise ValueError(f"A map of {tuple(x.shape[-2:])} cells was read with a grid of {tuple(grid.size)}.")


def _positions(count: int, grid: Grid, axis: int) -> Tensor:
    """Raster pixel centres along an axis, in cells of the grid (0 = first centre)."""
    pixels = (torch.arange(count, dtype=torch.float64) + 0.5) * (grid.extent[axis] / count)
    return (pixels - grid.first_centre[axis]) / grid.stride[axis]


def _taps(position: Tensor, length: int, mode: Mode, border: Border) -> tuple[Tensor, Tensor]:
    """Cells `[N, taps]` that a position (in cells) reads along one axis, and their weights."""
    position = position.to(torch.float64)
    if mode == "nearest":
        cells, weights = torch.floor(position + 0.5)[:, None], torch.ones_like(position)[:, None]
    else:
        offsets = torch.arange(0, 2) if mode == "bilinear" else torch.arange(-1, 3)
        cells = torch.floor(position)[:, None] + offsets.to(position.device)
        distance = (position[:, None] - cells).abs()
        weights = 1 - distance if mode == "bilinear" else _cubic(distance)
    if border == "zeros":
        weights = torch.where((cells >= 0) & (cells < length), weights, torch.zeros_like(weights))
    return cells.clamp(0, length - 1).long(), weights


def _cubic(distance: Tensor) -> Tensor:
    near = (_CUBIC_A + 2) * distance**3 - (_CUBIC_A + 3) * distance**2 + 1
    far = _CUBIC_A * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return torch.where(distance <= 1, near, far)


def _weights(position: Tensor, length: int, mode: Mode, like: Tensor) -> Tensor:
    """The same taps as a matrix `[N, length]`, in the type and on the device of `like`."""
    cells, weights = _taps(position, length, mode, "clamp")
    matrix = torch.zeros((position.shape[0], length), dtype=torch.float64)
    return matrix.scatter_add_(1, cells, weights).to(like.device, like.dtype)


def _cells(grid: Grid, axis: int) -> Tensor:
    """Cell borders `[h, 2]` along an axis, in extent pixels."""
    centres = grid.first_centre[axis] + grid.stride[axis] * torch.arange(grid.size[axis], dtype=torch.float64)
    return torch.stack((centres - grid.stride[axis] / 2, centres + grid.stride[axis] / 2), 1)


def _pixels(count: int, extent: float) -> Tensor:
    edges = torch.arange(count + 1, dtype=torch.float64) * (extent / count)
    return torch.stack((edges[:-1], edges[1:]), 1)


def _overlap(a: Tensor, b: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Overlap lengths `[len(a), len(b)]` of two lists of intervals."""
    low = torch.maximum(a[:, None, 0], b[None, :, 0])
    high = torch.minimum(a[:, None, 1], b[None, :, 1])
    return (high - low).clamp_min(0).to(device, dtype)


def _averaging(grid: Grid, target: Grid, axis: int, like: Tensor) -> Tensor:
    """Matrix `[target cells, cells]` of overlap shares; the outermost cells reach to the border."""
    source = _cells(grid, axis)
    source[0, 0], source[-1, 1] = min(0.0, float(source[0, 0])), max(grid.extent[axis], float(source[-1, 1]))
    shares = _overlap(_cells(target, axis), source, torch.device("cpu"), torch.float64)
    return (shares / shares.sum(1, keepdim=True)).to(like.device, like.dtype)
