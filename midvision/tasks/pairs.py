"""Shared by the correspondence tasks: match two feature maps without training, measure where the matches lie.

Points are one pixel per block of 4 x 4 frame pixels whose surface is known. Every point of a takes
its nearest neighbour of b by cosine, one way; matches are ranked by the ratio score `1 - d1 / d2`
of the two nearest and the best 1000 are kept; a pair's score is the mean over its own matches, so
fewer are legal. Border values hold outside the outermost cells: the zero padding of the reference
only shortens vectors there, which a cosine does not see.

Scoring fields:
- `block_sample`: which pixel stands for a block: the one at its centre (row and column 2 of 0..3),
  or its top-left corner, as nearest reduction by 0.25 picks it.
- `ray_at`: where that depth is unprojected: through its own pixel, or the block's centre.
- `features_at`: where features are read: at that pixel, or at the block's centre.
- `lookup`: bilinear or bicubic reading of the feature map.
- `max_matches`: how many best-ranked matches count.
- `pixel_unit`: pixel thresholds mean frame pixels, or pixels of the quarter-size frame.
- `self_pairs`: a pair of an image with itself is left out, or kept.

`chance.*` columns are the exact expectation under a uniformly random match.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from midvision.core.errors import DataError
from midvision.core.items import Dataset, PairItem, View
from midvision.core.scores import Metric
from midvision.core.settings import Settings
from midvision.tasks.scoring import Scored, Unit, UnitScorer, picture, sampled

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import Features
    from midvision.tasks.task import Setting

BLOCK = 4
SHOWN_MATCHES = 60
RECENT_IMAGES = 6


class MatchScoring(Settings):
    """See the file's head."""

    block_sample: Literal["centre", "corner"] = "centre"
    ray_at: Literal["sample", "block"] = "sample"
    features_at: Literal["sample", "block"] = "sample"
    lookup: Literal["bilinear", "bicubic"] = "bilinear"
    max_matches: int = 1000
    pixel_unit: Literal["frame", "quarter"] = "frame"
    self_pairs: Literal["drop", "keep"] = "drop"
    augment: Literal["none"] = "none"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Columns of a pairs task: name -> limit in metres or pixels, and the headline's rotation bins."""

    metres: Mapping[str, float]
    pixels: Mapping[str, float]
    quarter_pixels: Mapping[str, float]
    headline: str
    bins: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Points:
    """Surface points of one view: their blocks `[N]`, pixels `[N, 2]`, places `[N, 3]` in the camera unless planar."""

    block: Tensor
    xy: Tensor
    xyz: Tensor | None
    K: Tensor


@dataclass(frozen=True, slots=True)
class Described:
    """Features of one image: `vectors [N, C]` of all blocks, and the `cells [h w, C]` they combine, if of one map."""

    vectors: Tensor
    cells: Tensor | None


