"""What a data set looks like to a task: images beside their truth, pairs with true matches, triplets with votes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from midvision.core.errors import UsageError
from midvision.core.items import (
    Dataset,
    DenseItem,
    Item,
    KeypointPairItem,
    LabelItem,
    PairItem,
    TripletItem,
)
from midvision.core.places import write_atomic, write_text
from midvision.core.seeds import hashed_order
from midvision.report.examples import dense_pictures
from midvision.report.pictures import Picture, Pixels, encode

if TYPE_CHECKING:
    from torch import Tensor

TRUE_MATCHES = 24
GAP_PX = 6
TILE_PX = 360

Tile = tuple[str, list[Pixels]]
"""Caption and the pictures of one item, left to right."""


def write_preview(dataset: Dataset, path: Path, count: int) -> int:
    """Draw `count` items, chosen by hashed order, into an HTML page or a PNG; returns how many were drawn."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"Cannot draw into {path}.", "A name that ends in .html or .png is expected.")
    by_id = {item.id: item for item in dataset.items}
    chosen = [by_id[name] for name in hashed_order(by_id, "preview")[:count]]
    tiles = [tile(dataset, item) for item in chosen]
    if path.suffix.lower() == ".png":
        _write_png(tiles, path)
    else:
        write_text(path, preview_html(dataset, tiles))
    return len(tiles)


def tile(dataset: Dataset, item: Item) -> Tile:
    """The pictures of one item."""
    for kind, draw in DRAWN:
        if isinstance(item, kind):
            return draw(dataset, item)
    raise UsageError(f"Items of kind {type(item).__name__} cannot be drawn.")


def photo(dataset: Dataset, image: str) -> Pixels:
    """`uint8 [H, W, 3]` of an image of the data set."""
    values: np.ndarray = dataset.images[image].load().numpy()
    pixels: Pixels = np.rint(np.clip(np.moveaxis(values, 0, -1), 0, 1) * 255).astype(np.uint8)
    return pixels


def _dense(dataset: Dataset, item: DenseItem) -> Tile:
    target = item.target()
    image = photo(dataset, item.image)
    drawn = dense_pictures(target.values.numpy(), target.valid.numpy(), image)
    share = float(target.valid.float().mean())
    return f"{item.id} ({item.group}), {share:.0%} of the pixels are known", [image, drawn]


def _pair(dataset: Dataset, item: PairItem) -> Tile:
    a, b = photo(dataset, item.a.image), photo(dataset, item.b.image)
    xy_a, xy_b = true_matches(item)
    tags = "".join(f", {name} {value:.2f}" for name, value in item.tags.items())
    return f"{item.id} ({item.group}), {len(xy_a)} true matches{tags}", [_joined(a, b, xy_a, xy_b)]


