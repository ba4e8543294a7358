"""What a data set looks like to a task: images beside their truth, pairs with true matches, triplets with votes.

Each picture comes with what can be said of it before anything is measured (`preview_facts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

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
from midvision.report.pictures import Picture, Pixels, encode, normal_picture
from midvision.report.preview_facts import Facts, dense_facts, dense_words, overlap

GAP_PX = 6
TILE_PX = 360
DOT_PX = 3
MATCH_LEGEND = (
    "Lines join true matches. Seen in both: the share of the left view's known points that the right one shows."
)
LEGENDS = {
    "depth": "Depth: light is near, dark is far, grey is invalid.",
    "object-depth": "Depth: light is near, dark is far, grey is invalid.",
    "normals": "Normals: red to the right, green upwards, blue to the camera, as on the ball; grey is invalid.",
    "segmentation": "Masks: orange is foreground, grey is invalid (ignored).",
    "scene-pairs": MATCH_LEGEND,
    "object-pairs": MATCH_LEGEND,
    "keypoint-pairs": "Lines join points of one name.",
    "triplets": "Left, reference, right.",
    "labels": "",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One item: its id, what is said of it in words and numbers, its pictures from left to right."""

    id: str
    words: str
    pictures: list[Pixels]
    facts: Facts


def write_preview(dataset: Dataset, path: Path, count: int, about: str = "", unit: str = "m") -> list[Tile]:
    """Draw `count` items, chosen by hashed order, into an HTML page or a PNG; returns what was drawn."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"Cannot draw into {path}.", "A name that ends in .html or .png is expected.")
    by_id = {item.id: item for item in dataset.items}
    chosen = [by_id[name] for name in hashed_order(by_id, "preview")[:count]]
    tiles = [tile(dataset, item, unit) for item in chosen]
    if path.suffix.lower() == ".png":
        _write_png(tiles, path)
    else:
        write_text(path, preview_html(dataset, tiles, about))
    return tiles


def tile(dataset: Dataset, item: Item, unit: str) -> Tile:
    """The pictures of one item."""
    for kind, draw in DRAWN:
        if isinstance(item, kind):
            return draw(dataset, item, unit)
    raise UsageError(f"Items of kind {type(item).__name__} cannot be drawn.")


def photo(dataset: Dataset, image: str) -> Pixels:
    """`uint8 [H, W, 3]` of an image of the data set."""
    values: np.ndarray = dataset.images[image].load().numpy()
    pixels: Pixels = np.rint(np.clip(np.moveaxis(values, 0, -1), 0, 1) * 255).astype(np.uint8)
    return pixels


def _dense(dataset: Dataset, item: DenseItem, unit: str) -> Tile:
    target = item.target()
    image = photo(dataset, item.image)
    drawn = dense_pictures(target.values.numpy(), target.valid.numpy(), image)
    facts = dense_facts(dataset.content, target)
    return Tile(item.id, dense_words(facts, unit), [image, drawn], facts)


def _pair(dataset: Dataset, item: PairItem, unit: str) -> Tile:
    a, b = photo(dataset, item.a.image), photo(dataset, item.b.image)
    share, xy_a, xy_b = overlap(item)
    tags = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in item.tags.items())
    words = f"{share:.0%} seen in both, {len(xy_a)} true matches drawn{tags}"
    return Tile(item.id, words, [_joined(a, b, xy_a, xy_b)], {**item.tags, "seen_in_both": share})


def _keypoints(dataset: Dataset, item: KeypointPairItem, unit: str) -> Tile:
    a, b = photo(dataset, item.image_a), photo(dataset, item.image_b)
    facts = {"points": float(len(item.xy_a)), "unit_px": item.scale_px}
    words = f"{len(item.xy_a)} points, errors in units of {item.scale_px:.0f} px"
    return Tile(item.id, words, [_joined(a, b, item.xy_a.numpy(), item.xy_b.numpy())], facts)


def _triplet(dataset: Dataset, item: TripletItem, unit: str) -> Tile:
    words = f"left | reference | right; {item.right_share:.0%} chose right"
    words += "".join(f", {name} {value}" for name, value in item.tags.items())
    pictures = [photo(dataset, name) for name in (item.left, item.reference, item.right)]
    return Tile(item.id, words, pictures, {"right_share": item.right_share})


def _label(dataset: Dataset, item: LabelItem, unit: str) -> Tile:
    words = f"{item.label_name} ({item.label})"
    return Tile(item.id, words, [photo(dataset, item.image)], {"label": float(item.label)})


Draw = Callable[[Dataset, Any, str], Tile]
DRAWN: tuple[tuple[type, Draw], ...] = (
    (DenseItem, cast(Draw, _dense)),
    (PairItem, cast(Draw, _pair)),
    (KeypointPairItem, cast(Draw, _keypoints)),
    (TripletItem, cast(Draw, _triplet)),
    (LabelItem, cast(Draw, _label)),
)


def _joined(a: Pixels, b: Pixels, xy_a: np.ndarray, xy_b: np.ndarray) -> Pixels:
    """Two views side by side with a line and two dots per true match, every one in its own hue.

    Small views are drawn larger, or the lines would hide them.
    """
    import colorsys

    from PIL import Image, ImageDraw

    times = max(1, round(TILE_PX / a.shape[1]))
    both = Image.fromarray(_side_by_side([_enlarged(a, times), _enlarged(b, times)]))
    draw = ImageDraw.Draw(both)
    offset = a.shape[1] * times + GAP_PX
    for place, (start, end) in enumerate(zip(xy_a.tolist(), xy_b.tolist())):
        red, green, blue = (round(255 * share) for share in colorsys.hsv_to_rgb(place / max(len(xy_a), 1), 0.75, 1.0))
        (x_a, y_a), (x_b, y_b) = ((x * times, y * times) for x, y in (start, end))
        draw.line((x_a, y_a, x_b + offset, y_b), fill=(red, green, blue))
        for x, y in ((x_a, y_a), (x_b + offset, y_b)):
            draw.ellipse((x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX), fill=(red, green, blue), outline=(0, 0, 0))
    return np.asarray(both)


def _enlarged(picture: Pixels, times: int) -> Pixels:
    from PIL import Image

    size = (picture.shape[1] * times, picture.shape[0] * times)
    return picture if times == 1 else np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


def ball(size_px: int = 96) -> Pixels:
    """A ball as the camera sees it, coloured by its normals: what each colour of a normal picture means."""
    y, x = np.mgrid[-1 : 1 : size_px * 1j, -1 : 1 : size_px * 1j]
    inside = x**2 + y**2 <= 1
    z = -np.sqrt(np.where(inside, 1 - x**2 - y**2, 0))
    pixels = normal_picture(np.stack((x, y, z)), inside)
    pixels[~inside] = 255
    return pixels


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

    rows = [_side_by_side(tile.pictures) for tile in tiles]
    width = max(row.shape[1] for row in rows)
    sheet = np.full((sum(row.shape[0] + GAP_PX for row in rows) - GAP_PX, width, 3), 255, dtype=np.uint8)
    top = 0
    for row in rows:
        sheet[top : top + row.shape[0], : row.shape[1]] = row
        top += row.shape[0] + GAP_PX
    write_atomic(path, lambda temporary: Image.fromarray(sheet).save(temporary, format="PNG"))


def preview_html(dataset: Dataset, tiles: Sequence[Tile], about: str = "") -> str:
    """The same pictures as a self-contained page."""
    from midvision.report.page import page_parts

    template, css = page_parts("preview.html.jinja")
    shown: list[tuple[Tile, list[Picture]]] = [
        (
            tile,
            [
                encode(picture, f"{tile.id}: {tile.words}", longest_px=2 * TILE_PX, quality=85)
                for picture in tile.pictures
            ],
        )
        for tile in tiles
    ]
    legend = encode(ball(), "ball coloured by its normals") if dataset.content == "normals" else None
    return str(
        template.render(
            dataset=dataset, tiles=shown, about=about, css=css, ball=legend, legend=LEGENDS[dataset.content]
        )
    )
