"""Lookups against torch's interpolation, a plain loop, and constructed maps with known answers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from midvision.core.features import Grid
from midvision.geometry.lookup import bring_to, cell_average, recentre, resize_map, sample_lattice, sample_map, upsample

RESNET = Grid((7, 9), (16.0, 16.0), (0.5, 0.5), (112.0, 144.0))


def _noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _ramp(grid: Grid) -> Tensor:
    """A map whose value is its own true centre: channels x, y."""
    y = grid.first_centre[0] + grid.stride[0] * torch.arange(grid.size[0], dtype=torch.float64)
    x = grid.first_centre[1] + grid.stride[1] * torch.arange(grid.size[1], dtype=torch.float64)
    return torch.stack((x[None, :].expand(grid.size), y[:, None].expand(grid.size)))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(28, 36), (7, 9), (5, 20)])
def test_uniform_resize_is_torch_interpolation(mode: str, size: tuple[int, int]) -> None:
    x = _noise(2, 3, 7, 9)
    ours = resize_map(x, Grid.uniform((7, 9), (112, 144)), size, mode)
    torch.testing.assert_close(ours, functional.interpolate(x, size=size, mode=mode, align_corners=False))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_matrix_path_agrees_with_torch_on_an_almost_uniform_grid(mode: str) -> None:
    x = _noise(2, 3, 7, 9)
    grid = Grid((7, 9), (16.0, 16.0), (8.0 + 1e-4, 8.0 + 1e-4), (112.0, 144.0))
    uniform = resize_map(x, Grid.uniform((7, 9), (112, 144)), (28, 36), mode)
    torch.testing.assert_close(resize_map(x, grid, (28, 36), mode), uniform, atol=1e-4, rtol=0)


def test_true_centres_return_positions() -> None:
    out = resize_map(_ramp(RESNET)[None], RESNET, (112, 144))[0]
    y, x = torch.meshgrid(torch.arange(112) + 0.5, torch.arange(144) + 0.5, indexing="ij")
    inside = (x > 20) & (x < 110) & (y > 20) & (y < 80)
    assert (out[0] - x)[inside].abs().max() < 1e-9
    assert (out[1] - y)[inside].abs().max() < 1e-9
    shifted = resize_map(_ramp(RESNET)[None], RESNET, (112, 144), centres="uniform")[0]
    torch.testing.assert_close((shifted[0] - x)[inside], torch.full((int(inside.sum()),), -7.5, dtype=torch.float64))


def test_border_is_clamped() -> None:
    out = resize_map(_ramp(RESNET)[None], RESNET, (112, 144))[0]
    assert out[0, 0, -1] == 128.5 and out[1, -1, 0] == 96.5 and out[0, 0, 0] == 0.5


def test_sample_returns_positions_and_matches_resize() -> None:
    xy = torch.tensor([[20.25, 33.0], [100.0, 90.5], [0.5, 0.5]], dtype=torch.float64)
    torch.testing.assert_close(sample_map(_ramp(RESNET), RESNET, xy), xy)
    x = _noise(4, 7, 9)
    for mode in ("bilinear", "bicubic", "nearest"):
        for centres in ("true", "uniform"):
            raster = resize_map(x[None], RESNET, (112, 144), mode, centres)[0]
            columns, rows = torch.tensor([0, 3, 77, 143]), torch.tensor([0, 60, 33, 111])
            points = torch.stack((columns, rows), 1) + 0.5
            torch.testing.assert_close(sample_map(x, RESNET, points, mode, centres), raster[:, rows, columns].T)


@pytest.mark.parametrize("border", ["clamp", "zeros"])
def test_sample_is_grid_sample_on_a_uniform_grid(border: str) -> None:
    x, grid = _noise(4, 7, 9), Grid.uniform((7, 9), (112, 144))
    xy = torch.rand((50, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 160 - 8
    relative = xy / torch.tensor([144.0, 112.0]) * 2 - 1
    padding = "border" if border == "clamp" else "zeros"
    oracle = functional.grid_sample(x[None], relative[None, None], "bilinear", padding, align_corners=False)[0, :, 0].T
    torch.testing.assert_close(sample_map(x, grid, xy, border=border), oracle)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("centres", ["true", "uniform"])
def test_a_lattice_is_every_crossing(mode: str, centres: str) -> None:
    """Uneven lines, some outside the outermost centres, against one position after the other."""
    x = torch.randn(5, *RESNET.size)
    y, across = torch.tensor([0.1, 7.3, 40.0, 90.9]).double(), torch.tensor([-2.0, 3.0, 55.5]).double()
    points = torch.stack([torch.stack((column, row)) for row in y for column in across])
    one_by_one = sample_map(x, RESNET, points, mode, centres)  # type: ignore[arg-type]
    torch.testing.assert_close(sample_lattice(x, RESNET, y, across, mode, centres), one_by_one)  # type: ignore[arg-type]


def test_recentre_moves_strided_maps_and_leaves_patches() -> None:
    moved = recentre(_ramp(RESNET)[None], RESNET)[0]
    assert torch.allclose(moved[0, 3, :8], torch.arange(8, dtype=torch.float64) * 16 + 8)
    x = _noise(1, 2, 7, 9)
    assert recentre(x, Grid.uniform((7, 9), (112, 144))) is x


def _loop_average(values: Tensor, weight: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Supersampled pixels assigned one by one; exact when cell borders fall on sub-pixel borders."""
    fine = 2
    values, weight = (t.repeat_interleave(fine, -1).repeat_interleave(fine, -2) for t in (values, weight))
    total = torch.zeros(grid.size, dtype=torch.float64)
    mean = torch.zeros((values.shape[0], *grid.size), dtype=torch.float64)
    for row in range(values.shape[1]):
        for column in range(values.shape[2]):
            y = ((row + 0.5) * grid.extent[0] / values.shape[1] - grid.first_centre[0]) / grid.stride[0]
            x = ((column + 0.5) * grid.extent[1] / values.shape[2] - grid.first_centre[1]) / grid.stride[1]
            i, j = math.floor(y + 0.5), math.floor(x + 0.5)
            if 0 <= i < grid.size[0] and 0 <= j < grid.size[1] and weight[0, row, column] > 0:
                total[i, j] += 1
                mean[:, i, j] += values[:, row, column]
    area = grid.stride[0] * grid.stride[1] * values.shape[1] * values.shape[2] / (grid.extent[0] * grid.extent[1])
    return mean / total.clamp_min(1), total / area