def true_matches(item: PairItem) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of view a, and where view b sees the same points: `[M, 2]` each; hidden points are left out."""
    import torch

    surface = item.a.surface()
    rows, columns = (axis.flatten() for axis in torch.nonzero(surface.valid[0], as_tuple=True))
    if len(rows) == 0:
        return np.zeros((0, 2)), np.zeros((0, 2))
    chosen = torch.linspace(0, len(rows) - 1, min(40 * TRUE_MATCHES, len(rows))).long()
    xy_a = torch.stack((columns[chosen] + 0.5, rows[chosen] + 0.5), dim=1).double()
    xy_b, seen = _seen_in_b(item, xy_a, surface.depth_m[0, rows[chosen], columns[chosen]].double())
    kept = torch.nonzero(seen).flatten()
    spread = kept[torch.linspace(0, max(len(kept) - 1, 0), min(TRUE_MATCHES, len(kept))).long()]
    return xy_a[spread].numpy(), xy_b[spread].numpy()


def _seen_in_b(item: PairItem, xy_a: Tensor, depth_m: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    from midvision.geometry.camera import project
    from midvision.geometry.pose import apply, invert

    b = item.b.surface()
    height, width = b.depth_m.shape[-2:]
    if item.planar is not None:
        moved = (
            torch.cat((xy_a, torch.ones(len(xy_a), 1, dtype=torch.float64)), dim=1) @ item.planar.b_from_a.double().T
        )
        xy_b, in_front = moved[:, :2] / moved[:, 2:], moved[:, 2] > 0
        depth_b = None
    else:
        K_a = item.a.surface().K.double()
        rays = torch.cat((xy_a, torch.ones(len(xy_a), 1, dtype=torch.float64)), dim=1) @ torch.linalg.inv(K_a).T
        world = apply(invert(item.a.camera_from_world.double()), rays * depth_m[:, None])
        in_b = apply(item.b.camera_from_world.double(), world)
        xy_b, in_front = project(b.K.double(), in_b), in_b[:, 2] > 0
        depth_b = in_b[:, 2]
    inside = in_front & (xy_b[:, 0] >= 0) & (xy_b[:, 0] < width) & (xy_b[:, 1] >= 0) & (xy_b[:, 1] < height)
    # Points behind the camera have no pixel: not a number, which no index may be.
    xy_b = torch.nan_to_num(xy_b)
    column, row = xy_b[:, 0].clamp(0, width - 1).long(), xy_b[:, 1].clamp(0, height - 1).long()
    seen = inside & b.valid[0, row, column]
    if depth_b is not None:
        seen &= (b.depth_m[0, row, column].double() - depth_b).abs() < 0.03 * depth_b.clamp(min=1e-6)
    return xy_b, seen


def _keypoints(dataset: Dataset, item: KeypointPairItem) -> Tile:
    a, b = photo(dataset, item.image_a), photo(dataset, item.image_b)
    return f"{item.id} ({item.group})", [_joined(a, b, item.xy_a.numpy(), item.xy_b.numpy())]


def _triplet(dataset: Dataset, item: TripletItem) -> Tile:
    words = f"left | reference | right; {item.right_share:.0%} chose right"
    return f"{item.id} ({item.group}): {words}", [
        photo(dataset, name) for name in (item.left, item.reference, item.right)
    ]


def _label(dataset: Dataset, item: LabelItem) -> Tile:
    return f"{item.id} ({item.group}): {item.label_name} ({item.label})", [photo(dataset, item.image)]


Draw = Callable[[Dataset, Any], Tile]
DRAWN: tuple[tuple[type, Draw], ...] = (
    (DenseItem, cast(Draw, _dense)),
    (PairItem, cast(Draw, _pair)),
    (KeypointPairItem, cast(Draw, _keypoints)),
    (TripletItem, cast(Draw, _triplet)),
    (LabelItem, cast(Draw, _label)),
)


def _joined(a: Pixels, b: Pixels, xy_a: np.ndarray, xy_b: np.ndarray) -> Pixels:
    """Two views side by side with a line per true match, every line in its own hue."""
    import colorsys

    from PIL import Image, ImageDraw

    both = Image.fromarray(_side_by_side([a, b]))
    draw = ImageDraw.Draw(both)
    offset = a.shape[1] + GAP_PX
    for place, ((x_a, y_a), (x_b, y_b)) in enumerate(zip(xy_a.tolist(), xy_b.tolist())):
        hue = colorsys.hsv_to_rgb(place / max(len(xy_a), 1), 0.75, 1.0)
        draw.line((x_a, y_a, x_b + offset, y_b), fill=(round(hue[0] * 255), round(hue[1] * 255), round(hue[2] * 255)))
    return np.asarray(both)


def _side_by_side(pictures: Sequence[Pixels], ground: int = 255) -> Pixels:
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + GAP_PX * (len(pictures) - 1)
    sheet = np.full((height, width, 3), ground, dtype=np.uint8)
    left = 0
    for picture in pictures:
        sheet[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP_PX
    return sheet


def _write_png(tiles: Sequence[Tile], path: Path) -> None:
    from PIL import Image

    rows = [_side_by_side(pictures) for _, pictures in tiles]
    width = max(row.shape[1] for row in rows)
    sheet = np.full((sum(row.shape[0] + GAP_PX for row in rows) - GAP_PX, width, 3), 255, dtype=np.uint8)
    top = 0
    for row in rows:
        sheet[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + GAP_PX
    write_atomic(path, lambda temporary: Image.fromarray(sheet).save(temporary, format="PNG"))


def preview_html(dataset: Dataset, tiles: Sequence[Tile]) -> str:
    """The same pictures as a self-contained page."""
    from midvision.report.page import page_parts

    template, css = page_parts("preview.html.jinja")
    shown: list[tuple[str, list[Picture]]] = [
        (caption, [encode(picture, caption, longest_px=2 * TILE_PX, quality=85) for picture in pictures])
        for caption, pictures in tiles
    ]
    return str(template.render(dataset=dataset, tiles=shown, css=css))
