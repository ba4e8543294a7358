"""Does a cell look at the place where its encoder says that it lies? Two measurements on any encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from midvision.core.features import FeatureSpec, Grid
from midvision.encoders.centres import rerandomise
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import make_plan


def probe_cells(size: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """Corners, `count` cells spread over the grid, and a lattice about the middle (where few borders cut)."""
    flat = np.unique(np.linspace(0, size[0] * size[1] - 1, count).round().astype(int))
    spread = {(int(place) // size[1], (int(place) * 7) % size[1]) for place in flat}
    corners = {(0, 0), (0, size[1] - 1), (size[0] - 1, 0), (size[0] - 1, size[1] - 1)}
    steps = [(side // 2, max(1, side // 10)) for side in size]
    lattice = {tuple(middle + k * step for (middle, step), k in zip(steps, ks)) for ks in ((0, 0), (-1, 1), (1, 0))}
    return sorted(cell for cell in spread | corners | lattice if 0 <= cell[0] < size[0] and 0 <= cell[1] < size[1])


def centroid_errors(
    encoder: Encoder, grid: Grid, layer: int, cells: Sequence[tuple[int, int]], draws: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Distance from declared centre to gradient centroid in cells `[N, 2]`, and whether the border cuts `[N]`.

    Squeeze-and-excitation sees the whole image faintly, so a border counts as cutting from a share of 1e-4.
    Weights are drawn anew for every image: a single small random kernel leans to some side by chance.
    """
    generator = torch.Generator().manual_seed(layer)
    size = (int(grid.extent[0]), int(grid.extent[1]))
    seen = torch.zeros(len(cells), *size, dtype=torch.float64)
    own = {name: value.clone() for name, value in encoder.backbone.state_dict().items()}
    for _ in range(draws):
        encoder.backbone.load_state_dict(own)
        rerandomise(encoder.backbone, generator)
        pixels = torch.randn(1, 3, *size, generator=generator).requires_grad_(True)
        values = encoder.backbone.read(pixels, [layer], False).maps[0]
        for row, (y, x) in enumerate(cells):
            direction = torch.randn(values.shape[1], generator=generator)
            (gradient,) = torch.autograd.grad((values[0, :, y, x] * direction).sum(), pixels, retain_graph=True)
            squared = gradient[0].double().square().sum(0)
            seen[row] += squared / squared.sum()
    encoder.backbone.load_state_dict(own)
    rows = torch.arange(size[0]) + 0.5
    columns = torch.arange(size[1]) + 0.5
    found = torch.stack([(seen.sum(2) * rows).sum(1), (seen.sum(1) * columns).sum(1)], dim=1) / draws
    declared = torch.tensor(
        [[grid.first_centre[0] + y * grid.stride[0], grid.first_centre[1] + x * grid.stride[1]] for y, x in cells]
    )
    border = seen[:, 0].sum(1) + seen[:, -1].sum(1) + seen[:, :, 0].sum(1) + seen[:, :, -1].sum(1)
    return ((found - declared) / torch.tensor(grid.stride)).numpy(), (border > 1e-4 * draws).numpy()


def blob_slope(encoder: Encoder, image_size: tuple[int, int], blobs: int = 100, batch: int = 10) -> float:
    """Slope of found on declared cell centres for random blobs, on the first map of the usual plan, read alone."""
    usual = make_plan(FeatureSpec(image_size=image_size), encoder.info)
    spec = FeatureSpec(image_size=image_size, layers=(usual.layers[0].index,), pooled="none", dtype="float32")
    plan = make_plan(spec, encoder.info)
    grid = plan.layers[0].grid
    generator = torch.Generator().manual_seed(0)
    extent = torch.tensor(grid.extent)
    places = torch.rand(blobs, 2, generator=generator) * extent
    blank = torch.full((1, 3, *plan.input_size), 0.5)
    reference = encoder(blank, plan).maps[0]
    found = []
    for start in range(0, blobs, batch):
        images = torch.stack([_with_blob(blank[0], place, grid.stride[0]) for place in places[start : start + batch]])
        change = (encoder(images, plan).maps[0] - reference).square().sum(1).flatten(1).argmax(1)
        found.append(torch.stack([change // grid.size[1], change % grid.size[1]], dim=1))
    cells = torch.cat(found).double()
    stride, first = torch.tensor(grid.stride).double(), torch.tensor(grid.first_centre).double()
    limit = torch.tensor(grid.size).double() - 1
    nearest = ((places.double() - first) / stride).round().clamp_min(0).minimum(limit)
    x, y = (first + nearest * stride).flatten().numpy(), (first + cells * stride).flatten().numpy()
    return float(np.polyfit(x, y, 1)[0])


def _with_blob(blank: Tensor, place: Tensor, stride: float) -> Tensor:
    """A bright spot as wide as half a cell at `place` (y, x) in pixels."""
    rows = torch.arange(blank.shape[1]) + 0.5
    columns = torch.arange(blank.shape[2]) + 0.5
    width = max(2.0, stride / 3)
    spot = torch.exp(-((rows - place[0]).square()[:, None] + (columns - place[1]).square()) / (2 * width**2))
    colour = torch.tensor([0.5, 0.4, -0.4]).view(3, 1, 1)
    return (blank + colour * spot).clamp(0, 1)