def view_points(view: View, scoring: MatchScoring, planar: bool) -> Points:
    """One point per block whose sampled pixel is valid (and, unless planar, has a depth)."""
    import torch

    from midvision.geometry.camera import rays

    surface = view.surface()
    height, width = surface.valid.shape[-2:]
    offset = BLOCK // 2 if scoring.block_sample == "centre" else 0
    rows = torch.arange(height // BLOCK) * BLOCK + offset
    columns = torch.arange(width // BLOCK) * BLOCK + offset
    valid = surface.valid[0][rows][:, columns]
    depth_m = surface.depth_m[0][rows][:, columns].double()
    if not planar:
        valid = valid & torch.isfinite(depth_m) & (depth_m > 0)
    row, column = valid.nonzero().unbind(1)
    block = row * len(columns) + column
    xy = block_positions((height, width), scoring.ray_at, scoring.block_sample)[block]
    K = surface.K.double()
    xyz = None if planar else rays(K, xy) * depth_m[row, column, None]
    return Points(block, xy, xyz, K)


def block_positions(
    frame_size: tuple[int, int], at: Literal["sample", "block"], block_sample: Literal["centre", "corner"]
) -> Tensor:
    """`[N, 2]` frame pixels (x, y) for every block in row order: its sampled pixel's centre, or its own."""
    import torch

    y, x = block_lines(frame_size, at, block_sample)
    return torch.cartesian_prod(y, x).flip(1)


def block_lines(
    frame_size: tuple[int, int], at: Literal["sample", "block"], block_sample: Literal["centre", "corner"]
) -> tuple[Tensor, Tensor]:
    """Rows and columns of frame pixels whose crossings are the blocks' positions."""
    import torch

    offset = BLOCK / 2
    if at == "sample":
        offset = (BLOCK // 2 if block_sample == "centre" else 0) + 0.5
    y, x = (torch.arange(side // BLOCK).double() * BLOCK + offset for side in frame_size)
    return y, x


def point_features(
    features: Features, row: int, xy: Tensor, frame_size: tuple[int, int], setting: Setting, scoring: MatchScoring
) -> Tensor:
    """Feature vectors `[N, C]` at frame positions; the maps of several layers side by side."""
    import torch

    from midvision.geometry.lookup import sample_map

    centres = setting.protocol.features.cell_centres
    parts = []
    for layer, values in zip(setting.plan.layers, features.maps, strict=True):
        height, width = layer.grid.extent
        at = xy * torch.tensor([width / frame_size[1], height / frame_size[0]], dtype=xy.dtype)
        parts.append(sample_map(values[row], layer.grid, at, mode=scoring.lookup, centres=centres))
    return torch.cat(parts, dim=1)


def block_features(
    features: Features, row: int, frame_size: tuple[int, int], setting: Setting, scoring: MatchScoring
) -> Tensor:
    """`point_features` of every block, in row order, by one axis after the other."""
    import torch

    from midvision.geometry.lookup import sample_lattice

    centres = setting.protocol.features.cell_centres
    y, x = block_lines(frame_size, scoring.features_at, scoring.block_sample)
    parts = []
    for layer, values in zip(setting.plan.layers, features.maps, strict=True):
        rows, columns = y * (layer.grid.extent[0] / frame_size[0]), x * (layer.grid.extent[1] / frame_size[1])
        parts.append(sample_lattice(values[row], layer.grid, rows, columns, mode=scoring.lookup, centres=centres))
    return torch.cat(parts, dim=1)


def rank_matches(
    features_a: Tensor, features_b: Tensor, keep: int, span: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Rows of a and of b of the best matches by `1 - d1 / d2`, best first; equal scores keep a's order.

    `span`: the cells that b's vectors were interpolated from, which makes the search cheaper.
    """
    import torch

    from midvision.extraction.nearest import two_nearest

    index, distance = two_nearest(features_a, features_b, span=span)
    near = distance.double().clamp_min(1e-9)
    order = torch.argsort(1 - near[:, 0] / near[:, 1], descending=True, stable=True)[:keep]
    return order.cpu(), index[order, 0].cpu()


def carried(item: PairItem, points_a: Points, points_b: Points) -> tuple[Tensor, Tensor | None]:
    """The points of a seen from b: pixels `[M, 2]` (NaN where b cannot see them) and, unless planar, metres."""
    from midvision.geometry.camera import apply_homography, project
    from midvision.geometry.pose import apply, compose, invert

    if item.planar is not None or points_a.xyz is None:
        assert item.planar is not None
        return apply_homography(item.planar.b_from_a, points_a.xy), None
    b_from_a = compose(item.b.camera_from_world.double(), invert(item.a.camera_from_world.double()))
    xyz = apply(b_from_a, points_a.xyz)
    return project(points_b.K, xyz), xyz


def error_columns(
    xy_in_b: Tensor, xyz_in_b: Tensor | None, b: Points, matches: tuple[Tensor, Tensor], limits: Thresholds
) -> tuple[dict[str, float], dict[str, float]]:
    """Recalls of the matches, and the same of a uniformly random match; metres are NaN for planar pairs."""
    from midvision.metrics.matches import chance_recall, errors_m, errors_px, recall

    rows_a, rows_b = matches
    own: dict[str, float] = dict.fromkeys(limits.metres, math.nan)
    chance = dict(own)
    if xyz_in_b is not None and b.xyz is not None:
        error = errors_m(xyz_in_b[rows_a], b.xyz[rows_b])
        own |= {name: recall(error, limit) for name, limit in limits.metres.items()}
        chance |= dict(zip(limits.metres, chance_recall(xyz_in_b, b.xyz, list(limits.metres.values()))))
    pixels = {**limits.pixels, **{name: limit * BLOCK for name, limit in limits.quarter_pixels.items()}}
    error = errors_px(xy_in_b[rows_a], b.xy[rows_b])
    own |= {name: recall(error, limit) for name, limit in pixels.items()}
    chance |= dict(zip(pixels, chance_recall(xy_in_b, b.xy, list(pixels.values()))))
    return own, chance


def score_pair(
    item: PairItem, described: Callable[[str], Described], scoring: MatchScoring, limits: Thresholds
) -> tuple[dict[str, float], dict[str, Any]]:
    """Columns of one pair and its match lines; without a point on each side every recall is NaN.

    `described(image)` gives the features of all blocks of an image.
    """
    import torch

    planar = item.planar is not None
    a, b = (view_points(view, scoring, planar) for view in (item.a, item.b))
    names = [*limits.metres, *limits.pixels, *limits.quarter_pixels]
    columns = pair_columns(item)
    same = scoring.self_pairs == "drop" and item.a.image == item.b.image
    if same or len(a.xy) == 0 or len(b.xy) == 0:
        empty = dict.fromkeys([*names, *limits.bins], math.nan)
        return {**empty, **columns, "matches": 0.0, **{f"chance.{name}": math.nan for name in empty}}, {}
    with torch.inference_mode():
        one, two = described(item.a.image), described(item.b.image)
        matches = rank_matches(one.vectors[a.block], two.vectors[b.block], scoring.max_matches, two.cells)
    xy_in_b, xyz_in_b = carried(item, a, b)
    own, chance = error_columns(xy_in_b, xyz_in_b, b, matches, limits)
    own |= binned(own, columns["angle_deg"], limits)
    chance |= binned(chance, columns["angle_deg"], limits)
    columns |= {"matches": float(len(matches[0]))}
    shown = match_lines(a, b, matches, xy_in_b, xyz_in_b, limits)
    return {**own, **columns, **{f"chance.{name}": value for name, value in chance.items()}}, shown


def pair_columns(item: PairItem) -> dict[str, float]:
    """What is known of a pair before matching: its viewpoint change (NaN if planar) and its tags."""
    from midvision.geometry.pose import relative_angle_deg

    angle = math.nan
    if item.planar is None:
        angle = relative_angle_deg(item.a.camera_from_world, item.b.camera_from_world)
    return {"angle_deg": angle, **{f"tag.{name}": float(value) for name, value in item.tags.items()}}


def binned(values: Mapping[str, float], angle_deg: float, limits: Thresholds) -> dict[str, float]:
    """The headline under the rotation bin of the pair."""
    from midvision.metrics.matches import by_rotation

    return by_rotation(values[limits.headline], angle_deg, limits.bins)


def match_lines(
    a: Points,
    b: Points,
    matches: tuple[Tensor, Tensor],
    xy_in_b: Tensor,
    xyz_in_b: Tensor | None,
    limits: Thresholds,
) -> dict[str, Any]:
    """Matches evenly spread over the ranking with their errors in the headline's unit, for the report."""
    import numpy as np
    import torch

    from midvision.metrics.matches import errors_m, errors_px

    count = len(matches[0])
    spread = torch.linspace(0, count - 1, min(SHOWN_MATCHES, count)).round().long()
    rows_a, rows_b = matches[0][spread], matches[1][spread]
    if limits.headline in limits.metres and xyz_in_b is not None and b.xyz is not None:
        error, threshold = errors_m(xyz_in_b[rows_a], b.xyz[rows_b]), limits.metres[limits.headline]
    else:
        pixel_limits = {**limits.metres, **limits.quarter_pixels, **limits.pixels}
        error, threshold = errors_px(xy_in_b[rows_a], b.xy[rows_b]), pixel_limits[limits.headline]
    return {
        "xy_a": a.xy[rows_a].float().numpy(),
        "xy_b": b.xy[rows_b].float().numpy(),
        "error": error.float().numpy(),
        "threshold": np.array(threshold, dtype=np.float32),
    }


def pair_scorer(setting: Setting, dataset: Dataset, limits: Thresholds, metrics: Sequence[Metric]) -> UnitScorer:
    """A scorer of pairs: each is scored when its second view arrives."""
    scoring = MatchScoring.model_validate(setting.protocol.scoring)
    limits = in_unit(limits, scoring)
    kept = sampled(dataset)
    items: dict[str, PairItem] = {}
    for item in dataset.items:
        if not isinstance(item, PairItem):
            raise DataError(f"Item {item.id!r} of {dataset.name!r} is no pair of views.")
        items[item.id] = item

    recent: dict[str, Described] = {}

    def score(unit: Unit, features: Features) -> list[Scored]:
        item = items[unit.items[0]]

        def described(image: str) -> Described:
            """Features of all blocks; the last few images are kept, since their next pair is near."""
            if image not in recent:
                row = unit.images.index(image)
                vectors = block_features(features, row, dataset.frame_size, setting, scoring)
                cells = features.maps[0][row].flatten(1).T if len(features.maps) == 1 else None
                recent[image] = Described(vectors, cells)
            recent[image] = recent.pop(image)
            while len(recent) > RECENT_IMAGES:
                del recent[next(iter(recent))]
            return recent[image]

        columns, shown = score_pair(item, described, scoring, limits)
        if item.id not in kept or not shown:
            return [Scored(columns)]
        pictures = {"image_a": picture(dataset, item.a.image), "image_b": picture(dataset, item.b.image)}
        return [Scored(columns, {**pictures, **shown})]

    units = [Unit((item.id,), tuple(dict.fromkeys((item.a.image, item.b.image)))) for item in items.values()]
    return UnitScorer(dataset, units, score, metrics)


def in_unit(limits: Thresholds, scoring: MatchScoring) -> Thresholds:
    """Thresholds in frame pixels, whichever pixels the protocol means."""
    if scoring.pixel_unit == "frame":
        return limits
    scaled = {name: limit * BLOCK for name, limit in limits.pixels.items()}
    return Thresholds(limits.metres, scaled, limits.quarter_pixels, limits.headline, limits.bins)


def share_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    return tuple(Metric(name, "share", True, 0.0, 1.0, name) for name in names)
