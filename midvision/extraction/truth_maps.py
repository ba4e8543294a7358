"""Feature maps made from the truth: cell means of dense targets, and places in space as directions.

A place in space becomes random Fourier features: the cosine of two of them falls with their distance
(Rahimi and Recht 2007). Half of the frequencies resolve about a cell, half a few cells, and a map that
is read between two cells points, per frequency, to the place between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from midvision.core.features import Grid
from midvision.core.items import Dataset, DenseItem, KeypointPairItem, PairItem, Surface
from midvision.core.seeds import hashed_order, torch_generator
from midvision.geometry.camera import apply_homography, pixel_centres, unproject
from midvision.geometry.lookup import cell_average
from midvision.geometry.pose import apply, compose, invert
from midvision.metrics.depth import relative_depth

DENSE_CHANNELS = 11
NEAREST_RELATIVE = 1e-3
PLACE_CHANNELS = 112
FINE_CELLS, COARSE_CELLS = 1.5, 6.0
"""Widths of the two kernels, in typical distances between neighbouring cells."""
FAINT = 1e-3
"""Length of the random vector of a cell that shows nothing: unrelated, and too faint to bend its neighbours."""
MOST_PIXELS = 256
SPACING_IMAGES = 8


def dense_truth(content: str, item: DenseItem, grid: Grid) -> Tensor:
    """Cell means `[DENSE_CHANNELS, h, w]` of one target: log depth, depth, 1/depth, log relative depth,
    valid share; normal (3), valid share; mask share, valid share. Channels of other kinds are zero,
    and a cell without truth repeats the nearest one that has some.

    Relative depth depends on the whole image, so no reading of a cell's metres could give it.
    """
    target = item.target()
    values, valid = target.values.float(), target.valid.bool()
    valid = valid & torch.isfinite(values).all(0, keepdim=True)
    if content in ("depth", "object-depth"):
        valid = valid & (values > 0)
        metres = torch.where(valid, values, torch.ones_like(values))
        relative = relative_depth(values, valid).clamp_min(NEAREST_RELATIVE).log()
        values, first = torch.cat((metres.log(), metres, 1 / metres, relative)), 0
    else:
        first = 5 if content == "normals" else 9
    mean, share = cell_average(values[None], valid[None], grid)
    block = torch.zeros((DENSE_CHANNELS, *grid.size))
    block[first : first + len(values)] = spread_out(mean[0], share[0, 0] > 0)
    block[first + len(values)] = share[0, 0]
    return block


def spread_out(values: Tensor, known: Tensor) -> Tensor:
    """`[K, h, w]` with each cell that knows nothing (`known [h, w]`) taking the nearest known cell's values.

    A map is read between cells, so an empty cell would bend the truth at the border of what is known.
    """
    if not known.any():
        return values
    cells = torch.cartesian_prod(*(torch.arange(side, dtype=torch.float32) for side in known.shape))
    taught = known.flatten().nonzero()[:, 0]
    nearest = taught[torch.cdist(cells, cells[taught]).argmin(1)]
    return values.flatten(1)[:, nearest].reshape(values.shape)


@dataclass(frozen=True, slots=True)
class Placed:
    """An image whose pixels have known places: camera or plane coordinates, and the way to a common frame."""

    surface: Callable[[], Surface]
    root_from_image: Tensor
    planar: bool


class Places:
    """Where the pixels of every image of a data set's pairs lie, in the frame of its first image.

    Relative poses and homographies are followed from pair to pair, so it does not matter which frame
    a reader calls the world.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.images: dict[str, Placed] = {}
        self._fingerprint = dataset.fingerprint
        self._spacing: dict[Grid, float] = {}
        self._frequencies: dict[Grid, Tensor] = {}
        pairs = [item for item in dataset.items if isinstance(item, PairItem)]
        neighbours: dict[str, list[tuple[str, PairItem]]] = {}
        for item in pairs:
            neighbours.setdefault(item.a.image, []).append((item.b.image, item))
            neighbours.setdefault(item.b.image, []).append((item.a.image, item))
        for name in neighbours:
            if name not in self.images:
                self._follow(name, neighbours)

    def _follow(self, first: str, neighbours: dict[str, list[tuple[str, PairItem]]]) -> None:
        item = neighbours[first][0][1]
        size = 3 if item.planar is not None else 4
        self._put(first, item, torch.eye(size, dtype=torch.float64))
        waiting = [first]
        while waiting:
            known = waiting.pop()
            for name, pair in neighbours[known]:
                same_kind = (pair.planar is not None) == self.images[known].planar
                if name not in self.images and same_kind:
                    root = self.images[known].root_from_image
                    self._put(name, pair, root @ _known_from_other(pair, known))
                    waiting.append(name)

    def _put(self, name: str, pair: PairItem, root_from_image: Tensor) -> None:
        view = pair.a if pair.a.image == name else pair.b
        self.images[name] = Placed(view.surface, root_from_image, pair.planar is not None)

    def map(self, name: str, grid: Grid) -> Tensor:
        """`[PLACE_CHANNELS, h, w]`: the mean direction of each cell's valid pixels, as long as their share."""
        xyz, valid = self._points(name)
        phases = torch.tensordot(self._frequency(grid), xyz, dims=1)
        waves = torch.cat((phases.cos(), phases.sin())) / math.sqrt(len(phases))
        mean, share = cell_average(waves[None], valid[None], grid)
        faint = unrelated(PLACE_CHANNELS, grid, "faint", name) * FAINT
        return mean[0] * share[0] + faint * (share[0] == 0)

    def _points(self, name: str) -> tuple[Tensor, Tensor]:
        """Places `[3, H, W]` in the common frame and validity `[1, H, W]`."""
        placed = self.images[name]
        surface = placed.surface()
        valid = surface.valid.bool()
        if placed.planar:
            xy = pixel_centres(valid.shape[-2], valid.shape[-1], like=placed.root_from_image)
            moved = apply_homography(placed.root_from_image, xy.flatten(1).T)
            valid = valid & torch.isfinite(moved).all(1).reshape(valid.shape)
            xyz = torch.cat((moved.nan_to_num(), torch.zeros_like(moved[:, :1])), dim=1)
        else:
            depth = surface.depth_m.double()
            valid = valid & torch.isfinite(depth) & (depth > 0)
            xyz = unproject(surface.K.double(), torch.where(valid, depth, torch.ones_like(depth))).flatten(1).T
            xyz = apply(placed.root_from_image, xyz)
        step = max(1, min(valid.shape[-2:]) // MOST_PIXELS)
        points = xyz.T.reshape(3, *valid.shape[-2:])[:, step // 2 :: step, step // 2 :: step]
        return points.float(), valid[:, step // 2 :: step, step // 2 :: step]

    def _frequency(self, grid: Grid) -> Tensor:
        """`[PLACE_CHANNELS / 2, 3]` angular frequencies for this data set's typical cell distance."""
        if grid not in self._frequencies:
            generator = torch_generator("oracle", "frequencies", self._fingerprint)
            waves = torch.randn((PLACE_CHANNELS // 2, 3), generator=generator)
            waves[::2] /= FINE_CELLS
            waves[1::2] /= COARSE_CELLS
            self._frequencies[grid] = waves / self.spacing(grid)
        return self._frequencies[grid]

    def spacing(self, grid: Grid) -> float:
        """Median distance of neighbouring cells' places, over a few images."""
        steps = []
        for name in hashed_order(self.images, "oracle", "spacing")[:SPACING_IMAGES]:
            xyz, valid = self._points(name)
            mean, share = cell_average(xyz[None], valid[None], grid)
            for axis in (1, 2):
                far = mean[0].diff(dim=axis).norm(dim=0)
                both = torch.minimum(
                    share[0, 0].unfold(axis - 1, 2, 1)[..., 0], share[0, 0].unfold(axis - 1, 2, 1)[..., 1]
                )
                steps.append(far[both > 0.5])
        found = torch.cat(steps) if steps else torch.zeros(0)
        return max(float(found.median()), 1e-9) if len(found) else 1.0


def _known_from_other(pair: PairItem, known: str) -> Tensor:
    """Transform from the other image's frame into the known one's, along one pair."""
    if pair.planar is not None:
        b_from_a = pair.planar.b_from_a.double()
        other_from_known = b_from_a if pair.a.image == known else torch.linalg.inv(b_from_a)
        known_from_other: Tensor = torch.linalg.inv(other_from_known)
        return known_from_other
    here, there = (pair.a, pair.b) if pair.a.image == known else (pair.b, pair.a)
    return compose(here.camera_from_world.double(), invert(there.camera_from_world.double()))


class Keypoints:
    """Named points: each gets a direction of its own in both images of its pair, laid on the nearest cells."""

    def __init__(self, dataset: Dataset) -> None:
        self._frame = dataset.frame_size
        self._points: dict[str, list[tuple[str, Tensor]]] = {}
        for item in dataset.items:
            if isinstance(item, KeypointPairItem):
                self._points.setdefault(item.image_a, []).append((item.id, item.xy_a))
                self._points.setdefault(item.image_b, []).append((item.id, item.xy_b))

    @property
    def images(self) -> Sequence[str]:
        return list(self._points)

    def map(self, name: str, grid: Grid) -> Tensor:
        """`[PLACE_CHANNELS, h, w]`."""
        laid = unrelated(PLACE_CHANNELS, grid, "faint", name) * FAINT
        for pair, xy in self._points[name]:
            codes = torch.randn((len(xy), PLACE_CHANNELS), generator=torch_generator("oracle", "keypoints", pair))
            codes /= codes.norm(dim=1, keepdim=True)
            for axis, code in zip(self._cells(xy, grid), codes, strict=True):
                for row, column, weight in axis:
                    laid[:, row, column] += weight * code
        return laid

    def _cells(self, xy: Tensor, grid: Grid) -> list[list[tuple[int, int, float]]]:
        """For each point, the four cells around it with bilinear weights."""
        found = []
        for x, y in xy.tolist():
            row = (y * grid.extent[0] / self._frame[0] - grid.first_centre[0]) / grid.stride[0]
            column = (x * grid.extent[1] / self._frame[1] - grid.first_centre[1]) / grid.stride[1]
            found.append(
                [
                    (_inside(i, grid.size[0]), _inside(j, grid.size[1]), (1 - abs(row - i)) * (1 - abs(column - j)))
                    for i in (math.floor(row), math.floor(row) + 1)
                    for j in (math.floor(column), math.floor(column) + 1)
                ]
            )
        return found


def unrelated(channels: int, grid: Grid, *purpose: str) -> Tensor:
    """A random direction `[channels, h, w]` of length one for every cell."""
    values = torch.randn((channels, *grid.size), generator=torch_generator("oracle", *purpose))
    directions: Tensor = values / values.norm(dim=0, keepdim=True)
    return directions


def _inside(index: int, count: int) -> int:
    return min(max(index, 0), count - 1)