@pytest.mark.parametrize("first", [0.5, 2.0])
def test_cell_average_is_the_plain_loop(first: float) -> None:
    grid = Grid((4, 5), (4.0, 4.0), (first, first), (16.0, 20.0))
    values, weight = _noise(1, 2, 16, 20), _noise(1, 1, 16, 20) > 0.3
    weight[..., 4:8, 4:8] = False
    values[~weight.expand_as(values)] = float("nan")
    before = values.clone()
    mean, share = cell_average(values, weight, grid)
    slow_mean, slow_share = _loop_average(values[0], weight[0], grid)
    torch.testing.assert_close(mean[0], slow_mean)
    torch.testing.assert_close(share[0, 0], slow_share)
    assert torch.equal(values.nan_to_num(7), before.nan_to_num(7))


def test_bring_to_averages_finer_maps_by_area() -> None:
    target = Grid.uniform((2, 3), (32, 48))
    x = _noise(2, 3, 8, 12)
    pooled = functional.avg_pool2d(x, 4)
    torch.testing.assert_close(bring_to(x, Grid.uniform((8, 12), (32, 48)), target), pooled)
    ones = torch.ones(1, 1, 8, 12, dtype=torch.float64)
    strided = Grid((8, 12), (4.0, 4.0), (0.5, 0.5), (32.0, 48.0))
    torch.testing.assert_close(bring_to(ones, strided, target), torch.ones(1, 1, 2, 3, dtype=torch.float64))


def test_bring_to_reads_coarser_maps_bilinearly_and_shifts_equal_ones() -> None:
    coarse = Grid((2, 2), (32.0, 32.0), (0.5, 0.5), (64.0, 64.0))
    x = _noise(1, 3, 2, 2)
    target = Grid.uniform((4, 4), (64, 64))
    torch.testing.assert_close(bring_to(x, coarse, target), resize_map(x, coarse, (4, 4)))
    equal = Grid((7, 9), (16.0, 16.0), (0.5, 0.5), (112.0, 144.0))
    moved = bring_to(_ramp(equal)[None], equal, Grid.uniform((7, 9), (112, 144)))[0]
    torch.testing.assert_close(moved[0, 3, :8], torch.arange(8, dtype=torch.float64) * 16 + 8)
    mixed = Grid.uniform((2, 8), (64, 64))
    x = _noise(1, 3, 2, 8)
    torch.testing.assert_close(bring_to(x, mixed, target), resize_map(x, mixed, (4, 4)), msg="coarser along one axis")


@pytest.mark.parametrize("size", [(14, 18), (13, 30), (7, 9)])
def test_upsample_has_both_conventions_of_torch(size: tuple[int, int]) -> None:
    x = _noise(2, 3, 7, 9)
    corners = functional.interpolate(x, size=size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsample(x, size, "corners"), corners)
    torch.testing.assert_close(
        upsample(x, size), functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
    )
    torch.testing.assert_close(upsample(x, size, "nearest"), functional.interpolate(x, size=size, mode="nearest-exact"))


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="grid of"):
        resize_map(_noise(1, 1, 3, 3), RESNET, (4, 4))
