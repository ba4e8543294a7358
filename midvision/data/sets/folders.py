"""A person's own labelled photographs: one folder per class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from midvision.core.items import Dataset
    from midvision.data.photos import Photo

PATTERN = "*/*.*"


def open_labels(request: Request) -> Dataset:
    """Class folders; `train` and `test` (or `val`) folders are the splits where both are there."""
    from midvision.core.items import LabelItem
    from midvision.data.photos import Framed, dataset, frame_size, need_items, spread

    options, root = Options(request.data), root_of(request.data)
    photos = _list(root, options)
    classes = _classes(photos, root)
    chosen = need_items(_split(photos, request, options), request, "Give each class at least two photographs.")
    kept = spread(chosen, request.limit, lambda photo: photo.sequence)
    size = frame_size([photo.size for photo in photos], request.rules, options)
    frames = [Framed(photo, size, request.rules) for photo in kept]
    items = [
        LabelItem(p.id, p.group, frame.image_id, classes.index(p.sequence), p.sequence)
        for p, frame in zip(kept, frames)
    ]
    notes = repr([(item.id, item.label_name) for item in items])
    return dataset(DATA, request, frames, items, (), notes)


def _list(root: Path, options: Options) -> list[Photo]:
    from midvision.data.photos import list_photos, split_roots

    return list_photos(split_roots(root), options.text("image", PATTERN) or PATTERN)


def _classes(photos: list[Photo], root: Path) -> list[str]:
    """Class names in natural order; a test class that training never shows is an error."""
    from midvision.core.errors import DataError
    from midvision.data.patterns import natural

    classes = sorted({photo.sequence for photo in photos}, key=natural)
    if len(classes) < 2:
        raise DataError(f"{root} has photographs of {len(classes)} class.", "A folder for each of two or more classes.")
    trained = {photo.sequence for photo in photos if photo.split != "test"}
    if unknown := [name for name in classes if name not in trained]:
        raise DataError(f"Class {unknown[0]!r} of {root} has no training photographs.", "Every class needs some.")
    return classes


def _split(photos: list[Photo], request: Request, options: Options) -> list[Photo]:
    """Declared splits, or a hashed share of every class."""
    from midvision.data.photos import share_of, split_photos

    if options.text("test") is not None or photos[0].split is not None:
        return split_photos(photos, request, options)
    held_out: set[str] = set()
    for name in dict.fromkeys(photo.sequence for photo in photos):
        ids = [photo.id for photo in photos if photo.sequence == name]
        held_out |= share_of(ids, options.positive("test_share", 0.3))
    marked = [replace(photo, split="test" if photo.id in held_out else "train") for photo in photos]
    return [photo for photo in marked if photo.split == request.split]


def _options() -> dict[str, str]:
    own = {"image": f"pattern of the photographs (default {PATTERN}); the folder is the class"}
    return own | {name: FRAME_OPTIONS[name] for name in ("size", "test_share", "test")}


DATA = DataCard(
    name="labels",
    version="1",
    title="Your photographs in one folder per class",
    contents=("labels",),
    licence="your own",
    how_to_get="--data labels:PATH",
    options=_options(),
    open=open_labels,
)
